"""School mathematics, solved rightly and wrongly: each problem of GSM8K's test set by four models.

Every solution says whether it is right. A problem's right and wrong solutions are drawn in pairs: as many of
each, so that at every size the two qualities train on the same problems and differ in the solutions alone.
Problems whose solutions are all right or all wrong make no pair.

What is held out is other problems, judged by the solutions of the people who wrote them.

Source: Cobbe et al., "Training Verifiers to Solve Math Word Problems", 2021 (arXiv 2110.14168);
https://github.com/openai/grade-school-math, ``example_model_solutions.jsonl`` (MIT).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from workbench.data.heldout import hold_out
from workbench.data.records import Dataset, Record
from workbench.data.sources.files import How, read_file
from workbench.data.sources.findings import left_out
from workbench.fetch import FETCHABLE, cached

HELDOUT_PROBLEMS = 100
"""Problems. Solutions are long, and the differences between cells on the same problems tell enough."""
RIGHT, WRONG = "right", "wrong"


def load(heldout: int | None = None, *, path: Path | None = None) -> Dataset:
    """Return pairs of a right and a wrong solution, and problems held out with their authors' solutions.

    Args:
        heldout: Problems to hold out; None for 100.
        path: The file; None takes the one that was fetched.

    Raises:
        InputError: If the file was never fetched, or can't be read.
    """
    found = read_file(path or cached("gsm8k"), How(read_as="solutions"), prompts_needed=2)
    left_out([found.findings], {"on_empty": "error", "on_bad": "error"})
    # each solution comes with the author's, as a column of its problem
    problems = {
        one.prompt: Record(
            id=one.id.removesuffix(f"-{one.extra['model']}"),
            prompt=one.prompt,
            response=str(one.extra["ground_truth"]),
            place=one.place,
        )
        for one in found.records
    }
    kept, held = hold_out(problems.values(), HELDOUT_PROBLEMS if heldout is None else heldout, "gsm8k")
    train = _pairs(found.records, {one.prompt for one in kept})
    paired = len({one.prompt for one in train})
    return Dataset(
        name="gsm8k",
        train=tuple(train),
        heldout=held,
        template="plain",
        licence=FETCHABLE["gsm8k"].licence,
        origin="GSM8K's test problems with solutions of four models, each marked as right or wrong",
        notes=(
            f"{len(train) // 2} pairs of a right and a wrong solution, of {paired} problems; "
            f"{len(kept) - paired} problems left out: their solutions are all right or all wrong",
            "stronger models wrote more of the right solutions than of the wrong ones",
        ),
    )


def _pairs(solutions: Iterable[Record], problems: set[str]) -> Sequence[Record]:
    """Return as many right as wrong solutions of each problem, the first ones of either kind."""
    marked = [
        replace(one, extra={"solution": RIGHT if one.extra["is_correct"] else WRONG, **_of_model(one)})
        for one in solutions
        if one.prompt in problems
    ]
    counts = Counter((one.prompt, one.extra["solution"]) for one in marked)
    taken: Counter[tuple[str, object]] = Counter()
    pairs = []
    for one in marked:
        kind = one.prompt, one.extra["solution"]
        taken[kind] += 1
        if taken[kind] <= min(counts[one.prompt, RIGHT], counts[one.prompt, WRONG]):
            pairs.append(one)
    return pairs


def _of_model(record: Record) -> dict[str, str]:
    return {"model": str(record.extra["model"])}
