"""What a class needs beside the figures: guesses, exercises, a budget game, a blind test, a first study."""

from typing import TYPE_CHECKING

from workbench.lazy import on_first_use

if TYPE_CHECKING:
    from workbench.lessons.budget import Game, GameRound
    from workbench.lessons.exercises import check, score
    from workbench.lessons.facts import Facts, say
    from workbench.lessons.talk import BlindTest, interval, speakers
    from workbench.lessons.widgets.budget_game import BudgetGame
    from workbench.lessons.widgets.chat import Chat
    from workbench.lessons.widgets.guess_number import GuessNumber
    from workbench.lessons.widgets.guess_order import GuessOrder

__all__ = [
    "BlindTest",
    "BudgetGame",
    "Chat",
    "Facts",
    "Game",
    "GameRound",
    "GuessNumber",
    "GuessOrder",
    "check",
    "interval",
    "say",
    "score",
    "speakers",
]

if not TYPE_CHECKING:  # a type checker reads the imports above, and finds a name that isn't there
    __getattr__ = on_first_use(
        __name__,
        {
            "BlindTest": "workbench.lessons.talk",
            "BudgetGame": "workbench.lessons.widgets.budget_game",
            "Chat": "workbench.lessons.widgets.chat",
            "Facts": "workbench.lessons.facts",
            "Game": "workbench.lessons.budget",
            "GameRound": "workbench.lessons.budget",
            "GuessNumber": "workbench.lessons.widgets.guess_number",
            "GuessOrder": "workbench.lessons.widgets.guess_order",
            "check": "workbench.lessons.exercises",
            "interval": "workbench.lessons.talk",
            "say": "workbench.lessons.facts",
            "score": "workbench.lessons.exercises",
            "speakers": "workbench.lessons.talk",
        },
    )


def __dir__() -> list[str]:
    return list(__all__)
