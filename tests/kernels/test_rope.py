"""RoPE: definition, both layouts, gradients, memory traffic, refusals."""

import pytest
import torch
from bench.far import far_apart

from qlora_kernels.lab.accuracy import FLOAT_TYPES, assert_accurate
from qlora_kernels.lab.interpreter import interpreted
from qlora_kernels.lab.trace import compulsory_bytes, traced
from qlora_kernels.rope import PAIRS, rope, rope_angles, rope_reference

SHAPES = [
    pytest.param(1, 1, 2, id="one-pair"),
    pytest.param(5, 3, 20, id="ragged-every-edge"),
    pytest.param(2, 40, 128, id="two-programs-a-token"),
]


def drawn(rng, tokens, heads, size, dtype):
    x, dy = (torch.randn(tokens, heads, size, generator=rng).to(dtype) for _ in range(2))
    return x, *rope_angles(torch.arange(tokens) * 7, size), dy


def results(x, cosine, sine, dy, layout, backend):
    x = x.detach().requires_grad_()
    with interpreted():
        y = rope(x, cosine, sine, layout=layout, backend=backend)
        return y.detach(), *torch.autograd.grad(y, x, dy)


def check(x, cosine, sine, dy, layout, backend):
    """y and dx against the reference in float64."""
    truth = results(x.double(), cosine.double(), sine.double(), dy.double(), layout, "reference")
    for name, got, exact in zip(
        ("y", "dx"), results(x, cosine, sine, dy, layout, backend), truth, strict=True
    ):
        assert_accurate(name, got, exact, terms=2)


@pytest.mark.parametrize("backend", ["torch", "triton"])
@pytest.mark.parametrize("layout", PAIRS)
@pytest.mark.parametrize("dtype", FLOAT_TYPES, ids=str)
@pytest.mark.parametrize(("tokens", "heads", "size"), SHAPES)
def test_matches_reference(rng, tokens, heads, size, dtype, layout, backend):
    check(*drawn(rng, tokens, heads, size, dtype), layout, backend)


@pytest.mark.parametrize("layout", PAIRS)
@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_part_of_a_fused_projection_and_a_gradient_of_stride_zero(rng, layout, backend):
    x, cosine, sine, _ = drawn(rng, 4, 2, 16, torch.float32)
    fused = torch.full((4, 3 * 2 * 16), torch.nan)
    queries = fused[:, 32:64].unflatten(1, (2, 16)).copy_(x)
    transposed = x.transpose(0, 1).contiguous().transpose(0, 1)
    for view in (queries, transposed):
        check(view, cosine, sine, torch.ones(()).expand(4, 2, 16), layout, backend)


def test_pairs_are_what_the_layouts_say():
    # a quarter turn takes (1, 0) to (0, 1), whichever features form the pair
    x = torch.tensor([[[1.0, 2.0, 0.0, 0.0]]])
    quarter = torch.zeros(1, 2), torch.ones(1, 2)
    assert rope(x, *quarter, layout="half_split").tolist() == [[[0.0, 0.0, 1.0, 2.0]]]
    assert rope(x, *quarter, layout="interleaved").tolist() == [[[-2.0, 1.0, 0.0, 0.0]]]


def test_scores_depend_on_the_distance_only(rng):
    """The point of the whole thing: query at i against key at j is a function of i - j."""
    q, k = (torch.randn(1, 1, 32, generator=rng).double() for _ in range(2))

    def score(i, j):
        turned = (
            rope(t, *(a.double() for a in rope_angles(torch.tensor([p]), 32)), layout="half_split")
            for t, p in ((q, i), (k, j))
        )
        return torch.einsum("mhd,mhd->", *turned).item()

    assert score(3, 1) == pytest.approx(score(103, 101), rel=1e-6)
    assert score(3, 1) != pytest.approx(score(3, 2), rel=1e-3)


def test_reference_gradient(rng):
    x, cosine, sine, _ = (t.double() for t in drawn(rng, 3, 2, 4, torch.float64))
    for layout in PAIRS:
        assert torch.autograd.gradcheck(
            lambda x, name=layout: rope_reference(x, cosine, sine, name), x.requires_grad_()
        )


@pytest.mark.parametrize("layout", PAIRS)
def test_every_byte_is_moved_once(rng, layout):
    x, cosine, sine, dy = drawn(rng, 3, 9, 64, torch.bfloat16)
    x.requires_grad_()
    with traced() as trace:
        y = rope(x, cosine, sine, layout=layout, backend="triton")
        torch.autograd.grad(y, x, dy)
    trace.assert_clean()
    assert trace.moved == 2 * compulsory_bytes(x, cosine, sine, y)


@pytest.mark.parametrize("layout", PAIRS)
def test_tokens_far_apart(rng, layout):
    x, cosine, sine, dy = drawn(rng, 2, 1, 16, torch.float32)
    near = results(x, cosine, sine, dy, layout, "triton")
    apart = (far_apart(t[:, 0])[:, None] for t in (x, dy))
    far = results(next(apart), cosine, sine, next(apart), layout, "triton")
    assert all(torch.equal(a, b) for a, b in zip(near, far, strict=True))


def test_operator_is_registered_completely(rng):
    x, cosine, sine, _ = drawn(rng, 3, 2, 8, torch.float32)
    torch.library.opcheck(
        torch.ops.qlora_kernels.rope, (x.requires_grad_(), cosine, sine, "half_split", "torch")
    )


REFUSALS = {
    "unknown layout": (lambda x, c, s: rope(x, c, s, layout="neox"), "unknown layout 'neox'"),
    "two axes": (lambda x, c, s: rope(x[0], c, s, layout="half_split"), "must be .tokens, heads, features."),
    "angles of other tokens": (
        lambda x, c, s: rope(x, c[:1], s[:1], layout="half_split"),
        "needs cosine and sine of shape",
    ),
    "odd head": (lambda x, c, s: rope(x[..., :3], c, s, layout="half_split"), "needs cosine and sine"),
    "odd head size": (lambda x, c, s: rope_angles(torch.arange(2), 7), "must be even"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("mistake", REFUSALS)
def test_refuses(mistake):
    call, message = REFUSALS[mistake]
    with pytest.raises(ValueError, match=message):
        call(torch.ones(2, 1, 4), torch.ones(2, 2), torch.ones(2, 2))
