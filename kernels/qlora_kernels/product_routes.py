"""Which of Triton's two products with a packed weight a shape takes on which GPU: a frozen table.

``linear_triton.py`` decodes a weight again for every tile of rows ("fused"), ``decode_once_triton.py`` once a
call, through the memory ("decoded"). Which is faster depends on the number of rows, on the weight's size and
on the chip. ``routes.json`` is written by ``benchmarks/choose_routes.py`` and says for each chip what it was
made from: counted, or measured on a card. It is never searched for at run time.

Shape letters: M rows (tokens), K inputs, N outputs.
"""

import functools
import json
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from qlora_kernels import tiles
from qlora_kernels.dispatch import Choice, choose
from qlora_kernels.formats_layout import Affine
from qlora_kernels.packed_weight import QuantizedTensor
from qlora_kernels.products import PreparedWeight
from qlora_kernels.rows import Backend
from qlora_kernels.tiles import TABLE

ROUTES = TABLE.with_name("routes.json")
PRODUCTS = ("fused", "decoded")


@dataclass(frozen=True, slots=True)
class SizeBand:
    """One entry of the table: up to these sizes, this product."""

    weights: int | float
    """Most weights of the layer, N K."""
    rows: int | float
    """Most rows, M."""
    product: str


@dataclass(frozen=True, slots=True)
class Target:
    """What the table says of one product on one chip."""

    made_from: str
    bands: dict[str, list[SizeBand]]
    """By the kind of codes, "pairs" (two a byte) or "int8": bands in the order in which they are tried."""

    @classmethod
    def read(cls, entry: dict) -> "Target":
        """Read one entry; null is no limit, and the counts that it was made from are for people."""
        return cls(
            entry["made_from"],
            {
                kind: [
                    SizeBand(inf if weights is None else weights, inf if rows is None else rows, product)
                    for weights, rows, product in steps
                ]
                for kind, steps in entry["bands"].items()
            },
        )


@functools.cache
def routes() -> dict[str, dict[str, Target]]:
    """Read the table: "forward" or "input_gradient" -> target -> what it says."""
    raw = json.loads(ROUTES.read_text(encoding="utf-8"))
    return {
        kernel: {name: Target.read(entry) for name, entry in targets.items()}
        for kernel, targets in raw.items()
    }


def product_for(
    kernel: str,
    levels: str,
    shape: tuple[int, int, int],
    dtype: torch.dtype,
    device: torch.device,
    backend: str,
) -> Choice:
    """Name the product that a shape takes, with the reason.

    Args:
        kernel: "forward" or "input_gradient".
        levels: How the weight is coded, as ``Affine.levels``.
        shape: M, K, N.
        dtype: Of the activations.
        device: Whose chip counts; a CPU interprets as sm_80.
        backend: "fused" or "decoded" force one, others leave it to the table.
    """
    if backend in PRODUCTS:
        return Choice(backend, "asked for by name")
    if dtype == torch.float32:
        return Choice("fused", "it multiplies float32 exactly, where torch may let the library use tf32")
    if levels == "dense":
        return Choice("decoded", "the weight is plain numbers, so that nothing is decoded")
    name, (M, K, N) = tiles.target_of(device), shape
    if found := routes()[kernel].get(name):
        for band in found.bands["int8" if levels == "int8" else "pairs"]:
            if band.weights >= N * K and band.rows >= M:
                reason = f"the cheaper one on {name} for {M} rows and {N} x {K} weights, {found.made_from}"
                return Choice(band.product, reason)
    return Choice("fused", f"the table of products says nothing about {name}")


def choose_product(
    x: Tensor,
    weight: QuantizedTensor | Affine | PreparedWeight | Tensor,
    backend: Backend = "auto",
    kernel: str = "forward",
) -> Choice:
    """Say by which product ``x`` is multiplied with ``weight``; it is the one that the operators take.

    Where Triton doesn't run, this is the route of :func:`choose`.

    Raises:
        ValueError: If the backend is unknown, or can't compute with the tensor's type.
    """
    chosen = choose(x, backend)
    if chosen.route != "triton":
        return chosen
    N, K = weight.shape
    packed = weight.affine() if isinstance(weight, QuantizedTensor) else weight
    levels = packed.levels if isinstance(packed, Affine) else "dense"
    rows = x.numel() // max(1, K if kernel == "forward" else N)
    return product_for(kernel, levels, (rows, K, N), x.dtype, x.device, backend)


def product_with(kernel: str, rows: Tensor, weight: Affine, backend: str) -> str:
    """Name the product of the rows of x, or of dy, with a weight."""
    shape = (rows.shape[0], weight.columns, weight.codes.shape[0])
    return product_for(kernel, weight.levels, shape, rows.dtype, rows.device, backend).route
