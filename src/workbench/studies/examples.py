"""A few examples of what each quality does to the data, for people to look at."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from workbench.config import Quality
from workbench.data.records import Dataset, Record
from workbench.data.subsets import draw
from workbench.studies.grid import Study

LONGEST_TEXT = 600
"""Characters of a text that people are shown."""


def changed_examples(study: Study, dataset: Dataset, each: int = 3) -> list[dict[str, str]]:
    """Return examples that a study's qualities changed, ``each`` a quality, as JSON values.

    They come from the study's largest draw with its first seed. A quality that changes nothing has none.
    """
    size, seed = max(study.sizes), study.seeds[0]
    drawn = {quality: draw(dataset, quality, size, seed) for quality in study.qualities}
    return examples_in(drawn, dataset, each)


def examples_in(
    drawn: Mapping[Quality, Sequence[Record]], dataset: Dataset, each: int = 3
) -> list[dict[str, str]]:
    """Return examples that qualities changed, ``each`` a quality, out of what was drawn at each of them."""
    before = {record.id: record for record in dataset.train}
    return [
        example
        for quality, records in drawn.items()
        for example in islice(_changed(quality, records, before), each)
    ]


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
