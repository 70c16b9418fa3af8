"""A few examples of what each quality does to the data or takes of it, for people to look at."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from workbench.config import Quality
from workbench.data.questions import in_turn, question_of
from workbench.data.reasons import partners, reasons_of
from workbench.data.records import Dataset, Record
from workbench.data.subsets import draw
from workbench.studies.grid import Study

LONGEST_TEXT = 600
"""Characters of a text that people are shown."""


def changed_examples(study: Study, dataset: Dataset, each: int = 3) -> list[dict[str, str]]:
    """Return examples that a study's qualities changed or chose, as JSON values; see :func:`examples_in`.

    They come from the study's largest draw with its first seed.
    """
    size, seed = max(study.sizes), study.seeds[0]
    drawn = {quality: draw(dataset, quality, size, seed) for quality in study.qualities}
    return examples_in(drawn, dataset, seed, each)


def examples_in(
    drawn: Mapping[Quality, Sequence[Record]], dataset: Dataset, seed: int, each: int = 3
) -> list[dict[str, str]]:
    """Return examples of what qualities do, out of what was drawn at each of them.

    Args:
        drawn: The records of each quality.
        dataset: Where they come from.
        seed: Of the draws.
        each: For a quality that changes records, that many changed ones; for one with a pool, that many of
            it and that many of the others, each with the reason. A quality that does neither has none.
    """
    before = {record.id: record for record in dataset.train}
    return [
        example
        for quality, records in drawn.items()
        for example in (
            _chosen(quality, records, dataset, seed, each)
            if quality.pool
            else islice(_changed(quality, records, before), each)
        )
    ]


def _chosen(
    quality: Quality, records: Sequence[Record], dataset: Dataset, seed: int, each: int
) -> Iterator[dict[str, str]]:
    """Yield records that are drawn from a pool, then some that aren't in it and ask something else."""
    places = {record.id: place for place, record in enumerate(dataset.train)}
    reasons = reasons_of(dataset, quality.pool, seed)
    taken = [reason.taken for reason in reasons]
    other = partners(dataset.train, taken)
    shown = list(records[:each])
    asked = {question_of(record) for record in shown}
    left = (record for record, within in zip(dataset.train, taken, strict=True) if not within)
    shown += islice((record for record in in_turn(left, seed) if question_of(record) not in asked), each)
    for record in shown:
        place = places[record.id]
        pair = other[place]
        yield {
            "quality": quality.label,
            "prompt": cut_text(record.asked),
            "response": cut_text(record.response),
            "reason": cut_text(reasons[place].words),
            **(
                {}
                if pair is None
                else {
                    "other": cut_text(dataset.train[pair].response),
                    "other_reason": cut_text(reasons[pair].words),
                }
            ),
        }


def _changed(
    quality: Quality, records: Sequence[Record], before: Mapping[str, Record]
) -> Iterator[dict[str, str]]:
    for record in records:
        original = before[record.id]
        if (record.asked, record.response) != (original.asked, original.response):
            yield {
                "quality": quality.label,
                "prompt": cut_text(record.asked),
                "before": cut_text(original.response),
                "response": cut_text(record.response),
            }


def cut_text(text: str) -> str:
    """Return a text as people are shown it: its beginning, with a mark where the rest is cut."""
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " …"
