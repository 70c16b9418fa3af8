"""A small random base with a real tokenizer, and an adapter for it: made without transformers, in moments."""

import tiny_chat
import torch

from workbench.adapters.adapter import LoraAdapter
from workbench.config import LINEARS
from workbench.models.base import Base
from workbench.models.decoder_config import DecoderConfig
from workbench.models.loaders import load_base
from workbench.models.tokenizer import LibraryBackend, SubwordTokenizer
from workbench.models.writers import MODEL_FORMATS, WholeModel

SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]


def tiny_tokenizer() -> SubwordTokenizer:
    library = tiny_chat.tokenizer("byte-level", SPECIAL, adds_bos=False)
    return SubwordTokenizer(
        name="tokenizer.json",
        backend=LibraryBackend(library, library.get_vocab_size()),
        vocabulary=library.get_vocab_size(),
        bos=0,
        eos=1,
        pad=None,
        chat_template=tiny_chat.CHATML,
        named={"bos_token": "<s>", "eos_token": "</s>"},
        special=frozenset(SPECIAL),
        stops=frozenset((1, 3)),
    )


def tiny_model(*, tied: bool = True, width: int = 256, seed: int = 0) -> WholeModel:
    tokenizer = tiny_tokenizer()
    config = DecoderConfig(
        vocabulary=tokenizer.vocabulary,
        width=width,
        layers=2,
        heads=4,
        kv_heads=2,
        head_size=64,
        feed_forward=2 * width,
        context=256,
        rope_base=50_000.0,
    )
    generator = torch.Generator().manual_seed(seed)

    def weight(shape: tuple[int, ...]) -> torch.Tensor:
        values = torch.randn(shape, generator=generator)
        return 1 + 0.1 * values if len(shape) == 1 else 1.5 * values / shape[-1] ** 0.5

    weights = {name: weight(shape) for name, shape in config.shapes(tied=tied).items()}
    return WholeModel(config=config, weights=weights, tokenizer=tokenizer, name="tiny", licence="mit")


def written(model: WholeModel, path, format: str, **options):
    """Write a model in a format, and return where it is."""
    kind = MODEL_FORMATS[format]
    kind.write(path, model, kind.kinds(model.shapes), **options)
    return path


def tiny_base(folder, **settings) -> Base:
    """A base that was read from a folder."""
    return load_base(written(tiny_model(**settings), folder / "base", "safetensors-f32"))


def tiny_adapter(base: Base, *, rank: int = 4, alpha: float = 12.0, seed: int = 1) -> LoraAdapter:
    """An adapter of all layers that changes what the base says."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in range(base.decoder.config.layers):
        for leaf in LINEARS:
            outputs, inputs = base.decoder.config.linear_shape(leaf)
            name = f"layers.{layer}.{leaf}"
            tensors[f"{name}.lora_A"] = torch.randn(rank, inputs, generator=generator) / inputs**0.5
            tensors[f"{name}.lora_B"] = 0.1 * torch.randn(outputs, rank, generator=generator)
    return LoraAdapter(name="tuned", base=str(base.path), rank=rank, alpha=alpha, tensors=tensors)
