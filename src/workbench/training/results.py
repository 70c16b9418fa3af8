"""What training hands back for one cell; ``training`` knows no store."""

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from workbench.config import CellConfig

Status = Literal["done", "failed"]
"""What becomes of a cell that is trained; a table may hold others (``studies.states.CellStatus``)."""


@dataclass(kw_only=True, slots=True)
class CellResult:
    """One cell's outcome. A number that doesn't exist is None or absent, never 0.0."""

    cell: CellConfig | None
    """None for the base without any adapter: the zero-shot line."""
    status: Status = "done"
    metrics: dict[str, float | None] = field(default_factory=dict)
    """Held-out ``loss`` (nats a response token), ``exact_match`` and ``choice_accuracy`` (shares), and
    what else was asked for; on further evaluation sets behind their names, such as ``references.loss``."""
    curves: dict[str, list[float]] = field(default_factory=dict)
    """``train_loss`` and ``gradient_norm`` of each step, ``item_*`` of each held-out example;
    the base without adapter also has ``item_tokens``, what each example weighs in the loss. Where responses
    are generated, ``item_written`` has the tokens of each."""
    failure: str | None = None
    """Why the cell failed, with the step."""
    adapter: dict[str, Tensor] | None = field(default=None, repr=False)
    """The trained adapter as :meth:`LoraStack.tensors` names it; None without one."""
    seconds: float | None = None
    """The cell's share of its stack's wall time."""
