"""Data sets by name, ``hf:org/name``, through the library ``datasets`` where that is installed.

``hf:NAME``, ``hf:NAME:SPLIT`` or ``hf:NAME:CONFIG:SPLIT``; a name may be a local folder. No code that comes
with a data set is ever run.

Source: https://huggingface.co/docs/datasets/loading.
"""

from pathlib import Path
from typing import Any

from workbench.data.sources.items import Contents, Item
from workbench.errors import InputError, how_to_install

HUB_PREFIX = "hf:"


def is_named(path: Path | str) -> bool:
    """Say whether a path is such a name."""
    return str(path).startswith(HUB_PREFIX)


def read_named(path: Path) -> Contents:
    """Return the rows of a named data set.

    Raises:
        InputError: If the library isn't installed, or there is no such data set, configuration or split.
    """
    given = str(path)
    name, *rest = given.removeprefix(HUB_PREFIX).split(":")
    if not name or len(rest) > 2 or not all(rest):
        raise InputError(f"{given} can't be read; write hf:NAME, hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT")
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            f"{given} is read by the library datasets, which isn't installed; type `{how_to_install('hub')}`"
        ) from error
    config, split = (rest[0] if len(rest) > 1 else None), (rest[-1] if rest else None)
    try:
        found = datasets.load_dataset(name, config, split=split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{given} can't be loaded ({reason}); give hf:NAME, hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT as the "
            "data set's page has them, or the path of a file"
        ) from error
    return Contents(items=_rows(given, found), findings=[])


def _rows(given: str, found: Any) -> list[Item]:  # noqa: ANN401 - a class of a library that may be missing
    """Return the rows of a split; of several, one has to be named."""
    if isinstance(found, dict):
        if len(found) != 1:
            splits = " or ".join(f"{given}:{split}" for split in found)
            raise InputError(f"{given} has {len(found)} splits; give one of them: {splits}")
        (found,) = found.values()
    rows = [Item(f"row {number}", dict(row)) for number, row in enumerate(found, 1)]
    if not rows:
        raise InputError(f"{given} has no row; it has to hold at least one record")
    return rows
