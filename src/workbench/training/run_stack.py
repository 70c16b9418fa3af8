"""Train and evaluate one stack: cells in, results out."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.metrics import HELDOUT, on_set
from workbench.training.evaluation import Evaluation, evaluate
from workbench.training.generated import WRITTEN, judged
from workbench.training.loop import Branches, OnStep, TrainState, train
from workbench.training.prepare import Prepared
from workbench.training.results import CellResult


def run_stack(
    prepared: Prepared,
    cells: Sequence[CellConfig],
    on_step: OnStep | None = None,
    start: TrainState | None = None,
    branched: Branches | None = None,
) -> dict[str, CellResult]:
    """Train the cells together, evaluate them together and return each one's result by its key.

    A cell whose loss, gradient or evaluation is not a number comes back as failed, with the step.

    Args:
        prepared: The study's data.
        cells: Cells that adapt the same layers.
        on_step: Called after each step with the state of the training.
        start: A state that an earlier call reached; from fresh adapters by default. The final numbers are
            those of a run that was never interrupted.
        branched: What :func:`branches` returns for these cells, from a caller that has it.
    """
    started = time.monotonic()
    draws = [prepared.draws[cell.key()] for cell in cells]
    stack, state = train(prepared.frozen, cells, draws, on_step=on_step, start=start, branched=branched)
    evaluations = _evaluated(prepared, stack)
    seconds = (time.monotonic() - started) / len(cells)
    results = {}
    for row, cell in enumerate(cells):
        result = _result(row, cell, state, evaluations, seconds)
        results[cell.key()] = result
        if result.status == "done":
            result.adapter = stack.tensors(row)
    return results


def zero_shot(prepared: Prepared) -> CellResult:
    """Evaluate the base without any adapter."""
    started = time.monotonic()
    evaluations = _evaluated(prepared, None)
    weights = {
        on_set(name, "item_tokens"): one.evaluation.tokens.tolist() for name, one in evaluations.items()
    }
    return CellResult(
        cell=None,
        metrics=_metrics(evaluations, 0),
        curves=_items(evaluations, 0) | weights,
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """A stack on one evaluation set.

    Attributes:
        evaluation: What one pass over the references gives.
        written: For each cell what its responses are worth, by metric, and their tokens; empty where none
            were generated.
    """

    evaluation: Evaluation
    written: list[dict[str, list[float]]]

    def metrics(self, row: int) -> dict[str, float | None]:
        found = self.written[row] if self.written else {}
        means = {name: fmean(values) for name, values in found.items() if name != WRITTEN}
        return {**self.evaluation.metrics(row), **means}

    def finite(self, row: int) -> bool:
        return bool(self.evaluation.losses[row].isfinite().all())

    def outcomes(self, row: int) -> dict[str, list[float]]:
        found = self.written[row] if self.written else {}
        return {**self.evaluation.outcomes(row), **{f"item_{name}": own for name, own in found.items()}}


def _evaluated(prepared: Prepared, stack: LoraStack | None) -> dict[str, _Judged]:
    """Evaluate a stack, or the bare base, on every evaluation set."""
    found = {}
    for name, one in prepared.sets.items():
        how = prepared.generation.get(name)
        written = judged(prepared.frozen, one, how, stack) if how else []
        found[name] = _Judged(evaluate(prepared.frozen, one, stack), written)
    return found


def _result(
    row: int, cell: CellConfig, state: TrainState, evaluations: Mapping[str, _Judged], seconds: float
) -> CellResult:
    step = int(state.failed[row])
    upto = cell.total_steps if step < 0 else step
    curves = {
        "train_loss": state.losses[:upto, row].tolist(),
        "gradient_norm": state.norms[:upto, row].tolist(),
    }
    failure = None
    if step >= 0:
        failure = (
            f"the training loss or its gradient was not a number at step {step + 1} of {cell.total_steps}"
        )
    elif bad := [name for name, one in evaluations.items() if not one.finite(row)]:
        which = "held-out loss" if bad[0] == HELDOUT else f"loss on {bad[0]!r}"
        failure = f"the {which} was not a number after step {cell.total_steps}"
    metrics = _metrics(evaluations, row)
    if failure:
        missing = dict.fromkeys(metrics)
        return CellResult(
            cell=cell, status="failed", metrics=missing, curves=curves, failure=failure, seconds=seconds
        )
    return CellResult(
        cell=cell,
        metrics=metrics,
        curves=curves | _items(evaluations, row),
        seconds=seconds,
    )


def _metrics(evaluations: Mapping[str, _Judged], row: int) -> dict[str, float | None]:
    return {
        on_set(name, metric): value
        for name, one in evaluations.items()
        for metric, value in one.metrics(row).items()
    }


def _items(evaluations: Mapping[str, _Judged], row: int) -> dict[str, list[float]]:
    """Keep each item's outcome: a bootstrap over items needs it."""
    return {
        on_set(name, curve): outcomes
        for name, one in evaluations.items()
        for curve, outcomes in one.outcomes(row).items()
    }
