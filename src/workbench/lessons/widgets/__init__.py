"""The widgets of the lessons: guesses, the budget game and the blind test."""

from typing import TYPE_CHECKING

from workbench.lazy import on_first_use

if TYPE_CHECKING:
    from workbench.lessons.widgets.budget_game import BudgetGame
    from workbench.lessons.widgets.chat import Chat
    from workbench.lessons.widgets.guess_number import GuessNumber
    from workbench.lessons.widgets.guess_order import GuessOrder

WIDGETS = {
    "BudgetGame": "budget_game",
    "Chat": "chat",
    "GuessNumber": "guess_number",
    "GuessOrder": "guess_order",
}
"""Each widget with its module, which is loaded when the widget is asked for."""

__all__ = ["BudgetGame", "Chat", "GuessNumber", "GuessOrder"]

if not TYPE_CHECKING:  # a type checker reads the imports above, and finds a name that isn't there
    __getattr__ = on_first_use(__name__, {name: f"{__name__}.{module}" for name, module in WIDGETS.items()})
