"""The operators of one training step at the shapes of real models: what a GPU would be asked to launch.

A model's layers repeat, so a step is one of them and the head, forward and backward, on a device that holds
no numbers ("meta"): tensors have their real sizes, and nothing is computed or stored. An operator that read
a number on its way would fail there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qlora_kernels import FORMATS, QuantizedTensor, grouped_lora_linear, quantized_linear
from qlora_kernels.decode_triton import launch_decode
from qlora_kernels.formats_layout import Stored
from qlora_kernels.lab.compiler import SIXTEEN_BITS, Launch, captured, running_on
from qlora_kernels.linear_cross_entropy import linear_cross_entropy
from qlora_kernels.rms_norm import rms_norm
from qlora_kernels.rope import rope
from qlora_kernels.rows import Backend
from qlora_kernels.swiglu import swiglu

META = torch.device("meta")
RANK = 16


@dataclass(frozen=True)
class Model:
    """Sizes of a model of the LLaMA family, and the formats of its weights."""

    name: str
    width: int
    inner: int
    heads: int
    pairs: int
    """Heads of keys and of values."""
    head_size: int
    words: int
    format: str
    narrow: str
    """Format of the second matrix of the MLP, and of the head."""

    def layers(self) -> dict[str, tuple[int, int]]:
        """(N, K) of each linear layer of a block."""
        queries, keys = self.heads * self.head_size, self.pairs * self.head_size
        return {
            "q": (queries, self.width), "k": (keys, self.width), "v": (keys, self.width),
            "o": (self.width, queries), "gate": (self.inner, self.width), "up": (self.inner, self.width),
            "down": (self.width, self.inner),
        }  # fmt: skip


MODELS = [
    Model("SmolLM2-135M", 576, 1536, 9, 3, 64, 49_152, "q4_1", "q8_0"),
    Model("LLaMA-3.2-1B", 2048, 8192, 32, 8, 64, 128_256, "q4_0", "q8_0"),
    Model("LLaMA-3-8B", 4096, 14336, 32, 8, 128, 128_256, "nf4", "nf4"),
]


def weight_of(format: str, rows: int, columns: int) -> QuantizedTensor:
    """Make a packed weight without numbers."""
    known = FORMATS[format]
    assert known.layout is not None
    shapes = known.layout(rows, columns, known.block_size)
    stored = {name: torch.empty(shape, dtype=dtype, device=META) for name, (shape, dtype) in shapes.items()}
    return QuantizedTensor(
        format=format, shape=(rows, columns), stored=Stored(**stored), block_size=known.block_size
    )


def numbers(*shape: int, dtype: torch.dtype, learns: bool = False) -> Tensor:
    """Make a tensor without numbers."""
    return torch.empty(shape, dtype=dtype, device=META, requires_grad=learns)


def step(model: Model, dtype: torch.dtype, rows: int, cells: int, backend: Backend) -> Callable[[], int]:
    """Return one block and the head, forward and backward, as a function that counts its operators.

    Args:
        model: The sizes.
        dtype: Of activations and adapters.
        rows: Tokens of all cells; all of them carry a label.
        cells: Adapters in the stack.
        backend: Which of the two products.
    """
    shapes = model.layers()
    base = {
        name: weight_of(model.narrow if name == "down" else model.format, *nk) for name, nk in shapes.items()
    }
    head = weight_of(model.narrow, model.words, model.width)
    adapters = {
        name: (
            numbers(cells, RANK, k, dtype=dtype, learns=True),
            numbers(cells, n, RANK, dtype=dtype, learns=True),
        )
        for name, (n, k) in shapes.items()
    }
    scale, segments = numbers(cells, dtype=torch.float32), torch.linspace(0, rows, cells + 1).long()
    gain = numbers(model.width, dtype=dtype)
    targets = torch.empty(rows, dtype=torch.int64, device=META)
    cosine, sine = (numbers(rows, model.head_size // 2, dtype=dtype) for _ in range(2))

    def run() -> int:
        count = 0

        def linear(name: str, x: Tensor) -> Tensor:
            nonlocal count
            count += 1
            return grouped_lora_linear(x, base[name], *adapters[name], scale, segments, backend=backend)

        def norm(x: Tensor) -> Tensor:
            nonlocal count
            count += 1
            return rms_norm(x, gain, 1e-5, backend="triton")

        hidden = numbers(rows, model.width, dtype=dtype, learns=True)
        x = norm(hidden)
        q, k, v = (linear(name, x).unflatten(1, (-1, model.head_size)) for name in "qkv")
        q, k = (rope(t, cosine, sine, layout="half_split", backend="triton") for t in (q, k))
        each = model.heads // model.pairs
        mixed = q * (k + v).repeat_interleave(each, 1)  # attention is PyTorch's, and launches nothing of ours
        hidden = hidden + linear("o", mixed.flatten(1))
        x = norm(hidden)
        inner = swiglu(linear("gate", x), linear("up", x), backend="triton")
        hidden = norm(hidden + linear("down", inner))
        losses = linear_cross_entropy(hidden, head, targets, backend="triton")
        losses.sum().backward()
        with torch.no_grad():  # an evaluation: the base alone, and logits of a few rows
            quantized_linear(hidden, base["q"], backend=backend)
            quantized_linear(hidden[:16], head, backend=backend)
            launch_decode(head.rows(targets).affine(), dtype)  # the embeddings of some words
        return count + 2 + 1 + 1 + 3

    return run


def launches(model: Model, target: str, rows: int, cells: int, backend: Backend) -> tuple[list[Launch], int]:
    """Record what a step launches on a target, and count its operators."""
    counted: list[int] = []
    with running_on(target):
        run = step(model, SIXTEEN_BITS[target], rows, cells, backend)
        found = captured(lambda: counted.append(run()))
    return found, counted[0]


def compile_key(launch: Launch) -> tuple:
    """The same for launches that compile to the same code: types, divisibility by 16, constants, options."""

    def kind(value: object) -> object:
        if isinstance(value, Tensor):
            return value.dtype, value.data_ptr() % 16 == 0
        if isinstance(value, int) and not isinstance(value, bool):
            return "one" if value == 1 else (value % 16 == 0, value >= 2**31)
        return value

    names = [p.name for p in launch.kernel.params]
    constants = {p.name for p in launch.kernel.params if p.is_constexpr}
    given = dict(zip(names, launch.args, strict=False)) | launch.options
    return launch.name, *(
        (k, v if k in constants or k not in names else kind(v)) for k, v in sorted(given.items())
    )
