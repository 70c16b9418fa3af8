"""A study's progress in a terminal: one live line, or plain lines where the output is a file."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from workbench.studies.grid import Study
from workbench.studies.predict import Prediction
from workbench.studies.runner import OnProgress
from workbench.studies.runner import Progress as At
from workbench.views.words import seconds_in_words


@contextmanager
def progress_bars(study: Study, folder: Path) -> Iterator[OnProgress]:
    """Yield the function that a run tells its progress to."""
    console = Console()
    grid = f"{len(study.qualities)} qualities x {len(study.sizes)} sizes x {len(study.seeds)} seeds"
    grid = f"{study.variants} variants x {grid}" if study.variants > 1 else grid
    console.print(
        f"[bold]{study.name}[/bold]: {grid} on {', '.join(study.bases)}, in {folder}", highlight=False
    )
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[left]}"), console=console, transient=True) as bars:
        task = bars.add_task("loading", total=None, left="")
        told = {"prediction": False, "cells": -1}
        left = TimeLeft()

        def on_progress(at: At) -> None:
            if at.prediction and not told["prediction"]:
                told["prediction"] = True
                cost = describe(at.prediction.seconds, at.prediction.peak_bytes)
                console.print(f"predicted: {cost}{_on_card(at.prediction)}{_trust(at.prediction)}")
            if at.note:
                note = at.note.strip().splitlines()[0]
                console.print(note, style="yellow", highlight=False, markup=False, soft_wrap=True)
            if (
                at.phase in ("training", "done")
                and at.cells_done != told["cells"]
                and not console.is_terminal
            ):
                told["cells"] = at.cells_done
                console.print(f"{at.cells_done} of {at.cells} cells done")
            if at.phase == "training" and at.steps:
                loss = "" if at.mean_loss is None else f", loss {at.mean_loss:.3f}"
                bars.update(
                    task,
                    description=f"stack {at.stack} of {at.stacks}{loss}",
                    total=1.0,
                    completed=at.share,
                    left=left.in_words(at, time.monotonic()),
                )
            else:
                bars.update(task, description=at.phase, left="")

        yield on_progress


class TimeLeft:
    """How long a run will still take: as predicted at first, then as fast as it has been."""

    SURE_AFTER = 5.0
    """Seconds of training from which its own speed counts."""

    def __init__(self) -> None:
        self.begun: tuple[float, float] | None = None

    def in_words(self, at: At, now: float) -> str:
        """Return such as "about 42 s left"; nothing while nothing is known.

        Args:
            at: Where the run is, in training.
            now: Seconds of a clock that only goes forward.
        """
        if self.begun is None:
            self.begun = (now, at.share)
        taken, done = now - self.begun[0], at.share - self.begun[1]
        if taken >= self.SURE_AFTER and done > 0:
            return f"about {seconds_in_words(taken / done * (1 - at.share))} left"
        if at.prediction is None:
            return ""
        return f"about {seconds_in_words(at.prediction.seconds * (1 - at.share))} left"


@contextmanager
def share_bar() -> Iterator[Callable[[str, float], None]]:
    """Yield a function that is told what is at work, and which share of it is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(name: str, share: float) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=1.0)
            bars.update(tasks[name], completed=share)

        yield tell


def _on_card(prediction: Prediction) -> str:
    if prediction.card_bytes is None or prediction.card_memory is None:
        return ""
    needed, all_of_it = (size / 2**30 for size in (prediction.card_bytes, prediction.card_memory))
    return f", {needed:.1f} of {all_of_it:.1f} GiB of the card"


def _trust(prediction: Prediction) -> str:
    if prediction.error is None:
        return ""
    runs = "run" if prediction.learned_from == 1 else f"{prediction.learned_from} runs"
    return f"; for the last {runs} like it, off by {prediction.error:.0%}"


def describe(seconds: float, peak_bytes: int) -> str:
    """Return a duration and a memory as people say them."""
    time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
    return f"{time}, {peak_bytes / 2**30:.1f} GiB of memory"
