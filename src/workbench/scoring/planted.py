"""Which scorer finds damage that was planted: its AUC, without anything being trained."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import mannwhitneyu

from workbench.config import Quality
from workbench.data.records import Dataset
from workbench.data.subsets import draw
from workbench.scoring.scored import OnScorer, score_columns
from workbench.scoring.scorers import Given

PLANTED_SHARE = 0.2
"""Of the records, that are spoiled to see which scorer finds them."""
MOST_PLANTED_AMONG = 1000
"""Records among which damage is planted: enough to know an AUC to a few hundredths."""


def detection(
    corruption: str, dataset: Dataset, given: Given, names: Sequence[str], tell: OnScorer
) -> tuple[dict[str, float | None], dict[str, int]]:
    """Plant damage in a random fifth of the records and see whether each scorer gives it larger numbers.

    Returns:
        By scorer, the probability that a spoiled record has a larger number than one that is as it was,
        where equal ones count half (0.5 is guessing; None where a number is missing), and the counts of both.

    Raises:
        InputError: If the records can't be spoiled in this way.
    """
    count = min(MOST_PLANTED_AMONG, len(dataset.train))
    planted = Quality(corruption=corruption, share=1 - PLANTED_SHARE)
    records = tuple(draw(dataset, planted, count, seed=0))
    spoiled = np.array([record.spoiled is not None for record in records])
    counts = {"damaged": int(spoiled.sum()), "undamaged": int((~spoiled).sum())}
    distinct = list(dict.fromkeys(names))
    if not all(counts.values()):
        return dict.fromkeys(distinct), counts
    found: dict[str, float | None] = {}
    for column in score_columns(replace(given, records=records), distinct, tell):
        known = len(column.known) == len(records)
        scores = np.array(column.known)
        found[column.name] = area_under_curve(scores[spoiled], scores[~spoiled]) if known else None
    return found, counts


def area_under_curve(ones: np.ndarray, others: np.ndarray) -> float:
    """Return the probability that one of the first is larger than one of the others; equal ones count half.

    It is the area under the ROC curve: Mann and Whitney's U over the pairs (Hanley and McNeil 1982).
    """
    return float(mannwhitneyu(ones, others).statistic) / (len(ones) * len(others))
