"""The study's manifest.json: read with suspicion, written whole."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.studies.disk.schema import FORMAT

MANIFEST = "manifest.json"
LARGEST_MANIFEST = 64 * 2**20
"""Bytes; 100,000 cells need about 10 MB."""
AGAIN = "copy it back from a backup, or move the study's folder away and run it again"


def read_manifest(folder: Path | str) -> dict[str, Any]:
    """Read a study's manifest without opening its results.

    Raises:
        InputError: If there is none, or if it is damaged or of a newer format.
    """
    path = Path(folder) / MANIFEST
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            raise InputError(
                f"{path} is larger than {LARGEST_MANIFEST >> 20} MiB; it is no manifest of a study"
            )
        return parse_manifest(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise InputError(
            f"{folder} holds no study: it has no manifest.json; `workbench list FOLDER` names those in it"
        ) from None
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from error


def parse_manifest(data: bytes, name: str) -> dict[str, Any]:
    """Return the manifest that ``data`` holds; ``name`` is what errors call it.

    Raises:
        InputError: If it is damaged or of a newer format.
    """
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is damaged: it is not JSON ({error}); {AGAIN}") from error
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise InputError(f"{name} is no manifest of a study: it has no format number")
    if version > FORMAT:
        raise InputError(
            f"{name} has format {version}; this version reads up to {FORMAT}. Install a newer workbench."
        )
    for part in ("study", "data", "base", "arithmetic", "prediction", "actual"):
        if not isinstance(manifest.get(part, {}), dict):
            raise InputError(f"{name} is damaged: {part} is no object; {AGAIN}")
    return manifest


def manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    """Return the file's content."""
    return (json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
