"""What the widgets share that are moved by hand: their style."""

from pathlib import Path

from workbench.views.widgets.view import View, module

FOLDER = Path(__file__).parent
HANDS_STYLE = View._css + (FOLDER / "hands.css").read_text(encoding="utf-8")
"""The style of every widget, and what lines, levels and heat maps to drag need beside it."""


def own_module(name: str) -> str:
    """Return the ES module of a lesson's widget."""
    return module(name, FOLDER)
