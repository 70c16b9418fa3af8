"""Labelled tokens a second: stacks of the workbench's against a loop of transformers + PEFT.

Both sides have the same numbers in the base and the same token ids in the same order, start from the same
adapters and take the same optimizer steps; their losses are compared before their times.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from against_peft import start_alike

from gpucheck.bases import REAL, TINY, Shape, random_decoder
from gpucheck.clock import profiled
from gpucheck.memory import too_large
from gpucheck.place import Place
from gpucheck.record import Record
from gpucheck.training import (
    Timed,
    cells_of,
    chosen,
    copy_weights,
    free,
    hugging_face,
    texts,
    train_peft,
    train_stack,
    with_lora,
)
from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.data.templates import Example
from workbench.models.decoder import Decoder

STACKS = (1, 4, 16, 64)
BASE, FORMAT, OTHER_FORMAT = "SmolLM2-135M", "q4_1", "nf4"
RANK, BATCH, TEXTS, STEPS = 8, 8, 256, 10
LOSS_TOLERANCE = 0.1
"""Largest distance of the two sides' first losses, in nats: both round to 16 bits, in other places."""
COMPARED = 4
"""Steps whose losses are compared."""
WANTED = 10.0


def throughput(place: Place, keep: Callable[[Record], None]) -> Record:
    """Time PEFT's loop, then stacks of 1 to 64 cells, and compare the losses of the first steps.

    Raises:
        RuntimeError: If the two sides didn't train the same.
    """
    shape = place.pick(REAL, TINY)[BASE]
    examples = texts(shape.config.vocabulary, place.pick(TEXTS, 16), place.pick(100.0, 12.0))
    decoder = random_decoder(place, shape, FORMAT)
    (cell,) = stack_cells(place, examples, 1)
    theirs = peft_loops(place, decoder, examples, cell)
    plain = theirs[PEFT]
    free(place)
    result: Record = {
        "about": about(shape.name, examples, cell),
        "rows": [row(who, 1, timed, plain if who != PEFT else None) for who, timed in theirs.items()],
        "largest_distance": None,
    }
    keep(result)
    one = stack_of(place, decoder, examples, 1)
    result["largest_distance"] = distance(one.losses, plain.losses)
    result["losses"] = {"workbench": one.losses[:COMPARED], "PEFT": plain.losses[:COMPARED]}
    if not result["largest_distance"] <= LOSS_TOLERANCE:
        keep(result)
        raise RuntimeError(
            f"the losses of the first {COMPARED} steps are {result['largest_distance']:.3f} nats apart, "
            f"allowed {LOSS_TOLERANCE}: compare no rates"
        )
    stacks = place.pick(STACKS, (1, 3))
    most = stacks[-1]
    other = random_decoder(place, shape, OTHER_FORMAT)
    for count, format, base in (*((n, FORMAT, decoder) for n in stacks), (most, OTHER_FORMAT, other)):
        free(place)
        try:
            timed = stack_of(place, base, examples, count)
            found = row(f"workbench, {format}", count, timed, plain)
        except torch.cuda.OutOfMemoryError:
            found = {"who": f"workbench, {format}", "cells": count, "skipped": too_large(place)}
        result["rows"].append(found)
        keep(result)
    if any(one["ratio"] < WANTED for one in result["rows"] if one["cells"] == most and "ratio" in one):
        result["profile"] = profiled(
            lambda: stack_of(place, decoder, examples, most, steps=3, twice=False), place
        )
    return result


PEFT = "PEFT in 16 bits, one cell after the other"
GROUPED = "PEFT, batches of texts of similar length"


def peft_loops(
    place: Place, decoder: Decoder, examples: Sequence[Example], cell: CellConfig
) -> dict[str, Timed]:
    """Time PEFT's loop on the same batches, and on those with the least padding, which are its best."""
    model = hugging_face(
        Shape("", decoder.config, decoder.tied), place, place.pick(place.half, torch.float32)
    )
    copy_weights(decoder, model)
    model = with_lora(model, cell)
    adapter = LoraStack([cell], decoder.config).tensors(0)
    start_alike(model, adapter)
    rows = [chosen([cell], len(examples), step)[0] for step in range(cell.total_steps)]
    plain = train_peft(place, model, examples, cell, rows)
    if place.cuda:  # the first run chose kernels and asked for memory on the way, as ours does
        plain = replace(train_peft(place, model, examples, cell, rows), losses=plain.losses)
    by_length = sorted(
        (index for row in rows for index in row), key=lambda index: len(examples[index].token_ids)
    )
    size = cell.batch_size
    grouped = [by_length[start : start + size] for start in range(0, len(by_length), size)]
    return {PEFT: plain, GROUPED: train_peft(place, model, examples, cell, grouped)}


def stack_cells(
    place: Place, examples: Sequence[Example], count: int, steps: int | None = None
) -> list[CellConfig]:
    """Return the cells of a stack; PEFT's is the first of them, with the same steps and so the same rates."""
    return cells_of(count, len(examples), steps or place.pick(STEPS, 4), RANK, place.pick(BATCH, 2))


def stack_of(
    place: Place,
    decoder: Decoder,
    examples: Sequence[Example],
    count: int,
    steps: int | None = None,
    twice: bool = True,
) -> Timed:
    """Train a stack of so many cells, once for whatever is compiled on the way, and once for the clock."""
    cells = stack_cells(place, examples, count, steps)
    if twice and place.cuda:
        train_stack(place, decoder, examples, cells)
    return train_stack(place, decoder, examples, cells)


def row(who: str, cells: int, timed: Timed, plain: Timed | None) -> Record:
    """Return a row of the table; the ratio is how many times the plain loop's rate this one is.

    A loop takes one cell after the other, so its rate is the same for any number of cells, and the ratio of
    the rates is that of the times until all cells are trained.
    """
    found = {
        "who": who,
        "cells": cells,
        "labels": timed.labels,
        "steps": timed.steps,
        "seconds": timed.seconds,
        "rate": timed.rate,
    }
    return found if plain is None else {**found, "ratio": timed.rate / plain.rate}


def distance(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the largest distance of the first steps' losses."""
    return max(abs(a - b) for a, b in zip(ours[:COMPARED], theirs[:COMPARED], strict=True))


def about(name: str, examples: Sequence[Example], cell: CellConfig) -> str:
    """Say what was trained."""
    lengths = sorted(len(example.token_ids) for example in examples)
    return (
        f"A base of {name}'s shape with random weights, rank {cell.rank} on all linear layers of all blocks, "
        f"batches of {cell.batch_size} of {len(examples)} texts with {sum(lengths) / len(lengths):.0f} "
        f"tokens on average ({lengths[0]} to {lengths[-1]}), of which two fifths are labels. Both sides have "
        "the same numbers, token ids and first adapters. PEFT: the base in 16 bits, sdpa, fused AdamW, each "
        "batch padded to its longest text."
    )
