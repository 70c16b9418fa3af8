"""`QuantizedTensor`: a weight in few bits. The packed form is the truth; decoding defines the numbers."""

import warnings
from dataclasses import dataclass, replace
from html import escape
from math import prod

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from qlora_kernels.decode import decode
from qlora_kernels.formats import known_format
from qlora_kernels.formats_layout import Affine, Stored
from qlora_kernels.in_file import PLAIN_NUMBERS, FileRows, as_affine
from qlora_kernels.rows import Backend


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedTensor:
    """A packed weight: what is stored, and how to read it.

    Attributes:
        format: Key of FORMATS.
        shape: Of the decoded weight. Blocks run along the last axis; the axes before it are rows.
        stored: The tensors that are kept.
        block_size: Weights that share a scale.
    """

    format: str
    shape: tuple[int, ...]
    stored: Stored
    block_size: int

    def dequantize(
        self, dtype: torch.dtype = torch.float32, *, backend: Backend = "auto"
    ) -> Float[Tensor, "..."]:
        """Decode to numbers: computed in float32, then rounded to ``dtype``."""
        return decode(self.affine(), dtype, backend=backend).view(self.shape)

    def rows(self, indices: Int64[Tensor, " places"]) -> "QuantizedTensor":
        """Return some rows of a matrix, still packed.

        Raises:
            ValueError: If the format's scales of scales span rows, so that rows can't be taken apart.
        """
        if any(len(tensor) != self.shape[0] for tensor in self.stored.tensors().values()):
            raise ValueError(f"rows of {self.format} share scales: dequantize, then take the rows")
        packed = {name: tensor[indices] for name, tensor in self.stored.tensors().items()}
        return replace(self, shape=(len(indices), self.shape[1]), stored=Stored(**packed))

    def affine(self) -> Affine:
        """Return what the operators compute with: codes, scales and offsets of each block, as rows."""
        return known_format(self.format).affine(self.stored)

    def operand(self) -> Affine | FileRows:
        """Return what the operators take on a processor: :meth:`affine`, or rows that stay in a file."""
        return self.affine()

    @property
    def codes(self) -> Tensor:
        """The packed codes."""
        return self.stored.codes

    @property
    def scales(self) -> Tensor:
        """The scales as they are stored."""
        return self.stored.scales

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.stored.codes.device

    @property
    def nbytes(self) -> int:
        """Bytes of everything that is stored."""
        return sum(t.numel() * t.element_size() for t in self.stored.tensors().values())

    @property
    def bits_per_weight(self) -> float:
        """Bits stored for each weight, scales included."""
        return 8 * self.nbytes / max(1, prod(self.shape))

    def to(self, device: torch.device | str) -> "QuantizedTensor":
        """Copy to another device."""
        stored = Stored(**{name: tensor.to(device) for name, tensor in self.stored.tensors().items()})
        return replace(self, stored=stored)

    @classmethod
    def from_gguf_bytes(
        cls, format: str, shape: tuple[int, ...], data: Tensor | np.ndarray | bytes | memoryview
    ) -> "QuantizedTensor":
        """Read the blocks of a GGUF file.

        Args:
            format: A GGUF format's key in FORMATS.
            shape: Of the decoded weight, rows first.
            data: The blocks of all rows: bytes, a NumPy array or a tensor of bytes.

        Raises:
            ValueError: If the format isn't one of GGUF, or the shape and the number of bytes don't fit it.
        """
        known, shape = known_format(format), tuple(map(int, shape))
        if known.from_bytes is None or known.block_bytes is None:
            raise ValueError(
                f"{format} is not a format of GGUF files; use quantize() to make one from numbers"
            )
        columns = row_length(format, shape, known.multiple)
        row_bytes = columns // known.multiple * known.block_bytes
        flat, rows = _as_bytes(data), prod(shape[:-1])
        if flat.numel() != rows * row_bytes:
            raise ValueError(
                f"{format} of shape {shape} takes {rows * row_bytes} bytes, got {flat.numel()}: "
                "the file is cut off, or shape or format are not those of the tensor"
            )
        stored = known.from_bytes(flat.view(rows, row_bytes))
        return cls(format=format, shape=shape, stored=stored, block_size=known.block_size)

    def to_gguf_bytes(self) -> UInt8[Tensor, "N bytes"]:
        """Return the blocks as a GGUF file holds them, one row for each row of the weight.

        Raises:
            ValueError: If the format isn't one of GGUF.
        """
        write = known_format(self.format).to_bytes
        if write is None:
            raise ValueError(
                f"GGUF files have no format {self.format}; quantize to q4_0, q4_1 or q8_0 instead"
            )
        return write(self.stored)

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        return (
            f"QuantizedTensor({self.format}, {size}, {self.bits_per_weight:.3f} bits per weight in blocks of "
            f"{self.block_size}, {self.nbytes:,} bytes, {self.device})"
        )

    def _repr_html_(self) -> str:
        rows = {
            "format": f"{self.format}: {known_format(self.format).about}",
            "shape": " × ".join(map(str, self.shape)),
            "bits per weight": f"{self.bits_per_weight:.3f}, in blocks of {self.block_size}",
            "size": f"{self.nbytes:,} bytes, {32 / self.bits_per_weight:.1f} times less than float32",
        }
        rows |= {
            name: f"{str(tensor.dtype).removeprefix('torch.')} {' × '.join(map(str, tensor.shape))}"
            for name, tensor in self.stored.tensors().items()
        }
        cells = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows.items())
        return f"<table>{cells}</table>"


class MappedTensor(QuantizedTensor):
    """A matrix of a GGUF file that stays there: its bytes are a view of the mapped file.

    It is decoded when it is asked for. Formats are those of GGUF, and plain numbers ("f32", "f16", "bf16").
    ``order`` says which row of the file each row is; None where they are in order.
    """

    def __init__(
        self, format: str, shape: tuple[int, int], data: np.ndarray, order: Int64[Tensor, " N"] | None = None
    ) -> None:
        """Take a view of a file's bytes, one row for each row of the matrix, as it is."""
        with warnings.catch_warnings():
            # nothing writes into a base; what did would end the program, for the file is mapped read-only
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            rows = torch.from_numpy(data)
        kept = torch.empty(0, dtype=torch.int64) if order is None else order
        held = FileRows(data=rows, order=kept, format=format, shape=shape)
        block = 1 if format in PLAIN_NUMBERS else known_format(format).block_size
        for name, value in {"format": format, "shape": shape, "block_size": block, "held": held}.items():
            object.__setattr__(self, name, value)

    held: FileRows

    @property
    def stored(self) -> Stored:
        """What a weight that isn't in a file holds, made anew each time; not of plain numbers."""
        known = known_format(self.format)
        assert known.from_bytes, f"{self.format} is no format of GGUF files"
        return known.from_bytes(self.to_gguf_bytes())

    def operand(self) -> FileRows:
        """Return the rows in the file."""
        return self.held

    def affine(self) -> Affine:
        """Return what the other operators compute with, made anew each time."""
        return as_affine(self.to_gguf_bytes(), self.format)

    def dequantize(
        self, dtype: torch.dtype = torch.float32, *, backend: Backend = "auto"
    ) -> Float[Tensor, "N K"]:
        """Decode to numbers: computed in float32, then rounded to ``dtype``."""
        if backend == "reference":
            return super().dequantize(dtype, backend=backend)
        return self.held.decode(dtype)

    def rows(self, indices: Int64[Tensor, " places"]) -> QuantizedTensor:
        """Return some rows, still in the file's blocks; of these the bytes are copied."""
        return MappedTensor(self.format, (len(indices), self.shape[1]), self.held.some(indices).numpy())

    def to_gguf_bytes(self) -> UInt8[Tensor, "N bytes"]:
        """Return the blocks of each row: a view of the file where its rows are in order."""
        return self.held.some(slice(None))

    @property
    def device(self) -> torch.device:
        """Where the bytes are: with the processor."""
        return self.held.device

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.held.data.numel()

    def to(self, device: torch.device | str) -> QuantizedTensor:
        """Return itself for the processor: what stays in a file can't be anywhere else.

        Raises:
            ValueError: For another device.
        """
        if torch.device(device).type != "cpu":
            raise ValueError(f"a matrix that stays in its file can't be moved to {device}; read it first")
        return self


def row_length(format: str, shape: tuple[int, ...], multiple: int) -> int:
    """Return the length of a row, checked against the format's blocks."""
    if not shape:
        raise ValueError(f"{format} needs a tensor of at least one axis, got a single number")
    if shape[-1] == 0 or shape[-1] % multiple:
        raise ValueError(
            f"{format} packs {multiple} weights of a row together, but the last axis of {shape} has "
            f"{shape[-1]}; it has to be a multiple of {multiple}"
        )
    return shape[-1]


def _as_bytes(data: Tensor | np.ndarray | bytes | memoryview) -> UInt8[Tensor, " bytes"]:
    if isinstance(data, Tensor):
        if data.dtype != torch.uint8:
            raise ValueError(f"packed data has to be a tensor of uint8, got {data.dtype}")
        return data.contiguous().flatten()
    array = data if isinstance(data, np.ndarray) else np.frombuffer(data, dtype=np.uint8)
    # a file that is mapped read-only would make a tensor that crashes when it is written to
    array = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
