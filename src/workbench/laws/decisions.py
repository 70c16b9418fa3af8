"""Which of two data sets is better at the largest size: how often a forecast tells it right.

That is what a forecast is made for. Each pair of data sets is decided once, at the largest held-out size at
which both were measured with the same model. Where the seeds tell the noise, a pair counts only if its order
is clear by it: about the others nobody can be right.

Source: decision accuracy and its baseline, the order at the largest size seen ("single-scale ranking"), are
those of DataDecide (Magnusson et al. 2025, arXiv:2504.11393).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import beta
from scipy.stats import t as student

from workbench.laws.measurement import Measurement
from workbench.laws.noise import Noise, covariance, estimate_noise
from workbench.laws.problems import REPEATED
from workbench.laws.replicates import ItemMeans, Replicates, replicates
from workbench.laws.series import cell_keys, columns_within_cells, series_of
from workbench.laws.table import Table
from workbench.laws.thresholds import LEVEL, TAILS


@dataclass(frozen=True)
class Decisions:
    """How many pairs of data sets were put in the order that they have at the largest size.

    Attributes:
        accuracy: Share of the pairs that count; a forecast that calls a pair equal has half of it. None
            where no pair counts.
        low: Lower end of its 95% interval.
        high: Upper end.
        pairs: Pairs that count.
        unclear: Pairs left out because noise may have turned them; None where nothing tells the noise, so
            that every pair counts.
    """

    accuracy: float | None
    low: float | None
    high: float | None
    pairs: int
    unclear: int | None

    @property
    def words(self) -> str:
        """The share with its interval, in words."""
        if self.accuracy is None:
            return "no clear pair"
        return f"{self.accuracy:.0%} ({self.low:.0%} to {self.high:.0%})"


@dataclass(frozen=True)
class Pairs:
    """The pairs to decide.

    Attributes:
        cells: Rows of each cell, as positions among the held-out rows.
        first: One cell of each pair.
        second: The other one.
        order: 1 where the first has the larger metric, -1 where the second has.
        counts: Which pairs count.
        sets: Data sets among those that count.
        noise_known: Whether seeds told which pairs count.
    """

    cells: tuple[np.ndarray, ...]
    first: np.ndarray
    second: np.ndarray
    order: Float[np.ndarray, " pairs"]
    counts: Bool[np.ndarray, " pairs"]
    sets: int
    noise_known: bool

    def decide(self, predicted: Float[np.ndarray, " rows"]) -> Decisions | None:
        """Score a prediction of the held-out rows; None where there is no pair."""
        if not len(self.order):
            return None
        pairs = int(self.counts.sum())
        unclear = len(self.order) - pairs if self.noise_known else None
        if not pairs:
            return Decisions(None, None, None, 0, unclear)
        told = np.array([predicted[rows].mean() for rows in self.cells])
        guess = np.sign(told[self.first] - told[self.second])
        right = np.where(guess == 0, 0.5, guess == self.order)[self.counts]
        # no fewer than the order of independent forecasts has (Kendall 1938): about 2.25 k for k data sets
        low, high = share_interval(float(right.mean()), min(pairs, 2 * (self.sets - 1)))
        return Decisions(float(right.mean()), low, high, pairs, unclear)


def share_interval(accuracy: float, decisions: int) -> tuple[float, float]:
    """Return the 95% interval of a share of independent decisions (Clopper and Pearson 1934).

    Pairs that share a data set aren't independent: k data sets are taken for 2 (k - 1) decisions at most.
    """
    right = accuracy * decisions
    low = float(beta.ppf(TAILS[0], right, decisions - right + 1)) if right > 0 else 0.0
    high = float(beta.ppf(TAILS[1], right + 1, decisions - right)) if right < decisions else 1.0
    return low, high


def pairs_of(table: Table, metric: str, rows: Sequence[Measurement]) -> Pairs:
    """Return the pairs of data sets among held-out rows.

    Args:
        table: The whole table, whose seeds tell the noise.
        metric: The column that says which is better.
        rows: The held-out rows.
    """
    columns = columns_within_cells(table.measured(metric))
    labels = series_of(rows, [name for name in columns if name != "model"])
    groups: dict[tuple[float, float | None], dict[tuple, list[int]]] = {}
    for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
        groups.setdefault((row.size, row.values.get("model")), {}).setdefault(label, []).append(i)
    measured = table.column(metric, rows)
    noise = _noise(table, metric)
    keys = cell_keys(rows)
    cells: list[np.ndarray] = []
    found: dict[tuple, tuple[int, int, float, bool]] = {}
    for (_, model), here in sorted(groups.items(), key=lambda group: -group[0][0]):
        start = len(cells)
        cells += [np.array(own) for own in here.values()]
        value = np.array([measured[own].mean() for own in here.values()])
        gap = value[:, None] - value[None, :]
        counts = gap != 0 if noise is None else _clear(gap, *noise, [keys[own[0]] for own in here.values()])
        for a, one in enumerate(here):
            for b, two in enumerate(list(here)[:a]):
                # the largest size comes first, and a pair is decided there
                pair = (frozenset((one, two)), model)
                found.setdefault(pair, (start + a, start + b, np.sign(gap[a, b]), bool(counts[a, b])))
    return Pairs(
        cells=tuple(cells),
        first=np.array([one for one, *_ in found.values()], dtype=int),
        second=np.array([two for _, two, *_ in found.values()], dtype=int),
        order=np.array([order for *_, order, _ in found.values()], dtype=float),
        counts=np.array([counted for *_, counted in found.values()], dtype=bool),
        sets=len({label for (pair, _), (*_, counted) in found.items() if counted for label in pair}),
        noise_known=noise is not None,
    )


def _noise(table: Table, metric: str) -> tuple[Replicates, Noise, dict[tuple, int]] | None:
    """Return the whole table's replicates, their noise and each cell's place; None with one seed a cell."""
    rows = table.measured(metric)
    keys = cell_keys(rows)
    every = list(dict.fromkeys(keys))
    data = replicates(table, metric, rows, keys, every)
    if np.sum(data.count - 1) < max(1, REPEATED * len(every)):
        return None
    return data, estimate_noise(data), {cell: i for i, cell in enumerate(every)}


def _clear(
    gap: Float[np.ndarray, "cells cells"],
    data: Replicates,
    noise: Noise,
    place: dict[tuple, int],
    cells: Sequence[tuple],
) -> Bool[np.ndarray, "cells cells"]:
    """Say which differences of cell means their noise, items included, would rarely turn."""
    at = np.array([place[cell] for cell in cells])
    own = data.part(at)
    common = covariance(own, noise.part(at))
    if own.items is not None:
        common = common + _item_covariance(own.items)
    variance = np.diag(common)[:, None] + np.diag(common)[None, :] - 2 * common
    # a difference of two qualities bears what a seed does to each, of which few degrees of freedom tell
    of_quality, rest = noise.strata[1:]
    freedom = of_quality.freedom if noise.variances[1] > 0 else rest.freedom
    return np.abs(gap) > student.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(np.maximum(variance, 0.0))


def _item_covariance(items: ItemMeans) -> Float[np.ndarray, "cells cells"]:
    """Return the covariance that the choice of the evaluation items gives the cell means."""
    share = items.weight / items.weight.sum()
    centred = (items.value - (items.value @ share)[:, None]) * share
    return centred @ centred.T
