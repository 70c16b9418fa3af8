"""Files that are no JSON in UTF-8 are named, and the advised command makes what can be read."""

import json
import os
import re
import shutil
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


def separated(delimiter):
    rows = [("prompt", "response"), *((one["prompt"], one["response"]) for one in PAIRS)]
    return "".join(f'{prompt}{delimiter}"{response}"\n' for prompt, response in rows)


def compressed(program):
    def write(path):
        if shutil.which(program) is None:
            pytest.skip(f"{program} isn't installed; with it this test runs")
        path.write_bytes(subprocess.run([program, "-c"], input=JSONL.encode(), capture_output=True).stdout)

    return write


def encoded(text, encoding):
    return lambda path: path.write_bytes(text.encode(encoding))


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
    "gzip": ("my pairs.jsonl.gz", compressed("gzip"), "is gzip"),
    "gzip-by-another-name": ("pairs.jsonl", compressed("gzip"), "is gzip"),
    "bzip2": ("pairs.jsonl.bz2", compressed("bzip2"), "is bzip2"),
    "xz": ("pairs.json.xz", compressed("xz"), "is xz"),
    "zstd": ("pairs.jsonl.zst", compressed("zstd"), "is zstd"),
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
    "csv": ("pairs.csv", encoded(separated(","), "utf-8-sig"), "is a table"),
    "csv-by-another-name": ("pairs.txt", encoded(separated(","), "utf-8"), "is a table"),
    "csv-with-semicolons": ("pairs.csv", encoded(separated(";"), "utf-8"), "is a table"),
    "tsv": ("pairs.tsv", encoded(separated("\t"), "utf-8"), "is a table"),
    "folder": ("pairs", folder, "is a folder; give one of its files: .*pairs.jsonl$"),
}


def followed(path: Path, message: str) -> Path:
    """Do what a message says and return the file that it says to give then."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if command := re.search("`(.*?)`", message):
        subprocess.run(["bash", "-c", command[1]], check=True, env=environment)
    then = re.search(r"(?:, and give(?: a JSON file of)?|of its files:) ([^,)]*?)(?:[,)]|$)", message)
    return Path(then[1])


@follows(
    "is a table (CSV), which",
    "open(sys.argv[1], newline",
    "make UTF-8 of it with `",
    "{program}; unpack it with",
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
        pytest.param(b"PAR1" + bytes(100), r"is a Parquet file.*pandas.read_parquet", id="parquet"),
        pytest.param(b"ARROW1" + bytes(100), r"is an Arrow file.*pandas.read_feather", id="arrow"),
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
    path = tmp_path / "pairs.jsonl.gz"
    compressed("gzip")(path)
    (tmp_path / "pairs.jsonl").write_text("mine")
    with pytest.raises(InputError, match=r"> .*/pairs-2.jsonl`"):
        load_dataset(path)


def test_a_models_folder_is_no_data(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="is a model's folder; give it with --base"):
        load_dataset(tmp_path)
