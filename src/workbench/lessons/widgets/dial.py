"""Dials beside what they change: a figure, a table or a sentence that Python makes for each setting."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import traitlets
from matplotlib.figure import Figure

from workbench.errors import InputError
from workbench.lessons.facts import Paragraphs
from workbench.views.board_figures import empty
from workbench.views.inline import inline_figure
from workbench.views.widgets.view import KernelView, module


class Dial(KernelView):
    """A slider for each row of values, a list for each row of words, and below what they show.

    Unlike ``ipywidgets.interact``, each control has a name for a screen reader, a lost kernel is told, and a
    notebook's file keeps what is shown.

    Args:
        show: Called with a value for each dial, by name; returns what is shown: a text, a figure, an object
            that a notebook shows as a table, or several of these, in a list or yielded.
        names: What a dial is called in the page; by default its own name.
        start: The value at which a dial begins; by default its first.
        form: How values are written: by dial, a function from a value to a text; by default as Python does.
        values: Each dial's values, by the name under which ``show`` takes them.

    Raises:
        InputError: If a dial has no values, or doesn't have the one it is to start with.
    """

    _esm = module("dial", Path(__file__).parent, helpers=["kernel"])
    dials: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    places: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    """Which of its values each dial is at."""
    shown = traitlets.Unicode().tag(sync=True)
    """HTML."""
    answers = traitlets.Int(0).tag(sync=True)
    """How many settings have been answered."""

    def __init__(
        self,
        show: Callable[..., object],
        *,
        names: Mapping[str, str] | None = None,
        start: Mapping[str, object] | None = None,
        form: Mapping[str, Callable[[Any], str]] | None = None,
        **values: Sequence[object],
    ) -> None:
        names, start, form = names or {}, start or {}, form or {}
        self.show, self.values = show, values
        self.result: list[object] = []
        dials, places = [], []
        for name, own in values.items():
            first = start.get(name, own[0] if len(own) else None)
            if first not in own:
                raise InputError(
                    f"the dial {name!r} can't start at {first!r}: give it values, and one of them"
                )
            places.append(list(own).index(first))
            words = [form.get(name, str)(value) for value in own]
            choice = name not in form and all(isinstance(value, str) for value in own)
            dials.append({"name": names.get(name, name), "words": words, "choice": choice})
        super().__init__(dials=dials, places=places)
        self.observe(self._answer, "places")
        self._answer()

    def picture(self) -> Figure:
        """Return the figure that is shown; without one, its words."""
        return next((one for one in self.result if isinstance(one, Figure)), empty(self.words()))

    def words(self) -> str:
        """Return where the dials are."""
        return "; ".join(
            f"{dial['name']}: {dial['words'][place]}"
            for dial, place in zip(self.dials, self.places, strict=True)
        )

    def _answer(self, change: object = None) -> None:
        chosen = {
            name: own[place] for (name, own), place in zip(self.values.items(), self.places, strict=True)
        }
        try:
            self.result = _parts(self.show(**chosen))
            self.shown = "".join(map(_html, self.result))
        except Exception as error:
            if change is None:
                raise
            # in the page, for what a widget's callback raises is seen nowhere
            self.shown = f'<p class="alert">{escape(f"{type(error).__name__}: {error}")}</p>'
        self.answers += 1

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ANN401
        data, metadata = super()._repr_mimebundle_(**options)
        if not any(isinstance(one, Figure) for one in self.result):
            del data["image/png"], metadata["image/png"]
            data["text/html"] = f"<p>{escape(self.words())}</p>{self.shown}"
        return data, metadata


def _parts(result: object) -> list[object]:
    if result is None:
        return []
    return list(result) if isinstance(result, list | tuple | Iterator) else [result]


def _html(part: object) -> str:
    if isinstance(part, Figure):
        return inline_figure(part)
    if isinstance(part, str):
        return Paragraphs((part,))._repr_html_()
    shown = getattr(part, "_repr_html_", None)
    return str(shown()) if shown else Paragraphs((repr(part),))._repr_html_()
