"""Pools whose rate is known by construction are priced right: real draws, a true law, noise as studies have.

Two sources are mixed. What a draw teaches counts an example of the second as ``WORTH`` of one of the first,
so the rate of the first against any mixture follows from its share. Scores of pure chance choose nothing.
"""

import numpy as np
import pytest

from workbench.config import Quality
from workbench.data.records import Dataset, Record
from workbench.data.subsets import draw
from workbench.laws import exchange_rate, read_table
from workbench.laws.simulate import LOSS_SPREAD

WORTH = 0.4
SHARE = 0.5
SIZES, SEEDS = (32, 128, 512, 2048), range(3)
FIRST, SECOND = Quality(pool="source=a"), Quality(pool="source=b")
MIXED = Quality(pool=f"{SHARE}*source=a+{1 - SHARE}*source=b")
ALL, LUCKY = Quality(), Quality(pool="top:40%@luck")
RATES = {
    (FIRST, MIXED): 1 / (SHARE + (1 - SHARE) * WORTH),
    (MIXED, SECOND): (SHARE + (1 - SHARE) * WORTH) / WORTH,
    (ALL, LUCKY): 1.0,
}
AT = 128
BOOTSTRAPS = 200


def sources(study: int) -> Dataset:
    """Two sources, a third of the records from the first, and a score that says nothing."""
    luck = np.random.default_rng([1, study]).random(6400)
    records = [
        Record(
            id=f"{study}-{place}",
            prompt=f"question {place} of {study}",
            response="answer",
            extra={"source": "a" if place % 3 == 0 else "b", "luck": float(luck[place])},
        )
        for place in range(6400)
    ]
    return Dataset(
        name="two sources", train=tuple(records), heldout=(), template="plain", licence="none", origin="made"
    )


def measured(study: int, qualities: tuple[Quality, ...]) -> list[dict[str, object]]:
    """The table of one study: each cell's loss is that of what its draw teaches, with noise."""
    data, rng = sources(study), np.random.default_rng(study)
    rows = []
    for quality in qualities:
        for seed in SEEDS:
            for size in SIZES:
                if quality is FIRST and size > 2000:
                    continue
                drawn = draw(data, quality, size, seed)
                taught = sum(1.0 if one.extra["source"] == "a" else WORTH for one in drawn)
                spread = LOSS_SPREAD * (1 + np.sqrt(SIZES[0] / size))
                loss = 1 + 3 * taught**-0.45 + spread * rng.standard_normal()
                rows.append({"quality": quality.label, "size": size, "seed": seed, "loss": loss})
    return rows


def interval(study: int, reference: Quality, other: Quality) -> tuple[float, float]:
    """Return the ends of the rate's interval in one study."""
    table = read_table(measured(study, (reference, other)))
    answer = exchange_rate(table, "loss", reference=reference.label, other=other.label, bootstraps=BOOTSTRAPS)
    place = list(answer.rates.size).index(AT)
    return float(answer.rates.low[place]), float(answer.rates.high[place])


def held(studies: range, reference: Quality, other: Quality) -> tuple[int, int]:
    """Return how many intervals hold the rate, and how many of them hold twice the rate as well."""
    rate = RATES[reference, other]
    ends = [interval(study, reference, other) for study in studies]
    return sum(low <= rate <= high for low, high in ends), sum(low <= 2 * rate <= high for low, high in ends)


@pytest.mark.parametrize(("reference", "other"), RATES, ids=lambda one: one.label)
def test_a_known_rate_is_within_the_interval(reference, other):
    right, twice = held(range(3), reference, other)
    assert right >= 2
    assert twice <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("reference", "other"), [(FIRST, MIXED), (ALL, LUCKY)], ids=lambda one: one.label)
def test_a_known_rate_is_within_the_interval_of_90_in_100_studies(reference, other):
    right, twice = held(range(100, 200), reference, other)
    assert right >= 90
    assert twice <= 10
