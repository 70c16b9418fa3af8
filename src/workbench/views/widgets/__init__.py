"""Widgets for notebooks: what moves, in small ES modules that need no network."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

WIDGETS = {
    "Examples": "examples",
    "Exchange": "exchange",
    "GridMap": "grid_map",
    "LawExplorer": "law_explorer",
    "LiveStudy": "live",
}
"""Each widget with its module, which is loaded when the widget is asked for."""

__all__ = [*WIDGETS]


def on_first_use(package: str, widgets: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's ``__getattr__``: a notebook that only looks loads no torch."""

    def load(name: str) -> Any:  # noqa: ANN401 - a class
        if name not in widgets:
            raise AttributeError(f"no widget {name!r}; there are {', '.join(widgets)}")
        return getattr(import_module(f"{package}.{widgets[name]}"), name)

    return load


__getattr__ = on_first_use(__name__, WIDGETS)
