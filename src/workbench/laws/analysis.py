"""A study as draws of curves: what was measured, what could as well have been, and a curve through each.

Everything that compares qualities starts here: the bands of a figure, the exchange rate, the planner.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import f as fisher

from workbench.errors import InputError, unknown_name
from workbench.laws.curves import CURVES, CurveForm, FittedCurve, fit_curve, interpolate, monotone
from workbench.laws.library import LAWS
from workbench.laws.noise import Noise, Replicates, arrange, draw_means, estimate_noise
from workbench.laws.silence import ONE_SEED, SEEDS_AGREE, same_in_every_cell
from workbench.laws.table import Table, smaller_is_better
from workbench.showing import Shown

LEVEL = 0.95
"""Probability that an interval is meant to hold the truth."""
DOUBT = 0.05
"""A form whose misfit is rarer than this under the seeds' noise is not believed."""


@dataclass(frozen=True)
class Curve:
    """One quality: its measurements and the curves through every draw of them.

    Row 0 of every array of draws is the study as measured; the rest are draws, none with one seed.
    """

    quality: str
    size: Float[np.ndarray, " sizes"]
    mean: Float[np.ndarray, "draws sizes"]
    count: Float[np.ndarray, " sizes"]
    smooth: Float[np.ndarray, "draws sizes"]
    """The means made monotone: the model-free curve, interpolated between sizes."""
    fitted: FittedCurve | None
    """None when the quality has fewer sizes than the form has parameters."""

    def predict(self, at: Sequence[float | int] | np.ndarray, *, model_free: bool = False) -> np.ndarray:
        """Return the metric of every draw at the given sizes; NaN where the model-free curve ends."""
        at = np.asarray(at, dtype=float)
        if model_free or self.fitted is None:
            return interpolate(self.size, self.smooth, at)
        return self.fitted.predict(at)


@dataclass(frozen=True, repr=False)
class Analysis(Shown):
    """All curves of one table and metric."""

    metric: str
    evaluation: str
    form: CurveForm
    curves: dict[str, Curve]
    zero_shot: float | None
    noise: Noise | None
    """None with one seed per cell: then there are no draws and no interval."""
    misfit: float | None
    """Probability of a misfit as large as this one if the form were right; None if nothing can tell."""
    notes: tuple[str, ...]
    next_seed: int
    """The first seed that no cell has used."""
    silent: str | None = None
    """Why the metric says nothing about the qualities, for or against; None where it does."""

    @property
    def falling(self) -> bool:
        """Whether smaller values are better."""
        return smaller_is_better(self.metric)

    @property
    def trusted(self) -> bool:
        """Whether the fitted form agrees with the measurements as well as their noise allows."""
        return self.misfit is None or self.misfit >= DOUBT

    def curve(self, quality: str) -> Curve:
        """Return one quality's curve, or refuse an unknown label by offering the nearest."""
        if quality not in self.curves:
            raise unknown_name("quality", quality, self.curves, "the study's grid")
        return self.curves[quality]

    def constants(self, quality: str) -> dict[str, float] | None:
        """Return the constants of one quality's curve by their names in the formula; None without a fit."""
        return _constants(self.curve(quality))

    def _shown(self) -> tuple[str, dict[str, str]]:
        found = {quality: self.constants(quality) for quality in self.curves}
        constants = {
            quality: "no fit: only the measurements, interpolated"
            if own is None
            else ", ".join(f"{name} = {value:.4g}" for name, value in own.items())
            for quality, own in found.items()
        }
        curve = {"curve": f"{self.form.name}: {self.form.formula}"}
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
    """"fitted", or "model-free" where the form misses the measurements or has too few sizes."""
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
    form: str | None = None,
    bootstraps: int = 400,
    seed: int = 0,
    items: int | None = None,
) -> Analysis:
    """Fit one curve per quality to the measurements and to draws of them.

    Args:
        table: A checked table.
        metric: The measured column.
        form: Key of ``CURVES``; by default "power" for a loss and "bounded" for an accuracy.
        bootstraps: Number of draws.
        seed: Seed of the draws: same seed, same numbers.
        items: Held-out items behind an accuracy. When given, no cell's spread is taken to be smaller than
            counting that many items allows, so that seeds that agree by chance aren't read as certainty.

    Raises:
        InputError: If nothing was measured or the form doesn't suit the metric.
    """
    data = arrange(table, metric)
    chosen = _form(form, metric)
    notes = list(table.notes)
    noise, silent = _noise(data, metric, items)
    if silent:
        notes.append(silent)
    generator = np.random.default_rng(seed)
    means = data.mean[None]
    zero_shot = table.zero_shot(metric)
    unused = 1 + max(
        (row.seed for row in table.rows if row.seed is not None), default=data.value.shape[1] - 1
    )
    if noise is None:
        curves = _curves(data, means, None, chosen, zero_shot, notes)
        return Analysis(
            metric, table.evaluation, chosen, curves, zero_shot, None, None, tuple(notes), unused, silent
        )
    if data.count.min() < 2:
        notes.append("Some cells have one finished seed; their noise is taken from the other cells.")
    first = _curves(data, means, noise, chosen, zero_shot, notes)
    misfit, inflation = _misfit(first, noise)
    if inflation > 1:
        notes.append(
            f"The {chosen.name} curve misses the means by more than the seeds explain (p = {misfit:.2g}); "
            "its "
            "intervals are widened to match, and the model-free rate is the one to trust."
        )
    draws = draw_means(data, noise, bootstraps, generator)
    if not smaller_is_better(metric):
        draws = np.clip(draws, 0, 1)
    curves = _curves(data, np.concatenate([means, draws]), noise, chosen, zero_shot, [], inflation)
    return Analysis(metric, table.evaluation, chosen, curves, zero_shot, noise, misfit, tuple(notes), unused)


def _form(name: str | None, metric: str) -> CurveForm:
    kind = "loss" if smaller_is_better(metric) else "accuracy"
    name = name or {"loss": "power", "accuracy": "bounded"}[kind]
    if name not in CURVES:
        raise unknown_name("curve", name, CURVES, "src/workbench/laws/curves.py")
    if CURVES[name].metric != kind:
        known = [own.name for own in CURVES.values() if own.metric == kind]
        raise InputError(
            f"the {name} curve is for {CURVES[name].metric}, and {metric} needs one for {kind}: choose "
            f"{' or '.join(known)}."
        )
    return CURVES[name]


def _noise(data: Replicates, metric: str, items: int | None) -> tuple[Noise | None, str | None]:
    """Return the noise, or why there is nothing to say without it."""
    known = data.value[np.isfinite(data.value)]
    if len(data.size) > 1 and np.ptp(known) == 0:
        return None, same_in_every_cell(metric, float(known[0]))
    if data.count.max() < 2:
        return None, ONE_SEED
    rate = float(np.clip(np.nanmean(data.value), 0.05, 0.95)) if not smaller_is_better(metric) else 0.0
    floor = float(np.sqrt(rate * (1 - rate) / items)) if items and rate else 0.0
    noise = estimate_noise(data, floor=floor)
    if not noise.spread.any():
        return None, SEEDS_AGREE
    return noise, None


def _curves(
    data: Replicates,
    means: Float[np.ndarray, "draws cells"],
    noise: Noise | None,
    form: CurveForm,
    zero_shot: float | None,
    notes: list[str],
    inflation: float = 1.0,
) -> dict[str, Curve]:
    curves = {}
    for quality in dict.fromkeys(data.quality):
        at = data.of(quality)
        weight = data.count[at] / (np.maximum(noise.spread[at], 1e-12) ** 2 if noise else 1.0)
        value = means[:, at]
        fitted = None
        if len(at) >= form.parameters:
            widened = value[:1] + inflation * (value - value[:1])
            fitted = fit_curve(form, data.size[at], widened, weight, floor=zero_shot or 0.0)
        else:
            notes.append(
                f"{quality}: {len(at)} sizes, the {form.name} curve needs {form.parameters}; only the "
                "model-free "
                "curve is given."
            )
        smooth = monotone(value, weight, falling=form.metric == "loss")
        curves[quality] = Curve(quality, data.size[at], value, data.count[at], smooth, fitted)
    return curves


def _misfit(curves: dict[str, Curve], noise: Noise) -> tuple[float | None, float]:
    """Return the probability of such a misfit under the seeds' noise, and the factor that covers it."""
    fitted = [curve.fitted for curve in curves.values() if curve.fitted]
    freedom = sum(len(c.size) - c.fitted.form.parameters for c in curves.values() if c.fitted)
    if not freedom:
        return None, 1.0
    ratio = sum(float(fit.misfit[0]) for fit in fitted) / freedom
    probability = float(fisher.sf(ratio, freedom, noise.freedom))
    return probability, float(np.sqrt(ratio)) if probability < DOUBT else 1.0


def fit_curves(table: Table, metric: str, *, points: int = 80, **options: object) -> dict[str, Band]:
    """Return a band per quality for plotting, over the sizes that were measured.

    Args:
        table: A checked table.
        metric: The measured column.
        points: Sizes in each band, equally spaced in the logarithm.
        options: Passed to ``analyse``: form, bootstraps, seed, items.
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
        low, high = np.quantile(drawn[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        cells = [i for i, label in enumerate(_labels(analysis)) if label == curve.quality]
        spread = analysis.noise.spread[cells]
    kind = "model-free" if model_free else "fitted"
    return Band(curve.quality, kind, grid, drawn[0], low, high, curve.size, curve.mean[0], spread)


def _labels(analysis: Analysis) -> list[str]:
    return [curve.quality for curve in analysis.curves.values() for _ in curve.size]


def _constants(curve: Curve) -> dict[str, float] | None:
    """Return the law's constants behind a curve as measured: the coefficients that give its values."""
    if curve.fitted is None:
        return None
    law = LAWS[curve.fitted.form.name]
    shapes = dict(zip((one.name for one in law.shapes), map(float, curve.fitted.theta[0]), strict=True))
    value = curve.fitted.predict(curve.size)[0]
    solved = np.linalg.lstsq(law.terms(shapes, {"size": curve.size}), value, rcond=None)[0]
    return {**shapes, **dict(zip((one.name for one in law.coefficients), map(float, solved), strict=True))}
