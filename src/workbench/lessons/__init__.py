"""What lessons need beside the workbench itself: exercises that check themselves, a blind test, a game."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.lessons.budget import Game, GameRound
    from workbench.lessons.exercises import check, score
    from workbench.lessons.shipped import TALKERS
    from workbench.lessons.talk import BlindTest, interval, speakers
    from workbench.lessons.widgets import BudgetGame, Chat

PLACES = {
    "BlindTest": "talk",
    "BudgetGame": "widgets",
    "Chat": "widgets",
    "Game": "budget",
    "GameRound": "budget",
    "TALKERS": "shipped",
    "check": "exercises",
    "interval": "talk",
    "score": "exercises",
    "speakers": "talk",
}
"""Each name with its module, which is loaded when the name is asked for."""

__all__ = [
    "TALKERS",
    "BlindTest",
    "BudgetGame",
    "Chat",
    "Game",
    "GameRound",
    "check",
    "interval",
    "score",
    "speakers",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever it names
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; there are {', '.join(PLACES)}")
    return getattr(import_module(f"{__name__}.{PLACES[name]}"), name)
