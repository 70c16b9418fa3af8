"""Which route an operator takes and why, in words that a study's manifest can keep."""

from dataclasses import dataclass

from torch import Tensor

from qlora_kernels.rows import Backend, route


@dataclass(frozen=True, slots=True)
class Choice:
    """A route and the reason for it."""

    route: str
    """One of "triton", "torch" and "reference"; of a product with a packed weight "fused" or "decoded"."""
    reason: str


def choose(tensor: Tensor, backend: Backend = "auto") -> Choice:
    """Say which route operators on ``tensor`` take; it is the one that they do take.

    Raises:
        ValueError: If the backend is unknown, or can't compute with the tensor's type.
    """
    taken = route(backend, tensor)
    if backend != "auto":
        return Choice(taken, "asked for by name")
    if taken == "triton":
        return Choice(taken, f"the tensors are on {tensor.device}")
    return Choice(taken, f"the tensors are on {tensor.device}, for which Triton has no compiler")
