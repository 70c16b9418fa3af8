"""Training a small sparse base on: its experts and routers with everything else, on the ladder's words.

Only a base that reads as the classroom's does can learn from them: a run of a ladder, with experts.

Source: Fedus et al., "Switch Transformers", arXiv:2101.03961, section 2.2, for the loss that keeps experts in
balance and its weight of 0.01.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.classroom.pretrain import ALPHABET, TOKENIZER, PretrainConfig, example_of, pretrain
from workbench.classroom.word_tasks import WordTask
from workbench.data.batches import Pool
from workbench.errors import InputError
from workbench.ladder.training import (
    LADDER_SETTINGS,
    RATE_WIDTH,
    WARMUP_SHARE,
    Ended,
    Lessons,
    held_out,
)
from workbench.models.base import Base
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import ROUTER
from workbench.models.experts import active_parameters, choose_experts

BALANCE = 0.01
"""What the loss of an uneven choice is multiplied by, as in Switch."""
SPARSE_SETTINGS = replace(LADDER_SETTINGS, matrix_rate=0.005, vector_rate=0.001)
"""Rates of a base that has learnt something: a quarter of those from nothing, and a third."""
SHARED_TASKS = 256
"""Held-out words whose tokens tell how evenly experts are chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedExperts:
    """What came of training a sparse base on.

    Attributes:
        tokens: Tokens read: steps, times examples in a step, times an example's mean length.
        flops: Six times the parameters that a token goes through, times tokens.
        before, after: Loss on the held-out words, nats a token of the answers.
        shares: Of each block, the share of choices that each expert got, (L, E).
    """

    tokens: int
    flops: float
    before: float
    after: float
    shares: Float[Tensor, "L E"]


def train_experts(
    base: Base,
    steps: int,
    known: Lessons,
    *,
    balance: float = BALANCE,
    settings: PretrainConfig = SPARSE_SETTINGS,
    on_step: Callable[[float], bool] | None = None,
) -> tuple[Base, TrainedExperts]:
    """Train all weights of a base with experts, and return it with what came of it.

    Args:
        base: With experts, and the classroom's tokenizer.
        steps: How many.
        known: What to train and measure on.
        balance: What the loss of an uneven choice is multiplied by.
        settings: Rates at the ladder's width, examples in a step, and the seed of their order.
        on_step: Told the share of the steps that are done; returns whether to go on.

    Raises:
        InputError: If the base can't learn so, or its loss isn't finite.
        Ended: If ``on_step`` said so.
    """
    config = base.decoder.config
    refuse_untrainable(base)
    chosen = replace(
        settings,
        steps=steps,
        warmup_steps=max(1, round(WARMUP_SHARE * steps)),
        vector_rate=settings.vector_rate * RATE_WIDTH / config.width,
    )

    def tell(step: int, loss: float) -> None:
        if on_step and not on_step(step / steps):
            raise Ended(base.name)

    start = {name: base.decoder.weight(name) for name in base.decoder.weights}
    weights = pretrain(
        known.data,
        chosen,
        architecture=config,
        start=start,
        balance=balance,
        on_step=tell,
        pool=known.pool,
    )
    trained, heldout = Decoder(config, weights), known.data.heldout
    before, after = (held_out(decoder, heldout)[0] for decoder in (base.decoder, trained))
    if not after < float("inf"):
        raise InputError(
            f"the held-out loss is {after} after training, so it diverged at a matrix rate of "
            f"{settings.matrix_rate:g}; take a lower one: --matrix-rate {settings.matrix_rate / 2:g}"
        )
    tokens = round(steps * settings.batch_size * known.example_tokens)
    told = TrainedExperts(
        tokens=tokens,
        flops=6.0 * active_parameters(config, tied=base.decoder.tied) * tokens,
        before=before,
        after=after,
        shares=expert_shares(trained, heldout[:SHARED_TASKS]),
    )
    return replace(base, decoder=trained), told


def refuse_untrainable(base: Base) -> None:
    """Refuse a base that can't learn the ladder's words here.

    Raises:
        InputError: If it has no experts, or reads otherwise than the classroom's.
    """
    if not base.decoder.config.experts:
        raise InputError(f"{base.name} has no experts; make some with `workbench upcycle`")
    if base.tokenizer.vocabulary != TOKENIZER.vocabulary or base.tokenizer.encode(ALPHABET) != (
        TOKENIZER.encode(ALPHABET)
    ):
        raise InputError(
            f"{base.name} can't be trained here: the words are written in the classroom's characters, and "
            "its tokenizer is another. Leave --steps out and train adapters on it, or give a run of "
            "`workbench ladder`."
        )


@torch.no_grad()
def expert_shares(decoder: Decoder, tasks: Sequence[WordTask]) -> Float[Tensor, "L E"]:
    """Return each expert's share of what is chosen for the tokens of some words; a block sums to 1."""
    config = decoder.config
    found: list[Tensor] = []

    def observe(name: str, x: Tensor) -> None:
        if name.endswith(ROUTER):
            choice = choose_experts(x.flatten(0, -2), decoder.weight(name), config.experts_used)
            counts = torch.bincount(choice.experts.flatten(), minlength=config.experts)
            found.append(counts / counts.sum())

    pool = Pool(example_of(task) for task in tasks)
    batch = pool.batch([range(len(pool))])
    decoder.blocks(decoder.embed(batch.tokens), batch, {}, 0, config.layers, observe=observe)
    return torch.stack(found)
