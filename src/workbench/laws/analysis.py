"""A study as curves: what was measured, which laws may lie behind it, and draws of what the truth may be.

Everything that compares qualities starts here: the bands of a figure, the exchange rate, the planner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from workbench.errors import InputError, unknown_name
from workbench.laws.bounds import note_of_bounds
from workbench.laws.candidates import SCORE_FLOOR, Candidate, Cells, fit_candidates, fit_law_of, names_for
from workbench.laws.curves import Curve, CurveSampler
from workbench.laws.deviation import Space, Way, space_of, weigh
from workbench.laws.library import LAWS, Law
from workbench.laws.noise import Noise, estimate_noise, level_noise, resample_means
from workbench.laws.remarks import notes_of_analysis
from workbench.laws.replicates import Replicates, arrange_by
from workbench.laws.silence import ONE_SEED, SEEDS_AGREE, same_in_every_cell
from workbench.laws.table import Table
from workbench.laws.thresholds import FEWEST_DRAWS, LEVEL, TAILS, trusted
from workbench.laws.units import EXAMPLES, SizeUnit
from workbench.laws.varying import settings_that_vary
from workbench.showing import Shown

DRAWS = 1000
"""Draws behind every interval."""
FEWEST_LEFT = 3
"""Measurements beyond the constants from which residuals tell the noise."""
LEAST_SIZE = 1e-3
"""A loss smaller than this share of the largest has the noise of that share."""
UNSEEN = 0.25
"""What one run does to all cells of a quality, which no residual shows, as a share of the variance that they
do show: in studies with seeds it is of that size (see ``simulate``)."""


@dataclass(frozen=True, repr=False)
class Analysis(Shown):
    """All curves of one table and metric."""

    metric: str
    evaluation: str
    falling: bool
    """Whether smaller values are better."""
    candidates: tuple[Candidate, ...]
    """The laws that were fitted, the most probable first; none where the sizes are too few."""
    ways: tuple[Way, ...]
    """The ways in which the data may have come about; none without an interval."""
    curves: dict[str, Curve]
    zero_shot: float | None
    noise: Noise | None
    """None where nothing tells the noise: then there are no draws and no interval."""
    from_residuals: bool
    """Whether the noise was read from what the laws leave, for want of seeds."""
    notes: tuple[str, ...]
    next_seed: int
    """The first seed that no cell has used."""
    models: tuple[float, ...] = ()
    """Model sizes, where they vary within a quality."""
    unit: SizeUnit = EXAMPLES
    """What sizes count."""
    silent: str | None = None
    """Why the metric says nothing about the qualities, for or against; None where it does."""
    under: str = ""
    """Under what all of it was measured, of a study of several bases or settings; see ``variants``."""

    @property
    def law(self) -> Law | None:
        """The most probable law; None where none could be fitted."""
        return self.candidates[0].law if self.candidates else None

    @property
    def misfit(self) -> float | None:
        """Probability of a misfit as large as that law's if it were right; None if nothing can tell."""
        return self.candidates[0].misfit if self.candidates else None

    @property
    def trusted(self) -> bool:
        """Whether that law agrees with the measurements as well as their noise allows."""
        return trusted(self.misfit)

    def curve(self, quality: str) -> Curve:
        """Return one quality's curve, or refuse an unknown label by offering the nearest."""
        if quality not in self.curves:
            raise unknown_name("quality", quality, self.curves, "the study's grid")
        return self.curves[quality]

    def constants(self, quality: str) -> dict[str, float] | None:
        """Return the constants of one quality's most probable law by their names; None without a fit."""
        self.curve(quality)
        fit = self.candidates[0].fits.get(quality) if self.candidates else None
        return None if fit is None else dict(fit.values)

    def probability(self, law: str) -> float | None:
        """Return the probability that a law holds without deviation; None if it wasn't fitted."""
        if law not in {candidate.law.name for candidate in self.candidates}:
            return None
        return float(sum(w.weight for w in self.ways if w.candidate.law.name == law and w.share == 0))

    def _shown(self) -> tuple[str, dict[str, str]]:
        found = {quality: self.constants(quality) for quality in self.curves}
        constants = {
            quality: "no fit: only the measurements"
            if own is None
            else ", ".join(f"{name} = {value:.4g}" for name, value in own.items())
            for quality, own in found.items()
        }
        law = {} if self.law is None else {"curve": f"{self.law.name}: {self.law.formula}"}
        return f"Analysis of {self.metric}", {**law, **constants, "misfit": self._belief()}

    def _belief(self) -> str:
        if self.misfit is None:
            return self.silent or "unknown: nothing is left over to disagree"
        if self.trusted:
            return f"p = {self.misfit:.2g}: the curves agree with the measurements, as far as noise tells"
        return f"p = {self.misfit:.2g}: the curves miss the measurements; a smooth deviation is added"


@dataclass(frozen=True)
class Band:
    """A curve for a figure: central line and interval over a grid of sizes, beside the measurements.

    ``low`` and ``high`` are None without an interval.
    """

    quality: str
    kind: str
    """"fitted", or "interpolated" where no law is believed without a deviation or there are too few sizes."""
    size: Float[np.ndarray, " grid"]
    middle: Float[np.ndarray, " grid"]
    low: Float[np.ndarray, " grid"] | None
    high: Float[np.ndarray, " grid"] | None
    measured_size: Float[np.ndarray, " sizes"]
    measured_mean: Float[np.ndarray, " sizes"]
    measured_spread: Float[np.ndarray, " sizes"] | None
    """Standard deviation of one measurement at each size, in the metric's unit."""


def analyse(
    table: Table,
    metric: str,
    *,
    law: str | None = None,
    bootstraps: int = DRAWS,
    seed: int = 0,
    items: int | None = None,
) -> Analysis:
    """Fit the laws that suit a table and draw the curves that the measurements allow.

    Args:
        table: A checked table.
        metric: The measured column.
        law: A law; by default all that suit the metric and the columns, weighed by what the data say.
        bootstraps: Number of draws, at least 40.
        seed: Seed of the draws: same seed, same numbers.
        items: Held-out items behind an accuracy. When given, no cell's spread is taken to be smaller than
            counting that many items allows, so that seeds that agree by chance aren't read as certainty.

    Raises:
        InputError: If nothing was measured, the law doesn't suit the table, or the draws are too few.
    """
    if bootstraps < FEWEST_DRAWS:
        raise InputError(
            f"bootstraps is {bootstraps}, and so few draws show no interval of {LEVEL:.0%}; give at least "
            f"{FEWEST_DRAWS}, such as bootstraps={DRAWS}"
        )
    inputs = inputs_of(table, metric)
    data, x = arrange_by(table, metric, inputs)
    falling = table.falling(metric)
    zero_shot = table.zero_shot(metric)
    fixed = {} if falling or zero_shot is None else {SCORE_FLOOR: zero_shot}
    names = _names(table, metric, law, inputs)
    noise, silent = _noise(data, metric, items, falling=falling)
    cells = _cells(data, x, noise, falling, names, fixed) if silent in (None, ONE_SEED) else None
    candidates = [] if cells is None else _widest(_fitted(law, names, cells, fixed))
    if cells is not None and cells.from_residuals:
        silent = None
    generator = np.random.default_rng(seed)
    ways: list[Way] = []
    curves = {q: _without_draws(data, x, q, falling) for q in dict.fromkeys(data.quality)}
    if cells is not None:
        space = space_of(cells, inputs)
        ways = weigh(candidates, cells, space)
        candidates = sorted(candidates, key=lambda c: -_weight(c, ways))
        drawing = _drawing(cells, ways, space, bootstraps, falling, generator)
        curves = {quality: _drawn(drawing, quality, falling) for quality in cells.qualities}
    found = [
        *(() if table.measured_here else settings_that_vary(table.measured(metric))),
        *notes_of_analysis(data, cells, candidates, names, silent, falling=falling),
    ]
    at_bounds = note_of_bounds(candidates, curves)
    return Analysis(
        metric=metric,
        evaluation=table.evaluation,
        falling=falling,
        candidates=tuple(candidates),
        ways=tuple(ways),
        curves=curves,
        zero_shot=zero_shot,
        noise=None if cells is None else cells.noise,
        from_residuals=cells is not None and cells.from_residuals,
        notes=tuple(dict.fromkeys([*table.notes, *found, *filter(None, [at_bounds])])),
        next_seed=_next_seed(table, data),
        models=tuple(float(m) for m in np.unique(x["model"])) if "model" in x else (),
        unit=table.unit,
        silent=silent,
    )


def inputs_of(table: Table, metric: str) -> tuple[str, ...]:
    """Return the columns that vary within the qualities: the size, and the model where it does."""
    rows = table.measured(metric)
    models: dict[str, set[float | None]] = {}
    for row in rows:
        models.setdefault(row.quality, set()).add(row.values.get("model"))
    if all(len(own) > 1 and None not in own for own in models.values()):
        return ("size", "model")
    return ("size",)


def _names(table: Table, metric: str, law: str | None, inputs: Sequence[str]) -> list[str]:
    """Return the laws to try."""
    kind = table.kind_of(metric)
    rows = table.measured(metric)
    share = {row.quality: row.values.get("share") for row in rows}
    shares = 0 if None in share.values() else len(set(share.values()))
    if law is None:
        return names_for(kind, inputs, shares)
    if law not in LAWS:
        raise unknown_name("law", law, LAWS, "src/workbench/laws/library.py")
    chosen = LAWS[law]
    known = [name for name, one in LAWS.items() if one.suits(kind) and not one.model_free]
    if law not in known:
        suited = [n for n in known if set(LAWS[n].inputs) == set(inputs)]
        raise InputError(
            f"the {law} curve is for {chosen.metric}, and {metric} needs one for {kind}: choose "
            f"{' or '.join(suited)}."
        )
    for name in chosen.inputs:
        if name != "size":
            table.column(name, rows)
    return [law]


def _fitted(
    law: str | None, names: Sequence[str], cells: Cells, fixed: Mapping[str, float]
) -> list[Candidate]:
    if law is None:
        return fit_candidates(names, cells, fixed)
    # a law that was asked for and can't be evaluated is an error, not a candidate less
    return fit_law_of(LAWS[law], cells, fixed)


def _widest(candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates that cover the most qualities: only those can be weighed against each other."""
    most = max((len(c.fits) for c in candidates), default=0)
    return [c for c in candidates if len(c.fits) == most]


def _weight(candidate: Candidate, ways: Sequence[Way]) -> float:
    return float(sum(way.weight for way in ways if way.candidate is candidate))


def _cells(
    data: Replicates,
    x: Mapping[str, np.ndarray],
    noise: Noise | None,
    falling: bool,
    names: Sequence[str],
    fixed: Mapping[str, float],
) -> Cells | None:
    """Return the cells with their noise: that of seeds, or for want of them that of residuals."""
    if noise is not None:
        return Cells(data, x, noise)
    # the noise of a loss is taken to be a share of it; where it is 0, of the others
    size = np.abs(data.mean)
    unit = level_noise(np.maximum(size, LEAST_SIZE * size.max()) if falling else np.ones(len(size)))
    first = Cells(data, x, unit, from_residuals=True)
    best = np.inf
    for candidate in _widest(fit_candidates(names, first, fixed)):
        left = sum(len(fit.problem.y) for fit in candidate.distinct) - candidate.free
        if left >= FEWEST_LEFT:
            best = min(best, candidate.squares / left)
    if not 0 < best < np.inf:
        return None
    per_quality = len(data.size) / len(set(data.quality))
    noise = level_noise(unit.spread * np.sqrt(best), shared=UNSEEN, cells=per_quality)
    return Cells(data, x, noise, from_residuals=True)


def _noise(
    data: Replicates, metric: str, items: int | None, *, falling: bool
) -> tuple[Noise | None, str | None]:
    """Return the noise that seeds tell, or why there is nothing to say without it."""
    known = data.value[np.isfinite(data.value)]
    if len(data.size) > 1 and np.ptp(known) == 0:
        return None, same_in_every_cell(metric, float(known[0]))
    if data.count.max() < 2:
        return None, ONE_SEED
    rate = float(np.clip(np.nanmean(data.value), 0.05, 0.95)) if not falling else 0.0
    floor = float(np.sqrt(rate * (1 - rate) / items)) if items and rate else 0.0
    noise = estimate_noise(data, floor=floor)
    if not noise.spread.any():
        return None, SEEDS_AGREE
    return noise, None


def _next_seed(table: Table, data: Replicates) -> int:
    return 1 + max((row.seed for row in table.rows if row.seed is not None), default=data.value.shape[1] - 1)


def _drawing(
    cells: Cells,
    ways: Sequence[Way],
    space: Space,
    draws: int,
    falling: bool,
    generator: np.random.Generator,
) -> CurveSampler:
    """Choose each draw's way and move the means; draw 0 is the most probable way and the means measured."""
    data = cells.data
    moved = resample_means(data, cells.noise, draws, generator)
    chosen = np.zeros(draws + 1, dtype=int)
    if ways:
        weight = np.array([way.weight for way in ways])
        chosen[0] = int(weight.argmax())
        chosen[1:] = generator.choice(len(ways), size=draws, p=weight)
        level = np.array([way.level for way in ways])[chosen[1:], None]
        moved = data.mean + level * (moved - data.mean)
    if not falling:
        moved = np.clip(moved, 0, 1)
    return CurveSampler(cells, ways, space, chosen, np.concatenate([data.mean[None], moved]), generator)


def _drawn(drawing: CurveSampler, quality: str, falling: bool) -> Curve:
    cells = drawing.cells
    at = cells.of(quality)
    return Curve(
        quality=quality,
        size=cells.x["size"][at],
        model=cells.x["model"][at] if "model" in cells.x else None,
        mean=cells.data.mean[at],
        count=cells.data.count[at],
        parts=drawing.parts(quality) if drawing.ways else (),
        measured=drawing.means[:, at],
        ends=(0.0, np.inf if falling else 1.0),
    )


def _without_draws(data: Replicates, x: Mapping[str, np.ndarray], quality: str, falling: bool) -> Curve:
    at = data.of(quality)
    mean = data.mean[at]
    return Curve(
        quality,
        x["size"][at],
        x["model"][at] if "model" in x else None,
        mean,
        data.count[at],
        (),
        mean[None],
        (0.0, np.inf if falling else 1.0),
    )


def fit_curves(table: Table, metric: str, *, points: int = 80, **options: object) -> dict[str, Band]:
    """Return a band per quality for plotting, over the sizes that were measured.

    Args:
        table: A checked table.
        metric: The measured column.
        points: Sizes in each band, equally spaced in the logarithm.
        options: Passed to ``analyse``: law, bootstraps, seed, items.
    """
    return bands(analyse(table, metric, **options), points=points)  # type: ignore[arg-type]


def bands(analysis: Analysis, *, points: int = 80) -> dict[str, Band]:
    """Return a band per quality of an analysed study, at its largest model."""
    return {quality: _band(analysis, curve, points) for quality, curve in analysis.curves.items()}


def _band(analysis: Analysis, curve: Curve, points: int) -> Band:
    here = np.ones(len(curve.size), dtype=bool) if curve.model is None else curve.model == curve.model.max()
    size = curve.size[here]
    grid = np.geomspace(size[0], size[-1], points if len(size) > 1 else 1)
    if not curve.parts:
        grid = size
    drawn = curve.predict(grid)
    low = high = spread = None
    if analysis.noise is not None:
        low, high = np.quantile(drawn[1:], TAILS, axis=0)
        labels = [c.quality for c in analysis.curves.values() for _ in c.size]
        spread = analysis.noise.spread[np.array(labels) == curve.quality][here]
    exact = sum(way.weight for way in analysis.ways if way.share == 0)
    kind = "fitted" if curve.parts and exact > 0.5 else "interpolated"
    middle = np.median(drawn[1:], axis=0) if len(drawn) > 1 else drawn[0]
    return Band(curve.quality, kind, grid, middle, low, high, size, curve.mean[here], spread)
