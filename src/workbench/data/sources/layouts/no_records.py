"""Files that people have and that are no training data: each is known by its keys, and told why.

Sources: FastChat's ``llm_judge`` (questions, answers, reviews), Koala's test set, AlpacaEval's annotations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ASKED = {"prompt", "question", "instruction", "query", "turns", "text"}
ABOUT = {
    *("id", "question_id", "category", "dataset", "source", "name", "type", "lang", "language", "reference"),
}
"""Keys that hold no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRecords:
    """One kind of file without anything to learn."""

    fits: Callable[[Mapping[str, Any]], bool]
    why: str
    """What such a file is and what to do, the rest of a sentence that begins with the file."""


NO_RECORDS: dict[str, NoRecords] = {
    "reviews": NoRecords(
        fits=lambda values: bool({"review_id", "judgment", "g1_judgment"} & values.keys()),
        why="holds judgments of answers, not the answers; give the file of the answers, with their questions",
    ),
    "annotations": NoRecords(
        fits=lambda values: {"instruction", "output_1", "output_2"} <= values.keys(),
        why="holds pairs of outputs and which was preferred; say which of the two is to be learnt with --map "
        "prompt=instruction response=output_1",
    ),
    "answers": NoRecords(
        fits=lambda values: {"answer_id", "question_id"} <= values.keys(),
        why="holds answers without their questions; write each as a record with 'prompt' and 'response'",
    ),
    "questions": NoRecords(
        fits=lambda values: (
            bool(ASKED & values.keys())
            and (values.keys() != {"text"})
            and all(key in ASKED | ABOUT or not _may_answer(value) for key, value in values.items())
        ),
        why="holds questions without answers, and answers are what is learnt; write each as a record with "
        "'prompt' and 'response'",
    ),
}
"""Each kind by its name, in the order in which it is asked."""


def _may_answer(value: object) -> bool:
    return isinstance(value, str | list | dict)
