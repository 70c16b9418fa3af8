"""A study as one file: a zip archive of open formats, written whole and opened with suspicion.

    manifest.json  cells.sqlite  CARD.md  SHA256SUMS
    adapters/KEY/adapter_model.safetensors  adapters/KEY/adapter_config.json

Nothing else is let in: an archive is somebody else's file. It can't name a path outside its folder, unpack to
more than it declares, bring code, triggers or pickles, or numbers that don't match their hashes.
"""

import re
import shutil
import zipfile
from io import BufferedIOBase
from pathlib import Path

from workbench.errors import InputError
from workbench.files import scratch_beside, sha256_of
from workbench.studies.disk.adapters import ADAPTERS, CONFIG, WEIGHTS, check_adapter
from workbench.studies.disk.manifest import LARGEST_MANIFEST, MANIFEST
from workbench.studies.disk.store import DATABASE, Store
from workbench.studies.sharing.card import card
from workbench.studies.sharing.packed import ASK, COPY_BYTES, Member, members, reading, too_large

CARD, SUMS = "CARD.md", "SHA256SUMS"
ALLOWED = re.compile(
    rf"{re.escape(MANIFEST)}|{re.escape(DATABASE)}|{CARD}|{SUMS}|{ADAPTERS}/[0-9a-f]{{16}}/({WEIGHTS}|{CONFIG})"
)
LARGEST_TOTAL = 64 * 2**30
"""Bytes that an archive may unpack to; it also has to fit on the disk."""
RATIO, SLACK = 100, 16 * 2**20
"""An archive unpacks to at most so many times its size, and so many bytes more; ours to about 3 times."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time that every file in an archive bears, so that equal studies give equal archives."""


def export_study(folder: Path, archive: Path) -> Path:
    """Write a study as one file; others may be writing to the study.

    Raises:
        InputError: If the study can't be read or is damaged, or the file can't be written.
    """
    with Store.open(folder, read_only=True) as store:
        store.check_whole()
        with scratch_beside(archive) as scratch:
            store.copy_to(scratch / DATABASE)
            shutil.copyfile(folder / MANIFEST, scratch / MANIFEST)
            (scratch / CARD).write_text(card(store), encoding="utf-8")
            files = [MANIFEST, DATABASE, CARD]
            keys = [row["key"] for row in store.rows()]
            adapters = [f"{ADAPTERS}/{key}/{name}" for key in keys for name in (WEIGHTS, CONFIG)]
            places = {name: scratch / name for name in files}
            places |= {name: folder / name for name in adapters if (folder / name).is_file()}
            sums = "".join(f"{sha256_of(path)}  {name}\n" for name, path in places.items())
            (scratch / SUMS).write_text(sums, encoding="ascii")
            _zip(scratch / "archive", places | {SUMS: scratch / SUMS})
            (scratch / "archive").replace(archive)
    return archive


def _zip(target: Path, places: dict[str, Path]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name, path in places.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with open(path, "rb") as source, file.open(entry, "w", force_zip64=True) as sink:
                shutil.copyfileobj(source, sink, COPY_BYTES)


def import_study(archive: Path, folder: Path) -> Path:
    """Unpack an archive into a folder that doesn't hold a study yet, after checking all of it.

    Args:
        archive: What :func:`export_study` wrote, also unpacked, or packed again by another program.
        folder: Where the study will live.

    Raises:
        InputError: If the file is no study's archive or anything in it is not as it should be; then nothing
            is left behind.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists already and is not empty; name another folder with --out")
    with scratch_beside(folder) as scratch:
        study = scratch / "study"
        study.mkdir()
        _unpack(archive, study)
        _check_sums(study, archive)
        _check_contents(study, archive)
        if folder.exists():
            folder.rmdir()
        study.replace(folder)
    return folder


def _unpack(archive: Path, study: Path) -> None:
    most = min(LARGEST_TOTAL, shutil.disk_usage(study).free)
    with reading(archive):
        if not archive.is_dir():
            most = min(most, SLACK + RATIO * archive.stat().st_size)
    with members(archive, most, study.parent) as found:
        _check_names(found, archive)
        total = sum(member.size for member in found)
        if total > most:
            raise too_large(archive, total, most)
        for member in found:
            target = study / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as sink:
                _copy(member, sink, archive)


def _check_names(found: list[Member], archive: Path) -> None:
    """Refuse an archive in which something is missing, or which holds anything but a study."""
    names = [member.name for member in found]
    if archive.is_dir() and {MANIFEST, DATABASE} <= set(names) and SUMS not in names:
        raise InputError(
            f"{archive} is an open study, not an exported one: `workbench report {archive}` reads it, and "
            f"`workbench export {archive}` writes what can be imported"
        )
    if missing := {MANIFEST, DATABASE, SUMS} - set(names):
        raise InputError(f"{archive} is no study's archive: it has no {min(missing)}; {ASK}")
    for name in names:
        if not ALLOWED.fullmatch(name):
            raise InputError(f"{archive} holds {name[:200]!r}, which no study's archive has; {ASK}")
    if len(set(names)) != len(names):
        raise InputError(f"{archive} holds two files of one name; {ASK}")


def _copy(member: Member, sink: BufferedIOBase, archive: Path) -> None:
    """Unpack what a file declares and not a byte more."""
    left = member.size
    with reading(archive):
        source = member.open()
    with source:
        while True:
            with reading(archive):
                chunk = source.read(min(COPY_BYTES, left + 1))
            if not chunk:
                break
            left -= len(chunk)
            if left < 0:
                raise InputError(f"{archive}: {member.name} unpacks to more than it declares; {ASK}")
            sink.write(chunk)
    if left:
        raise InputError(f"{archive}: {member.name} is shorter than it declares; {ASK}")


def _check_sums(study: Path, archive: Path) -> None:
    if (study / SUMS).stat().st_size > LARGEST_MANIFEST:
        raise InputError(f"{archive}: {SUMS} is too large; {ASK}")
    listed = {}
    for line in (study / SUMS).read_text(encoding="ascii", errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    found = {str(path.relative_to(study)) for path in study.rglob("*") if path.is_file()} - {SUMS}
    if found != set(listed):
        name = min(found ^ set(listed))
        raise InputError(f"{archive}: {name[:200]!r} is listed or there, but not both; {ASK}")
    for name, digest in listed.items():
        if sha256_of(study / name) != digest:
            raise InputError(f"{archive}: {name} doesn't match its hash; {ASK}")


def _check_contents(study: Path, archive: Path) -> None:
    """Read everything that anybody will ever read."""
    with Store.open(study, read_only=True) as store:
        store.check_whole()
        cells = store.configurations()
        for key, cell in cells.items():
            if cell.key() != key:
                raise InputError(f"{archive}: the cell {key[:40]!r} is not what its name says; {ASK}")
            store.curves(key)
        store.table(of_one=False)  # `workbench mend` is for the folder that comes of it
        store.made()
    for folder in sorted((study / ADAPTERS).glob("*")):
        if folder.name not in cells:
            raise InputError(f"{archive}: the adapter {folder.name} belongs to no cell; {ASK}")
        check_adapter(study, folder.name)
