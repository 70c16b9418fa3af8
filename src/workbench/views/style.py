"""How figures look in a paper: widths, colours and text, and the same bytes on every machine.

Text stays text that an editor can search (TrueType in PDF), widths are those of a paper's column and
page, people with any colour vision can tell the colours apart, and each quality has its own marker, so a
black-and-white print still reads.
"""

from pathlib import Path

from matplotlib import style
from matplotlib.figure import Figure

from workbench.files import write_atomically
from workbench.views.inline import inline_figure, with_fallback
from workbench.views.palette import COLOURS as COLOURS
from workbench.views.palette import FAINT as FAINT
from workbench.views.palette import TEXT_COLOURS as TEXT_COLOURS
from workbench.views.rendering import COLUMN_INCHES as COLUMN_INCHES
from workbench.views.rendering import LABEL_POINTS as LABEL_POINTS
from workbench.views.rendering import PIXELS, STYLE, described, to_bytes

PAGE_INCHES = 6.75
"""Width of a paper's page between its margins; one column of two is ``COLUMN_INCHES``."""
HEIGHT_INCHES = 2.3
MARKERS = "osD^vPX*"
"""One more than there are colours, so that no two of 56 qualities share both."""
SMALL_POINTS = 6.0
BAND_OPACITY = 0.18


class PaperFigure(Figure):
    """A figure that a notebook shows in the page's colours, without pyplot's global state.

    A page gets SVG that follows its theme and width; where there is none, as on GitHub, the picture on white.
    """

    def _ipython_display_(self) -> None:
        # pyplot's own way of showing a figure would come before a _repr_png_, and ipywidgets imports pyplot
        from IPython.display import display

        width, height = self.get_size_inches()
        words = described(self)
        # half the pixels a side, so that it is sharp on dense screens
        size = {"width": round(PIXELS * width), "height": round(PIXELS * height), "alt": words}
        picture = to_bytes(self, "png")
        shown = {
            "text/html": with_fallback(inline_figure(self, words), picture, words),
            "image/png": picture,
            "text/plain": words,
        }
        display(shown, raw=True, metadata={"image/png": size})


def resize(figure: Figure, width: float) -> None:
    """Lay a figure out anew for a width in inches; every kind of file then has that same layout."""
    with style.context(["default", STYLE]):
        figure.set_size_inches(width, HEIGHT_INCHES)
        figure.set_layout_engine("constrained")
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def save_figure(figure: Figure, folder: Path, name: str = "figure") -> list[Path]:
    """Write ``name``.pdf, .svg and .png into ``folder`` and return their paths."""
    paths = [folder / f"{name}.{kind}" for kind in ("pdf", "svg", "png")]
    for path in paths:
        write_atomically(path, to_bytes(figure, path.suffix[1:]))
    return paths
