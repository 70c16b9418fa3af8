"""The folder of a paper: written from a study's record, and compared with it later.

    FOLDER/numbers.tex                every quoted number, a macro each
    FOLDER/figures/column/, text/     every figure as PDF, SVG and PNG, a column and the whole text wide
    FOLDER/tables/                    every table as CSV and LaTeX
    FOLDER/manifest.json              the hash of each part of the record and of each file; what reads what

The same record gives the same bytes: there is no date in a file, every order is fixed, and so are the seeds
of the bootstrap. Other versions of matplotlib, NumPy or SciPy may round differently; the manifest has those.
"""

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.views.manuscript.figures import Drawing, figures
from workbench.views.manuscript.numbers import numbers_tex
from workbench.views.manuscript.source import PaperSource
from workbench.views.manuscript.tables import PaperTable, tables

PAPER_FORMAT = 1
PAPER_MANIFEST = "manifest.json"
MADE_WITH = ("lora-scaling-workbench", "matplotlib", "numpy", "scipy")
"""Packages that decide the bytes."""
TEXT = (".tex", ".csv", ".json")
LONGEST_QUOTE = 90
"""Characters of a line that a difference quotes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paper:
    """What was written."""

    folder: Path
    figures: int
    tables: int
    numbers: int


@dataclass(frozen=True, slots=True)
class FileDifference:
    """One file of a paper's folder that is not what the record gives."""

    path: str
    what: str

    def __str__(self) -> str:
        """Return the difference as a line."""
        return f"{self.path}: {self.what}"


def paper_files(record: PaperSource) -> dict[str, bytes]:
    """Return every file of a paper by its path in the folder, the manifest last.

    Raises:
        InputError: If two qualities of the study come to the same name.
    """
    outputs: dict[str, tuple[tuple[str, ...], bytes]] = {}
    pieces: list[Drawing | PaperTable] = [*figures(record), *tables(record)]
    for piece in pieces:
        for path, data in piece.files():
            if path in outputs:
                raise InputError(
                    f"two qualities of the study come to the file {path}: their names have the same letters "
                    "and digits. Compare them in two studies."
                )
            outputs[path] = piece.reads, data
    outputs["numbers.tex"] = (*record.parts, "settings"), numbers_tex(record)
    ordered = dict(sorted(outputs.items()))
    manifest = {
        "format": PAPER_FORMAT,
        "study": record.name,
        "made_with": {name: version(name) for name in MADE_WITH},
        "inputs": record.hashes(),
        "outputs": {
            path: {"reads": list(reads), "sha256": hashlib.sha256(data).hexdigest()}
            for path, (reads, data) in ordered.items()
        },
    }
    files = {path: data for path, (_, data) in ordered.items()}
    return {**files, PAPER_MANIFEST: json.dumps(manifest, indent=1).encode() + b"\n"}


def write_paper(study: Path | str, folder: Path | str) -> Paper:
    """Write a study's part of a paper; files that an earlier one had and this one hasn't are removed.

    Raises:
        InputError: If there is no study or no finished cell, or the folder holds something else.
    """
    _earlier(Path(folder))  # refuse it before the work, not after
    return write_files(paper_files(PaperSource.read(study)), Path(folder))


def write_files(files: Mapping[str, bytes], folder: Path) -> Paper:
    """Write a paper's files; see :func:`write_paper`."""
    earlier = _earlier(folder)
    for path, data in files.items():
        write_atomically(folder / path, data)
    for path in earlier - set(files):
        (folder / path).unlink(missing_ok=True)
    return Paper(
        folder=folder,
        figures=sum(path.startswith("figures/column/") and path.endswith(".pdf") for path in files),
        tables=sum(path.startswith("tables/") and path.endswith(".tex") for path in files),
        numbers=files["numbers.tex"].count(b"\\newcommand"),
    )


def check_paper(study: Path | str, folder: Path | str) -> list[FileDifference]:
    """Make a paper again in memory and return every file of the folder that isn't the same.

    Raises:
        InputError: If there is no study, or the folder holds no paper.
    """
    folder = Path(folder)
    if not (folder / PAPER_MANIFEST).is_file():
        raise InputError(
            f"{folder} holds no paper; write it first: "
            + shlex.join(["workbench", "paper", str(study), "--output", str(folder)])
        )
    return differences(paper_files(PaperSource.read(study)), folder)


def differences(files: Mapping[str, bytes], folder: Path) -> list[FileDifference]:
    """Return every file of a paper's folder that isn't what it should be."""
    there = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    different = []
    for path in sorted({*files, *there}):
        if path not in files:
            different.append(FileDifference(path, "extra: the study gives no such file"))
        elif path not in there:
            different.append(FileDifference(path, "missing"))
        elif (found := there[path].read_bytes()) != files[path]:
            different.append(FileDifference(path, _what_differs(path, found, files[path])))
    return different


def _what_differs(path: str, found: bytes, wanted: bytes) -> str:
    """Say which line differs first, or of a picture that its bytes do."""
    if not path.endswith(TEXT):
        return f"the bytes differ ({len(found):,} here, {len(wanted):,} from the study)"
    lines = [data.decode(errors="replace").splitlines() for data in (found, wanted)]
    for number, (one, two) in enumerate(zip_longest(*lines), start=1):
        if one != two:
            return f"line {number} is {_quoted(one)}, from the study {_quoted(two)}"
    return "the ends of lines differ"


def _quoted(line: str | None) -> str:
    if line is None:
        return "missing"
    line = line.strip()
    return repr(line if len(line) <= LONGEST_QUOTE else line[:LONGEST_QUOTE] + "...")


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a paper's folder; hidden ones are the file manager's."""
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _earlier(folder: Path) -> set[str]:
    """Return the files that an earlier paper in the folder wrote; a folder with anything else is refused."""
    manifest = folder / PAPER_MANIFEST
    if not manifest.is_file():
        if folder.exists() and any(_files(folder)):
            raise InputError(
                f"{folder} holds other files; name a new folder, the paper's alone, with --output"
            )
        return set()
    try:
        contents: Any = json.loads(manifest.read_bytes())
        outputs = [str(path) for path in contents["outputs"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{manifest} is no paper's manifest ({error}); name a new folder with --output"
        ) from error
    inside = folder.resolve()
    return {path for path in outputs if (folder / path).resolve().is_relative_to(inside)}
