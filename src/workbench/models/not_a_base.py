"""What looks like a base and isn't one is named as what it is, with what to do about it.

Each check reads a few bytes or names of files, before anything large is read.
"""

import glob
import json
import re
import shlex
import zipfile
from pathlib import Path
from typing import Any

from workbench.errors import ANOTHER_BASE, InputError
from workbench.files import not_read
from workbench.models.gguf_container import GgufFile

LFS_POINTER = b"version https://git-lfs.github.com/spec/"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "a gzip file. Unpack it with `gunzip` (a .tar.gz with `tar xf`) and give what was in it"),
    (b"PK\x03\x04", "a zip archive. Unpack it and give the .gguf file or the folder that was in it"),
    (b"BZh", "a bzip2 file. Unpack it with `bunzip2` and give what was in it"),
    (b"\xfd7zXZ\x00", "an xz file. Unpack it with `unxz` and give what was in it"),
    (b"(\xb5/\xfd", "a zstd file. Unpack it with `unzstd` and give what was in it"),
    (b"7z\xbc\xaf'\x1c", "a 7z archive. Unpack it and give what was in it"),
    (b"\x89HDF", "an HDF5 file of TensorFlow, which isn't read. Get the base with safetensors or as a GGUF"),
    *(
        (magic, "a file in a format of llama.cpp from before GGUF. Get the base as a GGUF")
        for magic in (b"lmgg", b"fmgg", b"tjgg", b"algg")
    ),
)
_PICKLE = (
    "a PyTorch pickle, which isn't opened since it can run any program. Get the base with safetensors or as "
    "a GGUF, or give its folder to learn how to convert it"
)
_PIECE = re.compile(r"^(?P<whole>.+\.gguf)[-.](?:split-[a-z]+|part[-_]?\w+|\d{2,3}|a[a-z])$", re.IGNORECASE)
_PARTS_OF_FOLDERS = ("config.json", "adapter_config.json", "tokenizer.json", "model.safetensors.index.json")


def refuse_other_files(path: Path) -> None:
    """Refuse a file that is no GGUF and that can be told by its name or first bytes.

    Raises:
        InputError: That says what it is, and what to do.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(512)
    except OSError as error:
        raise not_read(path, error) from error
    if start.startswith(LFS_POINTER):
        raise _pointer(path)
    if what := _kind(path, start):
        raise InputError(f"{path} is {what}.")
    piece = _PIECE.match(path.name)
    if piece and len(list(path.parent.glob(f"{glob.escape(piece['whole'])}?*"))) > 1:
        whole = shlex.quote(str(path.with_name(piece["whole"])))
        raise InputError(
            f"{path} is one piece of a file that was cut apart. Join the pieces in their order, such as with "
            f"`cat {whole}?* > {whole}`, and give {piece['whole']}."
        )
    if path.name in _PARTS_OF_FOLDERS:
        raise InputError(f"{path} is one file of a folder. Give the folder: {path.parent}.")


def _kind(path: Path, start: bytes) -> str | None:
    if start[:4] == b"PK\x03\x04" and _is_torch_archive(path):
        return _PICKLE
    for magic, what in _MAGIC:
        if start.startswith(magic):
            return what
    if start[257:262] == b"ustar":
        return "a tar archive. Unpack it with `tar xf` and give the file or folder that was in it"
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return _PICKLE
    if path.suffix == ".safetensors" or (
        start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 27
    ):
        if path.name.startswith("adapter_"):
            return f"an adapter, not a base. Give the base that {path.with_name('adapter_config.json')} names"
        return f"one file of a folder. Give the folder with its config.json and tokenizer.json: {path.parent}"
    if path.suffix == ".onnx":
        return "an ONNX file, which isn't read. Get the base with safetensors or as a GGUF"
    if start.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, so the download got an answer for people instead of the file. Download it again"
    return None


def _is_torch_archive(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False  # a damaged archive is still an archive


def refuse_other_kinds(file: GgufFile) -> None:
    """Refuse a GGUF that holds something other than a whole model.

    Raises:
        InputError: That says what it is, and what to do.
    """
    data, path = file.metadata, file.path
    kind, architecture = data.get("general.type", "model"), data.get("general.architecture")
    if kind == "adapter" or "adapter.type" in data:
        names = [data.get(f"general.base_model.0.{key}") for key in ("repo_url", "name")]
        named = next((f" for {name!r}" for name in names if isinstance(name, str)), "")
        what = f"an adapter (LoRA){named}, not a base. Give the base that it was made for"
    elif kind == "mmproj" or architecture == "clip":
        what = (
            "the part of a model that reads images or sound, not a base. Give the text model's own .gguf file"
        )
    elif kind == "imatrix" or architecture == "imatrix":
        what = "an importance matrix for quantizing, not a base. Give the .gguf file of the model"
    elif architecture == "controlvector":
        what = "a control vector, not a base. Give the .gguf file of the model"
    elif not file.tensors:
        what = "a vocabulary without weights. Give the .gguf file of a whole model"
    elif kind != "model":
        what = f"of general.type {kind!r}, expected 'model'. Give the .gguf file of a whole model"
    else:
        return
    raise InputError(f"{path} is {what}.")


def refuse_other_folders(path: Path) -> None:
    """Refuse a folder that holds something other than a base.

    Raises:
        InputError: That says what it is, and what to do.
    """
    if (path / "cells.sqlite").is_file() and (path / "manifest.json").is_file():
        base = _read(path / "manifest.json").get("base")
        name = base.get("name") if isinstance(base, dict) else None
        named = f"; its base is {name!r}. Give that" if isinstance(name, str) else ". Give the study's base"
        raise InputError(f"{path} is the folder of a study, not a base{named}.")
    adapter = path / "adapter_config.json"
    if adapter.is_file():
        base = _read(adapter).get("base_model_name_or_path")
        named = f" for the base {base!r}. Give that base" if isinstance(base, str) else ". Give its base"
        aside = ""
        if list(path.glob("model*.safetensors")):
            aside = ", or move adapter_config.json out of the folder to use the weights beside it alone"
        raise InputError(f"{path} holds an adapter (PEFT){named}{aside}.")
    if (path / "config.json").is_file():
        return
    if inside := sorted(file.name for file in path.glob("*.gguf")):
        raise _holds_gguf(path, inside)
    places = [p for pattern in ("*/config.json", "*/*/config.json") for p in sorted(path.glob(pattern))]
    if places:
        raise InputError(
            f"{path} holds no config.json itself. Give the folder that does: {places[0].parent}."
        )
    if list(path.glob("consolidated*")):
        raise InputError(
            f"{path} holds weights in their maker's own format (consolidated), without config.json. Get the "
            f"folder in the format of Hugging Face or a GGUF, or {ANOTHER_BASE}."
        )
    raise InputError(
        f"{path} isn't a base: there is no config.json in it and no .gguf file. Give a .gguf file, or a "
        "folder with config.json, model.safetensors and tokenizer.json."
    )


def refuse_missing_files(path: Path) -> None:
    """Refuse a folder with a config.json of ours that lacks weights or tokenizer, and say how to get them.

    Raises:
        InputError: That says what is there instead, and what to do.
    """
    for file in sorted([*path.glob("*.safetensors"), path / "tokenizer.json"]):
        if file.is_file() and _begins_with(file, LFS_POINTER):
            raise _pointer(file)
    if not any((path / name).is_file() for name in ("model.safetensors", "model.safetensors.index.json")):
        raise _without_weights(path)
    if not (path / "tokenizer.json").is_file():
        advice = "Download it too, or the whole folder again"
        if any((path / name).is_file() for name in ("tokenizer.model", "vocab.json")):
            advice = "Make it with " + _program(
                f"from transformers import AutoTokenizer as T; T.from_pretrained({_python_text(path)})"
                f".save_pretrained({_python_text(path)})"
            )
        raise InputError(f"{path} lacks tokenizer.json. {advice}.")


def _without_weights(path: Path) -> InputError:
    names = {pattern: sorted(file.name for file in path.glob(pattern)) for pattern in (
        "*.gguf", "*-of-*.safetensors", "*.safetensors", "*.bin", "*.pt*", "*.onnx", "onnx/*.onnx", "*.h5",
        "*.msgpack",
    )}  # fmt: skip
    if names["*.gguf"]:
        return _holds_gguf(path, names["*.gguf"])
    if names["*-of-*.safetensors"]:
        return InputError(
            f"{path} lacks model.safetensors.index.json, which says what {names['*-of-*.safetensors'][0]} "
            "and the files beside it hold. Download it too."
        )
    if names["*.bin"]:
        program = _program(
            f"from transformers import AutoModelForCausalLM as M; M.from_pretrained({_python_text(path)})"
            f".save_pretrained({_python_text(path)})"
        )
        return InputError(
            f"{path} has its weights in a PyTorch pickle ({names['*.bin'][0]}) and lacks model.safetensors. "
            f"A pickle can run any program, so it isn't opened. If you trust it, convert it with {program}."
        )
    found = next((files[0] for files in names.values() if files), None)
    instead = f"; {found} isn't read" if found else ""
    return InputError(
        f"{path} lacks model.safetensors{instead}. Download the base's weights with safetensors or a GGUF, "
        f"or {ANOTHER_BASE}."
    )


def _holds_gguf(path: Path, names: list[str]) -> InputError:
    others = f" ({len(names)} are there)" if len(names) > 1 else ""
    return InputError(f"{path} is a folder with a GGUF in it{others}. Give the file: {path / names[0]}.")


def _pointer(path: Path) -> InputError:
    return InputError(
        f"{path} is a pointer of Git LFS, not the file itself: the folder was cloned without its large "
        f"files. Get them with `git lfs pull` in {path.parent}, or download the file by itself."
    )


def _program(text: str) -> str:
    return f"`python -c {shlex.quote(text)}`"


def _python_text(path: Path) -> str:
    return json.dumps(str(path))


def _begins_with(path: Path, magic: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(magic)) == magic


def _read(path: Path) -> dict[str, Any]:
    """Return a JSON object for the names in it; a message does without them where the file is damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
