"""How an operator is registered with PyTorch, and how it runs when nothing asks for the registration.

`torch.library.custom_op` makes an operator that compilers, shape inference and profilers know. On a CPU each
call through it takes 0.3 to 0.5 ms, as it walks through the arguments as trees: longer than the products of a
small layer, and the first one loads PyTorch's compiler, which takes a second. Where no compiler or tracer
looks on, the same functions therefore run as they are, with the same gradient, under a plain
`torch.autograd.Function`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from qlora_kernels.rows import Context

Save = Callable[[Context, tuple, Any], None]
Backward = Callable[..., tuple]

PLAIN: set[type] = {Tensor, torch.nn.Parameter}
"""Types of tensor that hold numbers; others are stand-ins, which the registered operator knows to handle."""


class Operator:
    """A registered operator that is called directly where that is the same.

    Attributes:
        registered: What `torch.library.custom_op` returned: the operator as a compiler sees it.
        forward: The function that computes it.
    """

    def __init__(self, name: str, forward: Callable[..., Any]) -> None:
        """Register ``forward`` under ``name``; see :func:`operator`."""
        self.forward = forward
        self.registered = torch.library.custom_op(name, mutates_args=())(forward)
        self.register_fake = self.registered.register_fake
        self._eager: type[torch.autograd.Function] | None = None

    def register_autograd(self, backward: Backward, *, setup_context: Save) -> None:
        """Register the gradient, as ``torch.library`` does."""
        self.registered.register_autograd(backward, setup_context=setup_context)
        self._eager = _function(self.forward, backward, setup_context)

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401 - any operator's arguments and results
        """Compute the operator."""
        if torch.compiler.is_compiling() or any(
            isinstance(value, Tensor) and type(value) not in PLAIN for value in arguments
        ):
            return self.registered(*arguments)
        if not torch.is_grad_enabled():
            return self.forward(*arguments)
        if self._eager is not None:
            return self._eager.apply(*arguments)
        # without a gradient of its own, such as in a gradient of a gradient: the registry refuses to go on
        asked = any(isinstance(value, Tensor) and value.requires_grad for value in arguments)
        return self.registered(*arguments) if asked else self.forward(*arguments)


def operator(name: str) -> Callable[[Callable[..., Any]], Operator]:
    """Register the decorated function as an operator."""
    return lambda forward: Operator(name, forward)


def _function(
    forward: Callable[..., Any], backward: Backward, setup_context: Save
) -> type[torch.autograd.Function]:
    def run(ctx: Context, *arguments: Any) -> Any:  # noqa: ANN401 - any operator's arguments and results
        result = forward(*arguments)
        setup_context(ctx, arguments, result)
        return result

    def gradients(ctx: Context, *upstream: Tensor | None) -> tuple:
        # a list of tensors gets a list of gradients from a registered operator, and nothing here
        return tuple(None if isinstance(g, list) else g for g in backward(ctx, *upstream))

    # as one function with the context: PyTorch reads a separate one's signature anew in every call
    parts = {"forward": staticmethod(run), "backward": staticmethod(gradients)}
    return type("Eager", (torch.autograd.Function,), parts)
