"""What a data file is that can't be read, and what to give or do instead.

People give what they have: an archive, a table, a folder, a file in another encoding. Each is named as what
it is, with a command that makes a file which can be read.
"""

import codecs
from dataclasses import dataclass
from pathlib import Path

from workbench.conversions import ZIP, compression, free, may_be_windows_1252, quoted, recode
from workbench.errors import InputError
from workbench.files import not_read

ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    b"{\x00": "UTF-16LE",
    b"[\x00": "UTF-16LE",
    b"\x00{": "UTF-16BE",
    b"\x00[": "UTF-16BE",
}
"""First bytes of JSON in other encodings; of two that fit, the first, which is the longer one."""

RECORD_SUFFIXES = {".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather"}
"""How the names of files with records end, before the ending that says how they are packed."""
MOST_FILES_NAMED = 5
"""Files of a folder that a message names."""


@dataclass(frozen=True, slots=True)
class Undecoded:
    """A line that isn't UTF-8."""

    reason: str


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        InputError: If it can't be read, or is a folder.
    """
    try:
        if path.is_dir():
            raise InputError(_folder(path))
        return path.read_bytes()
    except OSError as error:
        raise not_read(path, error) from error


def as_text(path: Path, data: bytes) -> bytes:
    """Return a file's bytes without a byte-order mark of UTF-8.

    Raises:
        InputError: If they are an archive or another known kind of file that is no text in UTF-8.
    """
    if what := _known_kind(path, data):
        raise InputError(f"{path} is {what}")
    return data.removeprefix(codecs.BOM_UTF8)


def decoded(path: Path, data: bytes) -> str:
    """Return the text of a file that is read whole.

    Raises:
        InputError: If it isn't UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} isn't UTF-8; {_conversion(path, data)}"
        ) from error


def decoded_lines(path: Path, data: bytes) -> list[str | Undecoded]:
    """Return the lines of a file, those that aren't UTF-8 with the reason."""
    # not splitlines(): JSON allows the rarer line separators that it splits at inside a text
    try:
        return list(data.decode().split("\n"))
    except UnicodeDecodeError:
        lines = [_line(line) for line in data.split(b"\n")]
    if any(isinstance(line, str) and not line.isascii() for line in lines):
        return lines
    # nothing but ASCII is UTF-8 here: the whole file has another encoding
    advice = _conversion(path, data)
    return [line if isinstance(line, str) else Undecoded(f"{line.reason}; {advice}") for line in lines]


def _line(line: bytes) -> str | Undecoded:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        return Undecoded(f"byte 0x{line[error.start]:02x}")


def _conversion(path: Path, data: bytes) -> str:
    """Say how to make UTF-8 of a file whose encoding isn't stated anywhere."""
    if not may_be_windows_1252(data):
        return "save the file as UTF-8"
    return f"if it is Windows-1252, as Western European text often is, {_recoded(path, 'WINDOWS-1252')}"


def _recoded(path: Path, encoding: str) -> str:
    with open(path, "rb") as file:
        command, new = recode(path, encoding, compression(file.read(8)))
    return f"make UTF-8 of it with `{command}`, and give {new}"


def _known_kind(path: Path, data: bytes) -> str:
    """Say what kind of file begins with these bytes and what to do; nothing where it may be JSON."""
    for start, encoding in ENCODINGS.items():
        if data.startswith(start):
            return f"{encoding}; {_recoded(path, encoding)}"
    if data.startswith(ZIP) or data[257:262] == b"ustar":
        return _archive(path, data)
    if data.startswith(b"GGUF"):
        return "a GGUF model; give it with --base, and a JSON list or JSONL of records as the data"
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data):
        return "weights in safetensors; give their folder with --base, and a file of records as the data"
    if data[:512].count(0) > 25:  # text has none
        return "no text; give a JSON list or JSONL in UTF-8"
    return ""


def _archive(path: Path, data: bytes) -> str:
    if data.startswith(b"PK") and b"xl/workbook" in data:
        return "an Excel workbook; save its sheet as CSV, in UTF-8, and give that file"
    folder = free(path, path.name.split(".")[0] or "unpacked")
    tar = not data.startswith(b"PK")
    command = f"tar -xf {quoted(path)} -C" if tar else f"unzip {quoted(path)} -d"
    return (
        f"{'a tar' if tar else 'a zip'} archive; unpack it with `mkdir {quoted(folder)} && {command} "
        f"{quoted(folder)}`, and give a file of {folder}"
    )


def _folder(path: Path) -> str:
    """Say what to give instead of a folder."""
    if (path / "config.json").is_file():
        return f"{path} is a model's folder; give it with --base, and a JSON list or JSONL as the data"
    files = sorted(one for one in path.iterdir() if {*one.suffixes} & RECORD_SUFFIXES)
    if not files:
        return f"{path} is a folder without a .json or .jsonl file; give a file, a JSON list or JSONL"
    named = ", ".join(str(one) for one in files[:MOST_FILES_NAMED])
    more = f" and {len(files) - MOST_FILES_NAMED} more" if len(files) > MOST_FILES_NAMED else ""
    return f"{path} is a folder; give one of its files: {named}{more}"
