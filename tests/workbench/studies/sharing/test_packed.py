"""An exported study opens whoever unpacked it and packed it again; what is no study is refused as before."""

import gzip
import io
import os
import shutil
import subprocess
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_study import measured, small_study

from workbench.cli import main
from workbench.errors import InputError
from workbench.studies.disk.store import Store
from workbench.studies.runner import run
from workbench.studies.sharing.archive import export_study, import_study

APPLE_DOUBLE = bytes.fromhex("00051607000200004d6163204f532058") + bytes(104)
FOLDER_OF_THE_MAC = unicodedata.normalize("NFD", "Prüfung für Zoë 2")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared") / "study"
    few = small_study(sizes=(8,), seeds=(0,), settings={"steps": 2, "batch_size": 4, "rank": 2})
    run(few, folder, threads=1).close()
    return folder


@pytest.fixture(scope="module")
def unpacked(study):
    """The archive's files, as a program that unpacks it leaves them."""
    with zipfile.ZipFile(export_study(study, study.parent / "study.zip")) as file:
        file.extractall(study.parent / "unpacked")
    return study.parent / "unpacked"


@pytest.fixture(scope="module")
def files(unpacked):
    return {
        path.relative_to(unpacked).as_posix(): path.read_bytes()
        for path in sorted(unpacked.rglob("*"))
        if path.is_file()
    }


class Pipe(io.RawIOBase):
    """What can't go back, so that sizes and checksums are written after the data."""

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.data += data
        return len(data)


class RawName(zipfile.ZipInfo):
    """An entry whose name is bytes in UTF-8 that nothing says are UTF-8, as the Finder's are."""

    def _encodeFilenameFlags(self):
        return self.filename.encode(), self.flag_bits


def with_parents(names):
    """Return the names and their folders, each folder before what is in it."""
    parents = {f"{parent.as_posix()}/" for name in names for parent in Path(name).parents if parent.name}
    return sorted({*names, *parents})


def zipped(entries: dict[str, bytes], *, kind=zipfile.ZipInfo, system=3, compression=zipfile.ZIP_DEFLATED):
    """Pack entries in their order; a name that ends in "/" is a folder's."""
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as file:
        for name, data in entries.items():
            entry = kind(name)
            entry.create_system = system
            mode = 0o040755 << 16 | 0x10 if name.endswith("/") else 0o100644 << 16
            entry.external_attr = mode if system == 3 else 0x20
            entry.compress_type = zipfile.ZIP_STORED if name.endswith("/") else compression
            file.writestr(entry, data)
    return bytes(pipe.data)


def as_finder(files):
    """The Finder's "Compress": a top folder, AppleDouble files of folders and files, data descriptors."""
    entries = {}
    for name in [*with_parents(files), ".DS_Store"]:
        entries[f"{FOLDER_OF_THE_MAC}/{name}"] = files.get(name, b"\x00\x00\x00\x01Bud1")
        folder, _, last = name.rstrip("/").rpartition("/")
        inner = f"{folder}/" if folder else ""
        entries[f"__MACOSX/{FOLDER_OF_THE_MAC}/{inner}._{last}"] = APPLE_DOUBLE
    return zipped({f"{FOLDER_OF_THE_MAC}/": b"", **entries}, kind=RawName)


def as_zip_r(files):
    return zipped({f"study/{name}": files.get(name, b"") for name in with_parents(files)})


def as_zip_of_the_inside(files):
    return zipped({name: files.get(name, b"") for name in with_parents(files)})


def as_explorer(files):
    """Windows: no folders, no modes of Unix, a hidden file of its own."""
    names = [*reversed(files), "desktop.ini", "adapters/Thumbs.db"]
    return zipped({f"study/{name}": files.get(name, b"[ViewState]") for name in names}, system=0)


def as_powershell(files):
    return zipped({f"study\\{name}".replace("/", "\\"): data for name, data in files.items()}, system=0)


def as_folder_in_folder(files):
    return zipped({f"study/study/{name}": data for name, data in files.items()})


def as_disk_of_a_mac(files):
    """`zip -r` on a disk that isn't a Mac's own: AppleDouble files lie beside the files."""
    beside = {f"study/{Path(name).parent.as_posix()}/._{Path(name).name}": APPLE_DOUBLE for name in files}
    return zipped({f"study/{name}": data for name, data in files.items()} | beside)


def tarred(files, prefix: str, mode: str):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name in ["", *with_parents(files)]:
            for place, data in ((name, files.get(name)), (f"._{name}", APPLE_DOUBLE)):
                entry = tarfile.TarInfo(prefix + place if "/" not in place else prefix + name)
                if data is None:
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(entry)
                else:
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
                if "/" in name:
                    break
    return buffer.getvalue()


PACKERS = {
    "Finder.zip": as_finder,
    "zip-r.zip": as_zip_r,
    "inside.zip": as_zip_of_the_inside,
    "Explorer.zip": as_explorer,
    "PowerShell.zip": as_powershell,
    "folder-in-folder.zip": as_folder_in_folder,
    "disk-of-a-mac.zip": as_disk_of_a_mac,
    "stored.zip": lambda files: zipped(files, compression=zipfile.ZIP_STORED),
    "bzip2.zip": lambda files: zipped(files, compression=zipfile.ZIP_BZIP2),
    "lzma.zip": lambda files: zipped(files, compression=zipfile.ZIP_LZMA),
    "study.tar": lambda files: tarred(files, "study/", "w"),
    "study.tar.gz": lambda files: tarred(files, "study/", "w:gz"),
    "here.tgz": lambda files: tarred(files, "./", "w:gz"),
}


@pytest.mark.parametrize("name", PACKERS)
def test_it_opens_whoever_packed_it(study, files, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(PACKERS[name](files))
    assert main(["import", name]) == 0
    there = tmp_path / "runs" / name.split(".")[0]
    with Store.open(study, read_only=True) as one, Store.open(there, read_only=True) as two:
        assert measured(one) == measured(two)
    here = {path.relative_to(there).as_posix(): path for path in there.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in here.items()} == files, "and nothing else was let in"


def test_the_finders_archive_is_one(files):
    """What the tests call the Finder's has what makes the Finder's special."""
    with zipfile.ZipFile(io.BytesIO(as_finder(files))) as file:
        entries = file.infolist()
    assert all(entry.flag_bits & 0x08 for entry in entries if entry.file_size), "sizes follow the data"
    assert not any(entry.flag_bits & 0x800 for entry in entries), "names aren't said to be UTF-8"
    assert "u\u0308".encode().decode("cp437") in entries[0].filename
    assert any(entry.filename.startswith("__MACOSX/") for entry in entries)


def test_a_folder_that_was_unpacked_opens(study, unpacked, tmp_path):
    shutil.copytree(unpacked, tmp_path / "study")
    (tmp_path / "study" / ".DS_Store").write_bytes(b"Bud1")
    assert main(["import", str(tmp_path / "study"), "--out", str(tmp_path / "there")]) == 0
    with Store.open(study, read_only=True) as one, Store.open(tmp_path / "there", read_only=True) as two:
        assert measured(one) == measured(two)


@pytest.mark.skipif(shutil.which("zip") is None, reason="no program zip here")
def test_what_the_program_zip_packs_opens(unpacked, tmp_path):
    packed = tmp_path / "again.zip"
    subprocess.run(["zip", "-qr", packed, unpacked.name], cwd=unpacked.parent, check=True)
    import_study(packed, tmp_path / "there")


parts = st.text(st.characters(codec="utf-8", exclude_characters="/\\\x00"), min_size=1, max_size=12)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_order_compression_and_top_folder_don_t_matter(files, tmp_path_factory, data):
    top = "".join(f"{part}/" for part in data.draw(st.lists(parts, max_size=2)) if part != "__MACOSX")
    methods = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
    junk = data.draw(st.lists(st.sampled_from([".DS_Store", "._x", "__MACOSX/a/b", "Icon\r"]), unique=True))
    names = data.draw(st.permutations([*files, *junk]))
    scratch = tmp_path_factory.mktemp("any")
    entries = {top + name: files.get(name, b"junk") for name in names}
    (scratch / "x.zip").write_bytes(zipped(entries, compression=data.draw(methods)))
    import_study(scratch / "x.zip", scratch / "there")
    there = {p.relative_to(scratch / "there").as_posix() for p in (scratch / "there").rglob("*")}
    assert set(files) <= there
    assert not any("DS_Store" in name or "MACOSX" in name for name in there)


def refused(archive: Path, sentence: str) -> None:
    target = archive.parent / "here" / "imported"
    with pytest.raises(InputError, match=sentence) as raised:
        import_study(archive, target)
    assert "free some space" not in str(raised.value)
    assert not target.parent.exists() or list(target.parent.iterdir()) == [], "nothing is left behind"


def changed(files):
    return files | {"manifest.json": files["manifest.json"].replace(b"classroom", b"classr00m")}


NO_STUDIES = {
    "changed.zip": (lambda f: as_finder(changed(f)), "manifest.json doesn't match its hash"),
    "changed.tar.gz": (lambda f: tarred(changed(f), "s/", "w:gz"), "manifest.json doesn't match its hash"),
    "script.zip": (lambda f: as_finder(f | {"run.py": b"boom"}), "'run.py', which no study's archive has"),
    "report.zip": (lambda f: as_zip_r(f | {"report/index.html": b""}), "which no study's archive has"),
    "hidden.zip": (lambda f: as_zip_r(f | {".profile": b""}), "'.profile', which no study's archive has"),
    "two.zip": (
        lambda f: zipped({f"{top}/{name}": data for top in "ab" for name, data in f.items()}),
        "is no study's archive: it has no",
    ),
    "mixed.zip": (
        lambda f: zipped({name.replace("/", "\\", 1): data for name, data in f.items()}),
        "which no study's archive has",
    ),
    "photos.zip": (lambda f: zipped({"a.jpg": b"", "b.jpg": b""}), "is no study's archive"),
    "nothing.zip": (lambda f: zipped({}), "is no study's archive"),
    "only-junk.zip": (lambda f: zipped({".DS_Store": b""}), "is no study's archive"),
    "data.jsonl.gz": (lambda f: gzip.compress(b'{"prompt": "a"}\n' * 99), "can't be unpacked"),
    "cut.tar.gz": (lambda f: tarred(f, "s/", "w:gz")[:-500], "can't be unpacked"),
    "cut.tar": (lambda f: tarred(f, "s/", "w")[:4000], "can't be unpacked|is no study's archive"),
    "bomb.tar.gz": (lambda f: gzip.compress(bytes(40 * 2**20)), "unpacks to .* MiB; at most"),
    "text.zip": (lambda f: b"hello", "can't be unpacked: File is not a zip file"),
    "empty.zip": (lambda f: b"", "can't be unpacked"),
}


@pytest.mark.parametrize("name", NO_STUDIES)
def test_what_is_no_study_is_refused(files, tmp_path, name):
    pack, sentence = NO_STUDIES[name]
    (tmp_path / name).write_bytes(pack(files))
    refused(tmp_path / name, sentence)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
def test_compressed_bytes_that_are_damaged_are_the_archives_fault(files, tmp_path, method):
    """bzip2 reports them as an error of the operating system, which is no reason to free some space."""
    data = bytearray(zipped(files, compression=method))
    place = data.index(b"cells.sqlite") + 40
    data[place : place + 300] = bytes(300)
    (tmp_path / "x.zip").write_bytes(data)
    refused(tmp_path / "x.zip", "can't be unpacked")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_tar_archive_brings_only_files(files, tmp_path, kind):
    buffer = io.BytesIO(tarred(files, "", "w"))
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        entry = tarfile.TarInfo("CARD.md")
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry)
    (tmp_path / "x.tar").write_bytes(buffer.getvalue())
    refused(tmp_path / "x.tar", "CARD.md is no ordinary file")


def test_a_folder_with_a_link_is_refused(unpacked, tmp_path):
    shutil.copytree(unpacked, tmp_path / "study")
    (tmp_path / "study" / "CARD.md").unlink()
    os.symlink("/etc/passwd", tmp_path / "study" / "CARD.md")
    refused(tmp_path / "study", "CARD.md is no ordinary file")


def test_an_open_study_is_told_from_an_exported_one(study, tmp_path, capsys):
    assert main(["import", str(study), "--out", str(tmp_path / "there")]) == 2
    assert f"`workbench report {study}` reads it" in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path / "nothing.zip", "there is no file .*nothing.zip")
