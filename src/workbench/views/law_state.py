"""What ``law_explorer.js`` computes with: a law of size and share as a tree, and its resamples' constants."""

from statistics import fmean
from typing import Any

from workbench.errors import InputError, unknown_name
from workbench.laws.bootstrap import Resamples
from workbench.laws.formula import tree_of
from workbench.laws.library import LAWS
from workbench.laws.problems import misfit
from workbench.laws.thresholds import LEVEL, TAILS, trusted

EXPLORED = {"size", "share"}
"""What a law predicts from for the page to show it; in its formula they are called n and share."""
MOST_RESAMPLES = 200
"""Resamples that travel to the page."""
FEWEST_RESAMPLES = 20
"""Resamples of which an interval can be read."""


def law_state(resamples: Resamples) -> dict[str, Any]:
    """Return a bootstrapped law of size and share, and where to begin, as the widget's traits.

    Raises:
        InputError: If the law has other inputs, or there are fewer than 20 resamples.
    """
    fit = resamples.fit
    if set(fit.law.inputs) != EXPLORED:
        suited = [name for name, one in LAWS.items() if set(one.inputs) == EXPLORED]
        raise unknown_name("law of size and share", fit.law.name, suited, "src/workbench/laws/library.py")
    count = len(next(iter(resamples.values.values())))
    if count < FEWEST_RESAMPLES:
        raise InputError(f"{count} resamples give no interval; make at least 20: bootstrap(fit, 20)")
    x = fit.problem.x
    sizes = sorted({float(size) for size in x["size"]})
    shares = [float(x["share"].min()), 1.0]
    cells: dict[tuple[float, float], list[float]] = {}
    for size, share, loss in zip(x["size"], x["share"], fit.problem.y, strict=True):
        cells.setdefault((float(size), float(share)), []).append(float(loss))
    state = {
        "formula": tree_of(fit.law.formula),
        "resamples": {
            name: [_short(fit.values[name]), *(_short(value) for value in values[:MOST_RESAMPLES])]
            for name, values in resamples.values.items()
        },
        "level": f"{LEVEL:.0%}",
        "tails": list(TAILS),
        "sizes": [sizes[0], sizes[-1]],
        "shares": shares,
        "measured": [
            {"size": size, "share": share, "mean": fmean(losses)} for (size, share), losses in cells.items()
        ],
        "words": f"{law_in_words(resamples)}. {_doubt(resamples)}",
    }
    return {
        "fit": state,
        "size": round(sizes[len(sizes) // 2]),
        "share": round(sum(shares) / 2, 2),
    }


def law_in_words(resamples: Resamples) -> str:
    """Return the law's name and formula."""
    return f"{resamples.fit.law.name}: {resamples.fit.law.formula}"


def _doubt(resamples: Resamples) -> str:
    probability = misfit(resamples.fit)
    if probability is None:
        return "Nothing tells how well it fits."
    if trusted(probability):
        return f"It agrees with the measurements as far as their noise tells (p = {probability:.2g})."
    return (
        f"It misses the measurements by more than their noise explains (p = {probability:.2g}): look "
        "where the points leave the lines, and trust the rates of single qualities instead."
    )


def _short(value: float) -> float:
    return float(f"{value:.7g}")
