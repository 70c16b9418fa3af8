"""A joint law moved by hand: loss, lines of equal loss and the exchange rate, with the resamples' bands."""

from statistics import fmean
from typing import Any

import traitlets
from matplotlib.figure import Figure

from workbench.errors import InputError, unknown_name
from workbench.laws.bootstrap import Resamples
from workbench.laws.formula import tree_of
from workbench.laws.library import LAWS
from workbench.laws.problems import misfit
from workbench.laws.thresholds import LEVEL, TAILS, trusted
from workbench.views.law_figures import contours
from workbench.views.widgets.view import View, module

EXPLORED = {"size", "share"}
"""What a law predicts from for the page to show it; in its formula they are called n and share."""
MOST_RESAMPLES = 200


class LawExplorer(View):
    """A law over size and share, computed in the page from what is sent once.

    Args:
        resamples: A bootstrapped law of size and share.

    Raises:
        InputError: If the law has other inputs, or there are fewer than 20 resamples.
    """

    _esm = module("law_explorer")
    fit: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    size = traitlets.Int(1).tag(sync=True)
    share = traitlets.Float(1.0).tag(sync=True)

    def __init__(self, resamples: Resamples) -> None:
        law = resamples.fit.law
        if set(law.inputs) != EXPLORED:
            suited = [name for name, one in LAWS.items() if set(one.inputs) == EXPLORED]
            raise unknown_name("law of size and share", law.name, suited, "src/workbench/laws/library.py")
        count = len(next(iter(resamples.values.values())))
        if count < 20:
            raise InputError(f"{count} resamples give no interval; make at least 20: bootstrap(fit, 20)")
        self.resamples = resamples
        x = resamples.fit.problem.x
        sizes = sorted({float(size) for size in x["size"]})
        middle = sizes[len(sizes) // 2]
        shares = [float(x["share"].min()), 1.0]
        super().__init__(fit=self._plain(sizes, shares), size=round(middle), share=round(sum(shares) / 2, 2))

    def picture(self) -> Figure:
        """Draw the lines of equal loss over the cells that were measured."""
        return contours(self.resamples.fit, "share")

    def words(self) -> str:
        """Return the law's formula."""
        return f"{self.resamples.fit.law.name}: {self.resamples.fit.law.formula}"

    def _plain(self, sizes: list[float], shares: list[float]) -> dict[str, Any]:
        fit = self.resamples.fit
        columns = {
            name: [_short(fit.values[name]), *(_short(value) for value in values[:MOST_RESAMPLES])]
            for name, values in self.resamples.values.items()
        }
        cells: dict[tuple[float, float], list[float]] = {}
        x = fit.problem.x
        for size, share, loss in zip(x["size"], x["share"], fit.problem.y, strict=True):
            cells.setdefault((float(size), float(share)), []).append(float(loss))
        return {
            "formula": tree_of(fit.law.formula),
            "resamples": columns,
            "level": f"{LEVEL:.0%}",
            "tails": list(TAILS),
            "sizes": [sizes[0], sizes[-1]],
            "shares": shares,
            "measured": [
                {"size": size, "share": share, "mean": fmean(losses)}
                for (size, share), losses in cells.items()
            ],
            "words": f"{self.words()}. {self._doubt()}",
        }

    def _doubt(self) -> str:
        probability = misfit(self.resamples.fit)
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
