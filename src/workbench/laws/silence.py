"""What is said where a metric, or a whole study, can't answer: why, and what would tell.

A silence counts neither for an effect nor against one, and each sentence says what to do about it.
"""

from collections.abc import Iterator, Mapping, Sequence

from workbench.metrics import HELDOUT, set_and_metric

ONE_SEED = "One seed per cell: no interval can be given. Train at least 3 seeds a cell, or at least 5 sizes."
SEEDS_AGREE = "All seeds agree to the last digit: the table says nothing about noise, so no interval holds."
ONE_QUALITY = "The study has one quality, so there is nothing to exchange: add a second with --quality."
WOULD_TELL = {
    ONE_SEED: "",
    SEEDS_AGREE: " More held-out records would tell, for they show smaller differences.",
}
"""What would tell, by why no metric does."""
MORE_OF_ALL = " Larger sizes, more steps or more held-out records would tell."
FREE_TEXT = (
    ", as is usual for free text. To compare the texts themselves, let two of the study's adapters write "
    "side by side: notebook 08 does (`workbench lab` opens it)."
)
METRICS_OF_SHARES = ("exact_match", "choice_accuracy", "numeric")
"""Metrics that are a share of right answers."""
GENTLER = "Run it again in a new folder (--out) with a smaller --learning-rate."


def in_words(metric: str) -> str:
    """Return a metric's name as it stands in a sentence, such as "loss on references"."""
    name, bare = set_and_metric(metric)
    words = bare.replace("_", " ")
    return words if name == HELDOUT else f"{words} on {name}"


def sentence_case(words: str) -> str:
    """Return words as the beginning of a sentence."""
    return words[:1].upper() + words[1:]


def same_in_every_cell(metric: str, value: float) -> str:
    """Say that a metric is constant."""
    return (
        f"{sentence_case(in_words(metric))} is {value:.3g} in every cell: no effect of size or quality is "
        "visible in it, and none is ruled out."
    )


def why_constant(metric: str, value: float, answers: Mapping[str, int]) -> Iterator[str]:
    """Say what a metric that is the same in every cell may come from.

    Args:
        metric: Its name.
        value: What it is.
        answers: How many of the set's records have each answer; empty where answers hardly recur.
    """
    total = sum(answers.values())
    name, bare = set_and_metric(metric)
    records = "held-out records" if name == HELDOUT else f"records of {name!r}"
    for answer, count in answers.items() if bare in METRICS_OF_SHARES else ():
        if count and abs(count / total - value) < 1e-9:
            frequent = "the most frequent answer, " if count == max(answers.values()) else ""
            yield (
                f"That is the share of {frequent}{answer!r} ({count} of {total} {records}), as when "
                "every record gets that answer."
            )
            break
    if bare == "exact_match" and value == 0:
        yield "No answer was matched to the letter" + ("." if answers else FREE_TEXT)


def judge_by(metric: str) -> str:
    """Say which metric does tell."""
    return f"Judge by {in_words(metric)}, which does differ."


def rarely_matched(metric: str, most: float, judge: str) -> str:
    """Say why a share of right answers doesn't come first although it isn't constant."""
    matched = ": few answers are matched" if set_and_metric(metric)[1] in METRICS_OF_SHARES else ""
    return f"It is nowhere above {most:.3g}{matched}, so {in_words(judge)} comes first."


def too_few_sizes(quality: str, sizes: int) -> str:
    """Say that a quality's curve isn't known between the sizes measured."""
    return (
        f"{quality!r} was measured at {sizes} size{'s' * (sizes > 1)}, and how much of it is "
        "needed can't be read between fewer than 3. Add sizes."
    )


def without_cells(qualities: Sequence[str], metric: str, reference: str | None) -> str:
    """Say which qualities have no finished cell, and what the rest is compared with instead of the best."""
    names = ", ".join(map(repr, qualities))
    rest = f" The others are compared with {reference!r}." if reference else ""
    return f"No finished cell of {names} has {in_words(metric)}, so nothing is said about it.{rest}"


def nothing_measured(cells: int, failed: int, failure: str | None) -> str:
    """Say that no cell of a study has a number, as when every one failed."""
    if not failed:
        return f"There is no answer: none of the {cells} cells has a number to judge by."
    reason = f" The first: {failure}." if failure else ""
    lost = "all" if failed == cells else f"{failed}"
    return f"There is no answer: none of {cells} cells has a number, {lost} of them failed.{reason} {GENTLER}"


def only_one_finished(quality: str, failed: int, failure: str | None) -> str:
    """Say that there is nothing to compare a quality with."""
    if failure is None:
        return (
            f"There is no answer yet: only {quality!r} has been measured so far; let `workbench run` train "
            "the other qualities."
        )
    return (
        f"There is no answer: only {quality!r} has a finished cell, and {failed} cells failed. The first: "
        f"{failure}. {GENTLER}"
    )
