"""Cross entropy of a frozen linear head, plain or packed, without ever holding the logits of all tokens.

The reference below defines the operator; ``linear_cross_entropy_triton.py`` is the fast twin of its row
part. Shape letters: M tokens, H features, V vocabulary. Tokens whose target is `IGNORED` cost nothing and
lose nothing.

The head is frozen, so the only gradient is that of the hidden rows, and a row's gradient needs its own
logits only: (softmax - one-hot) head. It is computed in the forward pass, a chunk of rows at a time, while
the chunk's logits are there; the backward pass multiplies each row by the gradient of its loss.

On a CPU the tokens that count are picked out first. Triton takes all, so that nothing waits for a GPU to say
which: an ignored row costs its logits, and whoever has many leaves them out before.
"""

from collections.abc import Callable, Iterable

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from qlora_kernels.decode import decode
from qlora_kernels.formats_layout import Affine
from qlora_kernels.grouped import AnyWeight
from qlora_kernels.head_products import head_of
from qlora_kernels.in_file import FileRows
from qlora_kernels.packed_weight import QuantizedTensor
from qlora_kernels.products import PRECISIONS, PreparedWeight, dtype_of
from qlora_kernels.registration import operator
from qlora_kernels.rows import Backend, Context, on_gpu, require_float, route

IGNORED = -100
CHUNK_BYTES = 32 * 2**20
"""Size of the logits of one product on a processor: enough rows for a fast one."""
NEAR_BYTES = 4 * 2**20
"""Size of the float32 logits that a processor's passes take at a time: few enough to stay in its cache."""
DEVICE_CHUNK_BYTES = 512 * 2**20
"""The same for Triton: 1,000 rows of a vocabulary of 128,000, so that a product fills a GPU, and a packed
head is decoded once for many rows."""


def linear_cross_entropy_reference(
    hidden: Float[Tensor, "M H"],
    head: Float[Tensor, "V H"],
    targets: Int[Tensor, " M"],
    softcap: float | None = None,
) -> Float[Tensor, " M"]:
    """Define the operator: log of the summed exponentials minus the target's logit, 0 where ignored."""
    logits = einsum(hidden, head, "M H, V H -> M V")
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    counted = targets != IGNORED
    chosen = logits.gather(1, targets.where(counted, 0)[:, None])[:, 0]
    return (logits.logsumexp(1) - chosen).where(counted, 0.0)


def linear_cross_entropy(
    hidden: Float[Tensor, "M H"],
    head: AnyWeight,
    targets: Int[Tensor, " M"],
    *,
    softcap: float | None = None,
    chunk: int | None = None,
    precision: str | None = None,
    backend: Backend = "auto",
) -> Float[Tensor, " M"]:
    """Compute the loss of each token in nats, 0 for ignored ones.

    A mean over the counted tokens is ``losses.sum() / (targets != IGNORED).sum()``; with several cells in a
    stack each one divides its own part.

    Args:
        hidden: The decoder's last rows.
        head: One row for each word of the vocabulary: packed, or numbers in the type of ``hidden`` or of
            ``precision``. It gets no gradient.
        targets: The next token's id, or `IGNORED`. Any other number is refused where it can be read at once;
            on a GPU, where reading would wait for all that was asked before, its loss is NaN.
        softcap: c in c tanh(logit / c), as in Gemma 2; by default logits stay as they are.
        chunk: Rows of logits held at a time; by default about `CHUNK_BYTES` of them, or for Triton
            `DEVICE_CHUNK_BYTES`.
        precision: "float32" or "bfloat16", for the products with the head on a CPU; by default the type of
            ``hidden``.
        backend: "auto" runs Triton on a GPU and PyTorch elsewhere; naming one forces it.

    Returns:
        Losses in float32 (float64 for float64).

    Raises:
        ValueError: If shapes or types don't fit, the head asks for a gradient, or a target is out of range.
    """
    taken = route(backend, hidden)
    _check_precision(precision, taken)
    if isinstance(head, PreparedWeight):
        head = head.parts[0]
    elif isinstance(head, QuantizedTensor):
        head = head.affine() if taken == "reference" else head.operand()
    if isinstance(head, Affine | FileRows):
        require_float("linear_cross_entropy", hidden=hidden)
    elif precision is None or head.dtype != PRECISIONS[precision]:
        require_float("linear_cross_entropy", hidden=hidden, head=head)
    if hidden.ndim != 2 or len(head.shape) != 2 or hidden.shape[1] != head.shape[1]:
        raise ValueError(
            f"linear_cross_entropy: hidden must be (M, H) and head (V, H); got {tuple(hidden.shape)} "
            f"and {tuple(head.shape)}"
        )
    if hidden.device != head.device:
        raise ValueError(
            f"linear_cross_entropy: hidden is on {hidden.device}, head on {head.device}; move one of them"
        )
    if targets.shape != hidden.shape[:1] or targets.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"linear_cross_entropy: targets must be {hidden.shape[0]} integers, "
            f"got {targets.dtype} {tuple(targets.shape)}"
        )
    if isinstance(head, Tensor) and head.requires_grad:
        raise ValueError(
            "linear_cross_entropy: the head is frozen here; pass head.detach() or set requires_grad=False"
        )
    if chunk is not None and chunk < 1:
        raise ValueError(f"linear_cross_entropy: chunk must be at least 1 row, got {chunk}")
    words = head.shape[0]
    if taken == "reference":
        _check_targets(targets, words)
        assert not isinstance(head, FileRows), "the reference takes blocks as they are stored"
        numbers = head if isinstance(head, Tensor) else decode(head, hidden.dtype, backend="reference")
        return linear_cross_entropy_reference(hidden, numbers, targets, softcap)
    if isinstance(head, Tensor):
        base, levels = [head, head.new_empty(words, 0)], "dense"
    else:
        base, levels = head.tensors(), head.levels
    needs_gradient = torch.is_grad_enabled() and hidden.requires_grad
    chosen = (softcap or 0.0, chunk or 0, needs_gradient, precision or "", backend)
    return _linear_cross_entropy(hidden, base, levels, targets, *chosen)[0]


def _check_precision(precision: str | None, taken: str) -> None:
    if precision not in (None, "float32", "bfloat16"):
        raise ValueError(f"linear_cross_entropy: precision is float32 or bfloat16, got {precision!r}")
    if precision is not None and taken != "torch":
        raise ValueError(f"precision={precision!r} is for the CPU route; here {taken} runs: leave it out")


@operator("qlora_kernels::linear_cross_entropy")
def _linear_cross_entropy(
    hidden: Tensor,
    base: list[Tensor],
    levels: str,
    targets: Tensor,
    softcap: float,
    chunk: int,
    needs_gradient: bool,
    precision: str,
    backend: str,
) -> tuple[Tensor, Tensor]:
    """Return the losses, and the gradient of each row's own loss (empty unless needed)."""
    words, triton = len(base[0]), route(backend, hidden) == "triton"
    _check_targets(targets, words)
    wide = _sum_dtype(hidden.dtype)
    losses = torch.zeros(len(hidden), dtype=wide, device=hidden.device)
    gradient = torch.zeros(hidden.shape if needs_gradient else (0, 0), dtype=wide, device=hidden.device)
    held = DEVICE_CHUNK_BYTES if triton else CHUNK_BYTES
    # PyTorch multiplies 16-bit matrices into a float32 result on a GPU only; elsewhere the head is
    # widened once, unless a precision was asked for
    low = dtype_of(precision, hidden) if precision or on_gpu(hidden) else wide
    head = head_of(base, levels, dtype_of(precision, hidden), low, triton)
    step = chunk or max(16, held // ((wide if triton else head.low).itemsize * max(1, words)))
    for some in _chunks(targets, step, triton):
        given = targets[some], needs_gradient, head.low
        if triton:
            losses[some], others, own = _capped(_triton_rows, softcap, head.logits(hidden[some]), *given)
        else:
            losses[some], others, own = _rows_nearby(softcap, head.product(hidden[some]), *given[:2])
        if needs_gradient:
            chosen = head.chosen(targets[some].clamp(0, words - 1)).to(wide)
            gradient[some] = head.back(others).addcmul_(own[:, None], chosen)
    return losses, gradient


def _chunks(targets: Tensor, step: int, triton: bool) -> Iterable[Tensor | slice]:
    """Cut the rows that count, or for Triton all of them: how many count is known to the GPU only."""
    if triton:
        return [slice(start, start + step) for start in range(0, len(targets), step)]
    return (targets != IGNORED).nonzero()[:, 0].split(step)


def _rows_nearby(
    softcap: float, logits: Tensor, targets: Tensor, needs_gradient: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Take a few rows at a time, in float32 at least; their slopes take the logits' place."""
    wide = _sum_dtype(logits.dtype)
    losses, own = (torch.empty(len(logits), dtype=wide) for _ in range(2))
    step = max(1, NEAR_BYTES // (wide.itemsize * max(1, logits.shape[1])))
    for start in range(0, len(logits), step):
        some = slice(start, start + step)
        near = logits[some].to(wide, copy=True)
        given = targets[some], needs_gradient, wide
        losses[some], slopes, own[some] = _capped(_torch_rows, softcap, near, *given)
        if needs_gradient:
            logits[some] = slopes
    return losses, logits, own


def _capped(
    rows: Callable[[Tensor, Tensor, bool, torch.dtype], tuple[Tensor, Tensor, Tensor]],
    softcap: float,
    logits: Tensor,
    targets: Tensor,
    needs_gradient: bool,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:
    """Cap logits before their rows are computed, where they are to be, and take slopes back through that."""
    if not softcap:
        return rows(logits, targets, needs_gradient, dtype)
    bounded = torch.tanh(logits / softcap)
    logits, slopes = softcap * bounded, 1 - bounded.square()
    losses, others, own = rows(logits, targets, needs_gradient, dtype)
    if needs_gradient:
        of = targets.clamp(0, logits.shape[1] - 1)
        others, own = (others * slopes).to(dtype), own * slopes.gather(1, of[:, None].long())[:, 0]
    return losses, others, own


def _torch_rows(
    logits: Tensor, targets: Tensor, needs_gradient: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Return each row's loss, and its slopes: softmax with 0 at the target, and the target's own.

    The target's slope, softmax - 1, outweighs all others. Kept apart it is neither rounded to the type of
    the products nor does it stand in the sum of thousands of small ones. It is -rest / total, and the loss is
    log(1 + rest) when the model is sure, where ``rest`` is what the other words add up to: so neither loses
    its digits to the 1.
    """
    target = targets[:, None].long()
    highest = logits.amax(1, keepdim=True)
    chosen = logits.gather(1, target) - highest
    logits.sub_(highest).exp_().scatter_(1, target, 0.0)
    rest, own = logits.sum(1, keepdim=True), chosen.exp()
    loss = torch.log1p(rest + (own - 1)) - chosen
    if needs_gradient:
        logits.div_(rest + own)
    return loss[:, 0], logits.to(dtype), (-rest / (rest + own))[:, 0]


def _triton_rows(
    logits: Tensor, targets: Tensor, needs_gradient: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    from qlora_kernels.linear_cross_entropy_triton import launch

    return launch(logits, targets, IGNORED, needs_gradient, dtype)


def _sum_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _check_targets(targets: Tensor, vocabulary: int) -> None:
    if targets.device.type != "cpu":
        return
    wrong = (targets != IGNORED) & ((targets < 0) | (targets >= vocabulary))
    if wrong.any():
        first = int(wrong.nonzero()[0])
        raise ValueError(
            f"linear_cross_entropy: target {int(targets[first])} of token {first} is outside the vocabulary "
            f"of {vocabulary}; use {IGNORED} for tokens that carry no loss"
        )


@_linear_cross_entropy.register_fake
def _(
    hidden: Tensor,
    base: list[Tensor],
    levels: str,
    targets: Tensor,
    softcap: float,
    chunk: int,
    needs_gradient: bool,
    precision: str,
    backend: str,
) -> tuple[Tensor, Tensor]:
    wide = _sum_dtype(hidden.dtype)
    return hidden.new_empty(len(hidden), dtype=wide), hidden.new_empty(
        tuple(hidden.shape) if needs_gradient else (0, 0), dtype=wide
    )


def _save(ctx: Context, inputs: tuple, output: Tensor | tuple) -> None:
    ctx.dtype, ctx.parts = inputs[0].dtype, len(inputs[1])
    ctx.save_for_backward(output[1])
    ctx.set_materialize_grads(False)


def _backward(ctx: Context, dloss: Tensor, _: Tensor | None) -> tuple:
    (gradient,) = ctx.saved_tensors
    dhidden = (gradient * dloss[:, None]).to(ctx.dtype)
    return dhidden, [None] * ctx.parts, *[None] * 7


_linear_cross_entropy.register_autograd(_backward, setup_context=_save)
