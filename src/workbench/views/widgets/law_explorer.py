"""A joint law moved by hand: loss, lines of equal loss and the exchange rate, with the resamples' bands."""

from typing import Any

import traitlets
from matplotlib.figure import Figure

from workbench.laws.bootstrap import Resamples
from workbench.views.law_figures import contours
from workbench.views.law_state import law_in_words, law_state
from workbench.views.widgets.view import View, module


class LawExplorer(View):
    """A law over size and share, computed in the page from what is sent once.

    Args:
        resamples: A bootstrapped law of size and share.

    Raises:
        InputError: If the law has other inputs, or there are fewer than 20 resamples.
    """

    _esm = module("law_explorer")
    fit: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    size = traitlets.Int(1).tag(sync=True)
    share = traitlets.Float(1.0).tag(sync=True)

    def __init__(self, resamples: Resamples) -> None:
        self.resamples = resamples
        super().__init__(**law_state(resamples))

    def picture(self) -> Figure:
        """Draw the lines of equal loss over the cells that were measured."""
        return contours(self.resamples.fit, "share")

    def words(self) -> str:
        """Return the law's formula."""
        return law_in_words(self.resamples)
