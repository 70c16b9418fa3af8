"""The audit of all pages: it finds what is planted in a notebook, and nothing in one that is fine."""

import importlib.util
import json
from collections import defaultdict
from pathlib import Path

import nbformat
import pytest

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow

spec = importlib.util.spec_from_file_location("audit_pages", Path(__file__).with_name("audit_pages.py"))
audit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(audit)

FIGURE = """
from workbench.lessons.figures import panels
from workbench.views.palette import COLOURS, TEXT_COLOURS
def draw(axes):
    axes.plot([1, 2], [1, 2], color=COLOURS[1])
    axes.set(xlabel="step", ylabel="loss")
    axes.text(1, 1, "clean", color=TEXT_COLOURS[4])
figure = panels([draw, draw])
"""
FAULTS = {
    "contrast 2": '<p style="color: #aaa; background: #fff">pale words</p>',
    "no name: <button": "<button><svg width=20 height=20></svg></button>",
    "cut off: planted": '<p class="planted" style="width: 80px; overflow: hidden; white-space: nowrap">'
    "words that are too long for their box</p>",
    "outside: far away": '<p style="position: relative; left: 3000px; width: 90px; margin: 0">far away</p>',
    "overlap: one / two": '<svg role="img" aria-label="a chart" viewBox="0 0 300 40" width="300">'
    '<text x="9" y="20" style="fill: currentColor">one</text>'
    '<text x="12" y="20" style="fill: currentColor">two</text></svg>',
    "small letters, 6.0 px: tiny": '<svg role="img" aria-label="a chart" viewBox="0 0 600 40" width="300">'
    '<text x="9" y="20" style="fill: currentColor; font-size: 12px">tiny</text></svg>',
    "picture without words": '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=" width="9">',
}
"""What a person stumbles over, by how the finding begins."""


def notebook(*cells):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


def looked_over(browser, lab, name, *cells):
    """Return the findings in a notebook of these cells."""
    nbformat.write(notebook(*cells), lab.root / name)
    return audit.audit_notebook(browser, lab, name)


def test_nothing_is_found_in_figures_sentences_and_dials(browser, lab):
    dial = "from workbench.lessons import Dial, say\nsay('x ' * 200)\n"
    dial += "Dial(lambda n, kind: [f'{n} of {kind}', figure], n=range(9), kind=['typo', 'flip'])"
    assert looked_over(browser, lab, "fine.ipynb", f"{FIGURE}figure", dial) == {}


DIAL = """
import time
from workbench.lessons import Dial
def show(n):
    time.sleep(0.3)
    return f"{n} is set"
Dial(show, n=range(50), names={"n": "directions"})
"""


def test_a_dial_answers_while_it_is_dragged(make_notebook, lab):
    nbformat.write(notebook(DIAL), lab.root / "dial.ipynb")
    page = make_notebook(lab).open("dial.ipynb")
    page.run_all()
    dial = page.page.get_by_label("directions")
    dial.focus()
    for _ in range(20):
        page.page.keyboard.press("ArrowRight")
    playwright.expect(page.page.locator(".dialled")).to_have_text("20 is set", timeout=6000)
    playwright.expect(dial).to_be_focused()


@pytest.mark.parametrize("name", ["06_loss_surface.ipynb", "09_spend_the_budget.ipynb"])
def test_nothing_is_found_in_two_quick_notebooks(browser, lab, name):
    """`make audit` looks at all of them."""
    assert audit.audit_notebook(browser, lab, name) == {}


def test_nothing_is_found_in_the_report(browser, tmp_path):
    assert audit.audit_file(browser, audit.study_pages(tmp_path)["report"]) == {}


def test_what_is_planted_is_found(browser, lab):
    shown = "\n".join(FAULTS.values())
    raw = (
        f"{FIGURE}\nfrom IPython.display import Image, display\nfrom workbench.views.style import to_bytes\n"
    )
    raw += "display(Image(to_bytes(figure, 'png')))"
    found = looked_over(
        browser,
        lab,
        "faults.ipynb",
        f"from IPython.display import HTML\nHTML({shown!r})",
        raw,
        "from IPython.display import Javascript\nJavascript(\"console.error('planted'); fetch('http://127.0.0.1:9/')\")",
    )
    for begins in (
        *FAULTS,
        "picture that doesn't follow the theme",
        "console: planted",
        "outside request: http://127.0.0.1:9",
    ):
        assert [finding for finding in found if finding.startswith(begins)], begins
    everywhere = {f"{theme} {width}" for theme in audit.THEMES for width in audit.WIDTHS}
    assert found["overlap: one / two"] == everywhere


def test_a_cell_that_fails_is_a_finding(browser, lab):
    found = looked_over(browser, lab, "fails.ipynb", "1 / 0")
    assert [finding for finding in found if finding.startswith("it doesn't run")]


def test_findings_are_lines_and_a_status(capsys):
    found = defaultdict(set)
    found["no name: <a>"] = {f"{theme} {width}" for theme in audit.THEMES for width in audit.WIDTHS}
    found["small"] = {"dark 600"}
    audit.say("page", found)
    assert capsys.readouterr().out == "page: everywhere: no name: <a>\npage: dark 600: small\n"


def test_a_figure_stays_to_be_seen_in_a_notebook_that_is_not_trusted(make_notebook, lab):
    """JupyterLab takes all SVG out of what came by mail, and so shows the picture that it had hidden."""
    made = notebook(f"{FIGURE}figure")
    from nbclient import NotebookClient

    NotebookClient(made).execute()
    path = lab.root / "mailed.ipynb"
    path.write_text(json.dumps(made))
    page = make_notebook(lab).open("mailed.ipynb").page
    page.wait_for_selector(".jp-RenderedHTMLCommon img[alt^='Chart: loss against step']")
    assert page.locator(".jp-OutputArea-output svg").count() == 0
    assert page.locator(".jp-OutputArea-output img").bounding_box()["width"] > 300
