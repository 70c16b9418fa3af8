"""A base out of a Hugging Face folder of a known family: config.json, safetensors, tokenizer.json.

Only what is the same arithmetic as our decoder is accepted; a setting that would change it is refused by
name, rather than ignored.
"""

import hashlib
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from qlora_kernels import QuantizedTensor
from workbench.errors import ANOTHER_BASE, InputError
from workbench.files import sha256_of
from workbench.models.base import Base
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import DecoderConfig, expert_of, fused_shape, without_expert
from workbench.models.families import FAMILIES
from workbench.models.families.family import ATTENTION, FEED_FORWARD
from workbench.models.folder_config import read_config
from workbench.models.folder_methods import quantized_folder
from workbench.models.folder_quantized import QuantizedWeight, Source, ZeroBias, split_rows
from workbench.models.folder_settings import generation_note
from workbench.models.folder_tokenizer import TEXT_FILES, read_json, read_tokenizer, unreadable
from workbench.models.folder_values import wrong
from workbench.models.holding import chosen_hold
from workbench.models.not_a_base import refuse_missing_files, refuse_other_folders

OWN_HEAD = (
    "config.json ties the output matrix to the embedding (tie_word_embeddings), but the files hold an output "
    "matrix of its own with other numbers: the stored one is used, as transformers 5 does"
)
"""A note of a base whose stored head differs from its embedding."""

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)

_TOP = {"embedding": "model.embed_tokens.weight", "norm": "model.norm.weight", "head": "lm_head.weight"}
_LEAVES = {
    "attention_norm": "input_layernorm",
    "feed_forward_norm": "post_attention_layernorm",
    **{leaf: f"self_attn.{leaf}" for leaf in (*ATTENTION, "q_norm", "k_norm")},
    **{leaf: f"mlp.{leaf}" for leaf in FEED_FORWARD},
}


def huggingface_name(name: str, family: str = "llama") -> str:
    """Return the tensor that holds a weight, such as "model.layers.3.self_attn.q_proj.weight"."""
    if name in _TOP:
        return _TOP[name]
    _, layer, leaf = name.split(".")
    if (linear := leaf.replace("_bias", "_proj")) != leaf:
        return f"model.layers.{layer}.{_LEAVES[linear]}.bias"
    plain = without_expert(leaf)
    own = (FAMILIES[family].names.get(plain) or _LEAVES[plain]).format(expert_of(leaf))
    return f"model.layers.{layer}.{own}.weight"


def folder_tensors(config: DecoderConfig, *, tied: bool) -> dict[str, tuple[str, ...]]:
    """Return which weights each tensor of a folder holds, one above the other, in the decoder's order."""
    fused = FAMILIES[config.family].fused
    whole = {leaf: tensor for tensor, leaves in fused.items() for leaf in leaves}
    found: dict[str, tuple[str, ...]] = {}
    for name in config.shapes(tied=tied):
        leaf = name.rpartition(".")[2]
        if leaf in whole:
            tensor = f"{name.removesuffix(leaf).replace('layers', 'model.layers')}{whole[leaf]}.weight"
        else:
            tensor = huggingface_name(name, config.family)
        found[tensor] = (*found.get(tensor, ()), name)
    return found


def norm_offset(name: str, config: DecoderConfig) -> int:
    """Return what a folder's stored norm lacks of the decoder's; 0 for other weights."""
    return FAMILIES[config.family].norm_offset if name.endswith("norm") else 0


def load_folder(
    path: Path,
    name: str,
    precision: str = "float32",
    device: torch.device | str = "cpu",
    hold: str = "decoded",
) -> Base:
    """Load a base from a folder with config.json, model.safetensors (or shards) and tokenizer.json.

    Raises:
        InputError: If a file is missing or damaged, or the model isn't of the LLaMA family.
    """
    refuse_other_folders(path)
    settings = read_json(path / "config.json")
    config, tied, notes = read_config(path / "config.json", settings)
    notes += generation_note(settings | read_json(path / "generation_config.json", missing={}))
    refuse_missing_files(path)
    shards = _shards(path)
    quantized = quantized_folder(path / "config.json", settings)
    sources = dict(shards) if quantized is None else quantized.sources(shards)
    weights = read_weights(path, sources, config, tied)
    notes += () if quantized is None else quantized.notes()
    if tied and "head" in weights:
        notes += (OWN_HEAD,)
    tokenizer, more = read_tokenizer(path, config.vocabulary, settings)
    used = [path / "config.json", *sorted({*shards.values()}), path / "tokenizer.json"]
    said = [file for name in TEXT_FILES if (file := path / name).is_file()]
    # the weights are in memory already; what is decoded comes to it
    numbers = sum(prod(one.shape) for one in weights.values() if isinstance(one, QuantizedTensor))
    hold = chosen_hold(hold, precision, config, torch.device(device), lambda item: item * numbers)
    return Base(
        name=name,
        path=path,
        sha256=_digest(used),
        text_sha256=_digest(said),
        licence=None,
        decoder=Decoder(config, weights, precision, device, hold),
        tokenizer=tokenizer,
        notes=(*notes, *more),
    )


def _digest(files: Iterable[Path]) -> str:
    names = "".join(f"{file.name} {sha256_of(file)}\n" for file in files)
    return hashlib.sha256(names.encode()).hexdigest()


def read_weights(
    path: Path, shards: Mapping[str, Source], config: DecoderConfig, tied: bool
) -> dict[str, Tensor | QuantizedTensor]:
    """Return every weight by the decoder's name, in float32 or packed.

    Where the settings tie the head to the embedding and the files hold both, a head that differs is kept, as
    transformers 5 does: a merged adapter may have trained it.
    """
    if config.layers > len(shards):
        raise wrong(path / "config.json", "num_hidden_layers", config.layers, f"at most {len(shards)}")
    shapes = config.shapes(tied=tied and _TOP["head"] not in shards)
    tensors = folder_tensors(config, tied="head" not in shapes)
    for tensor in shards:
        if tensor not in tensors and not _spare(tensor, shards[tensor]):
            raise InputError(
                f"{shards[tensor]}: tensor {tensor!r} has no place in a decoder of the family "
                f"{config.family!r} with {config.layers} blocks as config.json describes it; {ANOTHER_BASE}."
            )
    if not tied and _TOP["head"] not in shards and _TOP["embedding"] in shards:
        raise InputError(
            f"{path}: tensor {_TOP['head']!r} is missing, and config.json doesn't tie it to the embedding. "
            "If the base ties them, set tie_word_embeddings to true in config.json; otherwise a file is "
            f"missing: download the folder again, or {ANOTHER_BASE}."
        )
    weights: dict[str, Tensor | QuantizedTensor] = {}
    for tensor, names in tensors.items():
        value = _tensor(path, shards.get(tensor), tensor, fused_shape(shapes, names))
        parts = split_rows(value, [shapes[name][0] for name in names])
        for name, part in zip(names, parts, strict=True):
            offset = norm_offset(name, config)
            weights[name] = part + offset if offset and isinstance(part, Tensor) else part
    head, embedding = weights.get("head"), weights.get("embedding")
    if tied and isinstance(head, Tensor) and isinstance(embedding, Tensor) and torch.equal(head, embedding):
        del weights["head"]
    return weights


def _spare(tensor: str, source: Source) -> bool:
    """Say whether a tensor adds nothing: a bias of zeros, or rotary frequencies that older files store."""
    return isinstance(source, ZeroBias) or tensor.endswith("rotary_emb.inv_freq")


def _tensor(folder: Path, file: Source | None, name: str, shape: tuple[int, ...]) -> Tensor | QuantizedTensor:
    if isinstance(file, QuantizedWeight):
        return file.read(shape)
    if isinstance(file, ZeroBias):
        file = file.file
    if file is None:
        raise InputError(
            f"{folder}: tensor {name!r} is missing, expected the shape {shape}; get the folder again, or "
            f"{ANOTHER_BASE}."
        )
    try:
        with safe_open(file, framework="pt") as tensors:
            value = tensors.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise unreadable(file, error) from error
    if value.dtype not in DTYPES:
        raise InputError(
            f"{file}: tensor {name!r} is {value.dtype}, expected float32, float16 or bfloat16: the weights "
            "are quantized, and config.json doesn't say how. Get the base in one of these types, or as a "
            "GGUF in Q8_0."
        )
    if tuple(value.shape) != shape:
        raise InputError(
            f"{file}: tensor {name!r} has the shape {tuple(value.shape)}, expected {shape} from config.json; "
            f"take both from one model, or {ANOTHER_BASE}."
        )
    return value.to(torch.float32)


def _shards(path: Path) -> dict[str, Path]:
    """Return the file of each tensor, from the index where there is one."""
    index = path / "model.safetensors.index.json"
    files = {path / "model.safetensors"}
    if index.is_file():
        places = read_json(index).get("weight_map")
        if not isinstance(places, dict) or not all(_is_plain_name(name) for name in places.values()):
            raise InputError(
                f"{index}: weight_map has to name a file of this folder for each tensor; get the folder "
                f"again, or {ANOTHER_BASE}."
            )
        files = {path / name for name in places.values()}
    found: dict[str, Path] = {}
    for file in sorted(files):
        try:
            with safe_open(file, framework="pt") as tensors:
                found |= dict.fromkeys(tensors.keys(), file)
        except (SafetensorError, OSError) as error:
            raise unreadable(file, error) from error
    return found


def _is_plain_name(name: object) -> bool:
    return isinstance(name, str) and Path(name).name == name
