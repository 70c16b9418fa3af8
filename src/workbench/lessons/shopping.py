"""What a budget should buy, over the price of mending one example: a figure for a class."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from workbench.views.board_figures import one_panel
from workbench.views.palette import COLOURS
from workbench.views.style import MARKERS, SMALL_POINTS, PaperFigure

PURCHASES = {"both": "buy new ones and mend all", "cleaning": "mend what you have", "new": "buy new ones"}
"""What can be bought, in words."""


def chances_to_be_best(costs: Sequence[float], best: Sequence[Mapping[str, float]]) -> PaperFigure:
    """Draw how likely each purchase is the best one.

    Args:
        costs: Prices of mending one example, in dollars.
        best: For each price, the probability of each of ``PURCHASES``.
    """

    def draw(axes: Axes) -> None:
        for number, (name, label) in enumerate(PURCHASES.items()):
            chances = [found[name] for found in best]
            axes.plot(costs, chances, color=COLOURS[number], marker=MARKERS[number], label=label)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda cost, _: f"{cost:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda chance, _: f"{chance:.0%}"))
        axes.set_xlabel("price of mending one (dollars)")
        axes.set_ylabel("probability of being the best")
        axes.legend(fontsize=SMALL_POINTS, frameon=False)

    return one_panel(draw)
