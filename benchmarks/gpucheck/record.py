"""The file that a check writes: one JSON a card, with a header and what each part found."""

import datetime
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "benchmarks" / "records" / "gpu"
"""Committed records, one for each card."""
REHEARSAL = ROOT / "build" / "gpu-check" / "rehearsal.json"
"""Where a rehearsal is written: never among the records."""

Record = dict[str, Any]
"""Header (card, driver, versions, date, commit, rehearsal), "parts" by name, "seconds" and "targets"."""
HEADER = ("card", "driver", "memory_bytes", "torch", "triton", "cuda", "python", "date", "commit")
STATUSES = ("done", "failed", "killed", "out of time", "not run")


def slug(card: str) -> str:
    """Return a card's name as the name of a file: "NVIDIA H200" -> "nvidia-h200"."""
    return re.sub(r"[^a-z0-9]+", "-", card.lower()).strip("-")


def today() -> str:
    """Return the date in UTC, such as "2026-11-29"."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def commit() -> str | None:
    """Return the commit that is checked out, with "+" where files differ from it; None where nobody can say.

    A copy of the files without their history is told by the variable WORKBENCH_COMMIT.
    """
    if told := os.environ.get("WORKBENCH_COMMIT"):
        return told
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` so that ``path`` holds all of it or what it held before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_records(folder: Path = RECORDS) -> list[Record]:
    """Return the records of a folder, in the order of their cards' names."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def without_paths(text: str) -> str:
    """Take the folders of this machine out of a text: records are committed."""
    text = text.replace(f"{ROOT}{os.sep}", "")
    return re.sub(r"(?<![\w.:/])/(?:[\w.+@-]+/)+", "", text)


def merged(old: Record | None, header: Record, parts: dict[str, Record]) -> Record:
    """Return a record in which the parts that ran replace those of the same name.

    Raises:
        ValueError: If the old record is of another card.
    """
    if old is not None and old["card"] != header["card"]:
        raise ValueError(f"the record is of {old['card']!r}, this machine has {header['card']!r}")
    kept = {} if old is None else old["parts"]
    together = {**kept, **parts}
    return {
        **header,
        "parts": together,
        "seconds": round(sum(part["seconds"] for part in together.values()), 1),
    }
