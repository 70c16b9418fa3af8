"""Figures of the first lessons: noisy examples, low rank, four bits. Numbers in, a figure out."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from workbench.lessons.exercises import numbers
from workbench.views.board_figures import one_panel
from workbench.views.palette import COLOURS, FAINT, INK
from workbench.views.style import (
    HEIGHT_INCHES,
    MARKERS,
    PAGE_INCHES,
    SMALL_POINTS,
    STYLE,
    PaperFigure,
)

BINS = 24


def told_apart(losses: object, spoiled: object) -> float:
    """Return how often a spoiled example has the larger loss, over all pairs of a spoiled and a good one.

    Half of the time is guessing. Equal losses count half.
    """
    bad, values = numbers(spoiled).astype(bool), numbers(losses)
    ahead = values[bad][:, None] - values[~bad]
    return float(((ahead > 0) + 0.5 * (ahead == 0)).mean())


def suspects(losses: Mapping[str, object], spoiled: object) -> PaperFigure:
    """Draw how the loss is spread over good and over spoiled examples, a panel for each moment.

    Args:
        losses: By the moment's name, the loss of each example in nats a token.
        spoiled: For each example, whether it is.
    """
    bad = numbers(spoiled).astype(bool)
    every = {moment: numbers(one) for moment, one in losses.items()}
    smallest = min(float(one.min()) for one in every.values())
    edges = np.geomspace(smallest, max(float(one.max()) for one in every.values()), BINS).tolist()

    def panel(moment: str) -> Callable[[Axes], None]:
        def draw(axes: Axes) -> None:
            for part, name, colour in ((~bad, "as it was", COLOURS[0]), (bad, "spoiled", COLOURS[1])):
                axes.hist(every[moment][part], bins=edges, color=colour, alpha=0.6, label=name)
            axes.set_xscale("log")
            pairs = f"{told_apart(every[moment], bad):.0%} of the pairs told apart"
            axes.set_title(f"{moment}: {pairs}", loc="left", fontsize=SMALL_POINTS)
            axes.set_xlabel("loss (nats a token)")
            axes.set_ylabel("examples")

        return draw

    figure = panels([panel(moment) for moment in every])
    figure.axes[0].legend(fontsize=SMALL_POINTS, frameon=False)
    return figure


def spoiled_pairs(kinds: Mapping[str, Sequence[str]], most: int = 9) -> PaperFigure:
    """Write a few examples of each kind of damage, a column for each kind; an empty name heads no column."""

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        for column, (name, pairs) in enumerate(kinds.items()):
            lines = "\n".join(one if len(one) < 30 else f"{one[:28]} …" for one in pairs[:most])
            place = column / len(kinds)
            axes.text(place, 1, name, va="top", weight="bold", transform=axes.transAxes)
            axes.text(place, 0.9, lines, va="top", linespacing=1.5, transform=axes.transAxes)

    return one_panel(draw, PAGE_INCHES)


def bars(shares: Mapping[str, float], words: str) -> PaperFigure:
    """Draw shares as bars, each with its name and its percentage.

    Args:
        shares: By name, from 0 to 1; the first is the one to compare with.
        words: What they are shares of, for the axis.
    """
    return one_panel(lambda axes: _bars(axes, shares, words))


def _bars(axes: Axes, shares: Mapping[str, float], words: str) -> None:
    place = range(len(shares))
    axes.barh(place, list(shares.values()), color=[FAINT, *[COLOURS[0]] * (len(shares) - 1)])
    for row, share in enumerate(shares.values()):
        axes.text(share, row, f" {share:.1%}", va="center", fontsize=SMALL_POINTS)
    axes.set_yticks(place, list(shares))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    axes.set_xlabel(words)


def crossed_out(
    losses: Sequence[float],
    crossed: Collection[int],
    line: int,
    moment: str,
    *,
    spoiled: Sequence[bool] | None = None,
    best: int | None = None,
) -> PaperFigure:
    """Draw the loss of each example, largest first, with the line above which all is crossed out.

    Args:
        losses: In nats a token.
        crossed: The rows that are crossed out.
        line: How many rows lie above the line.
        moment: What the losses are, for the axis.
        spoiled: For each row, whether it was spoiled; None where that isn't told yet.
        best: Where the best line lies, if it is told.
    """
    rows = np.arange(len(losses))
    out = np.isin(rows, list(crossed))

    def draw(axes: Axes) -> None:
        heights = np.array(losses)
        bad = np.zeros(len(rows), dtype=bool) if spoiled is None else np.array(spoiled)
        for part, name, colour in ((~bad, "as it was", COLOURS[0]), (bad, "spoiled", COLOURS[1])):
            for crossing, words, shade in ((False, "", 1.0), (True, ", crossed out", 0.45)):
                here = part & (out == crossing)
                label = f"{name if spoiled is not None else 'example'}{words}"
                if here.any():
                    axes.bar(rows[here] + 0.5, heights[here], 0.75, color=colour, alpha=shade, label=label)
        axes.set_yscale("log")
        axes.axvline(line, color=COLOURS[6], label="the line")
        if best is not None:
            axes.axvline(best, color=INK, linestyle="--", label="the best line")
        axes.set_xlim(-0.5, len(rows) + 0.5)
        axes.set_xlabel("examples, the largest loss first")
        axes.set_ylabel(f"{moment} (nats a token)")
        axes.legend(fontsize=SMALL_POINTS, frameon=False)

    return one_panel(draw)


def low_rank(
    parts: Mapping[str, object], losses: Mapping[int, float], trained: Mapping[int, int], zero_shot: float
) -> PaperFigure:
    """Draw how few directions hold a matrix, and what adapters of each rank reach.

    Args:
        parts: Matrices by name.
        losses: Held-out loss of each rank.
        trained: How many numbers each rank trains.
        zero_shot: Loss without any adapter.
    """

    def directions(axes: Axes) -> None:
        for number, (name, matrix) in enumerate(parts.items()):
            share = held(matrix)
            axes.plot(range(1, len(share) + 1), share, color=COLOURS[number], label=name)
        axes.set_xlim(0, None)
        axes.set_xlabel("largest directions")
        axes.set_ylabel("share of the squared size")
        axes.set_ylim(0, 1.02)
        axes.legend(fontsize=SMALL_POINTS, frameon=False)

    def reached(axes: Axes) -> None:
        axes.plot(list(losses), list(losses.values()), MARKERS[0], linestyle="-", color=COLOURS[0])
        for rank, loss in losses.items():
            _say(axes, f"{trained[rank]:,}\nnumbers", (rank, loss), (0, 6))
        axes.axhline(zero_shot, color=FAINT, linestyle=":", linewidth=0.8)
        _say(axes, "without an adapter", (float(np.median(list(losses))), zero_shot), (0, -9))
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks(list(losses), [str(rank) for rank in losses])
        axes.margins(x=0.2)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("rank")
        axes.set_ylabel("held-out loss (nats a token)")

    return panels([directions, reached])


def _say(axes: Axes, words: str, at: tuple[float, float], offset: tuple[int, int]) -> None:
    """Write a few words beside a place."""
    axes.annotate(
        words,
        at,
        offset,
        textcoords="offset points",
        ha="center",
        fontsize=SMALL_POINTS,
        color=FAINT,
    )


def held(matrix: object) -> np.ndarray:
    """Return which share of a matrix's squared size its largest directions hold: one, two, and so on."""
    squares = np.linalg.svd(numbers(matrix), compute_uv=False) ** 2
    return np.cumsum(squares) / squares.sum()


def codebook(relative: object, levels: Sequence[float], words: str = "") -> PaperFigure:
    """Draw sixteen levels over the weights that they stand for.

    Args:
        relative: Weights, each over the largest magnitude of its block.
        levels: What the codes stand for.
        words: A title.
    """

    def draw(axes: Axes) -> None:
        axes.hist(numbers(relative).ravel(), bins=200, color=COLOURS[5], density=True)
        for level in levels:
            axes.axvline(level, color=COLOURS[1], linewidth=0.9)
        axes.set_xlim(-1.03, 1.03)
        axes.set_xlabel("weight over its block's largest magnitude; lines: the sixteen levels")
        axes.set_ylabel("density")
        axes.set_title(words, loc="left", fontsize=SMALL_POINTS)

    return one_panel(draw)


def four_bits(errors: Mapping[str, Mapping[float, float]], scores: Mapping[str, float]) -> PaperFigure:
    """Draw what formats lose: of the weights, against the bits that they take, and of the answers.

    Args:
        errors: By format, the relative error of the weights at each number of bits.
        scores: By format, the share of right answers; the first is the one to compare with.
    """

    def lost(axes: Axes) -> None:
        for number, (name, points) in enumerate(errors.items()):
            place = sorted(points)
            marker = MARKERS[number % len(MARKERS)]
            axes.plot(
                place,
                [points[bits] for bits in place],
                marker,
                linestyle="-",
                color=COLOURS[number],
                label=name,
            )
        axes.set_xlabel("bits a weight, scales included")
        axes.set_ylabel("relative error of the weights")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=SMALL_POINTS, frameon=False)

    return panels([lost, lambda axes: _bars(axes, scores, "exact match")])


def panels(draws: Sequence[Callable[[Axes], None]], width: float = PAGE_INCHES) -> PaperFigure:
    """Return a figure with panels side by side, in the papers' style."""
    with style.context(["default", STYLE]):
        figure = PaperFigure(figsize=(width, HEIGHT_INCHES), layout="constrained")
        for axes, draw in zip(np.atleast_1d(figure.subplots(1, len(draws))), draws, strict=True):
            draw(axes)
            axes.xaxis.set_minor_formatter(NullFormatter())
    return figure
