"""A few examples of what each quality does to the data, for people to look at."""

from collections.abc import Iterator
from itertools import islice

from workbench.config import Quality
from workbench.data.records import Dataset
from workbench.data.subsets import draw
from workbench.studies.grid import Study

LONGEST_TEXT = 600
"""Characters of a text that are kept; the rest is cut and the cut is marked."""


def changed_examples(study: Study, dataset: Dataset, each: int = 3) -> list[dict[str, str]]:
    """Return examples that a study's qualities changed, ``each`` a quality, as JSON values.

    They come from the study's largest draw with its first seed. A quality that changes nothing has none.
    """
    return [
        example for quality in study.qualities for example in islice(_changed(study, dataset, quality), each)
    ]


def _changed(study: Study, dataset: Dataset, quality: Quality) -> Iterator[dict[str, str]]:
    before = {record.id: record for record in dataset.train}
    for record in draw(dataset, quality, max(study.sizes), study.seeds[0]):
        original = before[record.id]
        if (record.asked, record.response) != (original.asked, original.response):
            yield {
                "quality": quality.label,
                "prompt": _cut(record.asked),
                "before": _cut(original.response),
                "response": _cut(record.response),
            }


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " …"
