"""Held-out evaluation of a stack: loss, exact match and choice accuracy in one pass.

A greedy decoder writes the reference if and only if, given the reference so far, its most likely next token
is the reference's next one, at every position up to and with the end token. So exact match needs no
generation: the pass that measures the loss measures it too (a test compares both).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from workbench.adapters.lora import LoraStack
from workbench.data.batches import Batch
from workbench.training.loop import Frozen, chunks
from workbench.training.losses import LOGIT_BYTES


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The evaluation set as indices into a pool.

    Attributes:
        references: Each item's example with its right response.
        choices: For each item, the examples with each of its choices; empty where there are none.
        right: For each item, which of its choices is right; empty where there are none.
    """

    references: list[int]
    choices: list[list[int]]
    right: list[int]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results for each cell and held-out item.

    Attributes:
        losses: Mean loss over the item's response, nats a token.
        tokens: Number of response tokens of each item.
        exact: Whether greedy decoding gives the whole response.
        chosen: Whether the right choice is the likeliest; None when the items have no choices.
    """

    losses: Float[Tensor, "G items"]
    tokens: Float[Tensor, " items"]
    exact: Bool[Tensor, "G items"]
    chosen: Bool[Tensor, "G items"] | None

    def metrics(self, row: int) -> dict[str, float | None]:
        """Summarize one cell: loss over all response tokens, and shares of items."""
        loss = float((self.losses[row] * self.tokens).sum() / self.tokens.sum())
        return {
            "loss": loss,
            "exact_match": float(self.exact[row].double().mean()),
            "choice_accuracy": None if self.chosen is None else float(self.chosen[row].double().mean()),
        }


@torch.no_grad()
def evaluate(
    frozen: Frozen, heldout: HeldOut, stack: LoraStack | None, *, chunk_tokens: int = 8192
) -> Evaluation:
    """Evaluate every cell of a stack, or the bare base (as a stack of one) when ``stack`` is None."""
    cells = 1 if stack is None else len(stack.cells)
    adapters = {} if stack is None else stack.adapters()
    wanted = sorted({*heldout.references, *(index for row in heldout.choices for index in row)})
    total = torch.zeros(cells, len(frozen.pool), dtype=torch.float64)
    exact = torch.zeros(cells, len(frozen.pool), dtype=torch.bool)
    for indices in chunks(frozen.pool, wanted, max(1, chunk_tokens // cells)):
        batch = frozen.pool.batch([indices] * cells)
        hidden = frozen.decoder(batch, adapters, frozen.hidden(batch), frozen.first)
        nll, right = _label_scores(frozen, hidden, batch)
        examples = len(indices) * cells
        sums = torch.zeros(examples, dtype=torch.float64).index_add_(0, batch.label_examples, nll.double())
        missed = torch.zeros(examples, dtype=torch.int64).index_add_(0, batch.label_examples, (~right).long())
        total[:, indices] = sums.view(cells, -1)
        exact[:, indices] = (missed == 0).view(cells, -1)
    return _summarize(frozen, heldout, total, exact)


def _label_scores(frozen: Frozen, hidden: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return each label's loss and whether it is the likeliest token."""
    rows = hidden.flatten(0, 1)[batch.label_slots]
    size = max(1, LOGIT_BYTES // (frozen.decoder.config.vocabulary * rows.element_size()))
    losses, right = [], []
    for part, labels in zip(rows.split(size), batch.labels.split(size), strict=True):
        logits = frozen.decoder.head(part)
        losses.append(functional.cross_entropy(logits, labels, reduction="none"))
        right.append(logits.argmax(-1) == labels)
    return torch.cat(losses), torch.cat(right)


def _summarize(frozen: Frozen, heldout: HeldOut, total: Tensor, exact: Tensor) -> Evaluation:
    pool, references = frozen.pool, heldout.references
    tokens = (pool.lengths - pool.prompts)[references].double()
    return Evaluation(
        losses=total[:, references] / tokens,
        tokens=tokens,
        exact=exact[:, references],
        chosen=_chosen(total, heldout.choices, heldout.right) if heldout.choices else None,
    )


def _chosen(total: Tensor, choices: Sequence[Sequence[int]], right: Sequence[int]) -> Tensor:
    """Compare the summed log-likelihoods of each item's choices; the first of equals wins."""
    columns = [total[:, row].argmin(dim=1) == answer for row, answer in zip(choices, right, strict=True)]
    return torch.stack(columns, dim=1)
