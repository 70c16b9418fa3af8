"""The formats in which a whole model is written: GGUF with several kinds of numbers, Hugging Face folders.

A writer is given a :class:`WholeModel`, whose weights may be computed as they are asked for, one at a time.
It writes to a new place; whoever calls it checks what it wrote and moves it to where it belongs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from workbench.models.decoder_config import ROUTER
from workbench.models.writers.folder import write_folder
from workbench.models.writers.gguf_file import write_gguf_model
from workbench.models.writers.model import Shape, TellProgress, WholeModel
from workbench.models.writers.numbers import fitting


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFormat:
    """One way to write a model; an entry of :data:`MODEL_FORMATS`."""

    about: str
    matrices: str
    """Key of ``KINDS_OF_NUMBERS``: how the matrices of the blocks are stored where their rows allow it."""
    vocabulary: str
    """The same for the embedding and the head."""
    vectors: str = "f32"
    """The same for the weights of norms and routers."""
    is_folder: bool = False
    write: Callable[..., None]
    """(path, model, kinds, progress, largest shard in bytes) -> nothing; OSError where the disk is full."""

    def kind(self, name: str, shape: Shape) -> str:
        """Return how a weight is stored: the key of ``KINDS_OF_NUMBERS`` for it.

        Routers are stored as norms are: they are small, and rounding one sends tokens to other experts.
        """
        if len(shape) == 1 or name.endswith(ROUTER):
            return self.vectors
        return fitting(self.vocabulary if name in ("embedding", "head") else self.matrices, shape[-1])

    def kinds(self, shapes: Mapping[str, Shape]) -> dict[str, str]:
        """Return how each weight is stored."""
        return {name: self.kind(name, shape) for name, shape in shapes.items()}


def _gguf(about: str, matrices: str, vocabulary: str | None = None) -> ModelFormat:
    return ModelFormat(
        about=about, matrices=matrices, vocabulary=vocabulary or matrices, write=write_gguf_model
    )


MODEL_FORMATS: dict[str, ModelFormat] = {
    "f32": _gguf("GGUF, 32 bits a weight: nothing is rounded", "f32"),
    "f16": _gguf("GGUF, 16 bits: 11 of precision, up to 65504", "f16"),
    "bf16": _gguf("GGUF, 16 bits: 8 of precision, as wide as float32", "bf16"),
    "q8_0": _gguf("GGUF, 8.5 bits: a scale for 32 weights", "q8_0"),
    "q6_k": _gguf("GGUF, 6.6 bits: searched scales of 16 weights", "q6_k"),
    "q4_k": _gguf("GGUF, 4.5 bits: searched scales and offsets of 32 weights", "q4_k", "q6_k"),
    "q4_1": _gguf("GGUF, 5 bits: a scale and an offset for 32 weights", "q4_1", "q6_k"),
    "q4_0": _gguf("GGUF, 4.5 bits: a scale for 32 weights", "q4_0", "q6_k"),
    "safetensors": ModelFormat(
        about="a Hugging Face folder, bfloat16, with tokenizer and chat template",
        matrices="bf16",
        vocabulary="bf16",
        vectors="bf16",
        is_folder=True,
        write=write_folder,
    ),
    "safetensors-f32": ModelFormat(
        about="the same in float32: nothing is rounded",
        matrices="f32",
        vocabulary="f32",
        is_folder=True,
        write=write_folder,
    ),
}
"""By the name of ``--format``."""

__all__ = ["MODEL_FORMATS", "ModelFormat", "TellProgress", "WholeModel"]
