"""Widgets for notebooks: what moves, in small ES modules that need no network."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError, how_to_install

if TYPE_CHECKING:
    from workbench.views.widgets.examples import Examples
    from workbench.views.widgets.exchange import Exchange
    from workbench.views.widgets.grid_map import GridMap
    from workbench.views.widgets.law_explorer import LawExplorer
    from workbench.views.widgets.live import LiveStudy

WIDGETS = {
    "Examples": "examples",
    "Exchange": "exchange",
    "GridMap": "grid_map",
    "LawExplorer": "law_explorer",
    "LiveStudy": "live",
}
"""Each widget with its module, which is loaded when the widget is asked for."""

__all__ = ["Examples", "Exchange", "GridMap", "LawExplorer", "LiveStudy"]


def on_first_use(package: str, widgets: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's ``__getattr__``: a notebook that only looks loads no torch."""

    def load(name: str) -> Any:  # noqa: ANN401 - a class
        if name not in widgets:
            raise AttributeError(f"no widget {name!r}; there are {', '.join(widgets)}")
        try:
            found = import_module(f"{package}.{widgets[name]}")
        except ModuleNotFoundError as error:
            if error.name not in ("anywidget", "traitlets"):
                raise
            raise InputError(
                f"the widget {name} needs {error.name}, which isn't installed; run {how_to_install('lab')}"
            ) from error
        return getattr(found, name)

    return load


__getattr__ = on_first_use(__name__, WIDGETS)
