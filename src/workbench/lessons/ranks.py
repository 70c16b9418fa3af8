"""An adapter cut to its largest directions: what is left of its change, and what the model then answers.

Shape letters: N outputs, K inputs, R rank.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from workbench.adapters.lora import LoraStack
from workbench.data.records import Record
from workbench.data.templates import prompt_ids, stops
from workbench.lessons.exercises import numbers
from workbench.lessons.waiting import working
from workbench.models.base import Base
from workbench.models.decoder_config import DecoderConfig
from workbench.models.generation import generate
from workbench.training.evaluation import HeldOut, evaluate
from workbench.training.loop import Frozen

LONGEST_WORD = 24
"""Tokens after which an answer is cut off."""
LARGEST_SIGNED = 127


def cut_to_ranks(stack: LoraStack, row: int, ranks: Sequence[int], decoder: DecoderConfig) -> list[LoraStack]:
    """Return one cell's adapter cut to its largest directions in every layer, a stack of one for each rank.

    By Eckart and Young no matrix of that rank is closer to the whole change.

    Args:
        stack: Adapters of the plain kind, B A times a scale.
        row: The cell to cut.
        ranks: How many directions to keep, from 1 to the cell's own rank.
        decoder: The sizes of the base.
    """
    cell, whole = stack.cells[row], stack.tensors(row)
    cuts = [LoraStack([cell.with_(rank=r, alpha=cell.alpha * r / cell.rank)], decoder) for r in ranks]
    tensors: list[dict[str, Tensor]] = [{} for _ in ranks]
    for name in stack.names:
        b, a = whole[f"{name}.lora_B"].double(), whole[f"{name}.lora_A"].double()
        # the change has the rank of its thin halves: a decomposition of theirs is one of it
        (left, up), (right, down) = torch.linalg.qr(b), torch.linalg.qr(a.T)
        inner, sizes, outer = torch.linalg.svd(up @ down.T)
        for rank, own in zip(ranks, tensors, strict=True):
            own[f"{name}.lora_B"] = ((left @ inner)[:, :rank] * sizes[:rank]).float()
            own[f"{name}.lora_A"] = (outer @ right.T)[:rank].float()
    for cut, own in zip(cuts, tensors, strict=True):
        cut.load(0, own)
    return cuts


@dataclass(frozen=True, slots=True)
class RankAnswers:
    """What a model answers with an adapter cut to each of some ranks.

    Attributes:
        ranks: The ranks, rising; 0 is the base alone.
        asked: The prompts, each with the right response.
        said: For each rank, the answers.
        right: For each rank, the share of all held-out items that are answered exactly.
        items: How many held-out items there are.
    """

    ranks: tuple[int, ...]
    asked: tuple[tuple[str, str], ...]
    said: tuple[tuple[str, ...], ...]
    right: tuple[float, ...]
    items: int


def answers_by_rank(
    base: Base,
    frozen: Frozen,
    heldout: HeldOut,
    records: Sequence[Record],
    stack: LoraStack,
    row: int,
    ranks: Sequence[int],
) -> RankAnswers:
    """Ask a model with one cell's adapter at each rank, under a bar.

    Args:
        base: The base.
        frozen: The base and the examples, prepared.
        heldout: What the shares are measured on.
        records: What is asked to show the answers.
        stack: The adapters.
        row: The cell whose adapter is cut.
        ranks: In rising order; 0 stands for the base alone.
    """
    cuts = iter(cut_to_ranks(stack, row, [rank for rank in ranks if rank], base.decoder.config))
    template = stack.cells[row].template
    ids = [prompt_ids(template, record, base.tokenizer) for record in records]
    said, right = [], []
    with working("asking with fewer and fewer directions") as tell:
        for rank in ranks:
            one = next(cuts) if rank else None
            adapters = one.adapters() if one else None
            written = generate(
                base.decoder,
                [ids],
                stops=stops(template, base.tokenizer),
                limit=LONGEST_WORD,
                adapters=adapters,
            )
            said.append(tuple(base.tokenizer.decode(tokens) for tokens in written[0]))
            right.append(float(evaluate(frozen, heldout, one).exact[0].double().mean()))
            tell(len(said) / len(ranks))
    return RankAnswers(
        tuple(ranks),
        tuple((record.prompt, record.response) for record in records),
        tuple(said),
        tuple(right),
        len(heldout.references),
    )


def packed_directions(matrix: Float[Tensor, "N K"], most: int) -> Mapping[str, Any]:
    """Return a matrix's largest directions for a page, each number in a byte.

    Both halves of a direction carry the root of its size, so that their product is its part of the matrix.
    A byte keeps two digits, which is finer than what a picture shows.
    """
    left, sizes, right = np.linalg.svd(numbers(matrix), full_matrices=False)
    roots = np.sqrt(sizes[:most])
    halves = {"left": left[:, :most] * roots, "right": right[:most].T * roots}
    packed: dict[str, Any] = {"rows": len(left), "columns": right.shape[1], "directions": len(roots)}
    for name, half in halves.items():
        scales = np.maximum(np.abs(half).max(axis=0), 1e-30) / LARGEST_SIGNED
        codes = np.rint(half / scales).astype(np.int8)
        packed[name] = base64.b64encode(codes.tobytes()).decode()
        packed[f"{name}_scales"] = [float(f"{scale:.5g}") for scale in scales]
    packed["top"] = float(f"{np.quantile(np.abs(numbers(matrix)), 0.995):.4g}")
    return packed
