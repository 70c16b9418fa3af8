"""A figure's bytes as PDF, SVG and PNG, the same on every machine, and its words for who can't see it."""

import re
from io import BytesIO
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workbench.views.palette import INK

COLUMN_INCHES = 3.25
"""Width of one column of a two-column paper."""
PIXELS = 150
"""An inch of a figure in a page, at most: a letter of 7 points is 14 pixels high."""
LABEL_POINTS = 7.0
MOST_NAMES = 9
"""Names of lines in a description."""

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": LABEL_POINTS,
    "axes.labelsize": LABEL_POINTS,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "ytick.minor.width": 0.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "workbench",
}


def to_bytes(figure: Figure, kind: str, *, dots: int = 300) -> bytes:
    """Return the figure as "pdf", "svg" or "png" (``dots`` an inch), without a date or a version in it."""
    metadata: dict[str, None] = {
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
        "svg": {"Date": None, "Creator": None},
        "png": {"Software": None},
    }[kind]
    buffer = BytesIO()
    with style.context(["default", STYLE]):
        figure.savefig(buffer, format=kind, dpi=dots, metadata=metadata, transparent=kind == "svg")
    return buffer.getvalue()


def described(figure: Figure) -> str:
    """Return in words what a figure shows: of each panel its title, its axes and the names in it."""
    panels = [words for axes in figure.axes if (words := _panel_in_words(axes))]
    return f"Chart: {'; '.join(panels)}" if panels else "Picture"


def _panel_in_words(axes: Axes) -> str:
    titles = [_flat(axes.get_title(loc=place)) for place in ("left", "center")]
    across, up = _flat(axes.get_xlabel()), _flat(axes.get_ylabel())
    plotted = f"{up} against {across}" if across and up else across or up
    # numbers beside points are no names
    words = (text.get_text() for text in axes.texts if re.search("[A-Za-z]", text.get_text()))
    names = list(dict.fromkeys(map(_flat, [*axes.get_legend_handles_labels()[1], *words])))
    return ": ".join(filter(None, (*titles, plotted, ", ".join(names[:MOST_NAMES]))))


def _flat(text: str) -> str:
    return " ".join(text.split())
