"""How figures look in a paper: widths, colours and text, and the same bytes on every machine.

Text stays text that an editor can search (TrueType in PDF), widths are those of a paper's column and
page, colours are Okabe and Ito's, which people with any colour vision can tell apart, and each quality
has its own marker, so a black-and-white print still reads.
"""

from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from workbench.files import write_atomically

COLUMN_INCHES = 3.25
"""Width of one column of a two-column paper; the page between its margins is 6.75."""
PAGE_INCHES = 6.75
HEIGHT_INCHES = 2.3
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255")
"""Okabe and Ito's without black and yellow, and Tol's wine."""
MARKERS = "osD^vPX*"
"""One more than there are colours, so that no two of 56 qualities share both."""
INK = "#1a1a1a"
"""Text and axes; the report swaps it for the page's own colour of text."""
FAINT = "#767676"
LABEL_POINTS = 7.0
SMALL_POINTS = 6.0
BAND_OPACITY = 0.18

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


class PaperFigure(Figure):
    """A figure that a notebook shows as it will be printed, without pyplot's global state."""

    def _ipython_display_(self) -> None:
        # pyplot's own way of showing a figure would come before a _repr_png_, and ipywidgets imports pyplot
        from IPython.display import display

        width, height = self.get_size_inches()
        # half the pixels a side, so that it is sharp on dense screens
        size = {"width": round(150 * width), "height": round(150 * height)}
        picture = {"image/png": to_bytes(self, "png"), "text/plain": str(self)}
        display(picture, raw=True, metadata={"image/png": size})


def resize(figure: Figure, width: float) -> None:
    """Lay a figure out anew for a width in inches; every kind of file then has that same layout."""
    with style.context(["default", STYLE]):
        figure.set_size_inches(width, HEIGHT_INCHES)
        figure.set_layout_engine("constrained")
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


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


def save_figure(figure: Figure, folder: Path, name: str = "figure") -> list[Path]:
    """Write ``name``.pdf, .svg and .png into ``folder`` and return their paths."""
    paths = [folder / f"{name}.{kind}" for kind in ("pdf", "svg", "png")]
    for path in paths:
        write_atomically(path, to_bytes(figure, path.suffix[1:]))
    return paths
