"""The formats of adapter files: recognised, read and written, one module each.

Add one: a module with a reader and a writer, and a line in ``ADAPTER_FORMATS``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.adapters.adapter import LoraAdapter
from workbench.adapters.fits import check_fits
from workbench.adapters.formats.gguf_lora import read_gguf_lora, write_gguf_lora
from workbench.adapters.formats.image_lora import (
    NAMED,
    NUMBERED,
    has_names,
    read_cloneofsimo,
    read_kohya,
    write_cloneofsimo,
    write_kohya,
)
from workbench.adapters.formats.peft import CONFIG, PICKLED, read_peft, refuse_pickle, write_peft
from workbench.adapters.formats.tensor_file import tensor_names
from workbench.errors import InputError, unknown_name
from workbench.files import not_read
from workbench.models.base import Base
from workbench.models.families import FAMILIES


@dataclass(frozen=True, slots=True)
class AdapterFormat:
    """One format of adapter files."""

    about: str
    """What it is, for people."""
    suffix: str
    """How the name of such a file ends; empty for a folder."""
    read: Callable[[Path, Base | None], LoraAdapter]
    write: Callable[[LoraAdapter, Path, Base | None], None]
    fits_names: Callable[[list[str]], bool]
    """Whether a safetensors file with tensors of these names is of this format."""


ADAPTER_FORMATS = {
    "peft": AdapterFormat(
        "a folder of PEFT's, as every study writes and transformers loads",
        "",
        read_peft,
        write_peft,
        lambda names: any(".lora_A." in name for name in names),
    ),
    "gguf": AdapterFormat(
        "a file that llama.cpp loads with --lora", ".gguf", read_gguf_lora, write_gguf_lora, lambda _: False
    ),
    "kohya": AdapterFormat(
        "an image model's, in kohya's dialect: named modules, an alpha each",
        ".safetensors",
        read_kohya,
        write_kohya,
        has_names(NAMED),
    ),
    "cloneofsimo": AdapterFormat(
        "an image model's, in cloneofsimo's dialect: numbered modules",
        ".safetensors",
        read_cloneofsimo,
        write_cloneofsimo,
        has_names(NUMBERED),
    ),
}
"""Formats of adapters by name."""
PICKLES = (b"\x80", b"PK\x03\x04")
"""How pickles begin, and the archives of torch that hold one."""
LONGEST_HEADER = 100_000_000
"""Bytes; the safetensors library reads no longer one."""


def format_of(path: Path) -> str:
    """Return the name of the format of an adapter's file or folder, from what is in it.

    Raises:
        InputError: If there is nothing, or nothing that is known.
    """
    if path.is_dir() or path.name == CONFIG:
        return "peft"
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        raise not_read(path, error) from error
    if start[:4] == b"GGUF":
        return "gguf"
    # the length of a safetensors header, with which such a file begins, may end in the same bytes
    is_pickle = start.startswith(PICKLES) and int.from_bytes(start, "little") > LONGEST_HEADER
    if is_pickle or path.name == PICKLED:
        raise InputError(refuse_pickle(path))
    names = tensor_names(path)
    for name, format in ADAPTER_FORMATS.items():
        if format.fits_names(names):
            return name
    raise InputError(
        f"{path} is no adapter: none of its {len(names)} tensors is a LoRA weight by the names of "
        f"{', '.join(ADAPTER_FORMATS)}; give a PEFT folder, a GGUF adapter or an image model's LoRA file"
    )


def load_adapter(path: Path | str, base: Base | None = None) -> LoraAdapter:
    """Load a trained LoRA adapter, in whatever format it is.

    Args:
        path: A folder of PEFT's, such as ``STUDY/adapters/KEY``, a GGUF adapter, or an image model's LoRA.
        base: The base that it is for; another one's adapter is then refused. A GGUF that wasn't written here
            is read with its numbers of heads.

    Returns:
        The adapter: for each adapted layer A, shape (rank, inputs), and B, shape (outputs, rank).

    Raises:
        InputError: If there is none, it is damaged, it asks for more than LoRA, rsLoRA or DoRA of a
            decoder's linear layers, or it is another base's.
    """
    path = Path(path).expanduser()
    adapter = ADAPTER_FORMATS[format_of(path)].read(path, base)
    if base is None:
        return adapter
    check_fits(adapter, base)
    config = base.decoder.config
    return replace(
        adapter,
        heads=(config.heads, config.kv_heads),
        architecture=FAMILIES[config.family].gguf,
    )


def save_adapter(
    adapter: LoraAdapter, path: Path | str, format: str | None = None, base: Base | None = None
) -> None:
    """Write an adapter; what is written is there whole, or not at all.

    Args:
        adapter: What to write.
        path: Where: a new folder for "peft", a file for the others.
        format: Key of ``ADAPTER_FORMATS``; by default "gguf" for a name that ends so, an image model's
            dialect for its adapters, otherwise "peft".
        base: The base that it is for: its hash is written, and GGUF needs its numbers of heads.

    Raises:
        InputError: If the format is unknown or can't hold this adapter, it is another base's, or the disk
            is full.
    """
    path = Path(path).expanduser()
    format = format or _format_for(adapter, path)
    if format not in ADAPTER_FORMATS:
        raise unknown_name("format of adapters", format, ADAPTER_FORMATS, "workbench.adapters.formats")
    if base is not None:
        check_fits(adapter, base)
        adapter = replace(adapter, base_sha256=base.sha256)
    ADAPTER_FORMATS[format].write(adapter, path, base)


def _format_for(adapter: LoraAdapter, path: Path) -> str:
    if path.suffix == ".gguf":
        return "gguf"
    if adapter.of_decoder:
        return "peft"
    return "cloneofsimo" if ":" in adapter.layers[0] else "kohya"
