"""A figure as part of a page: SVG in the page's own colours, in a wide and in a narrow layout.

A picture that is shrunk to half its width has letters of half their height. So a figure that is wider than a
paper's column is laid out twice, as it is and with one panel below the other, and the page shows what fits.
"""

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from html import escape
from textwrap import fill

from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from workbench.views.palette import palette_css, themed
from workbench.views.rendering import COLUMN_INCHES, PIXELS, STYLE, described, to_bytes

LEAST_PIXELS = 108
"""An inch of the wide layout, at least: a letter of 6 points is 9 pixels high."""
FIGURE_STYLE = """
.workbench-figure { container: workbench-figure / inline-size; color: var(--ink); }
.workbench-figure svg { display: block; width: 100%; height: auto; fill: var(--ink); }
.workbench-figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
.workbench-figure .narrow { display: none; }
@media print {
  .workbench-figure div > .wide { display: block !important; }
  .workbench-figure div > .narrow { display: none !important; }
}
"""
"""What every figure in a page needs beside the colours."""


def inline_figure(figure: Figure, words: str = "", *, styled: bool = True) -> str:
    """Return a figure as HTML that takes the page's colours and fits its width.

    Args:
        figure: What to show; it is laid out anew for a moment and is then as it was.
        words: What a screen reader says of it; by default what :func:`rendering.described` says.
        styled: Whether the colours come along; else the page has them already, as the report does.
    """
    words = words or described(figure)
    wide, inches = _svg(figure, words), float(figure.get_size_inches()[0])
    mark = f"wb-{sha256(wide.encode()).hexdigest()[:8]}"
    layouts = [("wide", _own_names(wide, mark), inches)]
    rule = ""
    with in_one_column(figure) as stacked:
        if stacked:
            layouts.append(("narrow", _own_names(_svg(figure, words), f"{mark}n"), COLUMN_INCHES))
            rule = (
                f"@container workbench-figure (max-width: {round(LEAST_PIXELS * inches)}px) {{"
                f" .workbench-figure .{mark} > .wide {{ display: none; }}"
                f" .workbench-figure .{mark} > .narrow {{ display: block; }} }}\n"
            )
    shown = "".join(
        f'<div class="{name}" style="max-width: {round(PIXELS * width)}px">{svg}</div>'
        for name, svg, width in layouts
    )
    css = (palette_css(".workbench-figure") + FIGURE_STYLE if styled else "") + rule
    return f'<style>\n{css}</style><div class="workbench-figure"><div class="{mark}">{shown}</div></div>'


def with_fallback(page: str, picture: bytes, words: str) -> str:
    """Return a figure's HTML with a picture that is seen only where the SVG is taken out.

    JupyterLab takes every SVG element out of a notebook that it doesn't trust, as one that came by mail, and
    leaves what may stand in a page: then the picture, which an SVG element had hidden.
    """
    source = base64.b64encode(picture).decode()
    image = f'<img src="data:image/png;base64,{source}" alt="{escape(words)}" style="max-width: 100%">'
    return f'{page}<svg style="display: none"><foreignObject>{image}</foreignObject></svg>'


@contextmanager
def in_one_column(figure: Figure) -> Iterator[bool]:
    """Lay a figure out in a column's width, its panels one below the other, until the context ends.

    Yields:
        Whether that could be done: not for a figure that is no wider, or whose layout is fixed.
    """
    engine, size = figure.get_layout_engine(), figure.get_size_inches().copy()
    places = {axes: place for axes in figure.axes if (place := axes.get_subplotspec()) is not None}
    if size[0] <= 1.05 * COLUMN_INCHES or not isinstance(engine, ConstrainedLayoutEngine):
        yield False
        return
    across = max((place.get_gridspec().ncols for place in places.values()), default=1)
    stackable = across > 1 and len(places) == len(figure.axes) and not figure.subfigs
    texts = {text: text.get_text() for text in _titles(figure)}
    with style.context(["default", STYLE]):
        try:
            if stackable:
                down = size[1] / max(place.get_gridspec().nrows for place in places.values())
                grid = figure.add_gridspec(len(places), 1)
                for row, axes in enumerate(sorted(places, key=lambda axes: _reading_order(places[axes]))):
                    axes.set_subplotspec(grid[row])
                figure.set_size_inches(COLUMN_INCHES, len(places) * down)
            else:
                figure.set_size_inches(COLUMN_INCHES, size[1])
            _break_titles(figure)
            yield True
        finally:
            for text, words in texts.items():
                text.set_text(words)
            for axes, place in places.items():
                axes.set_subplotspec(place)
            figure.set_size_inches(*size)


def _reading_order(place: SubplotSpec) -> tuple[int, int]:
    return place.rowspan.start, place.colspan.start


def _titles(figure: Figure) -> list[Text]:
    """Return the titles of a figure, of its panels and of their axes."""
    own = [
        text
        for axes in figure.axes
        for text in (axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label)  # type: ignore[attr-defined]
    ]
    return [text for text in (*own, figure._suptitle) if text is not None and text.get_text()]  # type: ignore[attr-defined]


def _break_titles(figure: Figure) -> None:
    """Break titles that are longer than there is room, between words."""
    figure.draw_without_rendering()
    for text in _titles(figure):
        box, axes = text.get_window_extent(), text.axes
        if text.get_rotation():
            room, long = (axes.bbox if axes else figure.bbox).height, box.height
        elif text.get_horizontalalignment() == "left":
            room, long = figure.bbox.width - box.x0, box.width
        else:
            room, long = figure.bbox.width * 0.9, box.width
        if long > room > 0:
            text.set_text(fill(text.get_text(), max(int(0.95 * len(text.get_text()) * room / long), 12)))


def _svg(figure: Figure, words: str) -> str:
    """Return the figure as an SVG element, named for a screen reader, in the page's colours."""
    text = to_bytes(figure, "svg").decode()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # its style would be the whole page's
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"\s*\n\s*", "\n", text)
    text = re.sub(r'(?<= d=")[^"]+', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), text)
    return themed(text.replace("<svg", f'<svg role="img" aria-label="{escape(words)}"', 1))


def _own_names(svg: str, mark: str) -> str:
    """Give every named part of an SVG a name that no other figure of the page has."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{mark}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{mark}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{mark}-\1)", svg)
