"""Loads and stores of a launch: a slider over its programs, the cells that each one touches."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import traitlets

from workbench.lessons.kernel_lab.kernel_figures import panel_words, touches_figure
from workbench.lessons.kernel_lab.touched import drawing
from workbench.views.style import PaperFigure
from workbench.views.widgets.view import View, module


class Touches(View):
    """Which program touches which elements of each tensor.

    Args:
        launch: Launches kernels; the last one is drawn, as far as it comes.
        program: The program that is shown first; by default the one that strayed outside, or the last.
    """

    _css = View._css + (Path(__file__).parent / "touches.css").read_text(encoding="utf-8")
    _esm = module("touches", Path(__file__).parent)
    drawn: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    program = traitlets.Int(0).tag(sync=True)

    def __init__(self, launch: Callable[[], object], program: int | None = None) -> None:
        self.drawing = found = drawing(launch)
        drawn = asdict(found)
        for one, tensor in zip(drawn["tensors"], found.tensors, strict=True):
            one["words"] = panel_words(tensor)
        last = max(0, len(found.programs) - 1)
        first = found.strayed if program is None else program
        super().__init__(drawn=drawn, program=last if first is None else min(first, last))

    def picture(self) -> PaperFigure:
        """Draw the program that the slider is at."""
        return touches_figure(self.drawing, self.program)

    def words(self) -> str:
        """Say what the program touches."""
        if not self.drawing.programs:
            return self.drawing.problem
        one = self.drawing.programs[self.program]
        ended = f". It ended early: {self.drawing.problem}" if self.drawing.problem else ""
        return f"program {one.name} {one.words}{ended}"
