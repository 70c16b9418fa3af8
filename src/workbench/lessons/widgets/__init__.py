"""The widgets of the lessons: the budget game and the blind test."""

from workbench.views.widgets import on_first_use

WIDGETS = {"BudgetGame": "budget_game", "Chat": "chat"}
"""Each widget with its module, which is loaded when the widget is asked for."""

__all__ = [*WIDGETS]

__getattr__ = on_first_use(__name__, WIDGETS)
