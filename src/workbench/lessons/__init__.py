"""What a class needs beside the figures: guesses, exercises, a budget game, a blind test, a first study."""

from typing import TYPE_CHECKING

from workbench.lazy import on_first_use

if TYPE_CHECKING:
    from workbench.classmates import join_class
    from workbench.lessons.budget import Game, GameRound
    from workbench.lessons.chance import chance_loss
    from workbench.lessons.collected_guesses import class_guesses
    from workbench.lessons.exercises import check, score
    from workbench.lessons.facts import Facts, say
    from workbench.lessons.of_cells import loss_at_end, percent_right
    from workbench.lessons.talk import BlindTest, interval, speakers
    from workbench.lessons.waiting import train_shown, working
    from workbench.lessons.widgets.budget_game import BudgetGame
    from workbench.lessons.widgets.chat import Chat
    from workbench.lessons.widgets.cross_out import CrossOut
    from workbench.lessons.widgets.damage import Damage
    from workbench.lessons.widgets.dial import Dial
    from workbench.lessons.widgets.guess_number import GuessNumber
    from workbench.lessons.widgets.guess_order import GuessOrder
    from workbench.lessons.widgets.levels import Levels
    from workbench.lessons.widgets.rank_cut import RankCut
    from workbench.lessons.widgets.when_finished import WhenFinished

__all__ = [
    "BlindTest",
    "BudgetGame",
    "Chat",
    "CrossOut",
    "Damage",
    "Dial",
    "Facts",
    "Game",
    "GameRound",
    "GuessNumber",
    "GuessOrder",
    "Levels",
    "RankCut",
    "WhenFinished",
    "chance_loss",
    "check",
    "class_guesses",
    "interval",
    "join_class",
    "loss_at_end",
    "percent_right",
    "say",
    "score",
    "speakers",
    "train_shown",
    "working",
]

if not TYPE_CHECKING:  # a type checker reads the imports above, and finds a name that isn't there
    __getattr__ = on_first_use(
        __name__,
        {
            "BlindTest": "workbench.lessons.talk",
            "BudgetGame": "workbench.lessons.widgets.budget_game",
            "Chat": "workbench.lessons.widgets.chat",
            "CrossOut": "workbench.lessons.widgets.cross_out",
            "Damage": "workbench.lessons.widgets.damage",
            "Dial": "workbench.lessons.widgets.dial",
            "Facts": "workbench.lessons.facts",
            "Game": "workbench.lessons.budget",
            "GameRound": "workbench.lessons.budget",
            "GuessNumber": "workbench.lessons.widgets.guess_number",
            "GuessOrder": "workbench.lessons.widgets.guess_order",
            "WhenFinished": "workbench.lessons.widgets.when_finished",
            "chance_loss": "workbench.lessons.chance",
            "Levels": "workbench.lessons.widgets.levels",
            "RankCut": "workbench.lessons.widgets.rank_cut",
            "check": "workbench.lessons.exercises",
            "class_guesses": "workbench.lessons.collected_guesses",
            "interval": "workbench.lessons.talk",
            "join_class": "workbench.classmates",
            "loss_at_end": "workbench.lessons.of_cells",
            "percent_right": "workbench.lessons.of_cells",
            "say": "workbench.lessons.facts",
            "score": "workbench.lessons.exercises",
            "speakers": "workbench.lessons.talk",
            "train_shown": "workbench.lessons.waiting",
            "working": "workbench.lessons.waiting",
        },
    )


def __dir__() -> list[str]:
    return list(__all__)
