"""The head and its cross entropy under the bench."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

import torch
from bench import checks
from bench.checks import agrees, drawn
from bench.examples import Example, Size, learned, packed, with_gradients
from bench.mutants import mutants

from qlora_kernels import quantize, vendor
from qlora_kernels.lab.compiler import captured
from qlora_kernels.linear_cross_entropy import IGNORED, linear_cross_entropy
from qlora_kernels.linear_cross_entropy_triton import launch


def check() -> None:
    """More words than one block, an ignored token, and losses of different weight."""
    head = drawn(4200, 16, scale=0.5, seed=1)
    targets = torch.tensor([4199, IGNORED, 0, 17])
    agrees(
        lambda hidden, backend: linear_cross_entropy(hidden, head.to(hidden.dtype), targets, backend=backend),
        drawn(4, 16, scale=0.5),
        terms=4200,
    )


def check_packed() -> None:
    """Several parts of the vocabulary, chunks of two rows, each kind of format; ignored rows among them."""
    dense = drawn(600, 64, scale=0.3, seed=1)
    targets = torch.tensor([599, IGNORED, 0, 17, 300])
    before, vendor.SCRATCH_BYTES = vendor.SCRATCH_BYTES, 1
    try:
        for head in (quantize(dense, format) for format in ("nf4", "q4_1", "q8_0")):
            agrees(
                lambda hidden, backend, head=head: linear_cross_entropy(
                    hidden, head, targets, chunk=2, backend=backend
                ),
                drawn(5, 64, scale=0.5), terms=600,
            )  # fmt: skip
    finally:
        vendor.SCRATCH_BYTES = before


def check_packed_on_a_cpu() -> None:
    """The CPU's route with a packed head is that with its decoded one."""
    packed, targets = quantize(drawn(600, 64, scale=0.3, seed=1), "q4_1"), torch.tensor([599, IGNORED, 0, 17])
    hidden = drawn(4, 64, scale=0.5).requires_grad_()
    before, vendor.SCRATCH_BYTES = vendor.SCRATCH_BYTES, 1
    try:
        results = []
        for head in (packed, packed.dequantize()):
            losses = linear_cross_entropy(hidden, head, targets, backend="torch")
            results += [losses, *torch.autograd.grad(losses.sum(), hidden)]
    finally:
        vendor.SCRATCH_BYTES = before
    for got, exact in zip(results[:2], results[2:], strict=True):
        torch.testing.assert_close(got, exact, rtol=1e-5, atol=1e-6)


def check_capped() -> None:
    """Logits of several times the cap, an ignored token and two chunks."""
    head = drawn(70, 16, scale=0.5, seed=1)
    targets = torch.tensor([69, IGNORED, 0, 17])
    agrees(
        lambda hidden, backend: linear_cross_entropy(
            hidden, head.to(hidden.dtype), targets, softcap=2.0, chunk=3, backend=backend
        ),
        drawn(4, 16),
        terms=70,
    )


def check_no_word() -> None:
    """A target that is no word and wasn't refused has no loss, and touches nothing else."""
    logits, targets = drawn(4, 50), torch.tensor([3, 50, IGNORED, -1])
    with checks.traced() as trace:
        losses, _, own = launch(logits, targets, IGNORED, True, torch.bfloat16)
    trace.assert_clean()
    assert losses.isnan().tolist() == own.isnan().tolist() == [False, True, False, True]
    assert losses[2] == own[2] == 0


def check_reads_nothing() -> None:
    """On a device without numbers any reading of one fails; nothing is launched there."""
    hidden = torch.empty(5, 64, dtype=torch.bfloat16, device="meta", requires_grad=True)
    head, targets = hidden.detach().new_empty(70, 64), torch.empty(5, dtype=torch.int64, device="meta")
    launches = captured(
        lambda: linear_cross_entropy(hidden, head, targets, chunk=2, backend="triton").sum().backward()
    )
    assert [launch.grid for launch in launches] == [(2,), (2,), (1,)]


def example(size: Size) -> Example:
    # the product with the head is the vendor's; the kernel sees rows of logits only, so few and narrow
    # ones do
    hidden, head = learned(size, 64, 64), learned(size, size.words, 64, learns=False)
    targets = torch.arange(64, device=size.device) % size.words
    return lambda: with_gradients(linear_cross_entropy(hidden, head, targets, backend="triton"), hidden)


def packed_example(size: Size) -> Example:
    # a head as wide as it is high, as `packed` makes it
    hidden, targets = learned(size, 64, size.width), torch.arange(64, device=size.device) % size.width
    head = packed("q4_1", size)
    return lambda: with_gradients(linear_cross_entropy(hidden, head, targets, backend="triton"), hidden)


CHECKS = {
    "linear_cross_entropy": check,
    "capped logits": check_capped,
    "packed head": check_packed,
    "packed head on a CPU": check_packed_on_a_cpu,
    "a target that is no word": check_no_word,
    "no number is read": check_reads_nothing,
}
EXAMPLES = {"linear_cross_entropy": example, "cross entropy, q4_1 head": packed_example}
MUTANTS = [
    *mutants(
        "linear_cross_entropy_triton",
        check,
        ("maximum not carried on", "        highest = new\n", ""),
        ("target counted twice", "tl.where(start + word == target, 0.0, tl.exp(value - new))", "tl.exp(value - new)"),
        ("words beyond the vocabulary count", 'start + word < V, other=-float("inf"))', "start + word < V, other=0.0)"),
        ("slope not normalized", "tl.exp(value - highest) / (rest + own))", "tl.exp(value - highest))"),
        ("ignored rows not written", "zeros, start + word < V)", "zeros, start + word < 0)"),
    ),
    *mutants(
        "linear_cross_entropy_triton",
        check_no_word,
        ("only negative targets are looked at", "if (target < 0) | (target >= V):", "if target < 0:"),
        ("any such target is ignored", "tl.where(target == IGNORED, 0.0, float(\"nan\"))", "0.0"),
        ("any such target is wrong", "tl.where(target == IGNORED, 0.0, float(\"nan\"))", "float(\"nan\")"),
    ),
    *mutants(
        "head_products",
        check_packed,
        ("every part is the first", "yield part, scratch.decoded(rows=part)", "yield part, scratch.decoded(rows=slice(0, part.stop - start))"),
        ("only the last part gives back", "total += _product(slopes[:, part], rows)", "total = _product(slopes[:, part], rows)"),
        ("logits of all parts in the first place", "_product(hidden, rows.mT, logits[:, part])", "_product(hidden, rows.mT, logits[:, : len(rows)])"),
        ("rows of the first words for the targets", "[tensor[targets] for tensor", "[tensor[: len(targets)] for tensor"),
        ("last part left out", "for start in range(0, words, width):", "for start in range(0, words - width, width):"),
    ),
    *mutants(
        "head_products",
        check_packed_on_a_cpu,
        ("every part is the first, on a CPU", "[tensor[part] for tensor in", "[tensor[: part.stop - part.start] for tensor in"),
        ("targets of the first words, on a CPU", "[tensor[targets] for tensor", "[tensor[: len(targets)] for tensor"),
    ),
    *mutants(
        "linear_cross_entropy",
        check_capped,
        ("logits aren't capped", "logits, slopes = softcap * bounded,", "logits, slopes = logits,"),
        ("the cap's slope is forgotten", "1 - bounded.square()", "1 - 0 * bounded"),
        ("the cap's slope of the target is forgotten", "own * slopes.gather(1, of[:, None].long())[:, 0]", "own"),
        ("the cap's slope of the others is forgotten", "(others * slopes).to(dtype)", "others"),
        ("the cap is wide", "bounded = torch.tanh(logits / softcap)", "bounded = torch.tanh(logits / softcap / 2)"),
    ),
    *mutants(
        "linear_cross_entropy",
        check_reads_nothing,
        ("targets are read from the device", '    if targets.device.type != "cpu":\n        return\n', ""),
        ("the device is asked which rows count", "    if triton:\n        return [", "    if False:\n        return ["),
        ("a chunk for everything", "step = chunk or max(16,", "step = max(16,"),
    ),
    *mutants(
        "linear_cross_entropy",
        check_packed,
        ("last chunk dropped", "for start in range(0, len(targets), step)]", "for start in range(0, len(targets) - step, step)]"),
        ("slopes of the targets forgotten", ".addcmul_(own[:, None], chosen)", ""),
    ),
]  # fmt: skip
