"""Widgets for notebooks: what moves, in small ES modules that need no network."""

from typing import TYPE_CHECKING

from workbench.lazy import on_first_use

if TYPE_CHECKING:
    from workbench.views.widgets.examples import Examples
    from workbench.views.widgets.exchange import Exchange
    from workbench.views.widgets.grid_map import GridMap
    from workbench.views.widgets.guess import Guess
    from workbench.views.widgets.law_explorer import LawExplorer
    from workbench.views.widgets.live import LiveStudy

WIDGETS = {
    "Examples": "examples",
    "Exchange": "exchange",
    "GridMap": "grid_map",
    "Guess": "guess",
    "LawExplorer": "law_explorer",
    "LiveStudy": "live",
}
"""Each widget with its module, which is loaded when the widget is asked for."""

__all__ = ["Examples", "Exchange", "GridMap", "Guess", "LawExplorer", "LiveStudy"]

if not TYPE_CHECKING:  # a type checker reads the imports above, and finds a name that isn't there
    __getattr__ = on_first_use(__name__, {name: f"{__name__}.{module}" for name, module in WIDGETS.items()})


def __dir__() -> list[str]:
    return list(__all__)
