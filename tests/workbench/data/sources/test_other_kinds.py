"""Files that are no JSON in UTF-8 are named, and the advised command makes what can be read."""

import gzip
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from follows import follows

from workbench.data.sources import load_dataset
from workbench.errors import InputError

PAIRS = [{"prompt": f"dépôt {place}", "response": f"réponse, {place}"} for place in range(10)]
JSONL = "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in PAIRS)
SPARSE = JSONL.translate({ord("é"): "e", ord("ô"): "o"}).replace("depo", "dépo", 3)


def encoded(text, encoding):
    return lambda path: path.write_bytes(text.encode(encoding))


def packed(encoding):
    return lambda path: path.write_bytes(gzip.compress(JSONL.encode(encoding)))


def zipped(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("inside/pairs.txt", "no")
        file.writestr("pairs.jsonl", JSONL)


def tarred(path):
    (path.parent / "pairs.jsonl").write_text(JSONL, encoding="utf-8")
    mode = "-czf" if path.suffix == ".gz" else "-cf"
    subprocess.run(["tar", mode, path, "-C", path.parent, "pairs.jsonl"], check=True)
    (path.parent / "pairs.jsonl").unlink()


def folder(path):
    path.mkdir()
    (path / "README.md").write_text("about")
    (path / "pairs.jsonl").write_text(JSONL, encoding="utf-8")


KINDS = {
    "zip": ("pairs.zip", zipped, "is a zip archive"),
    "tar": ("pairs.tar", tarred, "is a tar archive"),
    "tar-gzip": ("pairs.tar.gz", tarred, "is a tar archive"),
    "utf-16": ("pairs.jsonl", encoded(JSONL, "utf-16"), "is UTF-16"),
    "utf-16-without-mark": ("pairs.jsonl", encoded(JSONL, "utf-16-le"), "is UTF-16LE"),
    "utf-32": ("pairs.jsonl", encoded(JSONL, "utf-32"), "is UTF-32"),
    "latin-1": ("pairs.jsonl", encoded(JSONL, "latin-1"), "isn't UTF-8; if it is Windows-1252"),
    "latin-1-in-places": ("pairs.jsonl", encoded(SPARSE, "latin-1"), "3 not UTF-8 .*; if it is Windows-1252"),
    "latin-1-list": (
        "pairs.json",
        encoded(json.dumps(PAIRS, ensure_ascii=False, indent=1), "cp1252"),
        r"line 3: byte 0xe9 isn't UTF-8; if it is Windows-1252",
    ),
    "latin-1-in-gzip": ("my pairs.jsonl.gz", packed("latin-1"), "isn't UTF-8; if it is Windows-1252"),
    "utf-16-in-gzip": ("pairs.gz", packed("utf-16"), "is UTF-16"),
    "folder": ("pairs", folder, "is a folder; give one of its files: .*pairs.jsonl$"),
}


def followed(path: Path, message: str) -> Path:
    """Do what a message says and return the file that it says to give then."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if command := re.search("`(.*?)`", message):
        subprocess.run(["bash", "-c", command[1]], check=True, env=environment)
    then = re.search(r"(?:, and give(?: a file of)?|of its files:) ([^,)]*?)(?:[,)]|$)", message)
    return Path(then[1])


@follows(
    "make UTF-8 of it with `",
    "is a folder; give one of its files",
    "archive; unpack it with `mkdir",
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_advised_works(tmp_path, kind):
    name, write, named = KINDS[kind]
    path = tmp_path / name
    write(path)
    with pytest.raises(InputError, match=named) as caught:
        load_dataset(path)
    assert str(path) in str(caught.value)
    given = followed(path, str(caught.value))
    if given.is_dir():
        with pytest.raises(InputError) as caught:
            load_dataset(given)
        given = followed(given, str(caught.value))
    assert given != path
    dataset = load_dataset(given)
    got = {(record.prompt, record.response) for record in dataset.train + dataset.heldout}
    expected = SPARSE if kind == "latin-1-in-places" else JSONL
    assert got == {tuple(json.loads(line).values()) for line in expected.splitlines()}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            b"PAR1" + bytes(100), r"is a Parquet file that can't be read .*; make it anew", id="parquet"
        ),
        pytest.param(b"ARROW1" + bytes(100), r"is an Arrow file that can't be read .*; make it", id="arrow"),
        pytest.param(
            b"\xff\xff\xff\xff" + bytes(40), r"is an Arrow file that can't be read", id="arrow-stream"
        ),
        pytest.param(
            b"\x10" + bytes(7) + b'{"a": {}} ' + bytes(60),
            "is weights in safetensors; .* --base",
            id="weights",
        ),
        pytest.param(
            b"PK\x03\x04 xl/workbook.xml", "is an Excel workbook; save its sheet as CSV", id="excel"
        ),
        pytest.param(b"GGUF" + bytes(100), "is a GGUF model; give it with --base", id="model"),
        pytest.param(bytes(100), "is no text", id="zeros"),
        pytest.param(b"\x81" * 30, "byte 0x81 isn't UTF-8; save the file as UTF-8", id="no-encoding"),
    ],
)
def test_others_are_named(tmp_path, content, message):
    path = tmp_path / "data"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_dataset(path)


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(JSONL.encode("utf-16"))
    (tmp_path / "pairs-utf8.jsonl").write_text("mine")
    with pytest.raises(InputError, match=r"> .*/pairs-utf8-2.jsonl`"):
        load_dataset(path)


def test_a_models_folder_is_no_data(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="is a model's folder; give it with --base"):
        load_dataset(tmp_path)
