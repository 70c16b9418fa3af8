"""Spend the budget: a purse, two things to buy, a truth that shows itself afterwards."""

from pathlib import Path
from typing import Any

import traitlets

from workbench.classmates import own_membership
from workbench.errors import InputError
from workbench.lessons.budget import Decision, Game, total_regret
from workbench.lessons.scores import Board, Entry, add_class_entry, add_entry, class_board, scoreboard
from workbench.views.board_figures import empty, regrets
from workbench.views.style import PaperFigure
from workbench.views.widgets.view import KernelView, module


class BudgetGame(KernelView):
    """A game in the page.

    Args:
        game: The rules and the truth.
        file: A scoreboard beside the notebook, a CSV file; None keeps none. Whoever takes part in a class
            (:func:`workbench.lessons.join_class`) has the class's board instead.
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
    """Rank, name and regret of each."""
    board_problem = traitlets.Unicode("").tag(sync=True)
    player = traitlets.Unicode("").tag(sync=True)
    """The player's name in the class, whose game is entered by itself; "" without a class."""
    looked = traitlets.Int(0).tag(sync=True)
    """How often the page asked for the board anew."""
    problem = traitlets.Unicode("").tag(sync=True)
    again = traitlets.Int(0).tag(sync=True)
    """How often the game was begun anew."""

    def __init__(self, game: Game, file: Path | None = None) -> None:
        self.game, self.file = game, file
        self.played: list[Decision] = []
        self.member = own_membership()
        player = self.member.person if self.member else ""
        super().__init__(rules=game.rules(saves=file is not None or bool(player)), player=player)
        self._show_board()
        self.observe(self._play, "decision")
        self.observe(self._enter, "entered")
        self.observe(self._begin, "again")
        self.observe(lambda _: self._show_board(), "looked")

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
        if self.member and len(self.played) == len(self.game.rounds):
            self._add(self.member.person)
        elif self.member:
            self._show_board()

    def _begin(self, _: object) -> None:
        self.played, self.outcomes, self.place, self.problem = [], [], 0, ""

    def _enter(self, change: dict[str, Any]) -> None:
        name = str(change["new"].get("name", "")).strip()
        if self.member or self.file is None or len(self.played) < len(self.game.rounds):
            return
        if not name:
            self.problem = "Type a name to enter the scoreboard."
            return
        self._add(name[:40])

    def _add(self, name: str) -> None:
        """Enter this game into the scoreboard."""
        entry = Entry(
            name=name, rounds=len(self.played), regret=total_regret(self.played), game=self.game.key()
        )
        try:
            if self.member:
                add_class_entry(self.member, entry)
            elif self.file is not None:
                add_entry(self.file, entry)
        except InputError as error:
            self.problem = str(error)
        else:
            self.problem = ""
        self._show_board()

    def _show_board(self) -> None:
        """Read the board anew: others play at the same time."""
        if self.member:
            board = class_board(self.member.folder, self.game.key())
        else:
            empty_board = Board(entries=(), problems=())
            board = scoreboard(self.file, self.game.key()) if self.file else empty_board
        self.board = [[rank, entry.name, f"{entry.regret:.3f}"] for rank, entry in board.ranked()]
        self.board_problem = " ".join(f"{problem}." for problem in board.problems)
