"""The widgets of the lessons: what is guessed, what is played, what is moved by hand, what kernels touch."""

from typing import TYPE_CHECKING

from workbench.lazy import on_first_use

if TYPE_CHECKING:
    from workbench.lessons.widgets.budget_game import BudgetGame
    from workbench.lessons.widgets.chat import Chat
    from workbench.lessons.widgets.cross_out import CrossOut
    from workbench.lessons.widgets.damage import Damage
    from workbench.lessons.widgets.dial import Dial
    from workbench.lessons.widgets.guess_number import GuessNumber
    from workbench.lessons.widgets.guess_order import GuessOrder
    from workbench.lessons.widgets.levels import Levels
    from workbench.lessons.widgets.rank_cut import RankCut
    from workbench.lessons.widgets.touches import Touches
    from workbench.lessons.widgets.when_finished import WhenFinished

WIDGETS = {
    "BudgetGame": "budget_game",
    "Chat": "chat",
    "CrossOut": "cross_out",
    "Damage": "damage",
    "Dial": "dial",
    "GuessNumber": "guess_number",
    "GuessOrder": "guess_order",
    "Touches": "touches",
    "WhenFinished": "when_finished",
    "Levels": "levels",
    "RankCut": "rank_cut",
}
"""Each widget with its module, which is loaded when the widget is asked for."""

__all__ = [
    "BudgetGame",
    "Chat",
    "CrossOut",
    "Damage",
    "Dial",
    "GuessNumber",
    "GuessOrder",
    "Levels",
    "RankCut",
    "Touches",
    "WhenFinished",
]

if not TYPE_CHECKING:  # a type checker reads the imports above, and finds a name that isn't there
    __getattr__ = on_first_use(__name__, {name: f"{__name__}.{module}" for name, module in WIDGETS.items()})
