"""What one family of models says of itself: an entry of ``FAMILIES``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.models.decoder_config import DecoderConfig
from workbench.models.folder_values import FolderValues
from workbench.models.gguf_values import GgufValues

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
FEED_FORWARD = ("gate_proj", "up_proj", "down_proj")
QKV = ATTENTION[:3]
GATE_UP = FEED_FORWARD[:2]
FREQUENCIES = "rope_freqs.weight"
"""A GGUF's tensor of what each pair's angle is divided by."""

NORMS_AROUND = {
    "attention_post_norm": "post_attention_layernorm",
    "feed_forward_norm": "pre_feedforward_layernorm",
    "feed_forward_post_norm": "post_feedforward_layernorm",
}
"""How transformers names the norms of a block that has one before and one after each half."""


def nothing(_: Any) -> dict[str, Any]:  # noqa: ANN401 - either kind of values, or a config
    """Say that a family differs in nothing."""
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """How a family's files name and say what a :class:`DecoderConfig` holds.

    Whatever has a default is as in LLaMA.
    """

    examples: str
    """Well-known bases, for messages."""
    about: str
    """In what it differs from a LLaMA, for people."""
    architecture: str
    """The class of transformers."""
    gguf: str
    """Value of ``general.architecture``, under which the settings of a GGUF stand."""
    differs: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the config that are the same for the whole family."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What transformers takes where config.json leaves a key out."""
    reads: frozenset[str] = frozenset()
    """Keys of config.json that this family uses beside those that all use."""
    allows: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Keys of config.json with the only values that this family's arithmetic has."""
    biases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys of config.json that say whether some linear layers have biases."""
    from_folder: Callable[[FolderValues], dict[str, Any]] = nothing
    """config.json -> the further fields of the config in which it differs."""
    to_folder: Callable[[DecoderConfig], dict[str, Any]] = nothing
    """config -> the further keys of its config.json."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Of a block's weights that a folder names otherwise; {} stands for the number of an expert."""
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Tensors of a folder's blocks that hold several linear layers, one above the other."""
    norm_offset: int = 0
    """A folder's norms, other than a LLaMA's, multiply by the stored weight and this."""

    experts: bool = False
    """Whether each block has experts and a router: what tells families apart that share a name in a GGUF."""
    gguf_reads: frozenset[str] = frozenset()
    """Keys of a GGUF, below its architecture, that this family uses beside those that all use."""
    from_gguf: Callable[[GgufValues], dict[str, Any]] = nothing
    """A GGUF's metadata -> the further fields of the config in which it differs."""
    to_gguf: Callable[[DecoderConfig], dict[str, float | int | str]] = nothing
    """config -> the further keys of its metadata, below the architecture."""
    gguf_fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Tensors of a GGUF's blocks that hold several linear layers, one above the other."""
    gguf_biases: tuple[str, ...] = ()
    """Linear layers whose biases llama.cpp reads."""
    gguf_factors: tuple[str, ...] = ()
    """Tensors of a GGUF that hold what each pair's angle is divided by; the first is the one that counts."""
    gguf_pairs: bool = False
    """Whether a GGUF has the two features that a rotary position turns together side by side."""
