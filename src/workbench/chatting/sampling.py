"""How the next token is chosen."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What decides an answer, besides what is asked."""

    temperature: float | int = 0.0
    """The logits are divided by it before a token is drawn; 0 takes the likeliest each time."""
    seed: int = 0
    """Of the draws: the same seed, question and history give the same answer."""
    limit: int = 256
    """Most tokens of an answer."""

    def __post_init__(self) -> None:
        """Refuse values that no answer could be drawn with."""
        if not 0.0 <= self.temperature < float("inf"):
            raise InputError(f"temperature is {self.temperature}; it is a number from 0 (the likeliest) up")
        if self.limit < 1:
            raise InputError(f"limit is {self.limit}; an answer has at least 1 token")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed is {self.seed}; it is a whole number from 0 to {2**32 - 1}")

    def chance(self) -> torch.Generator:
        """Return what an answer's draws come from."""
        return torch.Generator().manual_seed(self.seed)

    def choose(self, logits: Float[Tensor, " V"], chance: torch.Generator) -> int:
        """Return the next token."""
        if self.temperature == 0.0:
            return int(logits.argmax())
        shares = (logits.double() / self.temperature).softmax(dim=0)
        return int(torch.multinomial(shares, 1, generator=chance))
