"""What a file is that can't be read as a table, and what to give or do instead."""

import codecs
import errno
import os
from pathlib import Path

from workbench.conversions import (
    PARQUET,
    ZIP,
    by_pandas,
    compression,
    decompress,
    free,
    may_be_windows_1252,
    quoted,
    recode,
)
from workbench.errors import InputError

TABLES = (".csv", ".tsv", ".jsonl", ".json")
"""How the names of tables end."""
SPREADSHEETS = (b"xl/workbook", b"opendocument.spreadsheet")
"""What a spreadsheet's archive has in it: Excel's and OpenDocument's."""
OLD_EXCEL = b"\xd0\xcf\x11\xe0"
FOUND = 5
"""Files of a folder that a message names."""


def unreadable_table(path: Path, error: OSError) -> InputError:
    """Return the error that says why a file can't be opened and what to give instead."""
    match error.errno:
        case errno.EISDIR if (path / "cells.sqlite").is_file():
            table = path / "report" / "table.csv"
            helps = f"It is a study: `workbench report {quoted(path)}` writes its table; give {table}"
        case errno.EISDIR | errno.ENOENT | errno.ENOTDIR:
            helps = _tables_of(next(folder for folder in (path, *path.absolute().parents) if folder.is_dir()))
        case errno.EACCES | errno.EPERM:
            helps = f"Its owner can let you read it: `chmod a+r {quoted(path)}`"
        case _:
            helps = "Give another copy of it"
    return InputError(f"{path}: can't be read ({error.strerror or error}). {helps}.")


def text_of_table(path: Path) -> str:
    """Return the text of a table's file.

    Raises:
        InputError: If it can't be opened, is another kind of file, or isn't UTF-8.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable_table(path, error) from error
    if kind := _other_kind(path, data):
        raise InputError(f"{path}: {kind}.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 text (byte {error.start}). {_conversion(path, data)}."
        ) from error


def _tables_of(folder: Path) -> str:
    """Say which tables a folder has."""
    files = list(folder.iterdir()) if os.access(folder, os.R_OK | os.X_OK) else []
    tables = sorted(str(one) for one in files if one.suffix.lower() in TABLES)
    if not tables:
        return f"Give a table in CSV; there is none in {folder}"
    more = f" and {len(tables) - FOUND} more" if len(tables) > FOUND else ""
    return f"Give a table of this folder: {', '.join(tables[:FOUND])}{more}"


def _other_kind(path: Path, data: bytes) -> str:
    """Say what kind of file begins with these bytes and what to do; nothing where it may be text."""
    packed = data.startswith(ZIP)
    if data.startswith(OLD_EXCEL) or (packed and any(mark in data for mark in SPREADSHEETS)):
        return "a spreadsheet's own file. Save its sheet as CSV in UTF-8 and give that file"
    if packed:
        folder = free(path, path.stem)
        return (
            f"a zip archive. Unpack it with `python -m zipfile -e {quoted(path)} {quoted(folder)}` and "
            f"give a table of {folder}"
        )
    if program := compression(data):
        command, new = decompress(path, program, ".csv")
        return f"{program}. Unpack it with `{command}` and give {new}"
    if data.startswith(PARQUET):
        code = "pandas.read_parquet(sys.argv[1]).to_csv(sys.argv[2], index=False)"
        command, new = by_pandas(path, code, ".csv")
        return f"Parquet. Where pandas and pyarrow are installed, `{command}` makes CSV of it; give {new}"
    if encoding := _utf_16(data):
        return f"{encoding}. {_recoded(path, encoding)}"
    return ""


def _utf_16(data: bytes) -> str:
    """Return the encoding of text whose characters are two bytes long; nothing for other text."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    if len(data) > 1 and (data[0] == 0) != (data[1] == 0):
        return "UTF-16BE" if data[0] == 0 else "UTF-16LE"
    return ""


def _conversion(path: Path, data: bytes) -> str:
    """Say how to make UTF-8 of a file whose encoding isn't stated anywhere."""
    if not may_be_windows_1252(data):
        return "Save the table as CSV in UTF-8"
    return f"If it is Windows-1252, as Western European text often is: {_recoded(path, 'WINDOWS-1252')}"


def _recoded(path: Path, encoding: str) -> str:
    command, new = recode(path, encoding)
    return f"Make UTF-8 of it with `{command}` and give {new}"
