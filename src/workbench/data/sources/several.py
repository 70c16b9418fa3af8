"""Several files of one user's records, each a quality of its own: a curated file and a scraped one, say.

The data are the records of all of them; a record knows its file by a label, and ``pools`` draws from one.
What is held out comes from the first file, or from a file of its own, and no file trains on a question that
is held out.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from workbench.data.heldout import both_given, hold_out
from workbench.data.questions import paired, question_of
from workbench.data.records import Dataset, Record
from workbench.data.sources import files
from workbench.data.sources.findings import left_out
from workbench.errors import InputError
from workbench.files import sha256_of


def labels_of(paths: Sequence[Path | str]) -> tuple[str, ...]:
    """Return a short name of each file: its own without endings, or with its folder's where two are alike.

    Raises:
        InputError: If a file is given twice.
    """
    whole = [Path(path) for path in paths]
    resolved = [path.expanduser().absolute() for path in whole]
    if doubled := next((path for path in whole if resolved.count(path.expanduser().absolute()) > 1), None):
        raise InputError(f"{doubled} is given twice; each file is one quality, so give it once")
    stems = [path.name.split(".")[0] or path.name for path in whole]
    labels = [
        stem if stems.count(stem) == 1 else f"{path.absolute().parent.name}/{stem}"
        for stem, path in zip(stems, whole, strict=True)
    ]
    return tuple(
        label if labels.count(label) == 1 else f"{label}-{place + 1}" for place, label in enumerate(labels)
    )


def load(
    paths: Sequence[Path], heldout: int | None = None, *, heldout_file: Path | None = None, how: files.How
) -> Dataset:
    """Return the records of several files as one data set; read again only where a file has changed.

    Args:
        paths: The files; the first is the one that the others are compared with.
        heldout: Records of the first file to hold out; None for 600, or a fifth of fewer than 3,000.
        heldout_file: A file with the records to hold out instead; none of them may be in the others too.
        how: How each is read.

    Raises:
        InputError: If a file can't be used, or nothing is left of one.
    """
    if heldout is not None and heldout_file is not None:
        raise both_given(heldout, heldout_file)
    given = [*paths, *([heldout_file] if heldout_file else [])]
    if not all(path.is_file() and os.access(path, os.R_OK) for path in given):
        return _parsed(tuple(paths), heldout, heldout_file, how)
    hashes = tuple(sha256_of(path) for path in given)
    return _parsed_once(tuple(paths), heldout, heldout_file, how, hashes)


@lru_cache(maxsize=1)
def _parsed_once(
    paths: tuple[Path, ...],
    heldout: int | None,
    heldout_file: Path | None,
    how: files.How,
    hashes: tuple[str, ...],
) -> Dataset:
    """Keep the last data set, as for one file; the hashes tell a change."""
    return _parsed(paths, heldout, heldout_file, how)


def _parsed(
    paths: tuple[Path, ...], heldout: int | None, heldout_file: Path | None, how: files.How
) -> Dataset:
    labels = labels_of(paths)
    read = [files.read_file(path, how, prompts_needed=1) for path in paths]
    separate = files.read_file(heldout_file, how, prompts_needed=1) if heldout_file else None
    given = [*read, separate] if separate else read
    notes = left_out([one.findings for one in given], {"on_empty": how.on_empty, "on_bad": how.on_bad})
    notes += [note for one in given for note in one.notes]
    parts: Sequence[Sequence[Record]] = [
        [replace(record, id=f"{label}/{record.id}", source=label) for record in one.records]
        for label, one in zip(labels, read, strict=True)
    ]
    if separate:
        held: Sequence[Record] = separate.records
        for own in read if how.on_shared == "error" else []:
            files.refuse_answers_in_both(own.records, str(own.path), separate)
    else:
        _, held = hold_out(parts[0], heldout, str(paths[0]))
        notes.append(
            f"{len(held)} records of {labels[0]!r} are held out, and judge every file: an answer like its "
            "own counts as right; a file of neither kind judges both alike (--heldout-file)"
        )
    kept, gone = files.without_held_out(labels, parts, held)
    notes += gone
    templates = list(dict.fromkeys(one.template for one in read))
    if len(templates) > 1:
        notes.append(
            f"the files are written in several ways ({', '.join(templates)}); all are asked in one: "
            "choose it with --template"
        )
    notes += _pairs(labels, kept)
    return Dataset(
        name=" and ".join(labels),
        train=tuple(record for part in kept for record in part),
        heldout=tuple(held),
        template=templates[0] if len(templates) == 1 else "plain",
        licence="not stated: the user's own files",
        origin=" and ".join(str(one) for one in (*paths, heldout_file) if one),
        notes=tuple(notes),
    )


def _pairs(labels: Sequence[str], parts: Sequence[Sequence[Record]]) -> list[str]:
    """Say how many questions a file shares with the first one."""
    first = {question_of(record) for record in parts[0]}
    return [
        f"{shared} of the {len(first)} questions of {labels[0]!r} are answered in {label!r} too; such pairs "
        "are drawn together"
        for label, part in zip(labels[1:], parts[1:], strict=True)
        if (shared := paired(parts[0], part))
    ]
