"""What an ``adapter_config.json`` of PEFT means: which layers, with which rank and scale.

Every setting that PEFT knows is used, known to change nothing once an adapter is trained, or refused by its
name. Settings that PEFT doesn't know are ignored there, too, and named in a note.

Source: ``peft.LoraConfig``, and ``check_target_module_exists`` and ``get_pattern_key`` of PEFT 0.21, whose
matching is followed to the letter.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.adapters.formats.tensor_file import COPY_AGAIN
from workbench.errors import InputError

USED = {
    *("peft_type", "r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern", "alpha_pattern"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "init_lora_weights"),
    "base_model_name_or_path",
}
HARMLESS = {
    *("task_type", "inference_mode", "lora_dropout", "revision", "auto_mapping", "peft_version"),
    # how training began or ran, or what belongs to a setting that is refused
    *("megatron_config", "megatron_core", "runtime_config", "ensure_weight_tying", "qalora_group_size"),
    *("loftq_config", "eva_config", "corda_config", "lora_ga_config"),
    # a trained bias is a tensor of the file, and refused there
    "bias",
}
"""Settings that change nothing in what a trained adapter computes."""
REFUSED = {
    *("modules_to_save", "fan_in_fan_out", "layer_replication", "trainable_token_indices", "lora_bias"),
    *("target_parameters", "alora_invocation_tokens", "use_qalora", "use_bdlora", "arrow_config"),
    *("kasa_config", "monteclora_config", "velora_config"),
}
"""Settings that have to be empty or false: they change more than the products of B and A."""
HARMLESS_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")
"""Values of ``init_lora_weights`` that leave the base as it is; the others change it before training."""
LONGEST_PATTERN = 2000
"""Characters of a pattern; every known one is far shorter."""


def read_settings(path: Path, again: str = COPY_AGAIN) -> dict[str, Any]:
    """Read an ``adapter_config.json``; ``again`` says what to do where it is damaged.

    Raises:
        InputError: If it can't be read or isn't a JSON object.
    """
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error!r}; {again}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} is damaged: it holds no JSON object; {again}")
    return config


def check_settings(path: Path, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Refuse settings that ask for more than our adapters are, and return a note about unknown ones.

    Raises:
        InputError: If there is such a setting, or a value of the wrong kind.
    """
    for name, value in {"peft_type": None, **config}.items():
        if name == "peft_type":
            taken = value == "LORA"
        elif name == "init_lora_weights":
            taken = value in HARMLESS_STARTS
        else:
            taken = name not in REFUSED or value in (None, False, [], {})
        if not taken:
            raise InputError(
                f"{path}: {name} is {str(value)[:80]!r}, which changes more than a LoRA's products and can't "
                "be read; train an adapter without it"
            )
    kinds: dict[str, tuple[type, ...]] = {
        "rank_pattern": (dict,),
        "alpha_pattern": (dict,),
        "target_modules": (list, str),
        "exclude_modules": (list, str),
        "layers_pattern": (list, str),
        "layers_to_transform": (list, int),
        "use_rslora": (bool,),
        "use_dora": (bool,),
    }
    for name, allowed in kinds.items():
        value = config.get(name)
        if value is not None and not isinstance(value, allowed):
            wanted = " or ".join(one.__name__ for one in allowed)
            raise InputError(f"{path}: {name} is {str(value)[:80]!r}; expected a {wanted}")
    unknown = sorted(set(config) - USED - HARMLESS - REFUSED)
    return (f"settings that PEFT doesn't know, ignored: {', '.join(unknown)}",) if unknown else ()


def rank_of(path: Path, config: Mapping[str, Any], module: str) -> int:
    """Return the rank that the settings give to a module, such as "model.layers.3.self_attn.q_proj".

    Raises:
        InputError: If it is no whole number above 0.
    """
    rank = _by_pattern(path, config, "rank_pattern", module, config.get("r"))
    if type(rank) is not int or rank < 1:
        raise InputError(f"{path} is damaged: r, the rank, is {str(rank)[:20]}; {COPY_AGAIN}")
    return rank


def alpha_of(path: Path, config: Mapping[str, Any], module: str) -> float:
    """Return the alpha that the settings give to a module.

    Raises:
        InputError: If it is no number above 0.
    """
    alpha = _by_pattern(path, config, "alpha_pattern", module, config.get("lora_alpha"))
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 0 < alpha < float("inf"):
        raise InputError(f"{path}: lora_alpha is {str(alpha)[:20]}; expected a number above 0")
    return float(alpha)


def is_adapted(path: Path, config: Mapping[str, Any], module: str) -> bool:
    """Say whether PEFT would put an adapter into a module of these settings.

    Raises:
        InputError: If a setting is no pattern, or names no modules.
    """
    targets, excluded = config.get("target_modules"), config.get("exclude_modules")
    if not targets:
        raise InputError(
            f"{path}: target_modules is {targets!r}; expected names of layers, such as ['q_proj', 'v_proj']"
        )
    if excluded and _names(path, "exclude_modules", excluded, module):
        return False
    if not isinstance(targets, str):
        return _names(path, "target_modules", targets, module) and _in_layers(path, config, module)
    return targets.lower() == "all-linear" or _names(path, "target_modules", targets, module)


def _names(path: Path, setting: str, names: Any, module: str) -> bool:  # noqa: ANN401 - text or list of texts
    if isinstance(names, str):
        return _pattern(path, setting, names).fullmatch(module) is not None
    return any(module == name or module.endswith(f".{name}") for name in names)


def _in_layers(path: Path, config: Mapping[str, Any], module: str) -> bool:
    """Say whether ``layers_to_transform`` leaves a module in; it holds for lists of targets only."""
    layers = config.get("layers_to_transform")
    if layers is None or layers == []:
        return True
    named = config.get("layers_pattern") or []
    named = [named] if isinstance(named, str) else named
    patterns = [rf"(?:^|.*?\.){name}\.(?P<idx>\d+)\." for name in named] or [r".*?\.[^.]*\.(?P<idx>\d+)\."]
    matches = (_pattern(path, "layers_pattern", pattern).match(module) for pattern in patterns)
    found = next((match for match in matches if match), None)
    return found is not None and int(found["idx"]) in (layers if isinstance(layers, list) else [layers])


def _by_pattern(path: Path, config: Mapping[str, Any], setting: str, module: str, default: Any) -> Any:  # noqa: ANN401
    """Return the value of the first pattern that the end of a module's name fits, else the default."""
    for pattern, value in (config.get(setting) or {}).items():
        if _pattern(path, setting, rf"(.*\.)?({pattern})$").match(module):
            return value
    return default


def _pattern(path: Path, setting: str, text: str) -> re.Pattern[str]:
    """Compile a pattern from a file.

    A repeat within a repeat can take longer than anybody waits, on a text of forty characters: none is run.
    """
    problem = f"longer than {LONGEST_PATTERN} characters" if len(text) > LONGEST_PATTERN else None
    if re.search(r"[*+}]\)+(?:[*+]|\{\d*,\d*\})", text):
        problem = "a repeat within a repeat, which may never end"
    try:
        if problem is None:
            return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        problem = str(error)
    raise InputError(
        f"{path}: {setting} holds {text[:80]!r}, which can't be used as a pattern: {problem}; write the "
        "names of the layers instead"
    )
