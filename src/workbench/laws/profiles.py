"""Profile likelihood: how far each constant may move before the data object.

One parameter is held at a value, all others are fitted again, and the rise of the objective is compared
with what noise alone would cause. A constant whose interval has no end, or spans more than a factor of ten,
is printed as not identified: the data do not know it, whatever digits a fit returns.

For squares the comparison is the F test; for Huber's loss it is the tau test of Ronchetti 1982 (Hampel et
al. 1986, "Robust Statistics", section 7.2), which scales the rise by the loss's mean curvature over its
mean squared slope.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import f as fisher

from workbench.errors import unknown_name
from workbench.laws.fitting import Fit, fit_law
from workbench.laws.freedom import degrees_of_freedom
from workbench.laws.library import Parameter
from workbench.laws.squares import LARGEST_LOG
from workbench.laws.thresholds import LEVEL

SPAN = 10.0
"""An interval on a logarithmic scale that is wider than this factor identifies nothing."""
WIDEST = 0.25
"""Nor does one of a constant of either sign that is wider than this share of what it may be."""


@dataclass(frozen=True)
class Profile:
    """One parameter's profile.

    ``low`` and ``high`` are the ends of the interval; None where the data set no end inside the bounds.
    ``statistic`` over ``trial`` is compared with ``threshold``.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    verdict: str
    trial: Float[np.ndarray, " trials"]
    statistic: Float[np.ndarray, " trials"]
    threshold: float

    @property
    def identified(self) -> bool:
        """Whether the data determine the constant."""
        return self.verdict.startswith("identified")


def profile(fit: Fit, name: str, *, level: float = LEVEL) -> Profile:
    """Profile one parameter of a fit.

    If the search finds a lower objective than the fit's own, the profile is taken from there.

    Raises:
        InputError: For a parameter the law does not have.
    """
    parameter = next((p for p in fit.law.parameters if p.name == name), None)
    if parameter is None:
        raise unknown_name("parameter", name, [p.name for p in fit.law.parameters], "the law's definition")
    for _ in range(3):
        walk = _Walk(fit, parameter, level)
        low, high = walk.end(-1), walk.end(+1)
        if walk.better is None:
            break
        fit = walk.better
    order = np.argsort(walk.position)
    return Profile(
        name,
        fit.values[name],
        low,
        high,
        _verdict(parameter, low, high),
        np.array([walk.value(p) for p in walk.position])[order],
        np.array(walk.statistic)[order],
        walk.threshold,
    )


def profiles(fit: Fit, *, level: float = LEVEL) -> dict[str, Profile]:
    """Profile every parameter that was not held fixed."""
    return {p.name: profile(fit, p.name, level=level) for p in fit.law.parameters if p.name not in fit.fixed}


def statistic_scale(fit: Fit) -> tuple[float, float]:
    """Return the factor from a rise of the objective to an F statistic, and its degrees of freedom."""
    rows = len(fit.problem.y)
    left = max(rows - fit.free, 1)
    if fit.problem.delta is not None:
        residual, delta = fit.residual, fit.problem.delta
        curvature = max(float(np.mean(np.abs(residual) <= delta)), 1 / rows)
        slope = float(np.mean(np.clip(residual, -delta, delta) ** 2))
        return 2 * curvature / slope * left / rows, float(left)
    if fit.problem.freedom is not None:
        return 2.0, fit.problem.freedom
    return left / max(fit.objective, 1e-300), float(left)


class _Walk:
    """Steps outwards from the best value until the statistic passes the threshold."""

    def __init__(self, fit: Fit, parameter: Parameter, level: float) -> None:
        self.fit, self.parameter = fit, parameter
        self.scale, freedom = statistic_scale(fit)
        freedom = freedom if fit.problem.noise is None else degrees_of_freedom(fit, parameter.name)
        self.threshold = float(fisher.ppf(level, 1, freedom))
        self.log = parameter.scale == "log"
        value = fit.values[parameter.name]
        self.origin = float(np.log(value)) if self.log else value
        self.position, self.statistic = [self.origin], [0.0]
        self.better: Fit | None = None

    def value(self, position: float) -> float:
        return float(np.exp(position)) if self.log else position

    def end(self, direction: int) -> float | None:
        """Return where the statistic crosses the threshold, or None if it doesn't inside the bounds."""
        bound = self._bound(direction)
        step = 0.05 if self.log else 0.02 * max(abs(self.origin), float(np.ptp(self.fit.problem.y)), 1e-9)
        before, rise_before, values = self.origin, 0.0, self.fit.values
        while True:
            after = before + direction * step
            if direction * (after - bound) > 0:
                after = bound
            if after == before:
                return None
            rise, values = self._rise(after, values)
            if self.better is not None:
                return None
            if rise > self.threshold:
                return self._cross(before, rise_before, after, rise, values)
            if after == bound:
                return None
            # the root of the statistic is nearly straight, so the next step can aim at the threshold
            slope = np.sqrt(rise) / abs(after - self.origin)
            aim = (np.sqrt(self.threshold) / slope - abs(after - self.origin)) if slope > 0 else np.inf
            before, rise_before, step = after, rise, float(np.clip(1.1 * aim, step, 3 * step))

    def _bound(self, direction: int) -> float:
        bound = self.parameter.low if direction < 0 else self.parameter.high
        if not self.log:
            return float(bound)
        return float(np.log(bound)) if np.isfinite(bound) and bound > 0 else direction * LARGEST_LOG

    def _rise(self, position: float, near: dict[str, float]) -> tuple[float, dict[str, float]]:
        name = self.parameter.name
        held = {**self.fit.fixed, name: self.value(position)}
        # a robust objective has many small dips, so it is entered from two sides
        entries = (near,) if self.fit.problem.delta is None else (near, self.fit.values)
        starts = [{k: v for k, v in values.items() if k not in held} for values in entries]
        refit = fit_law(self.fit.law, self.fit.problem, fixed=held, starts=starts)
        rise = self.scale * (refit.objective - self.fit.objective)
        if rise < -0.05:
            self.better = fit_law(self.fit.law, self.fit.problem, fixed=self.fit.fixed, starts=[refit.values])
        self.position.append(position)
        self.statistic.append(max(rise, 0.0))
        return max(rise, 0.0), refit.values

    def _cross(self, a: float, rise_a: float, b: float, rise_b: float, values: dict[str, float]) -> float:
        root = np.sqrt(self.threshold)
        for _ in range(6):
            share = (root - np.sqrt(rise_a)) / max(np.sqrt(rise_b) - np.sqrt(rise_a), 1e-12)
            middle = a + float(np.clip(share, 0.05, 0.95)) * (b - a)
            rise, values = self._rise(middle, values)
            if abs(np.sqrt(rise) - root) < 0.01 * root:
                break
            a, rise_a, b, rise_b = (
                (a, rise_a, middle, rise) if rise > self.threshold else (middle, rise, b, rise_b)
            )
        return self.value(middle)


def _verdict(p: Parameter, low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        if p.scale == "log" and high / low > SPAN:
            return f"not identified: the interval spans a factor of {high / low:.2g}"
        if p.low < 0 and high - low > WIDEST * (p.high - p.low):
            return f"not identified: it may be anything from {low:.2g} to {high:.2g}"
        return "identified, and it may as well be 0" if p.low < 0 and low < 0 < high else "identified"
    if p.scale == "linear" and p.low == 0 and high is not None:
        return "identified from above only: it may as well be 0"
    if low is None and high is None:
        return "not identified: no end on either side"
    if high is None:
        return f"not identified: no upper end up to {p.high:g}"
    return f"not identified: no lower end down to {p.low:g}"
