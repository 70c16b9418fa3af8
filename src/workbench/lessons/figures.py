"""Figures of the first lessons: noisy examples, low rank, four bits. Numbers in, a figure out."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from einops import reduce
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullFormatter, PercentFormatter

from workbench.lessons.exercises import numbers
from workbench.lessons.talk import interval
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
CHANGE = LinearSegmentedColormap.from_list("change", [COLOURS[1], "white", COLOURS[0]])
"""Below zero, zero, above."""


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
    parts: Mapping[str, object], right: Mapping[int, float], trained: Mapping[int, int], items: int
) -> PaperFigure:
    """Draw how few directions hold a matrix, and what adapters of each rank reach.

    Args:
        parts: Matrices by name.
        right: Share of held-out items that each rank answers exactly.
        trained: How many numbers each rank trains.
        items: Held-out items; the bars are Wilson's intervals for so many.
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
        ends = [interval(round(share * items), items) for share in right.values()]
        axes.vlines(list(right), *zip(*ends, strict=True), color=COLOURS[0], linewidth=0.8)
        axes.plot(list(right), list(right.values()), MARKERS[0], linestyle="", color=COLOURS[0])
        for (rank, share), (_, high) in zip(right.items(), ends, strict=True):
            words = f"{share:.0%}\n{trained[rank]:,} numbers"
            axes.annotate(
                words, (rank, high), (0, 4), textcoords="offset points", ha="center", fontsize=SMALL_POINTS
            )
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks(list(right), [str(rank) for rank in right])
        axes.margins(x=0.25, y=0.3)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("rank")
        axes.set_ylabel(f"right of {items} new verbs")

    return panels([directions, reached])


def cut_figure(cuts: Mapping[str, np.ndarray], right: Mapping[int, float]) -> PaperFigure:
    """Draw a matrix and what a rank keeps of it, one above the other, and what is right at each rank.

    Args:
        cuts: Matrices of one shape, by what they are.
        right: The share of right answers for each rank.
    """
    top = max(float(np.quantile(np.abs(one), 0.995)) for one in cuts.values()) or 1.0
    with style.context(["default", STYLE]):
        figure = PaperFigure(figsize=(PAGE_INCHES, HEIGHT_INCHES), layout="constrained")
        images, chart = figure.subfigures(1, 2, squeeze=False)[0]
        for axes, (words, one) in zip(images.subplots(len(cuts), 1), cuts.items(), strict=True):
            axes.imshow(one, cmap=CHANGE, vmin=-top, vmax=top, aspect="auto", interpolation="nearest")
            axes.set_title(words, loc="left", fontsize=SMALL_POINTS)
            axes.set_axis_off()
        axes = chart.subplots()
        axes.plot(range(len(right)), list(right.values()), MARKERS[0], linestyle="-", color=COLOURS[0])
        axes.set_xticks(range(len(right)), [str(rank) for rank in right])
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("directions kept in every layer")
        axes.set_ylabel("right answers")
    return figure


def thin_matrices(w: object, a: object, b: object) -> PaperFigure:
    """Draw a frozen weight and LoRA's two thin matrices to scale, with how many numbers each has.

    A long side is drawn in means of four neighbours, which a picture can show.

    Args:
        w: The frozen weight, shape (N, K).
        a: LoRA's A, shape (R, K).
        b: LoRA's B, shape (N, R).
    """
    matrices = [numbers(one) for one in (w, b, a)]
    (n, k), rank = matrices[0].shape, matrices[2].shape[0]
    gap = max(n, k) / 12
    lefts, tops = (0.0, k + 2 * gap, k + 2 * gap + rank + gap), (0.0, 0.0, 0.0)
    # short enough for a narrow page, where all of it stands on half the width
    names = (f"W, frozen: {n * k:,} numbers", "B", f"A: {rank} × {k}")

    def draw(axes: Axes) -> None:
        for one, left, top, name in zip(matrices, lefts, tops, names, strict=True):
            rows, columns = one.shape
            coarse = _means(one)
            size = float(np.quantile(np.abs(coarse), 0.995)) or 1.0
            where = (left, left + columns, top + rows, top)
            axes.imshow(coarse, cmap=CHANGE, vmin=-size, vmax=size, extent=where, interpolation="nearest")
            axes.add_patch(Rectangle((left, top), columns, rows, fill=False, edgecolor=INK, linewidth=0.6))
            axes.text(left, top - gap / 4, name, va="bottom", fontsize=SMALL_POINTS)
        for place, sign in ((k + gap, "+ s ·"), (lefts[2] - gap / 2, "·")):
            axes.text(place, n / 2 if sign != "·" else rank / 2, sign, ha="center", va="center")
        count, share = rank * (n + k), rank * (n + k) / (n * k)
        trained = f"W: {n} × {k}, B: {n} × {rank}\nB and A, trained:\n{count:,} numbers, {share:.0%} of W"
        axes.text(lefts[2], n, trained, va="bottom", fontsize=SMALL_POINTS)
        axes.set_xlim(-gap / 4, lefts[2] + k + gap / 4)
        axes.set_ylim(n + gap / 4, -1.5 * gap)
        axes.set_aspect("equal")
        axes.set_axis_off()

    return one_panel(draw, PAGE_INCHES)


def _means(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix with means of four neighbours along each side that is long."""
    rows, columns = (4 if side >= 64 and side % 4 == 0 else 1 for side in matrix.shape)
    return reduce(matrix, "(N n) (K k) -> N K", "mean", n=rows, k=columns)


def held(matrix: object) -> np.ndarray:
    """Return which share of a matrix's squared size its largest directions hold: one, two, and so on."""
    squares = np.linalg.svd(numbers(matrix), compute_uv=False) ** 2
    return np.cumsum(squares) / squares.sum()


def codebook(
    counts: Sequence[int],
    levels: Sequence[float | int],
    words: str,
    best: Sequence[float | int] | None = None,
) -> PaperFigure:
    """Draw levels over the weights that they stand for.

    Args:
        counts: How many weights lie in each of equal bins from -1 to 1.
        levels: What the codes stand for.
        words: A title.
        best: The best levels, if they are told.
    """

    def draw(axes: Axes) -> None:
        middles = np.linspace(-1, 1, len(counts))
        axes.hist(middles, bins=min(143, len(counts)), weights=counts, color=COLOURS[5])
        axes.vlines(levels, 0, 1, color=COLOURS[1], linewidth=0.9, transform=axes.get_xaxis_transform())
        if best is not None:
            axes.plot(
                best, np.zeros(len(best)), MARKERS[3], color=COLOURS[2], clip_on=False, label="the best"
            )
            axes.legend(fontsize=SMALL_POINTS, frameon=False)
        axes.set_ylim(0, 1.1 * float(np.histogram(middles, 143, weights=counts)[0][2:-2].max()))
        axes.set_xlim(-1.03, 1.03)
        axes.set_xlabel("weight over its block's largest magnitude; lines: the levels")
        axes.set_yticks([])
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
                clip_on=False,
            )
        axes.set_xlabel("bits a weight, scales included")
        axes.set_ylabel("relative error of the weights")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.margins(y=0.1)  # room above the highest marker
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
