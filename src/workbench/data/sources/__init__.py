"""Where records come from: built-in sources by name, and the user's own files by path."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from workbench.data.records import Dataset
from workbench.data.sources import files, raters, verbs
from workbench.errors import InputError, unknown_name

SOURCES: dict[str, Callable[[int | None], Dataset]] = {
    "verbs": verbs.load,
    "raters": raters.load,
    **{f"raters-{domain}": partial(raters.load, domains=(domain,)) for domain in raters.DOMAINS},
}
"""Built-in sources by name: each takes the number of records to hold out, or None for its default."""


def load_dataset(
    name_or_path: str | Path,
    *,
    heldout: int | None = None,
    heldout_file: Path | None = None,
    on_empty: files.Policy = "error",
    on_bad: files.Policy = "error",
) -> Dataset:
    """Return a built-in source or the user's own file.

    Args:
        name_or_path: Key of :data:`SOURCES`, or a JSON list or JSONL as ``sources/files.py`` describes it.
        heldout: Records to hold out, the same for every seed; None for 600, or a fifth of fewer than 3,000.
        heldout_file: For a file: another one with the records to hold out.
        on_empty: For a file: "error" refuses empty prompts and responses and names them all, "drop" leaves
            such records out and counts them in the notes.
        on_bad: For a file: the same for what else can't be read as a record.

    Raises:
        InputError: If there is no such source or file, or it can't be used.
    """
    name = str(name_or_path)
    if name in SOURCES:
        if heldout_file is not None or on_empty != "error" or on_bad != "error":
            raise InputError(
                f"heldout_file, on_empty and on_bad are for your own files; {name!r} is a built-in source"
            )
        return SOURCES[name](heldout)
    path = Path(name).expanduser()
    if not path.exists():
        unknown = unknown_name("source", name, SOURCES, "src/workbench/data/sources/__init__.py")
        raise InputError(f"there is no file {name!r}, nor a source of that name: {unknown}")
    return files.load(path, heldout, heldout_file=heldout_file, on_empty=on_empty, on_bad=on_bad)
