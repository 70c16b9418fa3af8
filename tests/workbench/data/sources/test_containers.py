"""Kinds of file: the same records however they are kept, and one sentence for what can't be read."""

import bz2
import gzip
import importlib
import json
import lzma
import shlex
import sys
from pathlib import Path

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
import zstandard
from follows import follows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.conversions import COMPRESSED
from workbench.data.sources import load_dataset
from workbench.data.sources.containers import CONTAINERS, compressed
from workbench.data.sources.containers.compressed import UNPACKERS
from workbench.errors import InputError

sys.path.append(str(Path(__file__).parent))

from examples import everything, jsonl

SHARED_PATH = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ROWS = [
    {"id": f"r{n}", "prompt": f'é, "{n}"\n?', "response": f"a\t{n};b", "score": n / 2, "web": n % 2 == 0}
    for n in range(10)
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def separated(rows, separator):
    import csv
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def parquet(path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)


def stream(path):
    table = pyarrow.Table.from_pylist(ROWS)
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstandard.compress}
KINDS = {
    "jsonl": ("mine.jsonl", lambda path: path.write_bytes(LINES)),
    "list": ("mine.json", lambda path: path.write_text(json.dumps(ROWS))),
    "csv": ("mine.csv", lambda path: path.write_bytes(separated(ROWS, ","))),
    "csv-by-its-columns": ("mine.txt", lambda path: path.write_bytes(separated(ROWS, ","))),
    "csv-with-a-mark": ("mine.csv", lambda path: path.write_bytes(b"\xef\xbb\xbf" + separated(ROWS, ","))),
    "semicolons": ("mine.csv", lambda path: path.write_bytes(separated(ROWS, ";"))),
    "tsv": ("mine.tsv", lambda path: path.write_bytes(separated(ROWS, "\t"))),
    "parquet": ("mine.parquet", parquet),
    "parquet-by-its-bytes": ("mine", parquet),
    "arrow": (
        "mine.arrow",
        lambda path: pyarrow.feather.write_feather(pyarrow.Table.from_pylist(ROWS), path),
    ),
    "arrow-stream": ("mine.arrow", stream),
    **{
        f"{kind}-{packed}": (
            f"mine{kind}{packed}",
            lambda path, pack=pack, text=text: path.write_bytes(pack(text)),
        )
        for packed, pack in PACKERS.items()
        for kind, text in ((".jsonl", LINES), (".csv", separated(ROWS, ",")))
    },
    "csv-in-gzip": ("mine.csv.gz", lambda path: path.write_bytes(gzip.compress(separated(ROWS, ",")))),
}


def test_every_kind_and_every_packing_is_tried():
    assert UNPACKERS.keys() == PACKERS.keys() == set(COMPRESSED.values())
    assert CONTAINERS.keys() == {"Parquet or Arrow", "CSV or TSV", "lines with ||", "JSON or JSONL"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_records_however_they_are_kept(tmp_path, kind):
    name, write = KINDS[kind]
    write(tmp_path / name)
    expected = load_dataset(jsonl(tmp_path / "expected.jsonl", ROWS))
    dataset = load_dataset(tmp_path / name)
    assert dataset.fingerprint == expected.fingerprint
    assert [record.extra for record in everything(dataset)] == [
        record.extra for record in everything(expected)
    ]
    assert {type(record.extra["web"]) for record in everything(dataset)} == {bool}
    assert dataset.notes == tuple(note.replace("expected.jsonl", name) for note in expected.notes)
    assert dataset.name == "mine"


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=8)


@SHARED_PATH
@given(st.lists(st.fixed_dictionaries({"prompt": CELL, "response": CELL}), min_size=2, max_size=6), st.data())
def test_any_text_in_a_table(tmp_path, rows, data):
    rows = [
        {"prompt": f"{n}{one['prompt']}", "response": f"{one['response']}."} for n, one in enumerate(rows)
    ]
    separator = data.draw(st.sampled_from(",;\t"))
    path = tmp_path / "mine.csv"
    path.write_bytes(separated(rows, separator))
    assert load_dataset(path).fingerprint == load_dataset(jsonl(tmp_path / "mine.jsonl", rows)).fingerprint


@pytest.mark.parametrize(
    ("cells", "kept"),
    [
        pytest.param(["1", "-2", ""], [1, -2, None], id="whole-numbers"),
        pytest.param(["1", "2.5", "nan"], [1.0, 2.5, None], id="numbers"),
        pytest.param(["1", "2e3", "inf"], [1.0, 2000.0, None], id="infinite"),
        pytest.param(["True", "false", ""], [True, False, None], id="truth-values"),
        pytest.param(["1", "two", "3"], ["1", "two", "3"], id="texts"),
        pytest.param(["007", "12", "3"], ["007", "12", "3"], id="codes"),
        pytest.param(["1_0", "12", "3"], ["1_0", "12", "3"], id="names"),
        pytest.param(["", "", ""], [None, None, None], id="empty"),
    ],
)
def test_a_column_of_a_table_in_text_is_of_one_kind(tmp_path, cells, kept):
    path = tmp_path / "mine.csv"
    path.write_text("prompt,response,x\n" + "".join(f"p{n},7,{cell}\n" for n, cell in enumerate(cells)))
    records = sorted(everything(load_dataset(path, heldout=1)), key=lambda record: record.prompt)
    found = [record.extra.get("x") for record in records]
    assert found == kept
    assert list(map(type, found)) == list(map(type, kept))
    assert {record.response for record in records} == {"7"}, "a text stays one"


@follows("two columns are called", "put quotes around a text that has a separator, a quote or a new line")
@follows("is a table whose first line names its columns, and there", "{path} is empty; it has to hold at")
def test_tables_that_can_not_be_read(tmp_path):
    path = tmp_path / "mine.csv"
    good = "prompt,response\n" + "".join(f"p{n},r\n" for n in range(3))
    wrong = {
        "": r"mine\.csv is empty",
        "prompt,response\n": r"first line names its columns, and there is no other line",
        "prompt,response\np\n": r"and there is no line with 2 fields, as it has",
        good.replace("response", "prompt"): r"line 1: two columns are called 'prompt'; rename one of them",
        good + '"p4,r\n': r"line 5: this row of a table can't be read \(unexpected end of data\); put quotes",
        good + '"p4" x,r\n': r"line 5: this row of a table can't be read",
    }
    for text, told in wrong.items():
        path.write_text(text)
        with pytest.raises(InputError, match=told) as caught:
            load_dataset(path)
        assert "\n" not in str(caught.value)
    path.write_text(good + '"p4,5",r\n"p""6",r\n')
    assert {"p4,5", 'p"6'} < {record.prompt for record in everything(load_dataset(path))}


def test_rows_of_another_width_are_named_and_left_out_on_demand(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text('prompt,response\np0,"a\nb"\n\np1,r,x\np2\np3,r\np4,r\n')
    told = (
        r"2 of 5 records .* 2 with another number of fields than the 2 columns \(lines 5 and 6; line 5: 3 fi"
    )
    with pytest.raises(InputError, match=told):
        load_dataset(path)
    dataset = load_dataset(path, on_bad="drop")
    assert {record.place for record in everything(dataset)} == {f"mine.csv, line {n}" for n in (2, 7, 8)}


def test_a_field_may_be_long_and_the_limit_of_others_stays(tmp_path):
    import csv

    before = csv.field_size_limit()
    path = tmp_path / "mine.csv"
    path.write_text(f"prompt,response\np,{'x' * 300_000}\nq,r\n")
    assert max(len(record.response) for record in everything(load_dataset(path))) == 300_000
    assert csv.field_size_limit() == before


def test_lines_with_bars(tmp_path):
    path = tmp_path / "e2e.txt"
    path.write_text("name : A | area : b||A is in b . \nname : C||C is there .\nno bars\n\nname : D||\n")
    told = r"2 of 4 records can't be used: 1 without '\|\|' \(line 3: no bars\); 1 empty .* \(line 5\)"
    with pytest.raises(InputError, match=told):
        load_dataset(path)
    dataset = load_dataset(path, on_bad="drop", on_empty="drop")
    assert {(record.prompt, record.response) for record in everything(dataset)} == {
        ("name : A | area : b", "A is in b ."),
        ("name : C", "C is there ."),
    }


@follows("packed twice; pack its contents once", "that can't be unpacked ({error}); it is damaged")
@follows("give it in parts")
@pytest.mark.parametrize("packing", PACKERS)
def test_packed_files_that_can_not_be_read(tmp_path, packing, monkeypatch):
    path, pack = tmp_path / "mine.jsonl.x", PACKERS[packing]
    path.write_bytes(gzip.compress(pack(LINES)))
    with pytest.raises(InputError, match=rf"is gzip around {packing}, packed twice; pack its contents once"):
        load_dataset(path)
    whole = pack(LINES)
    for damaged in (whole[: len(whole) // 2], whole[:10] + bytes(8) + whole[18:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=rf"is {packing} that can't be unpacked .* get it again"):
            load_dataset(path)
    path.write_bytes(whole)
    assert len(everything(load_dataset(path))) == 10
    # on another path, because the records of the last file are kept
    other = tmp_path / "other.jsonl.x"
    other.write_bytes(pack(LINES))
    monkeypatch.setattr(compressed, "MOST_UNPACKED", len(LINES) - 1)
    with pytest.raises(InputError, match=r"unpacks to more than .*; give it in parts"):
        load_dataset(other)
    parts = [tmp_path / f"part-{n}.jsonl.x" for n in range(2)]
    for part, rows in zip(parts, (ROWS[:5], ROWS[5:]), strict=True):
        part.write_bytes(pack("".join(json.dumps(row) + "\n" for row in rows).encode()))
    assert len(everything(load_dataset(parts[0], heldout_file=parts[1]))) == 10


@pytest.fixture
def without(monkeypatch):
    """Make packages look as if they weren't installed."""

    def without(*names):
        for name in names:
            for loaded in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
                monkeypatch.delitem(sys.modules, loaded)
            monkeypatch.setitem(sys.modules, name, None)

    return without


@pytest.mark.parametrize(
    ("kind", "package"), [("parquet", "pyarrow"), ("arrow-stream", "pyarrow"), (".jsonl-zstd", "zstandard")]
)
def test_without_its_package_a_file_says_what_to_install(tmp_path, kind, package, without):
    name, write = KINDS[kind]
    path = tmp_path / name
    write(path)
    without(package, "compression.zstd")
    with pytest.raises(
        InputError, match=rf"which .*{package} reads, and that isn't installed; type `"
    ) as caught:
        load_dataset(path)
    command = shlex.split(str(caught.value).split("`")[1])
    assert command[1:4] == ["-m", "pip", "install"]
    assert any(package in one or "[data]" in one for one in command)


@follows("is {kind} file that can't be read ({reason}); make it anew")
@follows("file without a row; it has to hold at least one record")
def test_damaged_and_empty_columnar_files(tmp_path):
    path = tmp_path / "mine.parquet"
    parquet(path)
    whole = path.read_bytes()
    for damaged in (whole[:-9], whole[:40] + bytes(40) + whole[80:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"is a Parquet file that can't be read \(.*\); make it anew"):
            load_dataset(path)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS).slice(0, 0), path)
    with pytest.raises(InputError, match="is a Parquet file without a row; it has to hold at least one"):
        load_dataset(path)
    parquet(path)
    assert len(everything(load_dataset(path))) == 10


def test_what_is_nested_in_a_columnar_file_is_read_too(tmp_path):
    rows = [
        {
            "messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}],
            "score": 0.5,
        }
        for n in range(4)
    ]
    path = tmp_path / "mine.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    dataset = load_dataset(path)
    assert dataset.fingerprint == load_dataset(jsonl(tmp_path / "mine.jsonl", rows)).fingerprint
    assert {record.place for record in everything(dataset)} == {f"mine.parquet, row {n}" for n in range(1, 5)}


def test_pyarrow_is_loaded_only_where_it_is_needed(tmp_path):
    import subprocess

    path = jsonl(tmp_path / "mine.jsonl", ROWS)
    code = (
        f"import sys; from workbench.data.sources import load_dataset; load_dataset({str(path)!r}); "
        "print({'pyarrow', 'datasets', 'pandas', 'zstandard'} & {*sys.modules})"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "set()"
    assert importlib.import_module("pyarrow")
