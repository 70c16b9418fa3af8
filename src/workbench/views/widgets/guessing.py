"""What every guess has in common: it is made before the truth is told, and it has a name in the class."""

from typing import Any

import traitlets

from workbench.views.widgets.view import View


class Guessing(View):
    """A question that people answer before they see the truth.

    Args:
        name: The key under which a class's guesses are collected; "" collects none.
        **traits: The traits of the widget.
    """

    name = traitlets.Unicode("").tag(sync=True)
    told = traitlets.Bool(False).tag(sync=True)
    others: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    """What others in the class guessed, once the truth is told: ``words``, and ``guesses`` to draw."""

    def __init__(self, name: str, **traits: Any) -> None:  # noqa: ANN401 - traits have types of their own
        super().__init__(name=name, **traits)
