"""Where a run is, as it tells whoever shows it."""

from collections.abc import Callable
from dataclasses import dataclass

from workbench.studies.predict import Prediction
from workbench.studies.states import Phase


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a run is."""

    phase: Phase
    stack: int = 0
    """Of the stacks to train, counted from 1; with several workers, the one that has just moved on."""
    stacks: int = 0
    step: int = 0
    steps: int = 0
    cells_done: int = 0
    cells: int = 0
    share: float = 0.0
    """Of all steps to train in this run, the share that is taken."""
    mean_loss: float | None = None
    """Over the cells below; None before the first step and when no loss is a number."""
    keys: tuple[str, ...] = ()
    """The cells of the stack that is training."""
    losses: tuple[float | None, ...] = ()
    """Each one's training loss of this step; None where it is not a number, or the cell has ended."""
    note: str = ""
    """A sentence about something that was left out or changed, or that went wrong and is dealt with; told
    once."""
    prediction: Prediction | None = None


OnProgress = Callable[[Progress], None]
