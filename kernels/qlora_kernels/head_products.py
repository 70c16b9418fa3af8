"""Products with a frozen head: logits, and what slopes of logits give back; the head is plain or packed.

A packed head is never decoded whole: a part of the vocabulary is, then multiplied, then overwritten, once for
the logits of a chunk of rows and once for their slopes. On a GPU by ``decode_once_triton.py``, else by
``decode_fast``.

Shape letters: M tokens, H features, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from qlora_kernels.decode import decode_fast
from qlora_kernels.formats_layout import Affine
from qlora_kernels.in_file import IN_FILE, FileRows, buffer
from qlora_kernels.vendor import multiply, part_width


@dataclass(frozen=True)
class DenseHead:
    """A head of plain numbers."""

    weight: Float[Tensor, "V H"]

    @property
    def low(self) -> torch.dtype:
        """The type of the numbers that are multiplied."""
        return self.weight.dtype

    def logits(self, hidden: Float[Tensor, "M H"]) -> Float[Tensor, "M V"]:
        """Return hidden head^T, in float32 at least."""
        return _product(hidden, self.weight.mT)

    def product(self, hidden: Float[Tensor, "M H"]) -> Float[Tensor, "M V"]:
        """Return hidden head^T as a processor's product gives it, in its own type."""
        return hidden.to(self.low) @ self.weight.mT

    def back(self, slopes: Float[Tensor, "M V"]) -> Float[Tensor, "M H"]:
        """Return slopes head."""
        return _product(slopes, self.weight)

    def chosen(self, targets: Int[Tensor, " M"]) -> Float[Tensor, "M H"]:
        """Return the rows of some words."""
        return self.weight[targets]


@dataclass(frozen=True)
class PackedHead:
    """A packed head, decoded a part at a time."""

    weight: Affine | FileRows
    dtype: torch.dtype
    """What its numbers are rounded to."""
    low: torch.dtype
    triton: bool

    def product(self, hidden: Float[Tensor, "M H"]) -> Float[Tensor, "M V"]:
        """Return the same as :meth:`logits`: its parts are put together in float32."""
        return self.logits(hidden)

    def logits(self, hidden: Float[Tensor, "M H"]) -> Float[Tensor, "M V"]:
        """Return hidden head^T, in float32 at least."""
        wide = torch.promote_types(self.low, torch.float32)
        logits = torch.empty(len(hidden), self.weight.shape[0], dtype=wide, device=hidden.device)
        for part, rows in self._parts():
            _product(hidden, rows.mT, logits[:, part])
        return logits

    def back(self, slopes: Float[Tensor, "M V"]) -> Float[Tensor, "M H"]:
        """Return slopes head, the parts' shares added in the order of the vocabulary."""
        wide = torch.promote_types(self.low, torch.float32)
        total = torch.zeros(len(slopes), self.weight.columns, dtype=wide, device=slopes.device)
        for part, rows in self._parts():
            total += _product(slopes[:, part], rows)
        return total

    def chosen(self, targets: Int[Tensor, " M"]) -> Float[Tensor, "M H"]:
        """Return the rows of some words."""
        if isinstance(self.weight, FileRows):
            return self.weight.decode(self.dtype, targets).to(self.low)
        kept = Affine.of([tensor[targets] for tensor in self.weight.tensors()], self.weight.levels)
        if self.triton:
            from qlora_kernels.decode_once_triton import Scratch

            return Scratch(kept, self.dtype).decoded().to(self.low)
        return decode_fast(kept, self.dtype).to(self.low)

    def _parts(self) -> Iterator[tuple[slice, Tensor]]:
        width, words = part_width(self.dtype.itemsize * self.weight.columns), self.weight.shape[0]
        if self.triton:
            from qlora_kernels.decode_once_triton import Scratch

            assert isinstance(self.weight, Affine), "what lies in a file is a processor's"
            scratch = Scratch(self.weight, self.dtype)
        for start in range(0, words, width):
            part = slice(start, min(start + width, words))
            if self.triton:
                yield part, scratch.decoded(rows=part).to(self.low)
            elif isinstance(self.weight, FileRows):
                room = buffer((part.stop - start, self.weight.columns), self.dtype)
                yield part, self.weight.decode(self.dtype, part, room).to(self.low)
            else:
                rows = Affine.of([tensor[part] for tensor in self.weight.tensors()], self.weight.levels)
                yield part, decode_fast(rows, self.dtype).to(self.low)


def logits_by_part(
    hidden: Float[Tensor, "*rows H"], head: Affine | FileRows, dtype: torch.dtype
) -> Float[Tensor, "*rows V"]:
    """Return hidden head^T on a processor in float32 at least, the head rounded to ``dtype`` part by part."""
    logits = PackedHead(head, dtype, dtype, False).logits(hidden.flatten(0, -2))
    return logits.unflatten(0, hidden.shape[:-1])


def float32_logits(
    hidden: Float[Tensor, "*rows H"], head: Affine | Float[Tensor, "V H"]
) -> Float[Tensor, "*rows V"]:
    """Return hidden head^T in float32, where Triton runs; both factors in the type of ``hidden``."""
    rows = hidden.flatten(0, -2)
    held = DenseHead(head) if isinstance(head, Tensor) else PackedHead(head, rows.dtype, rows.dtype, True)
    return held.logits(rows).unflatten(0, hidden.shape[:-1])


def head_of(
    base: Sequence[Tensor], levels: str, dtype: torch.dtype, low: torch.dtype, triton: bool
) -> DenseHead | PackedHead:
    """Return a head whose numbers are rounded to ``dtype``, and multiplied in ``low``."""
    if levels.startswith(IN_FILE):
        return PackedHead(FileRows.of(base, levels), dtype, low, triton)
    weight = Affine.of(base, levels)
    if weight.levels == "dense":
        return DenseHead(weight.codes.to(low))
    return PackedHead(weight, dtype, low, triton)


def _product(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """Multiply matrices, in the type of b, into a result of at least float32."""
    wide = torch.promote_types(b.dtype, torch.float32)
    if a.device.type == "cpu":
        result = (a.to(b.dtype) @ b).to(wide)
        return result if out is None else out.copy_(result)
    place = torch.empty(a.shape[0], b.shape[1], dtype=wide, device=a.device) if out is None else out
    return multiply(a.to(b.dtype), b, place)
