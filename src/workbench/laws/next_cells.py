"""Which cells to train next, so that the interval of one exchange rate narrows most for its minutes.

One more measurement of a cell is worth what it is correlated with the rate: over the resamples of the study's
curves, the variance of the logarithm of the rate falls by the square of its covariance with the cell, over
the cell's variance and the noise of one measurement. That is a linear Bayesian update, which also says what
the next cell of the same batch is still worth once this one is measured. Nothing is trained to find out.

Candidates are new seeds of the sizes measured, and new sizes around the two that the question is about: the
reference's own, and the other quality's that matches it.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from workbench.laws.analysis import Analysis
from workbench.laws.exchange import fewest, rate_of
from workbench.laws.thresholds import LIKELY, TAILS

SIZE_STEP = math.sqrt(2)
"""Between two new sizes that are tried."""
REACH = 3
"""Doublings on each side of the question within which new sizes are tried."""
CLOSE = 0.15
"""A new size is another one only where it differs by this much, in the logarithm."""
LEAST = 0.001
"""Where no cell is expected to narrow the interval by this share, there is nothing left to train."""
POINTS_READ = 300
"""Sizes at which the other quality's curve is read."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The 95% interval of an exchange rate; an end that the measurements leave open is 0 or infinity."""

    low: float
    middle: float
    """The median of the rate itself, which needn't be the interval's middle."""
    high: float

    @property
    def factor(self) -> float:
        """The factor that the interval spans to each side of its middle, the square root of low x high.

        From ``middle / factor`` to ``middle * factor``, it is the square root of high / low; infinity where
        an end is open.
        """
        if not (self.low > 0 and math.isfinite(self.high)):
            return math.inf
        return math.sqrt(self.high / self.low)

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """Both ends as a record has them; None where one is open."""
        low = self.low if 0 < self.low < math.inf else None
        return low, (self.high if math.isfinite(self.high) else None)

    @classmethod
    def of_ends(cls, low: float | None, high: float | None) -> "Interval":
        """Return the interval that a record's ends mean."""
        return cls(low or 0.0, math.nan, math.inf if high is None else high)


def interval_of(analysis: Analysis, *, reference: str, other: str, size: float | int) -> Interval | None:
    """Return the interval of the rate at one size of the reference; None where there is none.

    Raises:
        InputError: If a quality is not in the study.
    """
    rates = rate_of(analysis, reference=reference, other=other, sizes=[size]).rates
    if rates is None or np.isnan(rates.not_reached[0]):
        return None
    # the lower end is 0 where the smallest size tried may be enough: nobody has seen how few would do
    return Interval(float(rates.low[0]), float(rates.median[0]), float(rates.high[0]))


@dataclass(frozen=True)
class NextCell:
    """A cell that a study could train next, and what it is expected to do to the rate's interval."""

    quality: str
    size: float
    seed: int
    narrowing: float
    """Expected share by which the interval of the rate's logarithm shrinks, after the cells before it in the
    batch; NaN for a new size beyond which the rate lies, of which nothing is expected but that it tells."""
    minutes: float


def expected_after(interval: Interval, cells: Sequence[NextCell]) -> Interval | None:
    """Return the interval that is expected once these cells are trained; None where they can't tell."""
    left = math.prod(1 - cell.narrowing for cell in cells)
    if math.isnan(left) or math.isinf(interval.factor) or not 0 < interval.middle < math.inf:
        return None
    low, high = (interval.middle * (end / interval.middle) ** left for end in (interval.low, interval.high))
    return Interval(low, interval.middle, high)


@dataclass(frozen=True, slots=True)
class Room:
    """What may be trained, and at what price."""

    smallest: int
    largest: int
    used: Mapping[tuple[str, int], Collection[int]]
    """Seeds of each quality and size that have a result, whatever it is."""
    minutes: Callable[[str, int], float | int]
    """What one cell of a quality and size takes, in minutes or any other unit of cost."""
    cells: int
    """Most cells in the batch."""
    left: float | int = math.inf
    """What the batch may take, in the same unit."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Examples that a quality has, where that is fewer than the largest size."""
    seeds: tuple[int, ...] = ()
    """Seeds to take first, in this order; then the whole numbers above, from 0 on where there are none."""

    def most(self, quality: str) -> int:
        """Return the largest size of a quality."""
        return min(self.largest, self.limits.get(quality, self.largest))

    def fresh(self, used: Collection[int]) -> int:
        """Return the first seed that isn't used; what both qualities' cells of one seed share cancels."""
        above = max(self.seeds, default=-1) + 1
        further = range(above, above + len(used) + 1)
        return next(seed for seed in (*self.seeds, *further) if seed not in used)


def next_batch(
    analysis: Analysis,
    *,
    reference: str,
    other: str,
    size: float | int,
    room: Room,
    factor: float | int | None = None,
) -> tuple[NextCell, ...]:
    """Return the cells to train next, best first; none where nothing that may be trained is worth it.

    Args:
        analysis: An analysed study of at least two seeds.
        reference: The quality replaced.
        other: The quality that replaces it.
        size: The size of the reference at which the rate is asked for.
        room: What may be trained.
        factor: The batch ends once the interval is expected to span no more than this; see ``Interval``.

    Raises:
        InputError: If a quality is not in the study.
    """
    now = interval_of(analysis, reference=reference, other=other, size=size)
    if now is None or analysis.noise is None:
        return ()
    if (further := _further(analysis, reference, other, size, room)) is not None:
        return _seeds(other, further, room)
    rate = _log_rate(analysis, reference, other, size, room)
    cells, values = _candidates(analysis, reference, other, size, float(np.median(rate)), room)
    if not cells or np.var(rate) == 0:
        return ()
    noise = np.array([_spread(analysis, at) for _, at in cells]) ** 2
    minutes = np.array([room.minutes(*cell) for cell in cells])
    joint = np.cov(np.column_stack([rate, values]), rowvar=False)
    first = joint[0, 0]
    taken: dict[tuple[str, int], set[int]] = {cell: set(room.used.get(cell, ())) for cell in cells}
    batch: list[NextCell] = []
    left = room.left
    while len(batch) < room.cells:
        gain = joint[0, 1:] ** 2 / (np.diag(joint)[1:] + noise) / joint[0, 0]
        narrowing = 1 - np.sqrt(np.maximum(1 - gain, 0.0))
        worth = np.where(minutes <= left, narrowing / minutes, -1.0)
        best = int(worth.argmax())
        if worth[best] <= 0 or (not batch and narrowing.max() < LEAST):
            break
        quality, at = cells[best]
        seed = room.fresh(taken[cells[best]])
        taken[cells[best]].add(seed)
        batch.append(NextCell(quality, float(at), seed, float(narrowing[best]), float(minutes[best])))
        left -= minutes[best]
        column = joint[:, best + 1].copy()
        joint = joint - np.outer(column, column) / (column[best + 1] + noise[best])
        narrowed = math.sqrt(max(joint[0, 0], 0.0) / first)
        if joint[0, 0] <= 0 or (factor is not None and now.factor**narrowed <= factor):
            break
    return tuple(batch)


def _values(
    analysis: Analysis, quality: str, sizes: Float[np.ndarray, " sizes"]
) -> Float[np.ndarray, "resamples sizes"]:
    """Return a quality's curve in every resample; NaN where the curve that is trusted ends."""
    return analysis.curve(quality).predict(sizes)[1:]


def _further(analysis: Analysis, reference: str, other: str, size: float | int, room: Room) -> int | None:
    """Return the size that the other quality needs first, where those measured lie on one side of it."""
    rates = rate_of(analysis, reference=reference, other=other, sizes=[size]).rates
    measured = analysis.curve(other).size
    if rates is None:
        return None
    above, below = int(measured[-1]), int(measured[0])
    open_end = rates.not_reached[0] > (LIKELY if analysis.trusted else TAILS[0])
    if open_end and above < room.most(other):
        # the law may guess how far; it is believed by at most one doubling
        guess = float(np.exp(np.median(_log_rate(analysis, reference, other, size, room)))) * size
        return min(round(min(max(guess, SIZE_STEP * above), 2 * above)), room.most(other))
    if rates.at_most[0] > LIKELY and below > room.smallest:
        return max(below // 2, room.smallest)
    return None


def _seeds(quality: str, size: int, room: Room) -> tuple[NextCell, ...]:
    """Return a new size with the two seeds that tell its noise, or as many as there is time for."""
    minutes = room.minutes(quality, size)
    used = set(room.used.get((quality, size), ()))
    cells = []
    for number in range(1, min(2, room.cells) + 1):
        if number * minutes > room.left:
            break
        seed = room.fresh(used)
        used.add(seed)
        cells.append(NextCell(quality, float(size), seed, math.nan, minutes))
    return tuple(cells)


def _log_rate(
    analysis: Analysis, reference: str, other: str, size: float | int, room: Room
) -> Float[np.ndarray, " resamples"]:
    """Return every draw's log rate; 'not reached' counts as twice the largest size read, a bound as itself.

    That is the largest that may be trained where a law is trusted, else the largest that was.
    """
    measured = analysis.curve(other).size
    top = max(float(room.most(other)), float(measured[-1])) if analysis.trusted else float(measured[-1])
    grid = np.geomspace(float(measured[0]), top, POINTS_READ)
    target = _values(analysis, reference, np.array([size], dtype=float))[:, 0]
    enough = fewest(grid, _values(analysis, other, grid), target, falling=analysis.falling)
    return np.log(np.clip(enough, grid[0], 2 * top) / size)


def _candidates(
    analysis: Analysis, reference: str, other: str, size: float | int, log_rate: float, room: Room
) -> tuple[list[tuple[str, int]], Float[np.ndarray, "resamples cells"]]:
    """Return the cells that may be measured and what each resample says that they would give."""
    cells: list[tuple[str, int]] = []
    values = []
    for quality, centre in ((reference, size), (other, size * math.exp(log_rate))):
        measured = [int(at) for at in analysis.curve(quality).size]
        steps = range(-round(2 * REACH), round(2 * REACH) + 1)
        most = room.most(quality)
        around = [round(min(max(centre, room.smallest), most) * SIZE_STEP**step) for step in steps]
        new = [at for at in around if _differs(at, measured)]
        sizes = [at for at in (*measured, *new) if room.smallest <= at <= most]
        drawn = _values(analysis, quality, np.array(sizes, dtype=float)) if sizes else np.zeros((0, 0))
        known = [column for column in range(len(sizes)) if np.isfinite(drawn[:, column]).all()]
        cells += [(quality, sizes[column]) for column in known]
        values += [drawn[:, column] for column in known]
    return cells, np.stack(values, axis=1) if values else np.zeros((0, 0))


def _differs(size: int, measured: Collection[int]) -> bool:
    return size > 0 and all(abs(math.log(size / other)) > CLOSE for other in measured)


def _spread(analysis: Analysis, size: int) -> float:
    """Return the noise of one measurement at a size, between those that were measured."""
    assert analysis.noise is not None
    sizes = np.concatenate([curve.size for curve in analysis.curves.values()])
    variance = [np.mean(analysis.noise.spread[sizes == at] ** 2) for at in np.unique(sizes)]
    return math.sqrt(float(np.interp(math.log(size), np.log(np.unique(sizes)), variance)))
