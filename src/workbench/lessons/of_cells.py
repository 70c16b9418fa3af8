"""What the cells of a study come to, as a lesson says it: means over the seeds."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Protocol, runtime_checkable

from workbench.config import CellConfig
from workbench.studies.disk.store import Store

LAST_STEPS = 10
"""The training loss at the end is the mean over so many."""


@runtime_checkable
class _Seeds(Protocol):
    @property
    def seeds(self) -> Sequence[int]:
        """Its seeds."""


@runtime_checkable
class Measured(Protocol):
    """A study that was measured, such as :func:`workbench.open_study` returns."""

    @property
    def folder(self) -> Path:
        """Where it lies."""

    @property
    def study(self) -> _Seeds:
        """What was asked for."""

    def cell(self, quality: str, size: int, seed: int = 0) -> CellConfig:
        """Return a cell by its quality's label, its size and its seed."""


def percent_right(results: Measured, quality: str, size: int) -> float:
    """Return how many of 100 held-out records the models of a quality and size get right, to the letter.

    Raises:
        InputError: If the study has no such cell.
    """
    with Store.open(results.folder, read_only=True) as store:
        by_key = {row["key"]: row["exact_match"] for row in store.rows()}
    return 100 * fmean(by_key[key] for key in _keys(results, quality, size) if key in by_key)


def loss_at_end(results: Measured, quality: str, size: int) -> float:
    """Return where the training loss of a quality and size ends, in nats a token.

    Raises:
        InputError: If the study has no such cell.
    """
    with Store.open(results.folder, read_only=True) as store:
        return fmean(
            loss
            for key in _keys(results, quality, size)
            for loss in store.curves(key)["train_loss"][-LAST_STEPS:]
        )


def _keys(results: Measured, quality: str, size: int) -> list[str]:
    return [results.cell(quality, size, seed).key() for seed in results.study.seeds]
