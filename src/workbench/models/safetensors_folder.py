"""A base out of a Hugging Face folder of the LLaMA family: config.json, safetensors, tokenizer.json.

Only what is the same arithmetic as our decoder is accepted; a setting that would change it is refused by
name, rather than ignored.
"""

import hashlib
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from workbench.errors import InputError
from workbench.files import sha256_of
from workbench.models.base import LARGEST, Base
from workbench.models.decoder import Decoder, DecoderConfig
from workbench.models.folder_tokenizer import read_json, read_tokenizer, unreadable

MODEL_TYPES = ("llama", "mistral")
"""Values of ``model_type`` whose decoder is ours, given the settings below."""

_ONLY: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu",),
    "attention_bias": (None, False),
    "mlp_bias": (None, False),
    "rope_scaling": (None,),
    "sliding_window": (None,),
    "quantization_config": (None,),
}
"""Settings with the only values that leave the arithmetic as it is."""

DTYPES = (torch.float32, torch.float16, torch.bfloat16)

_TOP = {"embedding": "model.embed_tokens.weight", "norm": "model.norm.weight", "head": "lm_head.weight"}
_LEAVES = {
    "attention_norm": "input_layernorm",
    "feed_forward_norm": "post_attention_layernorm",
    **{leaf: f"self_attn.{leaf}" for leaf in ("q_proj", "k_proj", "v_proj", "o_proj")},
    **{leaf: f"mlp.{leaf}" for leaf in ("gate_proj", "up_proj", "down_proj")},
}


def huggingface_name(name: str) -> str:
    """Return the tensor that holds a weight, such as "model.layers.3.self_attn.q_proj.weight"."""
    if name in _TOP:
        return _TOP[name]
    _, layer, leaf = name.split(".")
    return f"model.layers.{layer}.{_LEAVES[leaf]}.weight"


def load_folder(path: Path, name: str, precision: str = "float32") -> Base:
    """Load a base from a folder with config.json, model.safetensors (or shards) and tokenizer.json.

    Raises:
        InputError: If a file is missing or damaged, or the model isn't of the LLaMA family.
    """
    settings = read_json(path / "config.json")
    config, tied = read_config(path / "config.json", settings)
    shards = _shards(path)
    weights = read_weights(path, shards, config, tied)
    tokenizer, _notes = read_tokenizer(path, config.vocabulary, settings)
    used = [path / "config.json", *sorted({*shards.values()}), path / "tokenizer.json"]
    digests = "".join(f"{file.name} {sha256_of(file)}\n" for file in used)
    return Base(
        name=name,
        path=path,
        sha256=hashlib.sha256(digests.encode()).hexdigest(),
        licence=None,
        decoder=Decoder(config, weights, precision),
        tokenizer=tokenizer,
    )


def read_config(path: Path, settings: dict[str, Any]) -> tuple[DecoderConfig, bool]:
    """Return the decoder's sizes, and whether its head is its embedding."""
    if settings.get("model_type") not in MODEL_TYPES:
        raise _wrong(path, "model_type", settings.get("model_type"), f"one of {', '.join(MODEL_TYPES)}")
    for key, allowed in _ONLY.items():
        if settings.get(key, allowed[0]) not in allowed:
            raise _wrong(path, key, settings[key], f"{allowed[0]}: another value changes the arithmetic")
    for key in ("sliding_window", "num_key_value_heads"):
        # what Mistral means by leaving these out is a window of 4096 and 8 heads
        if settings["model_type"] == "mistral" and key not in settings:
            raise _wrong(path, key, None, "to be stated, since its default changes the arithmetic")
    rope = settings.get("rope_parameters") or {}
    if rope.get("rope_type", "default") != "default" or rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise _wrong(
            path, "rope_parameters", rope, "rope_type 'default': other rotary positions aren't supported"
        )

    def size(key: str, default: int | None = None) -> int:
        value = settings.get(key)
        value = default if value is None else value
        if type(value) is not int or not 1 <= value <= LARGEST:
            raise _wrong(path, key, value, f"a whole number from 1 to {LARGEST}")
        return value

    def positive(key: str, value: Any) -> float:  # noqa: ANN401 - whatever the file holds
        if type(value) not in (int, float) or not isfinite(value) or value <= 0:
            raise _wrong(path, key, value, "a positive number")
        return float(value)

    heads = size("num_attention_heads")
    config = DecoderConfig(
        vocabulary=size("vocab_size"),
        width=size("hidden_size"),
        layers=size("num_hidden_layers"),
        heads=heads,
        kv_heads=size("num_key_value_heads", heads),
        head_size=size("head_dim", max(1, size("hidden_size") // heads)),
        feed_forward=size("intermediate_size"),
        rope_base=positive("rope_theta", rope.get("rope_theta", settings.get("rope_theta", 10_000.0))),
        norm_epsilon=positive("rms_norm_eps", settings.get("rms_norm_eps", 1e-6)),
        context=size("max_position_embeddings", 2048),
    )
    if config.head_size % 2:
        raise _wrong(path, "head_dim", config.head_size, "an even number, since rotary positions turn pairs")
    if heads % config.kv_heads:
        raise _wrong(
            path, "num_attention_heads", heads, f"a multiple of num_key_value_heads, {config.kv_heads}"
        )
    return config, bool(settings.get("tie_word_embeddings", False))


def read_weights(path: Path, shards: dict[str, Path], config: DecoderConfig, tied: bool) -> dict[str, Tensor]:
    """Return every weight in float32 by the decoder's name."""
    if config.layers > len(shards):
        raise _wrong(path / "config.json", "num_hidden_layers", config.layers, f"at most {len(shards)}")
    shapes = config.shapes(tied=tied)
    names = {huggingface_name(name): name for name in shapes}
    # a tied head may be stored all the same, and older files store the rotary frequencies
    ignored = {_TOP["head"]} if tied else set()
    for tensor in shards:
        if tensor not in names and tensor not in ignored and not tensor.endswith("rotary_emb.inv_freq"):
            raise InputError(
                f"{shards[tensor]}: tensor {tensor!r} has no place in a plain LLaMA decoder of "
                f"{config.layers} blocks (biases and experts aren't supported). Choose another base."
            )
    return {name: _tensor(path, shards.get(tensor), tensor, shapes[name]) for tensor, name in names.items()}


def _tensor(folder: Path, file: Path | None, name: str, shape: tuple[int, ...]) -> Tensor:
    if file is None:
        raise InputError(
            f"{folder}: tensor {name!r} is missing, expected the shape {shape}. Get the folder again."
        )
    try:
        with safe_open(file, framework="pt") as tensors:
            value = tensors.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise unreadable(file, error) from error
    if tuple(value.shape) != shape or value.dtype not in DTYPES:
        raise InputError(
            f"{file}: tensor {name!r} is {value.dtype} of the shape {tuple(value.shape)}, expected {shape} "
            "in float32, float16 or bfloat16. Get the folder again."
        )
    return value.to(torch.float32)


def _shards(path: Path) -> dict[str, Path]:
    """Return the file of each tensor, from the index where there is one."""
    index = path / "model.safetensors.index.json"
    files = {path / "model.safetensors"}
    if index.is_file():
        places = read_json(index).get("weight_map")
        if not isinstance(places, dict) or not all(_is_plain_name(name) for name in places.values()):
            raise InputError(f"{index}: weight_map has to name a file of this folder for each tensor.")
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


def _wrong(path: Path, key: str, value: object, expected: str) -> InputError:
    return InputError(f"{path}: {key} is {value!r}, expected {expected}. Choose another base.")
