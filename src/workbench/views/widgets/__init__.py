"""Widgets for notebooks: what moves, in small ES modules that need no network."""

from workbench.views.widgets.grid_map import GridMap
from workbench.views.widgets.live import LiveStudy

__all__ = ["GridMap", "LiveStudy"]
