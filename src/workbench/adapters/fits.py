"""Whether an adapter belongs to a base: its layers are there, its shapes are right, the hash is the same."""

from workbench.adapters.adapter import LoraAdapter
from workbench.errors import InputError
from workbench.models.base import Base
from workbench.models.decoder_config import DecoderConfig

OF_THIS_BASE = "take the base that the adapter was trained on"


def check_fits(adapter: LoraAdapter, base: Base) -> None:
    """Refuse an adapter of another base.

    Args:
        adapter: Of a decoder.
        base: What it is to be put on.

    Raises:
        InputError: If the base lacks a layer, a shape differs, or the adapter records another base's hash.
    """
    check_layers(adapter, base.decoder.config, base.name)
    if adapter.base_sha256 is not None and adapter.base_sha256 != base.sha256:
        raise InputError(
            f"{adapter.name} was trained on a base with the SHA-256 {adapter.base_sha256[:16]} …, and "
            f"{base.name} has {base.sha256[:16]} …: its layers fit, its numbers don't; {OF_THIS_BASE}"
        )


def check_layers(adapter: LoraAdapter, config: DecoderConfig, name: str) -> None:
    """Refuse an adapter whose layers or shapes a decoder of these sizes doesn't have.

    Raises:
        InputError: If a layer is missing or a shape differs; the base is called ``name``.
    """
    if not adapter.of_decoder:
        raise InputError(
            f"{adapter.name} is an adapter of an image model, and {name} is a decoder; {OF_THIS_BASE}"
        )
    for layer, found in adapter.shapes.items():
        _, block, leaf = layer.split(".")
        if int(block) >= config.layers:
            raise InputError(
                f"{adapter.name} adapts {layer}, and {name} has blocks 0 to {config.layers - 1} only; "
                f"{OF_THIS_BASE}"
            )
        if leaf not in config.linear_leaves:
            raise InputError(
                f"{adapter.name} adapts {layer}, and {name} has {config.experts} experts there instead of "
                f"one matrix; {OF_THIS_BASE}"
            )
        if found != (expected := config.linear_shape(leaf)):
            raise InputError(
                f"{adapter.name} changes a {layer} of shape {found}, and that of {name} has {expected}; "
                f"{OF_THIS_BASE}"
            )
