"""Figures in a page: the page's colours, each readable, letters that stay large, words for who sees none."""

import re

import pytest
from matplotlib import style
from matplotlib.figure import Figure

from workbench.views.inline import in_one_column, inline_figure, with_fallback
from workbench.views.palette import (
    COLOURS,
    DARK_COLOURS,
    DARK_FAINT,
    DARK_INK,
    FAINT,
    INK,
    PAPER,
    TEXT_COLOURS,
    palette_css,
    themed,
)
from workbench.views.rendering import COLUMN_INCHES, STYLE, described, to_bytes
from workbench.views.style import HEIGHT_INCHES, PAGE_INCHES

DARK_PAPERS = ("#111111", "#17181a", "#222427")
"""JupyterLab's, the report's, and what is raised on it."""


def luminance(colour):
    linear = [
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4
        for one in (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    ]
    return sum(share * one for share, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("colour", [*TEXT_COLOURS, INK, FAINT])
def test_words_can_be_read_on_white_and_grey(colour):
    assert min(contrast(colour, paper) for paper in (PAPER, "#eeeeee")) >= 4.5


@pytest.mark.parametrize("colour", [*DARK_COLOURS, DARK_INK, DARK_FAINT])
def test_words_can_be_read_on_dark(colour):
    assert min(contrast(colour, paper) for paper in DARK_PAPERS) >= 4.5


@pytest.mark.parametrize("colour", COLOURS)
def test_lines_stand_out_from_white(colour):
    assert contrast(colour, PAPER) >= 3


def test_no_two_colours_of_a_figure_are_written_alike():
    # themed() tells them apart by how they are written
    assert len({*COLOURS, *TEXT_COLOURS, INK, FAINT, PAPER}) == 2 * len(COLOURS) + 3


def two_panels(**names):
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(PAGE_INCHES, HEIGHT_INCHES), layout="constrained")
        for number, (name, x) in enumerate(names.items()):
            axes = figure.add_subplot(1, len(names), number + 1)
            axes.plot([1, 2], [3, 4], color=COLOURS[1], label=f"line of {name}")
            axes.set(xlabel=x, ylabel=name)
            axes.text(1, 3, "clean", color=TEXT_COLOURS[1])
            axes.text(1, 3, "0.95")
    return figure


def test_the_page_has_the_colours():
    page = inline_figure(two_panels(loss="step", score="step"))
    picture = page[page.index("</style>") :]
    assert not re.findall("#[0-9a-f]{6}", picture, flags=re.IGNORECASE), "every colour is a variable"
    assert {"var(--ink)", "var(--workbench-1)", "var(--workbench-text-1)"} <= set(
        re.findall(r"var\([^)]*\)", picture)
    )
    assert '[data-jp-theme-light="false"] .workbench-figure' in page
    assert "<style" not in picture, "a style inside of the SVG would be the whole page's"
    assert "fill: #" not in themed(to_bytes(two_panels(loss="step"), "svg").decode())


def test_a_page_that_has_the_colours_gets_no_second_set():
    page = inline_figure(two_panels(loss="step", score="step"), styled=False)
    assert page.startswith("<style>\n@container")
    assert "--ink:" not in page


def test_the_system_says_whether_the_report_is_dark():
    assert "(prefers-color-scheme: dark)" in palette_css(system=True)
    assert "jp-theme" not in palette_css(system=True)
    assert "prefers-color-scheme" not in palette_css()


def test_two_panels_have_a_second_layout_with_one_below_the_other():
    figure = two_panels(loss="step", score="step")
    before = to_bytes(figure, "svg")
    with in_one_column(figure) as done:
        assert done
        assert figure.get_size_inches().tolist() == [COLUMN_INCHES, 2 * HEIGHT_INCHES]
        figure.draw_without_rendering()
        upper, lower = (axes.get_position() for axes in figure.axes)
        assert upper.y0 > lower.y1
        assert upper.x0 == pytest.approx(lower.x0)
    assert to_bytes(figure, "svg") == before, "afterwards it is as it was"
    page = inline_figure(figure)
    wide, narrow = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', page)
    assert [float(one) for one in (*wide, *narrow)] == pytest.approx(
        [72 * one for one in (PAGE_INCHES, HEIGHT_INCHES, COLUMN_INCHES, 2 * HEIGHT_INCHES)]
    )
    # the least height of a letter: 6 points in a wide layout that has just room
    (room,) = re.findall(r"max-width: (\d+)px\) ", page)
    assert int(room) / PAGE_INCHES * 6 / 72 >= 9
    assert page.count('role="img" aria-label="Chart: ') == 2


def test_a_column_has_one_layout():
    figure = two_panels(loss="step")
    figure.set_size_inches(COLUMN_INCHES, HEIGHT_INCHES)
    with in_one_column(figure) as done:
        assert not done
    assert "@container" not in inline_figure(figure)


def test_a_long_title_is_broken_in_the_narrow_layout():
    figure = two_panels(loss="word " * 20, score="step")
    figure.axes[0].set_title("word " * 30, loc="left", fontsize=6)
    words = figure.axes[0].get_xlabel()
    with in_one_column(figure):
        figure.draw_without_rendering()
        for text in (figure.axes[0]._left_title, figure.axes[0].xaxis.label):
            assert "\n" in text.get_text()
            box = text.get_window_extent()
            assert box.x1 <= figure.bbox.width + 1
    assert figure.axes[0].get_xlabel() == words


def test_names_of_parts_are_each_figures_own():
    names = [
        name
        for figure in (two_panels(loss="step", score="step"), two_panels(score="step"))
        for name in re.findall(r'\bid="([^"]+)"', inline_figure(figure))
    ]
    assert len(names) > 40
    assert len(set(names)) == len(names)
    page = inline_figure(two_panels(loss="step"))
    used = {*re.findall(r'href="#([^"]+)"', page), *re.findall(r"url\(#([^)]+)\)", page)}
    assert used
    assert used <= set(re.findall(r'\bid="([^"]+)"', page))


def test_words_name_axes_lines_and_labels_and_no_numbers():
    assert described(two_panels(loss="step", score="x")) == (
        "Chart: loss against step: line of loss, clean; score against x: line of score, clean"
    )
    assert described(Figure()) == "Picture"


def test_what_stands_in_for_the_svg_is_hidden_by_an_svg_element():
    page = with_fallback("<p>figure</p>", b"\x89PNG", 'one "two"')
    hidden = page.removeprefix("<p>figure</p>")
    assert hidden.startswith('<svg style="display: none">')
    assert 'src="data:image/png;base64,iVBORw==" alt="one &quot;two&quot;"' in hidden
