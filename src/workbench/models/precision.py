"""The precision of products: which one to take, and how each layer takes to int8 on a CPU.

In trained decoders a few features of the residual stream are tens of times the others, at every token. They
are a property of the weights, so a probe of random tokens finds them: on SmolLM2-135M keeping 16 columns
apart brings the error of the attention's int8 products from 2.9% to 0.6%, and columns found on real text
bring the same. The inputs of down_proj have outliers that differ from token to token, which no columns catch:
layers like that are multiplied in bfloat16.

Source: Dettmers et al., "LLM.int8()", arXiv:2208.07339, section 4, on what the outliers are.
"""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from qlora_kernels.products import LARGEST_BYTE, prepare_weight, product
from workbench.config import PRECISIONS
from workbench.data.batches import Batch, Pool
from workbench.data.templates import Example
from workbench.devices import has_bfloat16
from workbench.errors import InputError, unknown_name

OUTLIER_COLUMNS = 16
"""Columns kept apart in each layer; at most an eighth of its inputs."""
INT8_ERROR = 0.015
"""Largest relative error of a layer's int8 product at which the layer is multiplied so."""
PROBES, PROBE_TOKENS = 2, 128
CPU = torch.device("cpu")
SMALL_WIDTH = 256
"""Below this width a product takes less time than what is around it, and float32 costs nothing."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What random tokens show of one linear layer.

    Attributes:
        columns: Its largest inputs.
        error: Distance of the int8 product from the product itself, relative to the latter's norm.
    """

    columns: Int64[Tensor, " C"]
    error: float


def choose_precision(precision: str, width: int, device: torch.device = CPU) -> tuple[str, str]:
    """Return the precision to use and the reason, in words for a manifest.

    Args:
        precision: One of ``config.PRECISIONS``, or "auto": the fastest that this processor has of those that
            leave a study's results within the noise of its seeds (docs/speed.md has the measurements).
        width: Of the base.
        device: Where the base lies.

    Raises:
        InputError: If the precision is unknown, or this processor can't multiply so.
    """
    if precision not in ("auto", *PRECISIONS):
        raise unknown_name("precision", precision, ["auto", *PRECISIONS], "src/workbench/config.py")
    if device.type != "cpu":
        return _on_gpu(precision, width, device)
    if precision == "float16":
        raise InputError(
            "precision float16: processors multiply it slowly, it is for GPUs; choose --precision bfloat16 "
            "or --precision float32"
        )
    if precision == "auto":
        if width < SMALL_WIDTH:
            return "float32", f"the base's width of {width} is too small for another to be faster"
        # int8 is faster still, but moved the loss of `raters` by more than a seed does: only by name
        if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
            return "bfloat16", "this processor multiplies bfloat16"
        return "float32", "this processor doesn't multiply bfloat16 faster"
    if precision == "int8" and not bytes_are_exact():
        raise InputError(
            "precision int8: this processor rounds sums of products of bytes, and results would be wrong; "
            "choose --precision bfloat16 or --precision float32"
        )
    return precision, "asked for"


def _on_gpu(precision: str, width: int, device: torch.device) -> tuple[str, str]:
    """Return the same for a GPU, where the precision is that of all activations."""
    bfloat16 = has_bfloat16(device)
    if precision == "auto":
        if width < SMALL_WIDTH:
            return "float32", f"the base's width of {width} is too small for another to be faster"
        if bfloat16:
            return "bfloat16", "this GPU multiplies bfloat16"
        return "float16", "this GPU's matrix units take float16, not bfloat16"
    if precision == "int8":
        raise InputError(
            "precision int8: that product is for processors; on a GPU choose --precision "
            f"{'bfloat16' if bfloat16 else 'float16'}, or --device cpu"
        )
    if precision == "bfloat16-activations":
        raise InputError(
            "precision bfloat16-activations: that is for processors, and on a GPU all activations are in the "
            f"precision named; choose --precision {'bfloat16' if bfloat16 else 'float16'}, or --device cpu"
        )
    if precision == "bfloat16" and not bfloat16:
        raise InputError(
            "precision bfloat16: this GPU's matrix units don't take it; choose --precision float16"
        )
    return precision, "asked for"


@cache
def bytes_are_exact() -> bool:
    """Try whether products of the largest bytes are summed without saturation: not so on some processors."""
    x = torch.full((32, 256), LARGEST_BYTE, dtype=torch.int8)
    w = torch.full((32, 256), LARGEST_BYTE, dtype=torch.int8)
    w[::2] = -LARGEST_BYTE
    return torch.equal(torch._int_mm(x, w.mT).long(), x.long() @ w.mT.long())


def probe_texts(vocabulary: int, context: int) -> Batch:
    """Return a batch of random tokens, the same for every base of these sizes."""
    generator = torch.Generator().manual_seed(0)
    texts = torch.randint(vocabulary, (PROBES, min(PROBE_TOKENS, context)), generator=generator)
    return Pool([Example(tuple(text.tolist()), 1) for text in texts]).batch([range(PROBES)])


def probe_layer(x: Float[Tensor, "*rows K"], weight: Float[Tensor, "N K"]) -> Probe:
    """Find the largest inputs of a linear layer, and try its product in int8 with these kept apart."""
    rows = x.flatten(0, -2)
    largest = rows.abs().amax(dim=0)
    columns = largest.topk(min(OUTLIER_COLUMNS, len(largest) // 8)).indices.sort().values
    exact = rows @ weight.mT
    error = (product(rows, prepare_weight(weight, torch.int8, columns)) - exact).norm() / exact.norm()
    return Probe(columns, float(error))
