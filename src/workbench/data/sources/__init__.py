"""Where records come from: built-in sources by name, the user's own files by path, tables of Python."""

import os
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from workbench.data.records import Dataset
from workbench.data.sources import files, frames, gsm8k, hub, raters, several, verbs
from workbench.data.sources.evaluation_sets import with_sets
from workbench.data.sources.layouts.choice import mapping_in_words
from workbench.errors import InputError, unknown_name

SOURCES: dict[str, Callable[[int | None], Dataset]] = {
    "verbs": verbs.load,
    "raters": raters.load,
    "gsm8k": gsm8k.load,
    **{f"raters-{domain}": partial(raters.load, domains=(domain,)) for domain in raters.DOMAINS},
}
"""Built-in sources by name: each takes the number of records to hold out, or None for its default."""


def load_dataset(
    name_or_path: Any,  # noqa: ANN401 - a table may be of any of several packages
    *,
    heldout: int | None = None,
    heldout_file: Path | None = None,
    others: Sequence[str | Path] = (),
    on_empty: files.Policy = "error",
    on_bad: files.Policy = "error",
    on_shared: files.Policy = "error",
    mapping: Mapping[str, str] | None = None,
    read_as: str | None = None,
    evals: Sequence[tuple[str, str]] = (),
) -> Dataset:
    """Return a built-in source or the user's own file or files.

    Args:
        name_or_path: Key of :data:`SOURCES`; the path of a file as ``sources/files.py`` describes it, or
            ``hf:NAME`` for a data set that the library ``datasets`` loads; or records that are in Python, a
            table of pandas, polars, pyarrow or ``datasets`` or a list of dicts.
        others: Other files, each compared with the first; see ``sources/several.py``.
        heldout: Records to hold out, the same for every seed; None for 600, or a fifth of fewer than 3,000.
        heldout_file: For a file: another one with the records to hold out.
        on_empty: For a file: "error" refuses empty prompts and responses and names them all, "drop" leaves
            such records out and counts them in the notes.
        on_bad: For a file: the same for what else can't be read as a record.
        on_shared: With a held-out file: "drop" leaves out what is trained on questions that it asks too.
        mapping: For a file: the keys under which it has the fields of a record, such as
            ``{"prompt": "question"}``.
        read_as: For a file: key of ``LAYOUTS``, instead of the layout that its keys tell.
        evals: Further evaluation sets, each its name and its file; see ``sources/evaluation_sets.py``.

    Raises:
        InputError: If there is no such source or file, or it can't be used.
    """
    how = files.How(
        on_empty=on_empty,
        on_bad=on_bad,
        on_shared=on_shared,
        mapping=tuple((mapping or {}).items()),
        read_as=read_as,
    )
    found = _source(name_or_path, heldout, heldout_file, others, how, bool(evals))
    return with_sets(found, evals, how)


def _source(
    name_or_path: Any,  # noqa: ANN401 - a table may be of any of several packages
    heldout: int | None,
    heldout_file: Path | None,
    others: Sequence[str | Path],
    how: files.How,
    judged_by_files: bool,
) -> Dataset:
    """Return a source without further evaluation sets."""
    name = str(frames.as_file(name_or_path) if frames.is_frame(name_or_path) else name_or_path)
    if name in SOURCES:
        for own, given in (
            (f"--heldout-file {heldout_file}", heldout_file is not None),
            *(() if judged_by_files else _of_files(how)),
            *((str(other), True) for other in others),
        ):
            if given:
                raise InputError(
                    f"{own} is for your own files, and {name!r} is a built-in source; leave {own} out"
                )
        return SOURCES[name](heldout)
    paths = [Path(one).expanduser() for one in (name, *others)]
    for asked, path in zip((name, *others), paths, strict=True):
        if not path.exists() and not hub.is_named(path):
            raise _not_there(str(asked), path)
    if others:
        return several.load(paths, heldout, heldout_file=heldout_file, how=how)
    return files.load(
        paths[0],
        heldout,
        heldout_file=heldout_file,
        on_empty=how.on_empty,
        on_bad=how.on_bad,
        on_shared=how.on_shared,
        mapping=dict(how.mapping),
        read_as=how.read_as,
    )


def _of_files(how: files.How) -> list[tuple[str, bool]]:
    """Return the options that say how files are read, each with whether it is given."""
    on_empty, on_bad, on_shared, read_as = how.on_empty, how.on_bad, how.on_shared, how.read_as
    mapping = dict(how.mapping)
    return [
        (f"--on-empty {on_empty}", on_empty != "error"),
        (f"--on-bad {on_bad}", on_bad != "error"),
        (f"--on-shared {on_shared}", on_shared != "error"),
        (f"--map {mapping_in_words(mapping or {})}", bool(mapping)),
        (f"--read-as {read_as}", read_as is not None),
    ]


def _not_there(name: str, path: Path) -> InputError:
    """Say that there is no such file; a bare word may be meant as a source's name."""
    if path.name == name and not path.suffix:
        unknown = unknown_name("source", name, SOURCES, "src/workbench/data/sources/__init__.py")
        return InputError(f"there is no file {name!r}, nor a source of that name: {unknown}")
    folder = path.absolute().parent
    files = os.listdir(folder) if os.access(folder, os.R_OK) and folder.is_dir() else []
    near = get_close_matches(path.name, files, n=1)
    hint = f"did you mean {path.with_name(near[0])}?" if near else "give the path of a JSON list or JSONL"
    return InputError(f"there is no file {path.name!r} in {folder}; {hint}")
