"""Fused linear cross entropy: definition, masks, chunks, gradients, memory traffic, refusals."""

import pytest
import torch
from bench.accuracy import DTYPES, assert_accurate
from bench.interpreter import interpreted
from bench.trace import traced

from qlora_kernels.linear_cross_entropy import IGNORED, linear_cross_entropy, linear_cross_entropy_reference

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
    truth = results(hidden.double(), head.double(), targets, weights.double(), "reference")
    losses, dhidden = results(hidden, head, targets, weights, backend, chunk)
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
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("tokens", "width", "words"), SHAPES)
def test_matches_reference(rng, tokens, width, words, dtype, backend):
    check(*drawn(rng, tokens, width, words, dtype), backend)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_the_chunk_changes_nothing(rng, backend):
    inputs = drawn(rng, 13, 24, 50, torch.float32)
    for chunk in (1, 4, 100):
        check(*inputs, backend, chunk=chunk)


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
    # and the target's logit once more, the target itself, the loss and the target's slope
    assert trace.moved == kept * (3 * 4 * 5000 + 4 + 8 + 4 + 4)


def test_operator_is_registered_completely(rng):
    hidden, head, targets, _ = drawn(rng, 4, 8, 9, torch.float32)
    arguments = (hidden.requires_grad_(), head, targets, 0, True, "", "torch")
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
