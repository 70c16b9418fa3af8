"""A whole model as a Hugging Face folder: config.json, safetensors, tokenizer, chat template, generation.

Source: the safetensors format (eight bytes of length, a JSON header, the tensors end to end), and the names
and settings of transformers' ``LlamaForCausalLM``.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from workbench.errors import ANOTHER_BASE, InputError
from workbench.models.decoder_config import DecoderConfig, fused_shape, unlike_fields
from workbench.models.families import FAMILIES
from workbench.models.folder_config import read_config
from workbench.models.folder_tokenizer import TEXT_FILES, read_json
from workbench.models.rotary import divisors_of, same_rotations
from workbench.models.safetensors_folder import folder_tensors, norm_offset
from workbench.models.writers.folder_texts import write_texts
from workbench.models.writers.model import LARGEST_SHARD, TellProgress, WholeModel, quiet
from workbench.models.writers.numbers import bytes_of, rounded, row_bytes
from workbench.models.writers.sink import sink

DTYPES_OF_KINDS = {"f32": ("F32", "float32"), "bf16": ("BF16", "bfloat16")}
"""For each kind of numbers what safetensors and what config.json call it."""
_INDEX = "model.safetensors.index.json"


def write_folder(
    path: Path,
    model: WholeModel,
    kinds: Mapping[str, str],
    progress: TellProgress = quiet,
    largest_shard: int | None = None,
) -> None:
    """Write a folder that isn't there yet.

    Args:
        path: The folder.
        model: What to write; its weights are asked for one at a time.
        kinds: For each weight "f32" or "bf16".
        progress: Told of each weight.
        largest_shard: Bytes of weights in one file, above which there are several; a tensor is never cut.

    Raises:
        InputError: If a weight isn't finite, or the tokenizer can't be written.
        OSError: If the disk is full.
    """
    path.mkdir()
    settings = _settings(path, model, kinds)
    shards = _shards(model, kinds, LARGEST_SHARD if largest_shard is None else largest_shard)
    done = 0
    for file, names in shards.items():
        _write_shard(path / file, model, names, kinds, progress, done)
        done += len(names)
    if len(shards) > 1:
        total = sum(_size(model, kinds, names) for held in shards.values() for names in held.values())
        places = {tensor: file for file, held in shards.items() for tensor in held}
        write_json(
            path / _INDEX,
            {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))},
        )
    write_json(path / "config.json", settings)
    if model.source is None:
        write_texts(path, model.tokenizer)
    else:
        for name in ("tokenizer.json", *TEXT_FILES):
            if (model.source / name).is_file():
                copy_file(model.source / name, path / name)
    if not (path / "generation_config.json").is_file():
        write_json(path / "generation_config.json", {"_from_model_config": True, **_tokens(model)})


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write an object to a new file."""
    with sink(path) as file:
        file.write((json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def copy_file(source: Path, target: Path) -> None:
    """Copy a file to a new one."""
    with open(source, "rb") as old, sink(target) as new:
        shutil.copyfileobj(old, new)


def _size(model: WholeModel, kinds: Mapping[str, str], names: Sequence[str]) -> int:
    shape = fused_shape(model.shapes, names)
    return prod(shape[:-1]) * row_bytes(kinds[names[0]], shape[-1])


Held = dict[str, tuple[str, ...]]
"""By tensor, the weights that it holds one above the other."""


def _shards(model: WholeModel, kinds: Mapping[str, str], largest: int) -> dict[str, Held]:
    """Return the tensors of each file, in order; each file as full as it can be."""
    groups: list[Held] = [{}]
    used = 0
    for tensor, names in folder_tensors(model.config, tied=model.tied).items():
        size = _size(model, kinds, names)
        if groups[-1] and used + size > largest:
            groups.append({})
            used = 0
        groups[-1][tensor] = names
        used += size
    if len(groups) == 1:
        return {"model.safetensors": groups[0]}
    count = len(groups)
    return {f"model-{n:05d}-of-{count:05d}.safetensors": names for n, names in enumerate(groups, 1)}


def _write_shard(
    path: Path,
    model: WholeModel,
    held: Held,
    kinds: Mapping[str, str],
    progress: TellProgress,
    done: int,
) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    shapes, place = model.shapes, 0
    for tensor, names in held.items():
        size = _size(model, kinds, names)
        header[tensor] = {
            "dtype": DTYPES_OF_KINDS[kinds[names[0]]][0],
            "shape": list(fused_shape(shapes, names)),
            "data_offsets": [place, place + size],
        }
        place += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors are aligned
    with sink(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for number, name in enumerate((name for names in held.values() for name in names), done + 1):
            weight = model.weights[name]
            if (offset := norm_offset(name, model.config)) and isinstance(weight, Tensor):
                weight = weight - offset
            data = bytes_of(rounded(name, weight, kinds[name]))
            file.write(np.ascontiguousarray(data).data)
            progress("writing", number, len(shapes))


def _settings(path: Path, model: WholeModel, kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return config.json: the base's own where it has one, with what the written weights are.

    Raises:
        InputError: If a folder of this family can't say what the decoder computes.
    """
    config, family = model.config, FAMILIES[model.config.family]
    dtype = DTYPES_OF_KINDS[kinds["embedding"]][1]
    taken = {} if model.source is None else read_json(model.source / "config.json")
    if taken.get("model_type") == config.family:
        # the names of the type and of the base that the folder was made from are this model's now
        left_out = ("_name_or_path", "dtype", "quantization_config")  # what is written is plain
        kept = {key: value for key, value in taken.items() if key not in left_out}
        return kept | {"tie_word_embeddings": model.tied, "torch_dtype": dtype}
    settings = {
        "architectures": [family.architecture],
        "model_type": config.family,
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "intermediate_size": config.feed_forward,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_size,
        "max_position_embeddings": config.context,
        "rms_norm_eps": config.norm_epsilon,
        "rope_theta": config.rope_base,
        "rope_scaling": _rope_scaling(config),
        "hidden_act": "silu",
        **{key: config.biases.issuperset(leaves) for key, leaves in family.biases.items()},
        "tie_word_embeddings": model.tied,
        "torch_dtype": dtype,
        **family.to_folder(config),
        "pad_token_id": None,
        **_tokens(model),
    }
    read = read_config(path / "config.json", settings)[0]
    unlike = unlike_fields(config, read) + ([] if same_rotations(config, read) else ["rope_scaling"])
    if unlike:
        said = ", ".join(f"{name} is {getattr(config, name)!r}" for name in unlike)
        raise InputError(
            f"a folder of the family {config.family!r} can't say that {said}; write a GGUF instead, "
            f"or {ANOTHER_BASE}."
        )
    return settings


def _rope_scaling(config: DecoderConfig) -> dict[str, Any] | None:
    """Return what config.json says of scaled positions; a number for each pair is LongRoPE's short_factor."""
    scaling = config.rope_scaling
    if scaling is None:
        return None if config.rope_scale == 1 else {"rope_type": "linear", "factor": config.rope_scale}
    lengths = {"factor": scaling.factor, "original_max_position_embeddings": scaling.original_context}
    if scaling.kind == "llama3":
        ends = {"low_freq_factor": scaling.slow, "high_freq_factor": scaling.fast}
        return {"rope_type": "llama3", **lengths, **ends}
    if scaling.kind == "yarn":
        ends = {"beta_slow": scaling.slow, "beta_fast": scaling.fast, "truncate": scaling.whole_pairs}
        return {"rope_type": "yarn", **lengths, **ends, "attention_factor": scaling.magnitude}
    factors = [divisor * config.rope_scale for divisor in divisors_of(config)]
    return {
        "rope_type": "longrope",
        "short_factor": factors,
        "long_factor": factors,
        "attention_factor": scaling.magnitude,
        "original_max_position_embeddings": config.context,
    }


def _tokens(model: WholeModel) -> dict[str, Any]:
    """Return the tokens that begin, end and fill texts, as generation_config.json names them."""
    tokenizer = model.tokenizer
    ends = [] if tokenizer.eos is None else [tokenizer.eos]
    ends += sorted(tokenizer.stops - set(ends))
    found = {
        "bos_token_id": tokenizer.bos,
        "eos_token_id": ends[0] if len(ends) == 1 else ends or None,
        "pad_token_id": tokenizer.pad,
    }
    return {key: value for key, value in found.items() if value is not None}
