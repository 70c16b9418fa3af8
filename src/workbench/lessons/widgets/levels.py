"""Sixteen levels to lay by hand over the weights that they are to stand for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets

from workbench.errors import InputError
from workbench.lessons.codebooks import best_levels, codebook_error, count_in_bins
from workbench.lessons.figures import codebook
from workbench.lessons.widgets.hands import HANDS_STYLE, own_module
from workbench.views.style import PaperFigure
from workbench.views.widgets.view import View


class Levels(View):
    """A histogram of weights with its levels as lines to drag; the error follows in the page.

    Args:
        relative: Weights, each over the largest magnitude of its block: between -1 and 1.
        known: Levels that a button lays, by name, in rising order; the first ones are laid at the beginning,
            the last ones are those to beat.

    Raises:
        InputError: If ``known`` holds no levels, or not equally many.
    """

    _esm = own_module("levels")
    _css = HANDS_STYLE
    counts: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    """How many weights lie in each bin."""
    known: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    best: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    """The best levels that there are, and their error; shown on demand."""
    levels: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    """The levels as they are laid now, in rising order."""
    own: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    """The best levels that were laid by hand so far, and their error; empty before any were."""
    told = traitlets.Bool(False).tag(sync=True)

    def __init__(self, relative: object, known: Mapping[str, Sequence[float]]) -> None:
        lengths = {len(levels) for levels in known.values()}
        if len(lengths) != 1 or min(lengths) < 2:
            said = ", ".join(f"{name}: {len(levels)}" for name, levels in known.items()) or "none"
            raise InputError(
                f"levels of different numbers can't be compared ({said}); give each name as many, at least 2"
            )
        bins = count_in_bins(relative)
        laid = {name: [round(float(level), 4) for level in levels] for name, levels in known.items()}
        spread = np.quantile(np.repeat(np.linspace(-1, 1, len(bins)), bins), np.linspace(0, 1, lengths.pop()))
        best = [round(level, 4) for level in best_levels(bins, [*laid.values(), np.unique(spread)])]
        super().__init__(
            counts=bins.tolist(),
            known=laid,
            levels=next(iter(laid.values())),
            best={"levels": best, "error": round(codebook_error(bins, best), 5)},
        )

    @property
    def error(self) -> float:
        """The relative error of the weights at the levels as they are laid now."""
        return codebook_error(np.array(self.counts), self.levels)

    def picture(self) -> PaperFigure:
        """Draw the levels over the histogram; the best ones only once they were told."""
        return codebook(self.counts, self.levels, self.words(), self.best["levels"] if self.told else None)

    def words(self) -> str:
        """Say the error, and once it was told how far it is from the best."""
        said = f"error {self.error:.2%} with these {len(self.levels)} levels"
        return f"{said}, {self.best['error']:.2%} with the best" if self.told else said
