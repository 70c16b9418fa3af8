"""Losses of responses under a base, in the batches without padding in which it trains."""

from collections.abc import Callable, Sequence

import torch

from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.data.batches import Pool
from workbench.data.records import Record
from workbench.data.templates import Example, render
from workbench.models.base import Base
from workbench.training.evaluation import HeldOut, evaluate
from workbench.training.loop import Frozen, chunks, freeze, train

OnShare = Callable[[float], None]
PIECE_TOKENS = 16384
"""Tokens after which progress is told."""
PASSES = 2.0
"""Of the small adapter: enough to learn what most records share, too few to learn each by heart."""
ADAPTED = 6
"""Blocks, the last ones, that carry it."""


def response_losses(
    base: Base, records: Sequence[Record], template: str, tell: OnShare
) -> list[float | None]:
    """Return the mean loss of each response in nats a token, given its prompt.

    Raises:
        InputError: As ``templates.render``.
    """
    return _losses(base, [render(template, record, base.tokenizer) for record in records], None, tell)


def ifd(base: Base, records: Sequence[Record], template: str, tell: OnShare) -> list[float | None]:
    """Return the loss of each response with its prompt over that without.

    Without the prompt, the same tokens stand behind what begins a text, if the base has such a token; else
    the first of them, which nothing precedes, has no loss. A response of that one token has no ratio.

    Source: Li et al. 2023, "From Quantity to Quality", arXiv 2308.12032.

    Raises:
        InputError: As ``templates.render``.
    """
    asked = [render(template, record, base.tokenizer) for record in records]
    alone = [_alone(example, base.tokenizer.bos) for example in asked]
    known = [place for place, example in enumerate(alone) if example.prompt_length < len(example.token_ids)]
    with_prompt = _losses(base, [asked[place] for place in known], None, lambda share: tell(share / 2))
    without = _losses(base, [alone[place] for place in known], None, lambda share: tell(0.5 + share / 2))
    ratios: list[float | None] = [None] * len(asked)
    for place, one, other in zip(known, with_prompt, without, strict=True):
        ratios[place] = one / other if one is not None and other else None
    return ratios


def _alone(example: Example, bos: int | None) -> Example:
    tokens = example.token_ids[example.prompt_length :]
    return Example(tokens, 1) if bos is None else Example((bos, *tokens), 1)


def tuned_losses(base: Base, records: Sequence[Record], template: str, tell: OnShare) -> list[float | None]:
    """Return the loss of each response after two passes of one adapter over all of them.

    Raises:
        InputError: As ``templates.render``.
    """
    examples = [render(template, record, base.tokenizer) for record in records]
    cell = small_cell(base, len(examples))
    places, pool = pooled(examples)
    frozen = freeze(base.decoder, pool, cell.first_layer)
    stack, _ = train(
        frozen, [cell], [places], on_step=lambda state: tell(0.8 * state.step / cell.total_steps)
    )
    return _of_pool(frozen, places, stack, lambda share: tell(0.8 + 0.2 * share))


def small_cell(base: Base, size: int) -> CellConfig:
    """Return the cell that trains a small adapter in the last blocks on so many examples, in two passes."""
    first = max(0, base.decoder.config.layers - ADAPTED)
    return CellConfig(data="", base="", size=size, steps=None, epochs=PASSES, first_layer=first)


def pooled(examples: Sequence[Example]) -> tuple[list[int], Pool]:
    """Return distinct examples as a pool, and where each one given is in it."""
    distinct: dict[Example, int] = {}
    places = [distinct.setdefault(example, len(distinct)) for example in examples]
    return places, Pool(distinct)


def _losses(
    base: Base, examples: Sequence[Example], stack: LoraStack | None, tell: OnShare
) -> list[float | None]:
    if not examples:
        return []
    places, pool = pooled(examples)
    return _of_pool(Frozen(base.decoder, pool, 0, None), places, stack, tell)


def _of_pool(
    frozen: Frozen, places: Sequence[int], stack: LoraStack | None, tell: OnShare
) -> list[float | None]:
    """Return the losses of a pool's examples, in the order of ``places``."""
    found = torch.full((len(frozen.pool),), float("nan"), dtype=torch.float64)
    done = 0
    for block in chunks(frozen.pool, range(len(frozen.pool)), PIECE_TOKENS):
        found[block] = evaluate(frozen, HeldOut(block), stack).losses[0].double()
        done += len(block)
        tell(done / len(frozen.pool))
    losses = found[list(places)]
    return [float(value) if value.isfinite() else None for value in losses]
