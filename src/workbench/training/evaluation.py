"""Held-out evaluation of a stack: loss, exact match and choice accuracy in one pass.

A greedy decoder writes the reference if and only if, given the reference so far, its most likely next token
is the reference's next one at every position, and then one at which a generation stops. So exact match needs
no generation: the pass that measures the loss measures it too (a test compares both).

The loss counts the tokens that training counts, those of a conversation's earlier answers too where these are
learnt (``loss_on`` is "all"). Exact match and choices concern the last answer alone, as a generation does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from workbench.data.batches import Batch
from workbench.devices import uploaded
from workbench.models.adapted import Adapters
from workbench.models.decoder import Decoder
from workbench.training.card_memory import judged_at_once
from workbench.training.loop import Frozen, chunks
from workbench.training.losses import rows_at_a_time

CHUNK_TOKENS = 2**13
"""Tokens that are evaluated at once on a processor."""
PACKED_CHUNK_TOKENS = 2**11
"""The same where it holds the base packed."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The evaluation set as indices into a pool.

    Attributes:
        references: Each item's example with its right response.
        choices: For each item, the examples with each of its choices; empty where there are none, or
            where ``tokens`` says the same for less.
        right: For each item, which of its choices is right; empty where there are none.
        tokens: For each item, the one token that each of its choices consists of; empty where a choice
            takes more. All choices are then scored by the reference's pass alone, at the response's
            first token; the end token, which every choice shares, is left out.
        stops: Tokens at which a generation stops, beside those that the references end with.
    """

    references: list[int]
    choices: list[list[int]] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    tokens: list[list[int]] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)

    @property
    def examples(self) -> list[int]:
        """The examples that are read for an evaluation, each once: references and choices."""
        return sorted({*self.references, *(index for row in self.choices for index in row)})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results for each cell and held-out item.

    Attributes:
        losses: Mean loss over the tokens of an item that count, nats a token.
        tokens: Number of tokens that count of each item: of its response, and of earlier answers if these
            are learnt.
        exact: Whether greedy decoding gives the whole response.
        chosen: Whether the right choice is the likeliest; None when the items have no choices.
    """

    losses: Float[Tensor, "G items"]
    tokens: Float[Tensor, " items"]
    exact: Bool[Tensor, "G items"]
    chosen: Bool[Tensor, "G items"] | None
    likeliest: Int64[Tensor, "G items"] | None = None
    """Which of an item's choices is the likeliest, by its place; None when the items have no choices."""

    def metrics(self, row: int) -> dict[str, float | None]:
        """Summarize one cell: loss over all tokens that count, and shares of items."""
        loss = float((self.losses[row] * self.tokens).sum() / self.tokens.sum())
        return {
            "loss": loss,
            "exact_match": float(self.exact[row].double().mean()),
            "choice_accuracy": None if self.chosen is None else float(self.chosen[row].double().mean()),
        }

    def outcomes(self, row: int) -> dict[str, list[float]]:
        """Return each item's outcome for one cell, by the name of its curve."""
        items = {
            "item_loss": self.losses[row].tolist(),
            "item_exact": self.exact[row].double().tolist(),
        }
        if self.chosen is not None:
            items["item_chosen"] = self.chosen[row].double().tolist()
        return items


@runtime_checkable
class Carried(Protocol):
    """Adapters that can be evaluated: those that train, and those that were trained long ago."""

    @property
    def cells(self) -> Sequence[Any]:
        """Those that are evaluated side by side."""

    def adapters(self) -> Adapters:
        """Return what the decoder's linear layers carry."""


@torch.no_grad()
def evaluate(
    frozen: Frozen, heldout: HeldOut, stack: Carried | None, *, chunk_tokens: int | None = None
) -> Evaluation:
    """Evaluate every cell of a stack, or the bare base (as a stack of one) when ``stack`` is None."""
    cells = 1 if stack is None else len(stack.cells)
    adapters = {} if stack is None else stack.adapters()
    columns = sorted({token for row in heldout.tokens for token in row})
    pool = frozen.pool
    ends = pool.tokens[(pool.starts + pool.lengths - 1)[heldout.references]]
    stops = torch.cat([ends, torch.tensor(heldout.stops, dtype=ends.dtype)]).unique()
    total = torch.zeros(cells, len(frozen.pool), dtype=torch.float64)
    exact = torch.zeros(cells, len(frozen.pool), dtype=torch.bool)
    openings = torch.zeros(cells, len(frozen.pool), len(columns))
    device = frozen.decoder.device
    chunk_tokens = chunk_tokens or read_at_once(frozen.decoder)
    for indices in chunks(frozen.pool, heldout.examples, max(1, chunk_tokens // cells)):
        batch = frozen.pool.batch([indices] * cells)
        placed = batch.to(device)
        hidden = frozen.decoder.at_labels(placed, adapters, frozen.hidden(placed), frozen.first)
        scores = _label_scores(frozen, hidden, placed.labels, columns)
        examples = torch.arange(len(indices) * cells)
        sums = torch.zeros(len(examples), dtype=torch.float64)
        total[:, indices] = sums.index_add_(0, batch.label_examples, scores.losses.double()).view(cells, -1)
        last = _last_answers(batch, pool.prompts[indices].repeat(cells))
        owners = batch.label_examples[last]
        end_lengths = pool.ends[indices].repeat(cells)
        right = (scores.likeliest == batch.labels)[last]
        stopping = torch.isin(scores.likeliest, stops)[last]
        exact[:, indices] = _written(right, stopping, owners, end_lengths).view(cells, -1)
        first = torch.searchsorted(owners, examples)
        openings[:, indices] = scores.columns[last][first].unflatten(0, (cells, -1)).float()
    return _summarize(frozen, heldout, total, exact, openings, columns)


def read_at_once(decoder: Decoder) -> int:
    """Return how many tokens are evaluated at once."""
    if decoder.device.type != "cpu":
        return judged_at_once(decoder)
    return PACKED_CHUNK_TOKENS if decoder.packed else CHUNK_TOKENS


def _last_answers(batch: Batch, prompts: Int64[Tensor, " E"]) -> Int64[Tensor, " last"]:
    """Return which labels belong to their example's last answer, behind its prompt."""
    places = batch.positions.flatten()[batch.label_slots] + 1
    return (places >= prompts[batch.label_examples]).nonzero().flatten()


@dataclass(frozen=True, slots=True)
class _LabelScores:
    """For each label, on the processor: its loss, the likeliest token, and the logits of some tokens."""

    losses: Float[Tensor, " P"]
    likeliest: Int64[Tensor, " P"]
    columns: Float[Tensor, "P C"]


def _label_scores(frozen: Frozen, rows: Tensor, labels: Tensor, columns: list[int]) -> _LabelScores:
    parts = []
    size = rows_at_a_time(frozen.decoder, rows)
    wanted = uploaded(torch.tensor(columns, dtype=torch.int64), rows.device)
    for part, told in zip(rows.split(size), labels.split(size), strict=True):
        logits = frozen.decoder.head(part)
        losses = functional.cross_entropy(logits, told, reduction="none")
        parts.append((losses, logits.argmax(-1), logits[:, wanted]))
    return _LabelScores(*(torch.cat(pieces).cpu() for pieces in zip(*parts, strict=True)))


def _written(
    right: Bool[Tensor, " P"],
    stop: Bool[Tensor, " P"],
    owners: Int64[Tensor, " P"],
    end_lengths: Int64[Tensor, " E"],
) -> Bool[Tensor, " E"]:
    """Say which examples' responses a greedy decoder writes and then stops.

    It may stop before it has written all that a template puts behind a response, such as a space.

    Args:
        right: For each token of a response, whether the decoder writes it.
        stop: For each, whether the decoder writes one that stops it instead.
        owners: The example of each.
        end_lengths: How many of its response's tokens end it, for each example.
    """
    examples = torch.arange(len(end_lengths))
    last = torch.searchsorted(owners, examples, right=True) - 1
    behind = last[owners] - torch.arange(len(right)) < end_lengths[owners]
    missed = torch.zeros(len(examples), dtype=torch.int64)
    missed.index_add_(0, owners, (~right & ~behind).long())
    going, stopped = missed == 0, torch.zeros(len(examples), dtype=torch.bool)
    for place in range(int(end_lengths.max())):
        here = place < end_lengths
        at = torch.where(here, last - end_lengths + 1 + place, last)
        stopped |= going & here & stop[at]
        going &= here & right[at]
    return stopped


def _summarize(
    frozen: Frozen, heldout: HeldOut, total: Tensor, exact: Tensor, openings: Tensor, columns: list[int]
) -> Evaluation:
    """Pick the held-out items out of the results for the pool; the first of equal choices wins."""
    pool, references = frozen.pool, heldout.references
    tokens = pool.labels[references].double()
    chosen = best = None
    if heldout.right:
        right = torch.tensor(heldout.right)
        if heldout.tokens:
            place = {token: column for column, token in enumerate(columns)}
            picked = torch.tensor([[place[token] for token in row] for row in heldout.tokens])
            best = openings[:, references].gather(2, picked.expand(len(openings), -1, -1)).argmax(dim=2)
        else:
            # summed log-likelihoods of whole responses, the end token with them; what earlier answers add, if
            # these count, is the same for each choice
            best = torch.stack([total[:, row].argmin(dim=1) for row in heldout.choices], dim=1)
        chosen = best == right
    return Evaluation(
        losses=total[:, references] / tokens,
        tokens=tokens,
        exact=exact[:, references],
        chosen=chosen,
        likeliest=best,
    )
