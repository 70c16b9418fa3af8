"""Widgets for notebooks: what moves, in small ES modules that need no network."""

from importlib import import_module
from typing import Any

WIDGETS = {
    "BudgetGame": "budget_game",
    "Chat": "chat",
    "Examples": "examples",
    "Exchange": "exchange",
    "GridMap": "grid_map",
    "LawExplorer": "law_explorer",
    "LiveStudy": "live",
}
"""Each widget with its module, which is loaded when the widget is asked for."""

__all__ = [*WIDGETS]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class
    """Load a widget's module on first use: a notebook that only looks loads no torch."""
    if name not in WIDGETS:
        raise AttributeError(f"no widget {name!r}; there are {', '.join(WIDGETS)}")
    return getattr(import_module(f"workbench.views.widgets.{WIDGETS[name]}"), name)
