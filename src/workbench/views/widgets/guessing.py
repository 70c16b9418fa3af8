"""What every guess has in common: it is made before the truth is told, and kept under a name."""

from typing import Any

import traitlets

from workbench.classmates import KeptGuess, keep_guess, others_who_guessed, spread_in_words
from workbench.errors import InputError
from workbench.views.widgets.view import View


class Guessing(View):
    """A question that people answer before they see the truth.

    Args:
        name: The key under which a class's guesses are collected; "" keeps none.
        **traits: The traits of the widget.
    """

    name = traitlets.Unicode("").tag(sync=True)
    told = traitlets.Bool(False).tag(sync=True)
    others: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    """What others in the class guessed, once the truth is told: ``words``, and ``guesses`` to draw."""

    def __init__(self, name: str, **traits: Any) -> None:  # noqa: ANN401 - traits have types of their own
        super().__init__(name=name, **traits)
        self._seen = False
        self.observe(self._tell, "told")

    def guessed(self) -> KeptGuess | None:
        """Return the guess as it is kept; None where there is none."""
        raise NotImplementedError

    def _tell(self, _: object) -> None:
        """Keep the guess, and tell what others guessed; whoever has seen the truth guesses no more."""
        if not self.told:
            self.others = {}
            return
        guess, seen, self._seen = self.guessed(), self._seen, True
        if not self.name:
            return
        try:
            if guess and not seen:
                keep_guess(guess)
            others = others_who_guessed(self.name)
        except InputError as error:
            self.others = {"words": f"Your guess isn't kept: {str(error).rstrip('.')}."}
            return
        if others:
            count = "1 other" if len(others) == 1 else f"{len(others)} others"
            words = f"{count} guessed; {spread_in_words(others)}."
            self.others = {"words": words, "guesses": [one.guess for one in others]}
