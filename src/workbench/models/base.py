"""What a loaded base model is: a frozen decoder, its tokenizer, and where both came from."""

from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path

from qlora_kernels import QuantizedTensor
from workbench.models.decoder import Decoder
from workbench.models.tokenizer import Tokenizer
from workbench.showing import Shown

LARGEST_SIZE = 1 << 24
"""No width, vocabulary, context or number of layers is larger; a file that says so is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Base(Shown):
    """A base model, ready to use."""

    name: str
    """The name or path it was asked for by."""
    path: Path
    sha256: str
    """Of the file's bytes; for a folder, of its files' names and hashes."""
    text_sha256: str | None = None
    """Of a folder's files that say how a text begins, ends and is written as a chat; None for a GGUF, which
    holds that itself. It is no part of ``sha256``, from which older studies name their cells."""
    licence: str | None
    """As the file states it; None when it doesn't."""
    decoder: Decoder
    tokenizer: Tokenizer
    notes: tuple[str, ...] = ()
    """What a reader of any result has to know about how the base was read."""

    @property
    def parameters(self) -> int:
        """Number of weights, a tied embedding counted once."""
        return sum(prod(shape) for shape in self.decoder.config.shapes(tied=self.decoder.tied).values())

    @property
    def packed_bytes(self) -> int:
        """Bytes of the weights as they are stored, without decoded copies."""
        return sum(weight.nbytes for weight in self.decoder.weights.values())

    @property
    def bits_per_weight(self) -> float:
        """Bits stored for each weight, on average, scales included."""
        return 8 * self.packed_bytes / self.parameters

    def _shown(self) -> tuple[str, dict[str, str]]:
        config = self.decoder.config
        facts = {
            "parameters": f"{self.parameters:,}",
            "format": f"{', '.join(self.formats)}: {self.bits_per_weight:.2f} bits a weight",
            "shape": f"{config.layers} blocks of width {config.width}, {config.vocabulary:,} tokens",
            "context": f"{config.context:,} tokens",
            "licence": self.licence or "not stated",
            "file": f"{self.path.name}, SHA-256 {self.sha256[:16]} …",
        }
        return f"Base {self.name}", facts | ({"notes": "; ".join(self.notes)} if self.notes else {})

    @property
    def formats(self) -> tuple[str, ...]:
        """How its weights are stored, each format once, the one of most weights first: "q4_1", "float32"."""
        counts = Counter[str]()
        for weight in self.decoder.weights.values():
            kind = weight.format if isinstance(weight, QuantizedTensor) else str(weight.dtype)
            counts[kind.removeprefix("torch.")] += prod(weight.shape)
        return tuple(kind for kind, _ in counts.most_common())

    def __str__(self) -> str:
        """Describe the base in one line."""
        config = self.decoder.config
        bits = self.bits_per_weight
        return (
            f"{self.name}: {self.parameters / 1e6:.2f} M parameters in {bits:.2f} bits each, {config.layers} "
            f"blocks of width {config.width}, {config.vocabulary} tokens, context {config.context}, "
            f"licence {self.licence or 'not stated'}"
        )
