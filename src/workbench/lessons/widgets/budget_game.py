"""Spend the budget: a purse, two things to buy, a truth that shows itself afterwards."""

from pathlib import Path
from typing import Any

import traitlets

from workbench.errors import InputError
from workbench.lessons.budget import Decision, Entry, Game, add_entry, scoreboard, total_regret
from workbench.views.board_figures import empty, regrets
from workbench.views.style import PaperFigure
from workbench.views.widgets.view import KernelView, module


class BudgetGame(KernelView):
    """A game in the page.

    Args:
        game: The rules and the truth.
        file: The class's scoreboard, a CSV file; None keeps none.
    """

    _esm = module("budget_game", Path(__file__).parent, helpers=["kernel"])
    rules: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    place = traitlets.Int(0).tag(sync=True)
    """The round that is played, from 0."""
    decision: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    """What the page decides: the round, and the share of the coins for cleaning."""
    entered: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    """The name that the page enters into the scoreboard, with a number that rises."""
    outcomes: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    board: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)
    again = traitlets.Int(0).tag(sync=True)
    """How often the game was begun anew."""

    def __init__(self, game: Game, file: Path | None = None) -> None:
        self.game, self.file = game, file
        self.played: list[Decision] = []
        super().__init__(rules=game.rules(saves=file is not None))
        self._show_board()
        self.observe(self._play, "decision")
        self.observe(self._enter, "entered")
        self.observe(self._begin, "again")

    def picture(self) -> PaperFigure:
        """Draw the score against the decision, with the player's and the best, for each round played."""
        return regrets(self.outcomes, self.rules["metric"]) if self.played else empty("no round played yet")

    def words(self) -> str:
        """Return the rounds played and the regret so far."""
        return f"{len(self.played)} of {len(self.game.rounds)} rounds, regret {total_regret(self.played):.3f}"

    def _play(self, change: dict[str, Any]) -> None:
        number, share = change["new"].get("round"), change["new"].get("share")
        if number != len(self.played) or number >= len(self.game.rounds):
            return  # a round is played once
        self.played.append(self.game.play(self.game.rounds[number], share))
        self.outcomes = [outcome.to_json() for outcome in self.played]

    def _begin(self, _: object) -> None:
        self.played, self.outcomes, self.place, self.problem = [], [], 0, ""

    def _enter(self, change: dict[str, Any]) -> None:
        name = str(change["new"].get("name", "")).strip()
        if self.file is None or len(self.played) < len(self.game.rounds):
            return
        if not name:
            self.problem = "Type a name to enter the scoreboard."
            return
        entry = Entry(name=name[:40], rounds=len(self.played), regret=total_regret(self.played))
        try:
            add_entry(self.file, entry)
            self._show_board()
        except InputError as error:
            self.problem = str(error)
        else:
            self.problem = ""

    def _show_board(self) -> None:
        if self.file is not None:
            self.board = [[entry.name, f"{entry.regret:.3f}"] for entry in scoreboard(self.file)]
