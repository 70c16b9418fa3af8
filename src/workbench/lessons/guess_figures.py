"""Pictures of guesses for where widgets can't live: the truth is in them only once it was told."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from workbench.views.board_figures import one_panel
from workbench.views.palette import COLOURS, FAINT
from workbench.views.style import LABEL_POINTS, PaperFigure

QUESTION_CHARACTERS = 80
"""Of a line of the question above a picture."""


def number_line(
    question: Mapping[str, Any], guess: float | int | None, told: bool, others: Sequence[float | int] = ()
) -> PaperFigure:
    """Draw a line with the guess, and once it is told with the truth and what others guessed.

    Args:
        question: That of ``guess_number.js``.
        guess: The guess; None before there is one.
        told: Whether the truth was told.
        others: The guesses of others.
    """

    def draw(axes: Axes) -> None:
        _title(axes, question["asked"])
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        if question["log"]:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(question["low"], question["high"])
        axes.set_ylim(0, 3)
        axes.set_xlabel(question["unit"])
        if guess is not None:
            axes.plot([guess], [1], "o", color=COLOURS[0], label="the guess", markersize=6, clip_on=False)
        if told:
            inside = [min(max(one, question["low"]), question["high"]) for one in others]
            if inside:
                axes.plot(inside, [0.3] * len(inside), "o", color=FAINT, alpha=0.55, label="other guesses")
            axes.plot([question["truth"]] * 2, [0, 2], color=COLOURS[1])
            axes.plot([question["truth"]], [2], "s", color=COLOURS[1], label="the truth", markersize=6)
        if guess is not None or told:
            axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.02), ncols=3)
        else:
            axes.text(0.5, 0.5, "no guess yet", ha="center", color=FAINT, transform=axes.transAxes)

    return one_panel(draw)


def sorted_bars(question: Mapping[str, Any], guess: Sequence[str], told: bool) -> PaperFigure:
    """Draw the items in the order of the guess, the first at the top; once it is told with their values."""

    def draw(axes: Axes) -> None:
        _title(axes, question["asked"])
        places = range(len(guess) - 1, -1, -1)
        values = [question["values"][item] if told else 0 for item in guess]
        bars = axes.barh(list(places), values, color=COLOURS[1])
        axes.set_yticks(list(places), list(guess))
        if told:
            axes.bar_label(bars, [f" {value:.3g}" for value in values], fontsize=LABEL_POINTS)
            axes.set_xlabel(question["unit"])
        else:
            axes.set_xticks([])
            axes.text(0.5, 0.5, "not told yet", ha="center", color=FAINT, transform=axes.transAxes)

    return one_panel(draw)


def prices_of_cleaning(
    prices: Sequence[float], cleaned: Sequence[float], collected: float | int, metric: str
) -> PaperFigure:
    """Draw what the same coins give, spent on cleaning at each price or on more examples.

    Args:
        prices: Of cleaning one example, in coins.
        cleaned: The metric when all coins clean, one a price.
        collected: The metric when all coins buy examples, at any price.
        metric: The metric's name.
    """

    def draw(axes: Axes) -> None:
        axes.plot(list(prices), list(cleaned), color=COLOURS[0], label="all coins for cleaning")
        axes.plot(
            [prices[0], prices[-1]],
            [collected] * 2,
            "--",
            color=COLOURS[1],
            label="all coins for new examples",
        )
        axes.set_xlabel("price of cleaning one example (coins)")
        axes.set_ylabel(metric)
        axes.legend(frameon=False)

    return one_panel(draw)


def _title(axes: Axes, words: str) -> None:
    axes.set_title(fill(words, QUESTION_CHARACTERS), loc="left", fontsize=LABEL_POINTS)
