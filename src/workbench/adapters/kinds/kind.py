"""What a kind of adapter may change about plain LoRA.

Shape letters: K inputs, N outputs, R rank.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

Start = Callable[[Float[Tensor, "N K"], int, float], tuple[Float[Tensor, "R K"], Float[Tensor, "N R"]]]
"""(a frozen weight, the rank, the scale) -> the first A and B."""


def by_rank(alpha: float, rank: int) -> float:
    """Return alpha / rank, LoRA's own scale."""
    return alpha / rank


def unchanged(value: Tensor) -> Tensor:
    """Return what is given."""
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterKind:
    """A kind of adapter; as it stands here it is plain LoRA."""

    about: str
    """A line for ``workbench run --help`` and the documents."""
    source: str
    """Where it was published."""
    scale: Callable[[float, int], float] = by_rank
    """(alpha, rank) -> what the product of B and A is multiplied by."""
    b_rate: float = 1.0
    """How many times the learning rate of A that of B is."""
    start: Start | None = None
    """Makes the first A and B from the frozen weight, which gives up what they add: the layer begins as it
    was. None draws A at random and sets B to zero."""
    magnitudes: bool = False
    """Whether each output also has a trained length, to which its row of the changed weight is scaled."""
    prefix: bool = False
    """Whether it has no matrices, but trained tokens that every token of a block looks at, through a gate."""
    gate: Callable[[Tensor], Tensor] = unchanged
    """What a gate's trained number becomes before it multiplies."""
    gate_of_each_head: bool = False
    """Whether every head has a gate; otherwise a block has one."""

    def carried(self, rank: int) -> int:
        """Return the rank of what a layer carries: its own, and as much to take off what it began with."""
        return 2 * rank if self.start else rank
