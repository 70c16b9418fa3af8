"""Inputs of one call of the linear layer with adapters, and the comparison of a route with the definition."""

import torch

from qlora_kernels import grouped_torch, quantize
from qlora_kernels.decode_once_triton import launch_decoded_forward, launch_decoded_input_gradient
from qlora_kernels.formats_layout import Affine
from qlora_kernels.grouped import grouped_lora_linear
from qlora_kernels.grouped_reference import (
    forward_reference,
    input_gradient_reference,
    membership,
    output_gradients_reference,
    shrink_gradient_reference,
    shrink_reference,
)
from qlora_kernels.grouped_torch import shrink_gradient
from qlora_kernels.grouped_triton import (
    RowTiles,
    launch_output_gradients,
    launch_shrink,
    launch_shrink_gradient,
    narrow_tile,
)
from qlora_kernels.lab.accuracy import HALF_STEP, assert_accurate
from qlora_kernels.lab.interpreter import interpreted
from qlora_kernels.linear_triton import launch_forward, launch_input_gradient
from qlora_kernels.products import PreparedWeight, operand

TRITON_PRODUCTS = {
    "fused": (launch_forward, launch_input_gradient),
    "decoded": (launch_decoded_forward, launch_decoded_input_gradient),
}
NAMES = ("y", "dx", "da", "db")


class Case:
    """Inputs of one call, in one type."""

    def __init__(self, rng, n, k, rank, boundaries, dtype=torch.float32, format="nf4"):
        cells, rows = len(boundaries) - 1, boundaries[-1]

        def drawn(*shape):
            return (torch.randn(*shape, generator=rng) / shape[-1] ** 0.5).to(dtype)

        self.x, self.dy = drawn(rows, k) * k**0.5, drawn(rows, n)
        self.a, self.b = drawn(cells, rank, k), drawn(cells, n, rank)
        self.scale = torch.rand(cells, generator=rng) + 0.5
        self.segments = torch.tensor(boundaries)
        weight = drawn(n, k)
        self.weight = weight if format == "dense" else quantize(weight, format)

    def results(self, backend):
        """y, dx, da, db of the operator."""
        x, a, b = (t.detach().requires_grad_() for t in (self.x, self.a, self.b))
        with interpreted():
            y = grouped_lora_linear(x, self.weight, a, b, self.scale, self.segments, backend=backend)
            return dict(zip(NAMES, (y.detach(), *torch.autograd.grad(y, (x, a, b), self.dy)), strict=True))

    def pieces(self, backend):
        """The same, and what lies between, operator by operator."""
        x, a, b, dy, scale, segments = self.x, self.a, self.b, self.dy, self.scale, self.segments
        held = PreparedWeight((self.weight,)) if torch.is_tensor(self.weight) else self.weight.affine()
        if backend == "torch":
            base = operand(held.tensors(), held.levels, x.dtype)
            s = grouped_torch.shrink(x, a, segments)
            y = grouped_torch.forward(x, base, s, b, scale, segments)
            ds, db = grouped_torch.output_gradients(dy, b, s, scale, segments)
            dx = grouped_torch.input_gradient(dy, base, ds, a, segments)
            return {"s": s, "y": y, "ds": ds, "db": db, "dx": dx, "da": shrink_gradient(ds, x, segments)}
        base = Affine.of(held.tensors(), held.levels)
        forward, input_gradient = TRITON_PRODUCTS[backend]
        tiles = RowTiles.of(segments, x.device, narrow_tile(a.shape[1], x.dtype, x.device))
        with interpreted():
            s = launch_shrink(x, a, tiles)
            y = forward(x, base, s, b, scale, segments)
            ds, db = launch_output_gradients(dy, b, s, scale, tiles)
            dx = input_gradient(dy, base, ds, a, segments)
            da = launch_shrink_gradient(ds, x, len(a), tiles)
        return {"s": s, "y": y, "ds": ds, "db": db, "dx": dx, "da": da}

    def check(self, backend):
        """Each piece against its definition in float64 on the same inputs; the whole against the pieces."""
        pieces = self.pieces(backend)
        dtype = self.x.dtype
        w = self.weight if torch.is_tensor(self.weight) else self.weight.dequantize(dtype)
        inputs = [
            t.double() for t in (self.x, self.dy, self.a, self.b, w, pieces["s"], pieces["ds"], self.scale)
        ]
        exact, magnitude = self.defined(*inputs), self.defined(*(t.abs() for t in inputs))
        if backend == "torch" and dtype != torch.float32:
            # the CPU rounds the base's product before it adds the update, see grouped_torch.py: one more
            # rounding of that product, in the unit in which assert_accurate counts magnitudes
            x, dy, _, _, w, *_ = inputs
            for name, product in (("y", x @ w.T), ("dx", dy @ w)):
                exact[name] += product.to(dtype).double() - product
                magnitude[name] += HALF_STEP[dtype] / HALF_STEP[torch.float32] * product.abs()
        (rows, k), (n, _), rank = self.x.shape, w.shape, self.a.shape[1]
        # how many products an element sums, and one more where the scale multiplies the sum
        terms = {"s": k, "y": k + rank + 1, "ds": n + 1, "db": rows + 1, "dx": n + rank, "da": rows}
        for name, got in pieces.items():
            assert_accurate(name, got, exact[name], terms=terms[name], magnitude=magnitude[name])
        for name, got in self.results(backend).items():
            assert torch.equal(got, pieces[name]), name

    def defined(self, x, dy, a, b, w, s, ds, scale):
        """What the definitions say."""
        member = membership(self.segments, x)
        new_ds, db = output_gradients_reference(dy, s, b, scale, member)
        return {
            "s": shrink_reference(x, a, member),
            "y": forward_reference(x, w, s, b, scale, member),
            "ds": new_ds,
            "db": db,
            "dx": input_gradient_reference(dy, w, ds, a, member),
            "da": shrink_gradient_reference(ds, x, member),
        }
