"""Commands that make a file which can be read out of one that can't, for messages.

Each returns the command, quoted for a shell, and the file that it makes, which is never one that is there.
"""

import shlex
from pathlib import Path

COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""First bytes of compressed files, each with the format, whose program has the same name."""
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
"""How the names of compressed files end."""
ZIP = b"PK\x03\x04"
PARQUET = b"PAR1"


def quoted(path: Path) -> str:
    """Return a path as a shell takes it."""
    return shlex.quote(str(path))


def free(path: Path, name: str) -> Path:
    """Return a place in the folder of ``path`` where nothing is yet."""
    new = path.with_name(name)
    number = 2
    while new.exists():
        new = path.with_name(f"{Path(name).stem}-{number}{Path(name).suffix}")
        number += 1
    return new


def compression(data: bytes | bytearray) -> str | None:
    """Return how a file that begins with these bytes is compressed; None if it isn't."""
    return next((name for start, name in COMPRESSED.items() if data.startswith(start)), None)


def decompress(path: Path, program: str, suffix: str) -> tuple[str, Path]:
    """Return the command that unpacks a file; ``suffix`` is for a name that doesn't say how it is packed."""
    plain = path.stem if path.suffix in PACKED_SUFFIXES else f"{path.name}{suffix}"
    new = free(path, plain)
    return f"{program} -dc {quoted(path)} > {quoted(new)}", new


def recode(path: Path, encoding: str, program: str | None = None) -> tuple[str, Path]:
    """Return the command that makes UTF-8 of a text in another encoding, which ``program`` unpacks first."""
    plain = Path(path.stem) if program and path.suffix in PACKED_SUFFIXES else path
    new = free(path, f"{plain.stem}-utf8{plain.suffix}")
    if program:
        return f"{program} -dc {quoted(path)} | iconv -f {encoding} -t UTF-8 > {quoted(new)}", new
    return f"iconv -f {encoding} -t UTF-8 {quoted(path)} > {quoted(new)}", new


def may_be_windows_1252(data: bytes) -> bool:
    """Say whether bytes are text in the encoding of Western European Windows; nothing in a file says so."""
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return True


def by_pandas(path: Path, code: str, suffix: str) -> tuple[str, Path]:
    """Return the command that runs ``code`` with the file and a new one as its arguments."""
    new = free(path, path.with_suffix(suffix).name)
    return f'python -c "import pandas, sys; {code}" {quoted(path)} {quoted(new)}', new
