"""The page's script: the modules of the widgets, as they are, and what stands in for a kernel."""

from collections.abc import Iterable
from pathlib import Path

from workbench.views.explore import PAGE_FOLDER

SHARED_SCRIPTS = ("common", "kernel", "job_bar", "guessing", "quality", "page")
"""What all parts use, once."""
WIDGET_OF = {
    "guess": PAGE_FOLDER / "guess.js",
    "exchange": PAGE_FOLDER / "exchange.js",
    "game": Path(__file__).parents[1] / "widgets" / "budget_game.js",
    "law": PAGE_FOLDER / "law_explorer.js",
    "map": PAGE_FOLDER / "grid_map.js",
    "examples": PAGE_FOLDER / "examples.js",
}
"""The module of the widget that shows a part, where a widget does."""
EXPORT = "export default "


def site_script(shown: Iterable[str]) -> str:
    """Return one module that imports nothing, with the widgets of the parts that are shown.

    A module of a page can't hand what it exports to another one without loading it, and nothing is loaded
    here. So each widget's text stands in a block of its own, where its names are its own as in a module, and
    what it exports is put into ``WIDGETS``: that word is all that differs from what a notebook gets.
    """
    parts = [_text(PAGE_FOLDER / f"{name}.js") for name in SHARED_SCRIPTS]
    parts.append("const WIDGETS = {};")
    for name, path in WIDGET_OF.items():
        if name in set(shown):
            parts.append(f"{{\n{_exported(_text(path), name)}}}")
    parts.append(_text(Path(__file__).with_name("site.js")))
    return "\n".join(parts)


def _exported(text: str, name: str) -> str:
    if text.count(EXPORT) != 1:
        raise ValueError(f"the module of {name} doesn't have one {EXPORT!r}")
    return text.replace(EXPORT, f"WIDGETS.{name} = ")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
