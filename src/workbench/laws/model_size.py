"""What a larger base is worth in cleaner data, and cleaning in a larger base.

A joint law predicts the loss from the base's parameters N, the amount of data and the share of it that is as
it was. Where it holds, a larger base and cleaner data can be exchanged at one amount: the share is looked for
at which the smaller base does as well as the larger one does on spoiled data, and the size of base that does
on spoiled data what the smaller one does on clean. Neither is read beyond the bases, amounts and shares that
were measured; what isn't met there is 'not reached'.

The law has to earn it: the largest amounts are held out, and only a law that forecasts them better than the
rules that need none speaks. The interval is that of its bootstrap, see ``bootstrap``.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from workbench.errors import InputError
from workbench.laws.bootstrap import Resamples, bootstrap
from workbench.laws.claims import quality_in_words
from workbench.laws.exchange import fewest
from workbench.laws.forecast import forecast_sizes
from workbench.laws.in_words import number_in_words, size_in_words
from workbench.laws.library import LAWS
from workbench.laws.problems import fit_table, misfit
from workbench.laws.scores import Forecast
from workbench.laws.table import Table
from workbench.laws.thresholds import LEVEL, LIKELY, TAILS, TWICE, trusted

JOINT = tuple(law.name for law in LAWS.values() if {"model", "size", "share"} <= set(law.inputs))
"""Laws of model size, amount and quality."""
FEWEST_MODELS = 3
"""Bases from which a law of their size can be told from others: a floor, a factor and an exponent."""
FEWEST_SHARES = 3
"""Shares of clean data, for the same reason."""
LAW_DRAWS = 400
STEPS = 400
"""Shares, or sizes of base, at which the law is read; between them it is interpolated."""


@dataclass(frozen=True)
class Worth:
    """An amount of one thing that does the work of another, with its interval; infinity is not reached."""

    low: float
    middle: float
    high: float
    not_reached: float
    """Probability that nothing that was measured is enough."""


@dataclass(frozen=True, kw_only=True)
class SizeExchange:
    """What a base ``factor`` times as large is worth, at one amount of one quality.

    Attributes:
        other: Label of the spoiled quality.
        share: The share of it that is as it was.
        size: Examples.
        model: Parameters of the smaller base.
        factor: How many times as large the larger one is.
        largest: Parameters of the largest base that was measured.
        cleaned: Share of all examples that has to be cleaned for the smaller base to do as well.
        grown: How many times as large a base has to be that does on ``other`` what the smaller does on clean.
        law: The law that was read.
        misfit: Probability of such a misfit if it were right; None if nothing can tell.
        forecast: How well it forecasts the amounts that were held out.
    """

    metric: str
    evaluation: str
    other: str
    share: float
    size: float
    model: float
    factor: float
    largest: float
    cleaned: Worth
    grown: Worth
    law: str
    misfit: float | None
    forecast: Forecast

    def sentence(self) -> str:
        """Say it in plain sentences."""
        return " ".join([self._cleaned(), self._grown(), self._judged()])

    def _cleaned(self) -> str:
        times = "twice" if self.factor == TWICE else f"{number_in_words(self.factor)} times"
        models = f"{size_in_words(self.model)} to {size_in_words(self.factor * self.model)} parameters"
        lead = (
            f"At {size_in_words(self.size)} {quality_in_words(self.other)} examples, a base {times} as large"
        )
        worth, spoiled = self.cleaned, 1 - self.share
        if worth.not_reached >= LEVEL:
            return (
                f"{lead} ({models}) is worth more than cleaning all of them: even on clean data the smaller "
                "one does not do as well."
            )
        if math.isinf(worth.middle) or worth.not_reached > LIKELY:
            return (
                f"{lead} ({models}) is worth as much as cleaning at least {_percent(worth.low)} of the "
                "examples; whether cleaning all of them is enough can't be told."
            )
        if worth.high <= 0.005:
            return f"{lead} ({models}) is worth no more than cleaning 1% of the examples."
        high = (
            "all that is spoiled" if math.isinf(worth.high) or worth.high >= spoiled else _percent(worth.high)
        )
        low = "nothing" if worth.low < 0.005 else _percent(worth.low)
        return (
            f"{lead} ({models}) is worth as much as cleaning {_percent(worth.middle)} of the examples "
            f"({low} to {high})."
        )

    def _grown(self) -> str:
        tried = self.largest / self.model
        worth = self.grown
        if worth.not_reached >= LEVEL:
            return (
                f"Cleaning all of them is worth more than any base we tried, up to {number_in_words(tried)} "
                "times as large."
            )
        if math.isinf(worth.middle):
            least = number_in_words(worth.low)
            return (
                f"Cleaning all of them is worth a base at least {least} times as large; more can't be told."
            )
        if worth.high <= 1:
            return "Cleaning all of them is worth no larger base."
        high = (
            f"or more than {number_in_words(tried)}"
            if math.isinf(worth.high)
            else number_in_words(worth.high)
        )
        ends = f"{number_in_words(max(worth.low, 1))} {'' if high.startswith('or') else 'to '}{high}"
        return (
            f"Cleaning all of them is worth a base {number_in_words(max(worth.middle, 1))} times as large "
            f"({ends})."
        )

    def _judged(self) -> str:
        law = LAWS[self.law]
        on = f" on {self.evaluation}" if self.evaluation else ""
        doubt = (
            ""
            if trusted(self.misfit)
            else f" The law misses the measurements by more than their noise (p = {self.misfit:.2g}), so "
            "this is a summary of them more than a finding."
        )
        return (
            f"Judged by {self.metric}{on}, by the law {law.formula}; intervals of {LEVEL:.0%}. "
            f"{self.forecast.verdict()}{doubt}"
        )


def size_exchange(
    table: Table, metric: str, *, size: float | int | None = None, draws: int = LAW_DRAWS, seed: int = 0
) -> SizeExchange:
    """Exchange cleaner data for a larger base, at one amount of the most damaged quality.

    Args:
        table: A checked table with the columns ``model`` and ``share``.
        metric: A loss.
        size: Examples at which it is asked; by default the middle one of those measured.
        draws: Draws behind the intervals.
        seed: Seed of the draws.

    Raises:
        InputError: If there are too few bases, shares or amounts, or no law forecasts what was held out.
    """
    table, shares, models = _of_one_damage(table, metric)
    sizes = sorted({row.size for row in table.measured(metric)})
    told = forecast_sizes(table, metric, laws=JOINT, seed=seed)
    best = told.chosen
    if best.is_baseline or told.chosen_law is None:
        raise InputError(
            f"no law of model size, quality and amount may exchange them. {told.verdict()} More sizes of "
            "data or of base would tell."
        )
    fit = fit_table(table, metric, best.name)
    resamples = bootstrap(fit, draws, seed=seed, workers=1)
    at = float(sizes[(len(sizes) - 1) // 2] if size is None else size)
    share, label = min((value, name) for name, value in shares.items())
    model = models[0]
    factor = TWICE if models[-1] >= TWICE * model else models[-1] / model
    return SizeExchange(
        metric=metric,
        evaluation=table.evaluation,
        other=label,
        share=share,
        size=at,
        model=model,
        factor=factor,
        largest=models[-1],
        cleaned=_cleaned(resamples, at, model, factor * model, share),
        grown=_grown(resamples, at, model, models[-1], share),
        law=best.name,
        misfit=misfit(fit),
        forecast=told,
    )


def _of_one_damage(table: Table, metric: str) -> tuple[Table, dict[str, float], list[float]]:
    """Return the rows of clean data and of one kind of damage, the share of each quality, and the models."""
    rows = table.measured(metric)
    if not table.falling(metric):
        raise InputError(f"{metric!r} is no loss, and laws of model size are of losses; judge by a loss.")
    models = sorted({value for row in rows if (value := row.values.get("model")) is not None})
    if len(models) < FEWEST_MODELS or any(row.values.get("model") is None for row in rows):
        raise InputError(
            f"{table.name}: {len(models)} sizes of base; a law of model size needs at least {FEWEST_MODELS}. "
            "Add bases: --base A B C."
        )
    kinds: dict[str, dict[str, float]] = {}
    for row in rows:
        share = row.values.get("share")
        # fewer raters are another damage than a share, and leave the share at 1
        if share is not None and row.values.get("raters") is None:
            kinds.setdefault(row.text.get("corruption") or "", {})[row.quality] = share
    clean = {label: share for own in kinds.values() for label, share in own.items() if share == 1}
    found = [{**clean, **own} for own in kinds.values()]
    shares = max(found, key=lambda own: len(set(own.values())), default={})
    if len(set(shares.values())) < FEWEST_SHARES:
        raise InputError(
            f"{table.name}: {len(set(shares.values()))} shares of clean data; the exchange of quality and "
            f"model size needs at least {FEWEST_SHARES} of one kind of damage. Add some: --quality clean "
            "typo:0.75 typo:0.5."
        )
    keep = np.array([row.quality in shares and row.size > 0 for row in table.rows])
    return table.where(keep), shares, models


def _cleaned(resamples: Resamples, size: float, model: float, larger: float, share: float) -> Worth:
    """Return the share to clean at which a base does what a larger one does without."""
    target = _loss(resamples, size, np.array([larger]), np.array([share]))[:, 0]
    grid = np.linspace(share, 1.0, STEPS)
    curve = _loss(resamples, size, np.full(STEPS, float(model)), grid)
    found = fewest(grid, curve, target, falling=True)
    # 0 says that the share as it is does as well: nothing has to be cleaned
    return _worth(np.where(found == 0, 0.0, found - share))


def _grown(resamples: Resamples, size: float, model: float, largest: float, share: float) -> Worth:
    """Return how many times as large a base does on spoiled data what one does on clean."""
    target = _loss(resamples, size, np.array([float(model)]), np.array([1.0]))[:, 0]
    grid = np.geomspace(model, largest, STEPS)
    curve = _loss(resamples, size, grid, np.full(STEPS, share))
    found = fewest(grid, curve, target, falling=True)
    return _worth(np.where(found == 0, 1.0, found / model))


def _loss(
    resamples: Resamples,
    size: float,
    model: Float[np.ndarray, " points"],
    share: Float[np.ndarray, " points"],
) -> Float[np.ndarray, "draws points"]:
    """Return what every draw of the law says of bases and shares, at one amount."""
    return resamples.predict({"size": np.full(len(share), size), "model": model, "share": share})


def _worth(drawn: Float[np.ndarray, " draws"]) -> Worth:
    """Return the middle and the ends of what was drawn: order statistics, never an average with infinity."""
    ordered = np.sort(drawn)
    last = len(ordered) - 1
    low, middle, high = (
        float(ordered[place])
        for place in (math.floor(TAILS[0] * last), round(0.5 * last), math.ceil(TAILS[1] * last))
    )
    return Worth(low, middle, high, float(np.isinf(drawn).mean()))


def _percent(share: float) -> str:
    return f"{share:.0%}"
