"""Whether two models are the same: what they say to real texts, measured and judged.

One model is the reference: base and adapter, apart, in float32 as our decoder computes them. Of each token of
each text the probabilities of the next one are compared. How far a written model may be from the reference
is not a number of ours: it is what the rounding of its format costs by itself, measured on the same texts,
and a little for the order of sums.

Shape letters: S tokens of a text, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.models.decoder import Adapters, Decoder

LIKELIEST = 50
"""Tokens whose log-probabilities are compared one by one: the reference's likeliest."""
SLACK = 1.1
"""A written model may be this many times as far from the reference as its rounding is from no rounding."""
WORST = 3
"""Texts that a message names."""


class NotTheSame(Exception):
    """What was written isn't what was to be written; nothing was kept of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far one model is from another, over some texts."""

    kl: float
    """Mean over the tokens of the Kullback-Leibler divergence from the first to the second, in nats."""
    largest: float
    """Largest difference of a log-probability among the first's :data:`LIKELIEST` tokens, in nats."""
    agreement: float
    """Share of the tokens after which both think the same next token the likeliest."""
    loss: float
    """By how much the second's mean loss on the held-out texts is higher, in nats a token."""
    worst: tuple[tuple[float, str], ...] = ()
    """The texts of the largest mean divergence, with it."""

    def __str__(self) -> str:
        """Write the four numbers in one line."""
        return (
            f"KL {self.kl:.2e}, log-probability {self.largest:.2e}, top-1 {self.agreement:.2%}, "
            f"loss {self.loss:+.2e}"
        )


FLOAT32 = Difference(kl=1e-7, largest=2e-3, agreement=1.0, loss=1e-4)
"""How far float32 alone may take a model from itself, when sums are made in another order.

An adapter merged into SmolLM2-135M: 1.4e-11, 5e-5, all and 2.5e-6. Larger models sum more."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text as a model reads it."""

    text: str
    tokens: tuple[int, ...]
    heldout: bool
    """Whether the loss is measured on it; on the others it would be a loss of questions."""
    prompt: str = ""
    """What it is called for people, where a template has put more around it; else the text itself."""


def log_probabilities(decoder: Decoder, tokens: Sequence[int], adapters: Adapters) -> Float[Tensor, "S V"]:
    """Return the log-probabilities of the token after each token."""
    batch = Pool([Example(tuple(tokens), 1)]).batch([[0]])
    with torch.no_grad():
        return decoder.head(decoder(batch, adapters))[0].float().log_softmax(-1)


def read_all(decoder: Decoder, texts: Sequence[Text], adapters: Adapters) -> list[Tensor]:
    """Return :func:`log_probabilities` of every text."""
    return [log_probabilities(decoder, text.tokens, adapters) for text in texts]


def divergence(p: Float[Tensor, "S V"], q: Float[Tensor, "S V"]) -> Float[Tensor, " S"]:
    """Return the Kullback-Leibler divergence from p to q, both log-probabilities, after each token.

    The sum of p (log p - log q) less that of p, and that of q: both are 1, and with them no term is negative.
    Without them the errors of float32, which a sum of both signs lets through, would hide small divergences.
    """
    ahead = (q - p).double()
    return (p.exp() * (torch.expm1(ahead) - ahead)).sum(-1)


def difference(texts: Sequence[Text], first: Sequence[Tensor], second: Sequence[Tensor]) -> Difference:
    """Measure how far the second model is from the first, on the same texts."""
    divergences, losses = [], []
    largest, agreed, total = 0.0, 0, 0
    for text, p, q in zip(texts, first, second, strict=True):
        divergences.append(divergence(p, q))
        found = p.topk(min(LIKELIEST, p.shape[-1]), dim=-1)
        apart = (found.values - q.gather(-1, found.indices)).abs().max()
        # a number that isn't one is as far as can be
        largest = max(largest, float(apart.nan_to_num(torch.inf)))
        chosen = p.gather(-1, q.argmax(-1, keepdim=True)).squeeze(-1)
        # tokens that are equally likely but for the order of sums are no disagreement
        agreed += int((chosen >= found.values[:, 0] - FLOAT32.largest).sum())
        total += len(p)
        if text.heldout:
            labels = torch.tensor(text.tokens[1:])[:, None]
            losses.append((p[:-1] - q[:-1]).gather(-1, labels).squeeze(-1))
    by_text = [float(one.mean().nan_to_num(torch.inf)) for one in divergences]
    order = sorted(range(len(texts)), key=lambda place: -by_text[place])[:WORST]
    return Difference(
        kl=float(torch.cat(divergences).double().mean().nan_to_num(torch.inf)),
        largest=largest,
        agreement=agreed / total,
        loss=float(torch.cat(losses).double().mean().nan_to_num(torch.inf)) if losses else 0.0,
        worst=tuple((by_text[place], texts[place].prompt or texts[place].text) for place in order),
    )


def tolerance_of(rounding: Difference) -> Difference:
    """Return how far a model may be from the reference whose rounding by itself has taken it so far."""
    return Difference(
        kl=FLOAT32.kl + SLACK * rounding.kl,
        largest=FLOAT32.largest + SLACK * rounding.largest,
        agreement=1 - SLACK * (1 - rounding.agreement),
        loss=FLOAT32.loss + SLACK * abs(rounding.loss),
    )


def beyond(found: Difference, allowed: Difference) -> list[str]:
    """Return what of a difference is more than is allowed, each as a few words; nothing if all is well."""
    words = []
    if not found.kl <= allowed.kl:
        words.append(f"KL {found.kl:.2e}, at most {allowed.kl:.2e}")
    if not found.largest <= allowed.largest:
        words.append(f"a log-probability differs by {found.largest:.2e}, at most {allowed.largest:.2e}")
    if not found.agreement >= allowed.agreement:
        words.append(f"top-1 agreement {found.agreement:.2%}, at least {allowed.agreement:.2%}")
    if not abs(found.loss) <= allowed.loss:
        words.append(f"loss {found.loss:+.2e}, at most {allowed.loss:.2e}")
    return words


def demand(found: Difference, allowed: Difference, what: str) -> None:
    """Refuse a difference that is larger than is allowed.

    Args:
        found: What was measured.
        allowed: The tolerance.
        what: What isn't the same, as the beginning of a sentence.

    Raises:
        NotTheSame: With the numbers, and the texts that differ most.
    """
    if words := beyond(found, allowed):
        worst = "; ".join(f"{text[:60]!r} (KL {kl:.2e})" for kl, text in found.worst)
        raise NotTheSame(f"{what}: {'; '.join(words)}. It differs most on {worst}.")
