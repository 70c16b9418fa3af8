"""Train and evaluate one stack: cells in, results out."""

import time
from collections.abc import Sequence

from workbench.config import CellConfig
from workbench.training.evaluation import Evaluation, evaluate
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
    evaluation = evaluate(prepared.frozen, prepared.heldout, stack)
    seconds = (time.monotonic() - started) / len(cells)
    results = {}
    for row, cell in enumerate(cells):
        result = _result(row, cell, state, evaluation, seconds)
        results[cell.key()] = result
        if result.status == "done":
            result.adapter = stack.tensors(row)
    return results


def zero_shot(prepared: Prepared) -> CellResult:
    """Evaluate the base without any adapter."""
    started = time.monotonic()
    evaluation = evaluate(prepared.frozen, prepared.heldout, None)
    return CellResult(
        cell=None,
        metrics=evaluation.metrics(0),
        curves=_items(evaluation, 0) | {"item_tokens": evaluation.tokens.tolist()},
        seconds=time.monotonic() - started,
    )


def _result(
    row: int, cell: CellConfig, state: TrainState, evaluation: Evaluation, seconds: float
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
    elif not evaluation.losses[row].isfinite().all():
        failure = f"the held-out loss was not a number after step {cell.total_steps}"
    if failure:
        missing = dict.fromkeys(evaluation.metrics(row))
        return CellResult(
            cell=cell, status="failed", metrics=missing, curves=curves, failure=failure, seconds=seconds
        )
    return CellResult(
        cell=cell,
        metrics=evaluation.metrics(row),
        curves=curves | _items(evaluation, row),
        seconds=seconds,
    )


def _items(evaluation: Evaluation, row: int) -> dict[str, list[float]]:
    """Keep each held-out item's outcome: a bootstrap over items needs it."""
    items = {
        "item_loss": evaluation.losses[row].tolist(),
        "item_exact": evaluation.exact[row].double().tolist(),
    }
    if evaluation.chosen is not None:
        items["item_chosen"] = evaluation.chosen[row].double().tolist()
    return items
