"""Whether smaller or larger values of a metric are better: by its name, or told; never guessed.

A wrong direction inverts every answer, so a name that doesn't say it is refused until the user does.
"""

import re
from collections.abc import Iterable
from typing import Literal

from workbench.errors import InputError
from workbench.metrics import set_and_metric

Better = Literal["lower", "higher"]
"""Which values of a metric are better."""


def word_set(words: str) -> frozenset[str]:
    """Return the words of a line."""
    return frozenset(words.split())


LOWER = word_set(
    "loss losses nll ce xent crossentropy bpb bpc bpw bpt ppl perplexity perplexities error errors "
    "err wer cer ter mer mse rmse mae mape ece brier fid nrmse smape regret logloss surprisal"
)
"""Words of metrics of which smaller values are better."""
HIGHER = word_set(
    "accuracy accuracies acc match em f1 fscore bleu sacrebleu rouge meteor chrf auc auroc auprc "
    "precision recall winrate ndcg mrr iou dice correct"
)
"""Words of metrics of which larger values are better."""
PHRASES = {
    "cross entropy": "crossentropy",
    "negative log likelihood": "nll",
    "neg log likelihood": "nll",
    "log loss": "loss",
    "bits per": "bpb",
    "nats per": "bpb",
    "exact match": "em",
    "win rate": "winrate",
    "pass at": "correct",
}
"""Names of several words, and a word of the same direction."""
UNSURE = word_set(
    "neg negative minus inverse inv reciprocal reduction drop gain gap improvement improved delta "
    "diff difference change ratio stderr std stddev sd se sem var variance ci scale weight coef "
    "coefficient count num steps time free target threshold rank"
)
"""Words beside which another word doesn't say it: a loss reduction, the standard error of an accuracy."""
OF_STUDIES: dict[str, Better] = {
    "loss": "lower",
    **dict.fromkeys(
        ("exact_match", "choice_accuracy", "rouge_l", "chrf", "bleu", "token_f1", "numeric"), "higher"
    ),
}
"""Metrics of the workbench's own studies, by the names that they have behind an evaluation set's."""
WORD_ENDINGS = ("loss", "perplexity", "error", "entropy", "accuracy")
"""Long words that names have without a separator, as in "valloss"."""
BEFORE = re.compile(r"(?:train|training|val|valid|validation|eval|evaluation|test|dev|heldout)(?=[a-z])")
WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")


def words_of(name: str) -> list[str]:
    """Return a name's words in lower case: those of "evalLoss", "val/loss_c4" and "metrics.nll"."""
    return [word.lower() for word in WORD.findall(name)]


def known_direction(metric: str) -> Better | None:
    """Return what a metric's name says about its direction; None where it says nothing, or both."""
    name, bare = set_and_metric(metric)
    if bare in OF_STUDIES and not UNSURE.intersection(words_of(name)):
        return OF_STUDIES[bare]  # of a study's table, whatever the evaluation set is called
    joined = " ".join(words_of(metric.lower().replace("pass@", "pass at ") if "@" in metric else metric))
    for phrase, word in PHRASES.items():
        joined = re.sub(rf"\b{phrase}\b", word, joined)
    words = joined.split()
    if UNSURE.intersection(words):
        return None
    found = {direction for word in words if (direction := _of_word(word))}
    return found.pop() if len(found) == 1 else None


def _of_word(word: str) -> Better | None:
    bare = BEFORE.sub("", word, count=1) if BEFORE.match(word) else word
    for one in (word, bare, word.rstrip("0123456789"), bare.rstrip("0123456789")):
        if one in LOWER:
            return "lower"
        if one in HIGHER:
            return "higher"
    ending = next((end for end in WORD_ENDINGS if word.endswith(end) and word != "entropy"), None)
    return None if ending is None else "higher" if ending == "accuracy" else "lower"


def falls(metric: str, told: Better | None, table: str) -> bool:
    """Say whether smaller values of a metric are better.

    Args:
        metric: Its name.
        told: What the user said about the table's metrics; None for nothing.
        table: What messages call the table.

    Raises:
        InputError: If neither the name nor the user says it, or they contradict each other.
    """
    known = known_direction(metric)
    if known and told and known != told:
        raise InputError(
            f"{table}: by its name {metric!r} is a metric of which {_values(known)} are better, and --better "
            f"{told} says the opposite. Leave --better out; or, if the name misleads, give the column NAME "
            f"another one: --columns score=NAME --metric score --better {told}."
        )
    if not (direction := told or known):
        raise InputError(
            f"{table}: the name {metric!r} doesn't say whether smaller or larger values are better. Say it: "
            "--better lower or --better higher."
        )
    return direction == "lower"


def measurements_first(columns: Iterable[str]) -> list[str]:
    """Return columns, those first whose names are a metric's."""
    return sorted(columns, key=lambda column: known_direction(column) is None)


def _values(better: Better) -> str:
    return "smaller values" if better == "lower" else "larger values"
