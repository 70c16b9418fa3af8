"""Two adapters side by side: ask both, vote without knowing who is who, then see."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import traitlets

from workbench.errors import InputError
from workbench.laws.thresholds import LEVEL
from workbench.lessons.talk import CUT, LONGEST_ANSWER, BlindTest, Question, interval
from workbench.views.board_figures import empty, votes
from workbench.views.style import PaperFigure
from workbench.views.widgets.view import KernelView, module


class Chat(KernelView):
    """A blind test in the page.

    Args:
        test: The blind test that asks and counts.
        suggestions: Prompts that a click fills in.
    """

    _esm = module("chat", Path(__file__).parent, helpers=["kernel"])
    suggestions: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    question: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    """What the page asks: a number that rises, and the prompt."""
    ballot: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    """What the page votes: a number that rises, and the vote."""
    shown: "traitlets.Dict[str, Any]" = traitlets.Dict({"open": False, "problem": None}).tag(sync=True)
    history: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    score = traitlets.Unicode("No vote yet.").tag(sync=True)

    def __init__(self, test: BlindTest, suggestions: Sequence[str] = ()) -> None:
        self.test = test
        super().__init__(suggestions=list(suggestions))
        self.observe(self._ask, "question")
        self.observe(self._vote, "ballot")
        self._count()

    def picture(self) -> PaperFigure:
        """Draw the votes so far."""
        tally = self.test.tally()
        return votes(tally, self.test.speakers.names) if any(tally) else empty("no vote yet")

    def words(self) -> str:
        """Return the score."""
        return self.score

    def _ask(self, change: dict[str, Any]) -> None:
        try:
            asked = self.test.ask(str(change["new"].get("prompt", "")))
        except InputError as error:
            self.shown = {"open": False, "problem": str(error)}
            return
        self.shown = {
            "open": True,
            "problem": None,
            "prompt": asked.prompt,
            "left": asked.left,
            "right": asked.right,
            "note": self._note(asked),
        }

    def _note(self, asked: Question) -> str:
        """Say what an answer without an end means; "" where both end."""
        endless = sum(answer.endswith(CUT) for answer in (asked.left, asked.right))
        if not endless:
            return ""
        known = f", such as {self.suggestions[0]!r}" if self.suggestions else ""
        which, are = ("Both answers", "are") if endless == 2 else ("One answer", "is")
        return (
            f"{which} didn't end within {LONGEST_ANSWER} tokens and {are} cut off. These models have learnt "
            f"one kind of question{known}; to others they can't say that they don't know."
        )

    def _vote(self, change: dict[str, Any]) -> None:
        try:
            self.test.vote(change["new"].get("vote"))
        except InputError as error:
            self.shown = {**self.shown, "problem": str(error)}
            return
        self.shown = {**self.shown, "open": False}
        self._count()

    def _count(self) -> None:
        names = self.test.speakers.names
        self.history = [_row(one, names) for one in reversed(self.test.rounds) if one.vote]
        first, second, ties = self.test.tally()
        if not first + second + ties:
            return
        low, high = interval(first, first + second)
        self.score = (
            f"{names[0]}: {first}; {names[1]}: {second}; ties: {ties}. Share won by the first, ties left "
            f"out: {LEVEL:.0%} interval {low:.0%} to {high:.0%}."
        )


def _row(one: Question, names: tuple[str, str]) -> dict[str, str]:
    left, right = names[one.left_is], names[1 - one.left_is]
    preferred = "tie" if one.winner is None else names[one.winner]
    return {
        "prompt": one.prompt,
        "left": f"{left}: {one.left}",
        "right": f"{right}: {one.right}",
        "preferred": preferred,
    }
