"""What a writer of models is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from qlora_kernels import QuantizedTensor
from workbench.models.decoder_config import DecoderConfig
from workbench.models.tokenizer import Tokenizer

Shape = tuple[int, ...]
TellProgress = Callable[[str, int, int], None]
"""(what is done, number done, of how many) -> nothing."""
LARGEST_SHARD = 5_000_000_000
"""Bytes of a folder's file of weights, above which there are several, as transformers has it."""


def quiet(what: str, done: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeModel:
    """A decoder, its tokenizer, and what a file says about them."""

    config: DecoderConfig
    weights: Mapping[str, Tensor | QuantizedTensor]
    """Every weight by the decoder's name; it may be computed when it is asked for, and is asked for once."""
    tokenizer: Tokenizer
    name: str
    licence: str | None = None
    description: str | None = None
    source: Path | None = None
    """The Hugging Face folder that the base came from, whose texts go along as they are; None for others."""

    @property
    def tied(self) -> bool:
        """Whether the head is the embedding."""
        return "head" not in self.weights

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of every weight, in the order in which they are written."""
        return self.config.shapes(tied=self.tied)
