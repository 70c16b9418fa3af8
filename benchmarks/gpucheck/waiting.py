"""How often the host waits for the device in one step of training."""

import contextlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch

from gpucheck.bases import REAL, TINY, random_decoder
from gpucheck.place import Place
from gpucheck.record import Record
from gpucheck.training import cells_of, texts, train_stack
from workbench.training.loop import TrainState

BASE, FORMAT, CELLS, STEPS, WATCHED = "SmolLM2-135M", "q4_1", 4, 5, 3
"""The step that is watched comes after so many: what is made once is made by then."""


def synchronizations(place: Place, keep: Callable[[Record], None]) -> Record:
    """Train a stack and count the waits of one step in its middle; on a CPU there is nothing to count."""
    shape = place.pick(REAL, TINY)[BASE]
    examples = texts(shape.config.vocabulary, place.pick(64, 16), place.pick(100.0, 12.0))
    decoder = random_decoder(place, shape, FORMAT)
    cells = cells_of(CELLS, len(examples), STEPS, 8, place.pick(8, 2))
    watch = contextlib.ExitStack()
    seen: list[list[warnings.WarningMessage]] = []

    def on_step(state: TrainState) -> None:
        if state.step == WATCHED:
            seen.append(watch.enter_context(told_of_waits(place)))
        elif state.step == WATCHED + 1:
            watch.close()

    try:
        train_stack(place, decoder, examples, cells, on_step)
    finally:
        watch.close()
    found = waits(seen[0])
    return {
        "about": f"a stack of {CELLS} cells at {shape.name}'s shape",
        "count": sum(found.values()) if place.cuda else None,
        "places": [f"{where}: {count}" for where, count in found.items()],
    }


@contextlib.contextmanager
def told_of_waits(place: Place) -> Iterator[list[warnings.WarningMessage]]:
    """Collect in the block the warnings that PyTorch gives where the host waits for the device."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        if place.cuda:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            if place.cuda:
                torch.cuda.set_sync_debug_mode("default")


def waits(found: Iterable[warnings.WarningMessage]) -> Counter[str]:
    """Count PyTorch's warnings about waiting by the line of Python that they come from."""
    return Counter(
        f"{Path(one.filename).name}, line {one.lineno}"
        for one in found
        if "called a synchronizing" in str(one.message)
    )
