"""What a loaded base model is: a frozen decoder, its tokenizer, and where both came from."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

from workbench.models.decoder import Decoder
from workbench.models.tokenizer import Tokenizer

LARGEST_SIZE = 1 << 24
"""No width, vocabulary, context or number of layers is larger; a file that says so is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
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

    def __str__(self) -> str:
        """Describe the base in one line."""
        config = self.decoder.config
        bits = 8 * self.packed_bytes / self.parameters
        return (
            f"{self.name}: {self.parameters / 1e6:.2f} M parameters in {bits:.2f} bits each, {config.layers} "
            f"blocks of width {config.width}, {config.vocabulary} tokens, context {config.context}, "
            f"licence {self.licence or 'not stated'}"
        )
