"""A study as curves: what was measured, what could as well have been, and a law fitted to each quality.

Everything that compares qualities starts here: the bands of a figure, the exchange rate, the planner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from workbench.errors import InputError, unknown_name
from workbench.laws.curves import FittedCurve, constants_of, curve_laws, fit_curve, interpolate, monotone
from workbench.laws.library import Law
from workbench.laws.noise import Noise, Replicates, arrange, estimate_noise, resample_means
from workbench.laws.silence import ONE_SEED, SEEDS_AGREE, same_in_every_cell
from workbench.laws.table import Table
from workbench.laws.thresholds import TAILS, misfit_probability, trusted
from workbench.showing import Shown


@dataclass(frozen=True)
class Curve:
    """One quality: its measurements and the law fitted to them and to every resample of them.

    Row 0 of every array of resamples is the study as measured; the rest are resamples, none with one seed.
    """

    quality: str
    size: Float[np.ndarray, " sizes"]
    mean: Float[np.ndarray, "resamples sizes"]
    count: Float[np.ndarray, " sizes"]
    smooth: Float[np.ndarray, "resamples sizes"]
    """The means made monotone: the model-free curve, interpolated between sizes."""
    fitted: FittedCurve | None
    """None when the quality has fewer sizes than the law has constants to be found."""

    def predict(self, at: Sequence[float | int] | np.ndarray, *, model_free: bool = False) -> np.ndarray:
        """Return the metric of every resample at the given sizes; NaN where the model-free curve ends."""
        at = np.asarray(at, dtype=float)
        if model_free or self.fitted is None:
            return interpolate(self.size, self.smooth, at)
        return self.fitted.predict(at)


@dataclass(frozen=True, repr=False)
class Analysis(Shown):
    """All curves of one table and metric."""

    metric: str
    evaluation: str
    law: Law
    """The law of every quality."""
    curves: dict[str, Curve]
    zero_shot: float | None
    noise: Noise | None
    """None with one seed per cell: then there are no resamples and no interval."""
    misfit: float | None
    """Probability of a misfit as large as this one if the law were right; None if nothing can tell."""
    notes: tuple[str, ...]
    next_seed: int
    """The first seed that no cell has used."""
    silent: str | None = None
    """Why the metric says nothing about the qualities, for or against; None where it does."""

    @property
    def falling(self) -> bool:
        """Whether smaller values are better."""
        return self.law.metric == "loss"

    @property
    def trusted(self) -> bool:
        """Whether the fitted law agrees with the measurements as well as their noise allows."""
        return trusted(self.misfit)

    def curve(self, quality: str) -> Curve:
        """Return one quality's curve, or refuse an unknown label by offering the nearest."""
        if quality not in self.curves:
            raise unknown_name("quality", quality, self.curves, "the study's grid")
        return self.curves[quality]

    def constants(self, quality: str) -> dict[str, float] | None:
        """Return the constants of one quality's curve by their names in the formula; None without a fit."""
        fitted = self.curve(quality).fitted
        return None if fitted is None else fitted.constants()

    def _shown(self) -> tuple[str, dict[str, str]]:
        found = {quality: self.constants(quality) for quality in self.curves}
        constants = {
            quality: "no fit: only the measurements, interpolated"
            if own is None
            else ", ".join(f"{name} = {value:.4g}" for name, value in own.items())
            for quality, own in found.items()
        }
        curve = {"curve": f"{self.law.name}: {self.law.formula}"}
        return f"Analysis of {self.metric}", {**curve, **constants, "misfit": self._belief()}

    def _belief(self) -> str:
        if self.misfit is None:
            return self.silent or "unknown: no size is left over to disagree"
        if self.trusted:
            return f"p = {self.misfit:.2g}: the curves agree with the measurements, as far as noise tells"
        return f"p = {self.misfit:.2g}: the curves miss the measurements; the interpolated ones are trusted"


@dataclass(frozen=True)
class Band:
    """A curve for a figure: central line and interval over a grid of sizes, beside the measurements.

    ``low`` and ``high`` are None with one seed per cell.
    """

    quality: str
    kind: str
    """"fitted", or "model-free" where the law misses the measurements or has too few sizes."""
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
    bootstraps: int = 400,
    seed: int = 0,
    items: int | None = None,
) -> Analysis:
    """Fit one curve per quality to the measurements and to resamples of them.

    Args:
        table: A checked table.
        metric: The measured column.
        law: A law of size alone, one of ``curves.curve_laws``; by default "power" for a loss, "bounded"
            for an accuracy.
        bootstraps: Number of resamples.
        seed: Seed of the resamples: same seed, same numbers.
        items: Held-out items behind an accuracy. When given, no cell's spread is taken to be smaller than
            counting that many items allows, so that seeds that agree by chance aren't read as certainty.

    Raises:
        InputError: If nothing was measured or the law doesn't suit the metric.
    """
    data = arrange(table, metric)
    chosen = _law(law, metric, table.kind_of(metric))
    noise, silent = _noise(data, metric, items, falling=table.falling(metric))
    zero_shot = table.zero_shot(metric)
    fitter = _Fitter(data, noise, chosen, zero_shot or 0.0)
    curves = fitter.curves(data.mean[None])
    misfit, inflation = (None, 1.0) if noise is None else _misfit(curves, noise)
    notes = [
        *table.notes,
        *([silent] if silent else _notes_on_seeds(data)),
        *_notes_on_sizes(curves, chosen),
        *_notes_on_misfit(chosen, misfit),
    ]
    if noise is not None:
        resamples = resample_means(data, noise, bootstraps, np.random.default_rng(seed))
        if not table.falling(metric):
            resamples = np.clip(resamples, 0, 1)
        curves = fitter.curves(np.concatenate([data.mean[None], resamples]), inflation)
    return Analysis(
        metric=metric,
        evaluation=table.evaluation,
        law=chosen,
        curves=curves,
        zero_shot=zero_shot,
        noise=noise,
        misfit=misfit,
        notes=tuple(notes),
        next_seed=_next_seed(table, data),
        silent=silent,
    )


def _law(name: str | None, metric: str, kind: Literal["loss", "accuracy"]) -> Law:
    name = name or {"loss": "power", "accuracy": "bounded"}[kind]
    known = curve_laws()
    if name not in known:
        raise unknown_name("law of size alone", name, known, "src/workbench/laws/library.py")
    if known[name].metric != kind:
        suited = [law.name for law in known.values() if law.metric == kind]
        raise InputError(
            f"the {name} curve is for {known[name].metric}, and {metric} needs one for {kind}: choose "
            f"{' or '.join(suited)}."
        )
    return known[name]


def _noise(
    data: Replicates, metric: str, items: int | None, *, falling: bool
) -> tuple[Noise | None, str | None]:
    """Return the noise, or why there is nothing to say without it."""
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


@dataclass(frozen=True)
class _Fitter:
    """What the fits of all qualities share; an accuracy rises from ``floor``."""

    data: Replicates
    noise: Noise | None
    law: Law
    floor: float

    def curves(self, means: Float[np.ndarray, "resamples cells"], inflation: float = 1.0) -> dict[str, Curve]:
        """Fit each quality to every row of means; ``inflation`` moves the resamples away from row 0."""
        return {
            quality: self._curve(quality, means, inflation) for quality in dict.fromkeys(self.data.quality)
        }

    def _curve(self, quality: str, means: Float[np.ndarray, "resamples cells"], inflation: float) -> Curve:
        at = self.data.of(quality)
        size, count, value = self.data.size[at], self.data.count[at], means[:, at]
        weight = count / (np.maximum(self.noise.spread[at], 1e-12) ** 2 if self.noise else 1.0)
        smooth = monotone(value, weight, falling=self.law.metric == "loss")
        fitted = None
        if len(at) >= constants_of(self.law):
            widened = value[:1] + inflation * (value - value[:1])
            fitted = fit_curve(self.law, size, widened, weight, floor=self.floor)
        return Curve(quality, size, value, count, smooth, fitted)


def _notes_on_seeds(data: Replicates) -> list[str]:
    if data.count.min() >= 2:
        return []
    return ["Some cells have one finished seed; their noise is taken from the other cells."]


def _notes_on_sizes(curves: dict[str, Curve], law: Law) -> list[str]:
    return [
        f"{curve.quality}: {len(curve.size)} sizes, the {law.name} curve needs {constants_of(law)}; only the "
        "model-free curve is given."
        for curve in curves.values()
        if curve.fitted is None
    ]


def _notes_on_misfit(law: Law, misfit: float | None) -> list[str]:
    if trusted(misfit):
        return []
    return [
        f"The {law.name} curve misses the means by more than the seeds explain (p = {misfit:.2g}); its "
        "intervals are widened to match, and the model-free rate is the one to trust."
    ]


def _misfit(curves: dict[str, Curve], noise: Noise) -> tuple[float | None, float]:
    """Return the probability of such a misfit under the seeds' noise, and the factor that covers it."""
    fits = [curve.fitted for curve in curves.values() if curve.fitted]
    left = sum(len(curve.size) - constants_of(curve.fitted.law) for curve in curves.values() if curve.fitted)
    if not left:
        return None, 1.0
    squares = sum(float(fit.misfit[0]) for fit in fits)
    probability = misfit_probability(squares, left, noise.freedom)
    return probability, 1.0 if trusted(probability) else float(np.sqrt(squares / left))


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
    """Return a band per quality of an analysed study."""
    return {quality: _band(analysis, curve, points) for quality, curve in analysis.curves.items()}


def _band(analysis: Analysis, curve: Curve, points: int) -> Band:
    grid = np.geomspace(curve.size[0], curve.size[-1], points if len(curve.size) > 1 else 1)
    model_free = curve.fitted is None or not analysis.trusted
    drawn = curve.predict(grid, model_free=model_free)
    low = high = spread = None
    if analysis.noise is not None:
        low, high = np.quantile(drawn[1:], TAILS, axis=0)
        cells = [i for i, label in enumerate(_labels(analysis)) if label == curve.quality]
        spread = analysis.noise.spread[cells]
    kind = "model-free" if model_free else "fitted"
    return Band(curve.quality, kind, grid, drawn[0], low, high, curve.size, curve.mean[0], spread)


def _labels(analysis: Analysis) -> list[str]:
    return [curve.quality for curve in analysis.curves.values() for _ in curve.size]
