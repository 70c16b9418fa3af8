"""What every widget of ours is: a plain ES module beside its Python, our style, and a picture for paper."""

import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from matplotlib.figure import Figure

from workbench.views.palette import palette_css
from workbench.views.rendering import described, to_bytes
from workbench.views.widgets.ticker import Ticker

WIDGET_FOLDER = Path(__file__).parent
DOTS = 120
"""An inch of the static picture: small enough to keep a few in a notebook's file."""


def module(name: str, folder: Path = WIDGET_FOLDER, helpers: Sequence[str] = ()) -> str:
    """Return the ES module of a widget in ``folder``: the helpers that it shares, then its own text."""
    parts = (*(WIDGET_FOLDER / f"{helper}.js" for helper in ("common", *helpers)), folder / f"{name}.js")
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)


class View(anywidget.AnyWidget):
    """A widget with a static picture for where widgets can't live: GitHub, PDF, a closed kernel."""

    _css = palette_css() + (WIDGET_FOLDER / "style.css").read_text(encoding="utf-8")

    def picture(self) -> Figure:
        """Return what the widget shows now as a figure."""
        raise NotImplementedError

    def words(self) -> str:
        """Return in one line what the widget shows, for a plain terminal."""
        return type(self).__name__

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ANN401
        shown = super()._repr_mimebundle_(**options)
        data, metadata = shown if isinstance(shown, tuple) else (shown, {})
        data = {**(data or {}), "text/plain": self.words()}
        picture = self.picture()
        data["image/png"] = base64.b64encode(to_bytes(picture, "png", dots=DOTS)).decode()
        return data, {**metadata, "image/png": {"alt": described(picture)}}


class KernelView(View):
    """A widget that needs its kernel: the page says so when the kernel is no longer heard."""

    beating = traitlets.Bool(False).tag(sync=True)
    """Whether beats come: not where there is no kernel."""

    def __init__(self, **traits: Any) -> None:  # noqa: ANN401 - traits have types of their own
        super().__init__(beating=in_kernel(), **traits)
        if self.beating:
            Ticker.keep_beating(self)

    def beat(self) -> None:
        """Tell the page that the kernel is there."""
        self.send({"beat": True})


def in_kernel() -> bool:
    """Say whether this process is a notebook's kernel."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
