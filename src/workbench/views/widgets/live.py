"""A study that trains, live: its loss curves, what its models say, how far it is, and a button to stop it."""

from pathlib import Path
from typing import Any

import traitlets
from matplotlib.figure import Figure

from workbench.config import CellConfig
from workbench.laws.in_words import readable
from workbench.laws.units import SIZE_UNITS
from workbench.studies.background import BackgroundRun, RunState
from workbench.studies.disk.manifest import read_manifest
from workbench.views.board_figures import Line, curves_and_words, empty, training_curves
from workbench.views.cell_map import thinned
from workbench.views.widgets.job_view import JobView
from workbench.views.widgets.view import module

MOST_POINTS = 120
"""Points of a curve that travel to the page: as many as its pixels can show."""
PICTURE_WIDTH = 0.5
"""Points of a line in the static picture, for a pixel in the page."""
MOST_LETTERS = 280
"""Of a prompt or an answer."""


class LiveStudy(JobView):
    """The loss curves of a study that trains, and beside them what its models say, where that is recorded.

    Args:
        job: The job, or its study's folder.
    """

    _esm = module("live", helpers=("kernel", "job_bar", "said"))
    curves: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    said: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    """Prompts with their right answers, the cells that are asked, and after each step what they said."""
    smoothing = traitlets.Float(0.0).tag(sync=True)
    logarithmic = traitlets.Bool(False).tag(sync=True)

    def __init__(self, job: BackgroundRun | Path | str) -> None:
        self.points: dict[str, dict[int, float | None]] = {}
        """Every step's loss that was recorded, by cell."""
        self._cells: dict[str, CellConfig] = {}
        self._stack: tuple[str, ...] = ()
        self._forget_said()
        super().__init__(job)

    @property
    def recorded(self) -> int:
        """How many losses the job has recorded so far, over all cells and steps."""
        return sum(len(curve) for curve in self.points.values())

    def show(self, events: list[dict[str, Any]], state: RunState) -> None:
        """Draw the curves of the stack at work."""
        for event in events:
            self._stack = tuple(event.get("keys", ())) or self._stack
            if event["step"]:
                for key, loss in zip(self._stack, event["losses"], strict=False):
                    self.points.setdefault(key, {})[event["step"]] = loss
        heard = self._hear()
        if events or heard:
            self._name_cells()
            self.curves = [self._curve(key) for key in self._stack if key in self._cells]
        if heard and all(key in self._cells for key in self._asked):
            self.said = self._what_was_said()

    def forget(self) -> None:
        """Forget every point and every word."""
        self.points, self._cells, self._stack, self.curves = {}, {}, (), []
        self._forget_said()
        self.said = {}

    def extra_words(self) -> str:
        """Return how many points there are."""
        return f"; {self.recorded:,} points recorded"

    def words(self) -> str:
        """Return the status line, and how many of the last answers are right."""
        if not self.said:
            return super().words()
        frame, prompts = self.said["frames"][-1], self.said["prompts"]
        right = ", ".join(
            f"{cell['quality']} {sum(known == text for (_, known), text in zip(prompts, said, strict=True))}"
            for cell, said in zip(self.said["cells"], frame["said"], strict=True)
        )
        return f"{super().words()}; of {len(prompts)} answers after step {frame['step']} are right: {right}"

    def picture(self) -> Figure:
        """Draw the curves shown now, and what was said last."""
        lines = [
            Line(
                name=curve["quality"],
                group=curve["index"],
                x=curve["x"],
                y=curve["y"],
                width=PICTURE_WIDTH * curve["width"],
            )
            for curve in self.curves
        ]
        if not lines:
            return empty("no step yet")
        return curves_and_words(lines, self.said) if self.said else training_curves(lines)

    def _forget_said(self) -> None:
        self._heard = 0
        self._asked: tuple[str, ...] = ()
        self._prompts: list[list[str]] = []
        self._answers: dict[int, list[list[str]]] = {}

    def _hear(self) -> bool:
        """Read what was said since; tell whether there is anything new to show."""
        lines, self._heard = self.job.said(self._heard)
        for line in lines:
            if "cells" in line:
                if (tuple(line["cells"]), line["prompts"]) != (self._asked, self._prompts):
                    self._answers = {}
                self._asked, self._prompts = tuple(line["cells"]), line["prompts"]
            else:
                self._answers[line["step"]] = line["said"]
        return bool(lines and self._answers) or bool(self._answers and not self.said)

    def _what_was_said(self) -> dict[str, Any]:
        cells = [self._curve(key) for key in self._asked]
        return {
            "prompts": [[_cut(text) for text in pair] for pair in self._prompts],
            "cells": [{name: cell[name] for name in ("quality", "index", "size", "unit")} for cell in cells],
            "frames": [
                {"step": step, "said": [[_cut(text) for text in row] for row in said]}
                for step, said in sorted(self._answers.items())
            ],
        }

    def _name_cells(self) -> None:
        if all(key in self._cells for key in (*self._stack, *self._asked)):
            return
        if (self.job.study_folder / "manifest.json").is_file():
            self._cells = read_manifest(self.job.study_folder).planned()

    def _curve(self, key: str) -> dict[str, Any]:
        cell = self._cells[key]
        qualities = list(dict.fromkeys(one.quality.label for one in self._cells.values()))
        sizes = sorted({one.size for one in self._cells.values()})
        points = thinned(sorted(self.points.get(key, {}).items()), MOST_POINTS)
        return {
            "quality": readable(cell.quality.label),
            "index": qualities.index(cell.quality.label),
            "size": cell.size,
            "unit": SIZE_UNITS[cell.size_in].many,
            "seed": cell.seed,
            "width": 1 + 1.5 * sizes.index(cell.size) / max(1, len(sizes) - 1),
            "x": [step for step, _ in points],
            "y": [None if loss is None else float(f"{loss:.4g}") for _, loss in points],
        }


def _cut(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 2]} …"
