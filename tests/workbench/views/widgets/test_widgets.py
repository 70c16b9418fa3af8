"""What every widget holds: text stays text, nothing comes from a network, there is a picture."""

import re
from pathlib import Path

import pytest

from workbench.lessons import widgets as of_lessons
from workbench.views import widgets as of_views
from workbench.views.explore import SCRIPTS
from workbench.views.widgets.view import View

HELPERS = ("kernel", "job_bar", "said", "guessing")
"""Modules that widgets of a kernel, of a job, and of a guess share."""
ROOMS = (of_views, of_lessons)
MODULES = sorted(path for room in ROOMS for path in Path(room.__file__).parent.glob("*.js"))
WIDGETS = [getattr(room, name) for room in ROOMS for name in room.__all__]

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
each_widget = pytest.mark.parametrize("widget", WIDGETS, ids=lambda widget: widget.__name__)


def test_every_module_belongs_to_a_widget_or_to_the_report():
    assert {path.stem for path in MODULES} == {
        *of_views.WIDGETS.values(),
        *of_lessons.WIDGETS.values(),
        *SCRIPTS,
        *HELPERS,
    }


SHOWS_PAGES = {
    "dial": "what it shows is made by the kernel, as any cell's output is; texts are escaped there"
}
"""Modules that take HTML, with the reason."""


@each_module
def test_text_never_becomes_html(path):
    text = path.read_text(encoding="utf-8")
    if path.stem in SHOWS_PAGES:
        assert text.count("innerHTML") == 1
        text = text.replace("innerHTML", "")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(", text)


@each_module
def test_nothing_is_loaded(path):
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|fetch\(|XMLHttpRequest|import[ (]|WebSocket|@import|url\(", text)


@each_module
def test_it_is_small(path):
    assert path.stat().st_size < 13_000
    assert len(path.read_text(encoding="utf-8").splitlines()) < 230


@each_widget
def test_its_module_uses_the_traits_that_there_are(widget):
    assert issubclass(widget, View)
    used = set(re.findall(r"""model\.get\("(\w+)"\)|set\(model, "(\w+)"|model\.set\("(\w+)\"""", widget._esm))
    names = {name for names in used for name in names if name}
    assert names
    assert names <= set(widget.class_trait_names())
