"""Matrices that stay in their file: rows of blocks as they lie there, mapped into memory, never copied whole.

A product decodes what it needs: a matrix into a buffer that the next product overwrites, a head a part at a
time, an embedding the rows that are looked up. So a base takes the memory of its file, whose pages the
operating system can drop and read again, and that of one decoded matrix. The decoded numbers are those of the
same blocks read into a :class:`QuantizedTensor`, to the bit.

Shape letters: N rows, K weights in a row.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from qlora_kernels.decode import DECODED_AT_ONCE, decode_fast
from qlora_kernels.formats import known_format
from qlora_kernels.formats_layout import Affine

PLAIN_NUMBERS = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
"""Numbers that a GGUF holds without blocks, by the format's name."""
IN_FILE = "file "
"""What the name of the levels of a matrix in a file begins with; the format follows."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FileRows:
    """A matrix in a file as the operators see it.

    Attributes:
        data: The rows' bytes, in the file's order.
        order: Which row of ``data`` each row is; empty where they are in order.
        format: A GGUF format's key in FORMATS, or of PLAIN_NUMBERS.
        shape: Of the decoded matrix, (N, K).
    """

    data: UInt8[Tensor, "N bytes"]
    order: Int64[Tensor, " rows"]
    format: str
    shape: tuple[int, int]

    @classmethod
    def of(cls, tensors: Sequence[Tensor], levels: str) -> "FileRows":
        """Put together what :meth:`tensors` and :attr:`levels` took apart."""
        data, order = tensors
        format = levels.removeprefix(IN_FILE)
        rows = len(order) if len(order) else len(data)
        return cls(data=data, order=order, format=format, shape=(rows, weights_in_row(format, data.shape[1])))

    def tensors(self) -> list[Tensor]:
        """Return an operator's list of tensors."""
        return [self.data, self.order]

    @property
    def levels(self) -> str:
        """How the operators read :meth:`tensors`."""
        return IN_FILE + self.format

    @property
    def device(self) -> torch.device:
        """Where the bytes are."""
        return self.data.device

    @property
    def columns(self) -> int:
        """K, weights in a row."""
        return self.shape[1]

    def some(self, rows: slice | Int64[Tensor, " places"]) -> UInt8[Tensor, "rows bytes"]:
        """Return the bytes of some rows."""
        return self.data[self.order[rows]] if len(self.order) else self.data[rows]

    def decode(
        self,
        dtype: torch.dtype,
        rows: slice | Int64[Tensor, " places"] = slice(None),
        out: Float[Tensor, "rows K"] | None = None,
    ) -> Float[Tensor, "rows K"]:
        """Decode some rows: computed in float32, then rounded to ``dtype``."""
        if isinstance(rows, Tensor):
            chosen = replace(
                self, data=self.some(rows), order=self.order[:0], shape=(len(rows), self.columns)
            )
            return chosen.decode(dtype, out=out)
        start, end, _ = rows.indices(self.shape[0])
        if out is None:
            out = torch.empty(end - start, self.columns, dtype=dtype, device=self.device)
        step = max(1, DECODED_AT_ONCE // max(1, self.columns))
        for begin in range(start, end, step):
            part = slice(begin, min(begin + step, end))
            place = out[part.start - start : part.stop - start]
            held = self.some(part)
            if self.format in PLAIN_NUMBERS:
                place.copy_(held.contiguous().view(PLAIN_NUMBERS[self.format]))
            else:
                decode_fast(as_affine(held, self.format), dtype, place)
        return out


def weights_in_row(format: str, row_bytes: int) -> int:
    """Return how many weights a row of so many bytes holds."""
    if format in PLAIN_NUMBERS:
        return row_bytes // PLAIN_NUMBERS[format].itemsize
    known = known_format(format)
    assert known.block_bytes, f"{format} is no format of GGUF files"
    return row_bytes // known.block_bytes * known.multiple


def as_affine(data: UInt8[Tensor, "N bytes"], format: str) -> Affine:
    """Return rows of a file as the other operators read them."""
    if format in PLAIN_NUMBERS:
        numbers = data.contiguous().view(PLAIN_NUMBERS[format])
        return Affine(codes=numbers, scales=torch.empty(len(data), 0), offsets=None, levels="dense")
    known = known_format(format)
    assert known.from_bytes, f"{format} is no format of GGUF files"
    return known.affine(known.from_bytes(data))


class _Buffers(threading.local):
    """Room for one decoded matrix of each type, in each thread."""

    def __init__(self) -> None:
        self.held: dict[torch.dtype, Tensor] = {}


_buffers = _Buffers()


def buffer(shape: Sequence[int], dtype: torch.dtype) -> Float[Tensor, "..."]:
    """Return the thread's room for a decoded matrix, which the next call overwrites."""
    numbers = prod(shape)
    if (held := _buffers.held.get(dtype)) is None or held.numel() < numbers:
        _buffers.held.pop(dtype, None)  # not both at once
        held = _buffers.held[dtype] = torch.empty(numbers, dtype=dtype)
    return held[:numbers].view(*shape)
