"""How a processor holds a base's matrices: decoded beside the packed ones, for speed, or packed alone.

Packed, a GGUF's matrices stay in the file, which is mapped into memory. A product decodes its matrix into a
buffer that the next one overwrites; the head is decoded a part at a time. For the gradient only the inputs of
blocks are kept, and each block is run a second time when its gradient is taken. What comes out differs by the
rounding of sums alone: the products of layers with the same input, and the parts of the head, are apart.

Source of the second run: Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qlora_kernels import QuantizedTensor, quantized_linear
from qlora_kernels.formats_layout import Affine
from qlora_kernels.head_products import float32_logits, logits_by_part
from qlora_kernels.products import PRECISIONS, PreparedWeight
from workbench import memory
from workbench.config import HOLDS
from workbench.errors import InputError, unknown_name
from workbench.models.between import products_in
from workbench.models.decoder_config import DecoderConfig
from workbench.models.precision import choose_precision

SPARE_BYTES = 2**28
"""What has to be free beside a decoded base; what training takes is counted once the data is read."""


def chosen_hold(
    hold: str, precision: str, config: DecoderConfig, device: torch.device, needed: Callable[[int], int]
) -> str:
    """Return how a base is held: as asked, or decoded where there is memory for that and packed where not.

    Args:
        hold: One of ``config.HOLDS``.
        precision: Of products, as asked for.
        config: The base's sizes.
        device: Where it is to lie.
        needed: (bytes of a number that is multiplied) -> bytes that the decoded base would still take.

    Raises:
        InputError: If the name or the precision can't be used.
    """
    if hold not in HOLDS:
        raise unknown_name("hold", hold, HOLDS, "src/workbench/config.py")
    if hold != "auto":
        return hold
    precision, _ = choose_precision(precision, config.width, device)
    if device.type != "cpu" or precision == "int8":
        return "decoded"
    fits = needed(PRECISIONS[products_in(precision)].itemsize) + SPARE_BYTES <= memory.free_bytes()
    return "decoded" if fits else "packed"


def check_hold(hold: str, precision: str, device: torch.device) -> None:
    """Refuse a way of holding that isn't there, or doesn't go with a precision or a device.

    Raises:
        InputError: If it is so.
    """
    if hold not in HOLDS or hold == "auto":
        raise unknown_name("hold", hold, HOLDS[1:], "src/workbench/config.py")
    if hold == "packed" and device.type != "cpu":
        raise InputError(
            "hold packed: that is for processors, and on a GPU weights stay packed in any case; leave --hold "
            "out, or choose --device cpu"
        )
    if hold == "packed" and precision == "int8":
        raise InputError(
            "hold packed: the bytes of precision int8 are made of decoded weights, once; choose --precision "
            "bfloat16 or --precision float32, or --hold decoded"
        )


def kept_packed(
    weights: Mapping[str, Tensor | QuantizedTensor],
    groups: Sequence[Sequence[str]],
    head: str,
    _: torch.dtype,
) -> tuple[dict[str, list[tuple[str, ...]]], dict[str, Tensor | QuantizedTensor]]:
    """Return the products of the groups of layers, one a layer, and what these and the head take."""
    products: dict[str, list[tuple[str, ...]]] = {group[0]: [(name,) for name in group] for group in groups}
    return products, {name: weights[name] for group in (*groups, [head]) for name in group}


def head_logits(
    hidden: Float[Tensor, "*rows K"],
    held: PreparedWeight | Affine | QuantizedTensor | Tensor,
    precision: str,
) -> Float[Tensor, "*rows V"]:
    """Return the frozen head's logits, in float32 at least; a processor multiplies in ``precision``."""
    if hidden.device.type != "cpu":
        assert isinstance(held, Affine | Tensor), "a GPU reads blocks, or numbers"
        return float32_logits(hidden, held)
    wide = hidden.dtype == torch.float64
    hidden = hidden if wide else hidden.float()
    if isinstance(held, QuantizedTensor):
        return logits_by_part(hidden, held.operand(), hidden.dtype if wide else PRECISIONS[precision])
    return quantized_linear(hidden, held, precision=None if wide else precision)


class _Recomputed(torch.autograd.Function):
    """A block of which only the inputs are kept: it runs again where its gradient is taken.

    torch.utils.checkpoint does the same and imports PyTorch's compiler, which takes 150 MB.
    """

    @staticmethod
    def forward(ctx: Any, run: Callable[..., Tensor], *inputs: Tensor) -> Tensor:  # noqa: ANN401 - autograd's
        """Run the block without a graph."""
        ctx.run = run
        ctx.save_for_backward(*inputs)
        return run(*inputs)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - autograd's
        """Run it with one, and go back through that."""
        needed = ctx.needs_input_grad[1:]
        inputs = [
            one.detach().requires_grad_(wanted) for one, wanted in zip(ctx.saved_tensors, needed, strict=True)
        ]
        with torch.enable_grad():
            result = ctx.run(*inputs)
        wanted = [one for one in inputs if one.requires_grad]
        found = iter(torch.autograd.grad(result, wanted, slope, allow_unused=True))
        return None, *(next(found) if one.requires_grad else None for one in inputs)


def recomputed(block: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return ``Decoder.block`` as one of which only the inputs are kept for the gradient."""

    def run(layer: int, hidden: Tensor, *others: Any) -> Tensor:  # noqa: ANN401 - the block's arguments
        rotations, attend, adapters, *rest = others
        own = {name: one for name, one in adapters.items() if name.startswith(f"layers.{layer}.")}
        fields = [(name, field) for name, one in own.items() for field in one._fields]
        places = [(name, field) for name, field in fields if getattr(own[name], field) is not None]

        def again(hidden: Tensor, *values: Tensor) -> Tensor:
            carried = dict(own)
            for (name, field), value in zip(places, values, strict=True):
                carried[name] = carried[name]._replace(**{field: value})
            return block(layer, hidden, rotations, attend, carried, *rest)

        inputs = [getattr(own[name], field) for name, field in places]
        made: Tensor = _Recomputed.apply(again, hidden, *inputs)
        return made

    return run
