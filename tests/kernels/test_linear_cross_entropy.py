"""Fused linear cross entropy: definition, masks, chunks, gradients, memory traffic, refusals."""

import pytest
import torch

from qlora_kernels import FORMATS, QuantizedTensor, quantize, vendor
from qlora_kernels import linear_cross_entropy as module
from qlora_kernels.formats_layout import Stored
from qlora_kernels.lab.accuracy import FLOAT_TYPES, assert_accurate
from qlora_kernels.lab.compiler import captured
from qlora_kernels.lab.interpreter import interpreted
from qlora_kernels.lab.trace import traced
from qlora_kernels.linear_cross_entropy import (
    DEVICE_CHUNK_BYTES,
    IGNORED,
    linear_cross_entropy,
    linear_cross_entropy_reference,
)
from qlora_kernels.products import PreparedWeight

SHAPES = [
    pytest.param(1, 1, 1, id="one-word-vocabulary"),
    pytest.param(7, 33, 70, id="ragged-every-edge"),
    pytest.param(5, 16, 4200, id="two-blocks-of-words"),
]


def drawn(rng, tokens, width, words, dtype):
    # logits of a few nats: beyond that, exp turns the rounding of a logit into a larger error than the
    # bounds allow
    hidden, head = ((torch.randn(n, width, generator=rng) / width**0.25).to(dtype) for n in (tokens, words))
    targets = torch.randint(words, (tokens,), generator=rng)
    targets[1::3] = IGNORED
    # every loss with its own weight, as in a stack of cells of different sizes
    return hidden, head, targets, torch.rand(tokens, generator=rng) / tokens


def results(hidden, head, targets, weights, backend, chunk=None):
    hidden = hidden.detach().requires_grad_()
    with interpreted():
        losses = linear_cross_entropy(hidden, head, targets, chunk=chunk, backend=backend)
        return losses.detach(), *torch.autograd.grad(losses, hidden, weights.to(losses.dtype))


def check(hidden, head, targets, weights, backend, chunk=None):
    """Losses and dhidden against the reference in float64."""
    losses, dhidden = results(hidden, head, targets, weights, backend, chunk)
    head = head if torch.is_tensor(head) else head.dequantize(hidden.dtype)
    truth = results(hidden.double(), head.double(), targets, weights.double(), "reference")
    logits = hidden.double() @ head.double().mT
    size = hidden.double().abs() @ head.double().abs().mT
    assert_accurate(
        "losses",
        losses,
        truth[0],
        terms=hidden.shape[1] + len(head),
        magnitude=size.amax(1) + logits.abs().amax(1),
    )
    # a softmax that is off by the error of a logit: relative error `size` x rounding, summed over the
    # vocabulary
    spread = (size.amax(1) * weights)[:, None] * head.double().abs().amax()
    assert_accurate("dhidden", dhidden, truth[1], terms=hidden.shape[1] + len(head), magnitude=spread)
    assert (losses[targets == IGNORED] == 0).all()
    assert (dhidden[targets == IGNORED] == 0).all()


@pytest.mark.parametrize("backend", ["torch", "triton"])
@pytest.mark.parametrize("dtype", FLOAT_TYPES, ids=str)
@pytest.mark.parametrize(("tokens", "width", "words"), SHAPES)
def test_matches_reference(rng, tokens, width, words, dtype, backend):
    check(*drawn(rng, tokens, width, words, dtype), backend)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_the_chunk_changes_nothing(rng, backend):
    inputs = drawn(rng, 13, 24, 50, torch.float32)
    for chunk in (1, 4, 100):
        check(*inputs, backend, chunk=chunk)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_capped_logits_lose_and_learn_as_the_definition_says(rng, backend):
    """Logits of several times the cap, where its slope counts most, and an ignored target among them."""
    hidden, head, targets, weights = drawn(rng, 13, 24, 50, torch.float32)
    hidden = (3 * hidden).requires_grad_()
    with interpreted():
        losses = linear_cross_entropy(hidden, head, targets, softcap=1.5, chunk=4, backend=backend)
        (gradient,) = torch.autograd.grad(losses, hidden, weights.to(losses.dtype))
    exact = hidden.detach().double().requires_grad_()
    expected = linear_cross_entropy_reference(exact, head.double(), targets, softcap=1.5)
    (slope,) = torch.autograd.grad(expected, exact, weights.double())
    torch.testing.assert_close(losses.double(), expected, rtol=2e-6, atol=1e-7)
    torch.testing.assert_close(gradient.double(), slope, rtol=1e-5, atol=1e-8)
    plain = linear_cross_entropy(hidden, head, targets, backend="torch")
    assert (losses - plain).abs().max() > 0.5


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_nothing_counted(rng, backend):
    hidden, head, targets, weights = drawn(rng, 4, 8, 9, torch.float32)
    losses, dhidden = results(hidden, head, torch.full_like(targets, IGNORED), weights, backend)
    assert (losses == 0).all()
    assert (dhidden == 0).all()


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_a_sure_model_keeps_the_digits_of_its_small_gradient(backend):
    """p - 1 cancels for the true class when p is near 1; the gradient must not become noise."""
    hidden, head = torch.tensor([[12.0]]), torch.tensor([[1.0], [-0.3]])
    targets, weights = torch.tensor([0]), torch.ones(1)
    exact = results(hidden.double(), head.double(), targets, weights.double(), "reference")[1]
    assert results(hidden, head, targets, weights, backend)[1].item() == pytest.approx(exact.item(), rel=1e-5)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_gradient_of_a_sum_has_stride_zero(rng, backend):
    hidden, head, targets, _ = drawn(rng, 4, 8, 9, torch.float32)
    check(hidden, head, targets, torch.ones(()).expand(4), backend)


def test_reference_gradient(rng):
    hidden, head, targets, _ = drawn(rng, 4, 3, 5, torch.float64)
    assert torch.autograd.gradcheck(
        lambda h: linear_cross_entropy_reference(h, head, targets), hidden.requires_grad_()
    )


def test_no_gradient_is_computed_when_none_is_wanted(rng):
    hidden, head, targets, _ = drawn(rng, 4, 8, 9, torch.float32)
    with traced() as trace, torch.no_grad():
        linear_cross_entropy(hidden.requires_grad_(), head, targets, backend="triton")
    trace.assert_clean()
    assert trace["cross_entropy_rows"].rereads("logits") <= 1.2


def test_a_row_of_logits_is_read_twice_and_written_once(rng):
    hidden, head, targets, weights = drawn(rng, 6, 8, 5000, torch.float32)
    hidden.requires_grad_()
    with traced() as trace:
        linear_cross_entropy(hidden, head, targets, backend="triton").backward(weights)
    trace.assert_clean()
    kept = int((targets != IGNORED).sum())
    # and the target's logit once more, the target itself, the loss and the target's slope; zeros if ignored
    ignored = len(targets) - kept
    assert trace.moved == kept * (3 * 4 * 5000 + 4 + 8 + 4 + 4) + ignored * (4 * 5000 + 8 + 4 + 4)


def test_operator_is_registered_completely(rng):
    hidden, head, targets, _ = drawn(rng, 4, 8, 9, torch.float32)
    packed = quantize(head.repeat(1, 4), "q4_1").affine()
    for base, levels in (([head, head.new_empty(9, 0)], "dense"), (packed.tensors(), packed.levels)):
        hidden = hidden if levels == "dense" else hidden.detach().repeat(1, 4)
        arguments = (hidden.requires_grad_(), base, levels, targets, 2.0, 0, True, "", "torch")
        torch.library.opcheck(torch.ops.qlora_kernels.linear_cross_entropy, arguments)


def test_a_head_in_16_bits_costs_its_rounding(rng):
    """Loss and gradient against the definition on the same rounded numbers, in float64."""
    hidden, head, targets, _ = drawn(rng, 40, 64, 97, torch.float32)
    low = head.bfloat16()
    rounded = hidden.bfloat16().double().requires_grad_()
    exact = linear_cross_entropy_reference(rounded, low.double(), targets)
    (exact_gradient,) = torch.autograd.grad(exact.sum(), rounded)
    for given in (head, low):
        x = hidden.clone().requires_grad_()
        losses = linear_cross_entropy(x, given, targets, precision="bfloat16")
        (gradient,) = torch.autograd.grad(losses.sum(), x)
        assert losses.dtype == gradient.dtype == torch.float32
        # each logit is rounded to 8 bits: a loss moves by at most twice the largest logit's rounding
        logits = rounded.detach() @ low.double().T
        assert ((losses - exact).abs() <= 2.01 * 2**-8 * logits.abs().amax(1)).all()
        assert (gradient - exact_gradient).norm() <= 2**-6 * exact_gradient.norm()


def test_precision_belongs_to_the_cpu_route(rng):
    hidden, head, targets, _ = drawn(rng, 4, 8, 9, torch.float32)
    with pytest.raises(ValueError, match="float32 or bfloat16"):
        linear_cross_entropy(hidden, head, targets, precision="int8")
    with pytest.raises(ValueError, match="here reference runs"):
        linear_cross_entropy(hidden, head, targets, precision="bfloat16", backend="reference")


# ------------------------------------------------------------------------------------------ packed heads


@pytest.mark.parametrize("backend", ["torch", "triton"])
@pytest.mark.parametrize("dtype", FLOAT_TYPES, ids=str)
@pytest.mark.parametrize("format", ["nf4", "q4_0", "q4_1", "q8_0", "int4", "int8"])
def test_a_packed_head_is_its_decoded_one_to_the_bit(rng, format, dtype, backend):
    """One part of the vocabulary: the same numbers in the same product."""
    hidden, head, targets, weights = drawn(rng, 7, 64, 70, dtype)
    packed = quantize(head.float(), format)
    got = results(hidden, packed, targets, weights, backend)
    for value, exact in zip(
        got, results(hidden, packed.dequantize(dtype), targets, weights, backend), strict=True
    ):
        assert torch.equal(value, exact)


@pytest.mark.parametrize("backend", ["torch", "triton"])
@pytest.mark.parametrize("dtype", FLOAT_TYPES, ids=str)
def test_a_packed_head_in_parts(rng, monkeypatch, dtype, backend):
    """Three parts of the vocabulary, the last one ragged, and chunks of three rows."""
    monkeypatch.setattr(vendor, "SCRATCH_BYTES", 1)
    hidden, head, targets, weights = drawn(rng, 7, 64, 600, dtype)
    packed = quantize(head.float(), "q4_1")
    check(hidden, packed, targets, weights, backend, chunk=3)


def test_a_packed_head_is_never_decoded_whole(rng, monkeypatch):
    monkeypatch.setattr(vendor, "SCRATCH_BYTES", 1)
    hidden, head, targets, weights = drawn(rng, 7, 64, 600, torch.float32)
    packed = quantize(head, "q4_1")
    with traced() as trace:
        linear_cross_entropy(hidden.requires_grad_(), packed, targets, backend="triton").backward(weights)
    trace.assert_clean()
    outs = [
        region.tensors[0].shape
        for launch in trace.launches
        for region in launch.regions
        if region.name == "out"
    ]
    # the logits' parts, the rows of the targets, and the slopes' parts
    assert outs == [(256, 64), (256, 64), (88, 64), (7, 64), (256, 64), (256, 64), (88, 64)]


def test_a_packed_head_in_a_precision(rng):
    hidden, head, targets, _ = drawn(rng, 9, 64, 300, torch.float32)
    packed = quantize(head, "q8_0")
    for given in (packed, PreparedWeight((packed.dequantize(torch.bfloat16),))):
        losses = linear_cross_entropy(hidden, given, targets, precision="bfloat16")
        plain = linear_cross_entropy(hidden, packed.dequantize(torch.bfloat16), targets, precision="bfloat16")
        assert torch.equal(losses, plain)


# ------------------------------------------------------------------------------------------ on a device


def elsewhere(format, words, width):
    """A head and hidden rows on a device whose numbers can't be read: it has none."""
    layout = FORMATS[format].layout(words, width, FORMATS[format].block_size)
    stored = {name: torch.empty(shape, dtype=dtype, device="meta") for name, (shape, dtype) in layout.items()}
    head = QuantizedTensor(
        format=format, shape=(words, width), stored=Stored(**stored), block_size=FORMATS[format].block_size
    )
    return head, torch.empty(2500, width, dtype=torch.bfloat16, device="meta", requires_grad=True)


@pytest.mark.parametrize("packed", [True, False])
def test_the_host_reads_nothing(packed):
    """Forward and backward at full size where reading a number is an error; what is held is bounded."""
    head, hidden = elsewhere("q4_0", 128_256, 2048)
    if not packed:
        head = torch.empty(128_256, 2048, dtype=torch.bfloat16, device="meta")
    targets = torch.empty(2500, dtype=torch.int64, device="meta")

    def run():
        losses = linear_cross_entropy(hidden, head, targets, backend="triton")
        (gradient,) = torch.autograd.grad(losses, hidden, torch.ones_like(losses))
        assert gradient.shape == hidden.shape

    launches = captured(run)
    rows = [launch.args[0].shape for launch in launches if launch.name == "cross_entropy_rows"]
    assert sum(m for m, _ in rows) == 2500
    assert max(4 * m * v for m, v in rows) <= DEVICE_CHUNK_BYTES
    parts = [launch.args[4] for launch in launches if launch.name == "decode_part"]
    assert bool(parts) == packed
    assert all(part.numel() * 2 <= vendor.SCRATCH_BYTES for part in parts)


def test_a_target_that_is_no_word_is_nan_where_it_is_not_checked(rng, monkeypatch):
    """And nothing outside of the logits is read, and no other row is touched."""
    hidden, head, targets, weights = drawn(rng, 5, 8, 33, torch.float32)
    good = results(hidden, head, targets, weights, "triton")
    for outside in (33, -1, 10**12):
        wrong = targets.clone()
        wrong[3] = outside
        with monkeypatch.context() as context:
            context.setattr(module, "_check_targets", lambda *_: None)
            with traced() as trace:
                leaf = hidden.detach().requires_grad_()
                losses = linear_cross_entropy(leaf, head, wrong, backend="triton")
                losses.backward(weights)
            trace.assert_clean()
        assert losses[3].isnan()
        assert leaf.grad[3].isnan().all()
        for i in (0, 1, 2, 4):
            assert losses[i] == good[0][i]
            assert torch.equal(leaf.grad[i], good[1][i])


REFUSALS = {
    "another width": (lambda h, w, t: linear_cross_entropy(h[:, 1:], w, t), r"hidden must be \(M, H\)"),
    "another type": (lambda h, w, t: linear_cross_entropy(h.half(), w, t), "convert one of them"),
    "one target short": (lambda h, w, t: linear_cross_entropy(h, w, t[1:]), "targets must be 3 integers"),
    "targets of floats": (
        lambda h, w, t: linear_cross_entropy(h, w, t.float()),
        "targets must be 3 integers",
    ),
    "a word outside": (lambda h, w, t: linear_cross_entropy(h, w, t + 5), "target 5 of token 0 is outside"),
    "a word outside, reference": (
        lambda h, w, t: linear_cross_entropy(h, w, t - 1, backend="reference"),
        "target -1 of token 0 is outside",
    ),
    "a packed head of another width": (
        lambda h, w, t: linear_cross_entropy(h, quantize(torch.ones(5, 32), "q8_0"), t),
        r"hidden must be \(M, H\)",
    ),
    "a head elsewhere": (
        lambda h, w, t: linear_cross_entropy(h, w.to("meta"), t),
        "head is torch.float32 on meta",
    ),
    "a packed head elsewhere": (
        lambda h, w, t: linear_cross_entropy(torch.ones(3, 64), elsewhere("q8_0", 5, 64)[0], t),
        "hidden is on cpu, head on meta",
    ),
    "a head prepared in bytes": (
        lambda h, w, t: linear_cross_entropy(h, PreparedWeight.of([w], torch.int8), t),
        "floating-point type is needed",
    ),
    "a head that learns": (
        lambda h, w, t: linear_cross_entropy(h, w.requires_grad_(), t),
        "the head is frozen",
    ),
    "an empty chunk": (lambda h, w, t: linear_cross_entropy(h, w, t, chunk=0), "at least 1 row"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("mistake", REFUSALS)
def test_refuses(mistake):
    call, message = REFUSALS[mistake]
    with pytest.raises(ValueError, match=message):
        call(torch.ones(3, 4), torch.ones(5, 4), torch.zeros(3, dtype=torch.int64))
