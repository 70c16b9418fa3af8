"""Peak memory of training one adapter of rank 16 at the 1B and 8B shapes, 512 tokens a step."""

from collections.abc import Callable
from typing import Any

import torch

from gpucheck.bases import REAL, TINY, Shape, random_decoder, weight_bytes
from gpucheck.clock import profiled
from gpucheck.place import Place
from gpucheck.record import Record
from gpucheck.targets import GB
from gpucheck.training import (
    Timed,
    cells_of,
    chosen,
    free,
    hugging_face,
    train_peft,
    train_stack,
    with_lora,
)
from workbench.data.templates import Example

SHAPES = ("1B", "8B")
FORMAT, RANK, TOKENS, BATCH, STEPS = "nf4", 16, 512, 4, 4
WANTED = {"8B": 12.0}
"""GB that training may take."""

Trained = tuple[Timed, int | None]
"""What the training gave, and the bytes of the base's weights."""


def memory(place: Place, keep: Callable[[Record], None]) -> Record:
    """Train by the workbench, by PEFT on a base in 16 bits and, where it is there, on bitsandbytes' NF4."""
    result: Record = {
        "about": f"Rank {RANK} on all linear layers of all blocks, {TOKENS} tokens a step in {BATCH} texts "
        f"of one length, no checkpointing of activations. The packed base is {FORMAT}; embedding and head "
        "are in 16 bits on all sides. Peaks are those of PyTorch's allocator in training alone.",
        "rows": [],
    }
    for name in SHAPES:
        shape = place.pick(REAL, TINY)[name]
        for who, trained in CONTESTANTS.items():
            result["rows"].append({"shape": name, "who": who, **measured(place, shape, trained)})
            keep(result)
    peaks = {
        row["shape"]: row.get("peak_bytes") for row in result["rows"] if row["who"].startswith("workbench")
    }
    missed = [name for name, most in WANTED.items() if peaks[name] is not None and peaks[name] / GB > most]
    if missed:
        shape = place.pick(REAL, TINY)[missed[0]]
        result["profile"] = profiled(lambda: workbench(place, shape), place)
    return result


def measured(place: Place, shape: Shape, trained: Callable[[Place, Shape], Trained]) -> Record:
    """Train, and return the peak; or the reason why there is none."""
    free(place)
    before = torch.cuda.memory_allocated(place.device) if place.cuda else 0
    try:
        timed, weights = trained(place, shape)
    except ImportError as missing:
        return {"skipped": f"not installed: {missing.name}"}
    except torch.cuda.OutOfMemoryError:
        return {"skipped": too_large(place)}
    row = {"weight_bytes": weights, "step_seconds": timed.seconds / timed.steps, "losses": timed.losses}
    if not place.cuda:
        return {**row, "skipped": "the CPU's memory isn't counted"}
    peak, reserved = torch.cuda.max_memory_allocated, torch.cuda.max_memory_reserved
    return {**row, "peak_bytes": peak(place.device) - before, "reserved_bytes": reserved(place.device)}


def too_large(place: Place) -> str:
    """Say that the card's memory isn't enough."""
    total = torch.cuda.get_device_properties(place.device).total_memory
    return f"needs more than the card's {total / GB:.0f} GB"


def forget_peak(place: Place) -> None:
    """Let the peak begin anew: making a base may take more than training on it."""
    free(place)
    if place.cuda:
        torch.cuda.reset_peak_memory_stats(place.device)


def step_texts(place: Place, shape: Shape) -> list[Example]:
    """Return one step's texts, all of one length, which come to the tokens of a step."""
    length = place.pick(TOKENS, 32) // BATCH
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(3, shape.config.vocabulary, (BATCH, length), generator=generator)
    return [Example(tuple(row), length // 2) for row in tokens.tolist()]


def workbench(place: Place, shape: Shape) -> Trained:
    """Train on a packed base."""
    decoder = random_decoder(place, shape, FORMAT)
    weights = weight_bytes(decoder)
    forget_peak(place)
    return train_stack(
        place, decoder, step_texts(place, shape), cells_of(1, BATCH, STEPS, RANK, BATCH)
    ), weights


def peft(place: Place, shape: Shape) -> Trained:
    """Train with transformers and PEFT on a base in 16 bits."""
    return by_peft(place, shape, hugging_face(shape, place, place.half))


def bitsandbytes(place: Place, shape: Shape) -> Trained:
    """Train with PEFT on bitsandbytes' NF4, its linear layers packed one by one."""
    import bitsandbytes

    model = hugging_face(shape, place, place.half)
    for block in model.model.layers:
        for parent in (block.self_attn, block.mlp):
            for name, linear in list(parent.named_children()):
                if isinstance(linear, torch.nn.Linear):
                    setattr(parent, name, four_bits(bitsandbytes, place, linear))
    model.is_loaded_in_4bit = True
    return by_peft(place, shape, model)


def four_bits(library: Any, place: Place, linear: torch.nn.Linear) -> Any:
    """Pack one linear layer as bitsandbytes does when a model is loaded."""
    outputs, inputs = linear.weight.shape
    layer = library.nn.Linear4bit(
        inputs, outputs, bias=False, compute_dtype=place.half, quant_type="nf4", compress_statistics=False
    )
    numbers = linear.weight.data.cpu()
    layer.weight = library.nn.Params4bit(
        numbers, requires_grad=False, quant_type="nf4", compress_statistics=False, module=layer
    )
    return layer.to(place.device)


def by_peft(place: Place, shape: Shape, model: Any) -> Trained:
    """Put adapters on a model and train them."""
    examples, (cell,) = step_texts(place, shape), cells_of(1, BATCH, STEPS, RANK, BATCH)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    model = with_lora(model, cell)
    forget_peak(place)
    rows = [chosen([cell], BATCH, step)[0] for step in range(cell.total_steps)]
    return train_peft(place, model, examples, cell, rows), weights


CONTESTANTS: dict[str, Callable[[Place, Shape], Trained]] = {
    f"workbench, {FORMAT}": workbench,
    "PEFT, a base in 16 bits": peft,
    "PEFT, bitsandbytes' NF4": bitsandbytes,
}
