"""Records that are in Python already, and data sets by name: read as a file of them would be."""

import datetime
import decimal
import json
import sys
from pathlib import Path

import numpy as np
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest
from follows import follows

import workbench as wb
from workbench.data.sources import frames, load_dataset
from workbench.data.sources.frames import FRAMES, as_file
from workbench.errors import InputError

sys.path.append(str(Path(__file__).parent))

from examples import everything, jsonl

datasets = pytest.importorskip("datasets", reason="datasets isn't installed; with it this test runs")

ROWS = [{"question": f"é {n}?", "answer": f"a{n}", "score": n / 4, "known": n % 2 == 0} for n in range(10)]
TABLES = {
    "pandas": pandas.DataFrame,
    "polars": polars.DataFrame,
    "datasets": datasets.Dataset.from_list,
    "pyarrow": pyarrow.Table.from_pylist,
    "list": lambda rows: rows,
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_read_as_its_file_would_be(tmp_path, kind):
    assert FRAMES.keys() | {"list"} == TABLES.keys()
    expected = load_dataset(jsonl(tmp_path / "expected.jsonl", ROWS))
    dataset = load_dataset(TABLES[kind](ROWS))
    assert dataset.fingerprint == expected.fingerprint
    assert [record.extra for record in everything(dataset)] == [
        record.extra for record in everything(expected)
    ]
    path = as_file(TABLES[kind](ROWS))
    assert path.is_relative_to(tmp_path / "cache")
    assert [json.loads(line) for line in path.read_text().splitlines()] == ROWS
    assert as_file(TABLES[kind](ROWS)) == path, "the same content, the same file"
    assert as_file(TABLES[kind](ROWS[1:])) != path


@pytest.mark.parametrize("kind", TABLES)
def test_a_study_of_a_table_says_where_its_records_are(tmp_path, kind):
    study = wb.study(TABLES[kind](ROWS), base="classroom", heldout=2)
    assert Path(study.data).is_relative_to(tmp_path / "cache")
    assert study.data in str(study)
    assert len(wb.Study.from_dict(study.to_dict()).dataset().train) == 8
    mapped = wb.study(
        TABLES[kind](ROWS), base="classroom", mapping={"prompt": "answer", "response": "question"}
    )
    assert mapped.dataset().train[0].prompt.startswith("a")


def test_what_tables_write_instead_of_json(tmp_path):
    frame = pandas.DataFrame(
        {
            "prompt": ["p", "q"],
            "response": ["r", "s"],
            "score": [1.5, None],
            "when": [pandas.Timestamp("2026-11-28"), pandas.NaT],
            "count": pandas.array([3, None], dtype="Int64"),
            "choices": [np.array(["r", "t"]), ["s", "t"]],
            "deep": [{"a": np.float32(0.5)}, {}],
            "day": [datetime.date(2026, 11, 28)] * 2,
        }
    )
    first, second = [json.loads(line) for line in as_file(frame).read_text().splitlines()]
    assert first == {
        "prompt": "p",
        "response": "r",
        "score": 1.5,
        "when": "2026-11-28T00:00:00",
        "count": 3,
        "choices": ["r", "t"],
        "deep": {"a": 0.5},
        "day": "2026-11-28",
    }
    assert [second[key] for key in ("score", "when", "count")] == [None] * 3
    found = {record.prompt: record for record in everything(load_dataset(frame, heldout=1))}
    assert found["p"].choices == ("r", "t")
    assert found["q"].extra == {"day": "2026-11-28"}


@follows("make it a text or a number, or leave the column out", "each has to be a dict")
@follows("{kind} has no row; it has to hold at least one record")
@follows("isn't one table of records; give one of its parts{named}")
def test_what_is_no_table_of_records():
    frame = pandas.DataFrame({"prompt": ["p", "q"], "response": "r", "price": [decimal.Decimal(1)] * 2})
    told = r"pandas\.DataFrame: row 1 has a value of the type Decimal in 'price'; make it a text or a number"
    with pytest.raises(InputError, match=told):
        load_dataset(frame)
    for mended in (frame.astype({"price": float}), frame.astype({"price": str}), frame.drop(columns="price")):
        assert len(everything(load_dataset(mended))) == 2
    with pytest.raises(InputError, match="a list of records: row 2 is str; each has to be a dict"):
        load_dataset([{"prompt": "p", "response": "r"}, "q"])
    with pytest.raises(InputError, match=r"polars\.DataFrame has no row; it has to hold at least one record"):
        load_dataset(polars.DataFrame({"prompt": [], "response": []}))
    several = datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)})
    with pytest.raises(InputError, match=r"DatasetDict isn't one table of records; give .* data\['train'\]"):
        load_dataset(several)
    assert len(everything(load_dataset(several["train"]))) == 10
    with pytest.raises(
        InputError, match=r"pandas\.Series isn't one table of records; give one of its parts$"
    ):
        load_dataset(frame["prompt"])


def test_a_table_that_is_there_is_not_written_again(monkeypatch):
    path = as_file(ROWS)
    monkeypatch.setattr(frames, "write_atomically", lambda *given: pytest.fail("written again"))
    assert as_file(ROWS) == path


@pytest.fixture
def folder(tmp_path):
    """A data set as the library reads it from a folder: a file for each split."""
    for split, rows in (("train", ROWS[:7]), ("test", ROWS[7:])):
        (tmp_path / "own" / "data").mkdir(parents=True, exist_ok=True)
        table = pyarrow.Table.from_pylist(rows)
        pyarrow.parquet.write_table(table, tmp_path / "own" / "data" / f"{split}-00000-of-00001.parquet")
    return tmp_path / "own"


@follows("has {len(found)} splits; give one of them")
def test_a_data_set_by_name(tmp_path, folder):
    with pytest.raises(InputError, match=r"own has 2 splits; give one of them: hf:.*own:train or ") as caught:
        load_dataset(f"hf:{folder}")
    given = str(caught.value).partition("one of them: ")[2].split(" or ")[0]
    dataset = load_dataset(given, heldout=2)
    assert dataset.fingerprint == load_dataset(jsonl(tmp_path / "a.jsonl", ROWS[:7]), heldout=2).fingerprint
    assert {type(record.extra["score"]) for record in everything(dataset)} == {float}
    assert given in dataset.origin
    held = load_dataset(given, heldout_file=Path(f"hf:{folder}:test"))
    assert len(held.heldout) == 3
    study = wb.study(given, base="classroom", heldout=2)
    assert study.data == given
    assert len(study.dataset().train) == 5


@follows("can't be loaded ({reason}); give hf:NAME, hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT as the")
@follows("can't be read; write hf:NAME, hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT")
def test_names_that_can_not_be_loaded(folder, tmp_path):
    for name in ("hf:", "hf:a:", "hf:a:b:c:d"):
        with pytest.raises(InputError, match=f"{name} can't be read; write hf:NAME, hf:NAME:SPLIT or"):
            load_dataset(name)
    for name in (f"hf:{folder}:dev", f"hf:{folder}:other:train", f"hf:{tmp_path / 'nowhere'}"):
        with pytest.raises(InputError, match=r"can't be loaded \(.*\); give hf:NAME, hf:NAME:SPLIT or"):
            load_dataset(name)
    assert len(everything(load_dataset(f"hf:{folder}:default:train"))) == 7


def test_no_code_that_comes_with_a_data_set_is_run(tmp_path):
    place = tmp_path / "evil"
    place.mkdir()
    (place / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(InputError, match="can't be loaded"):
        load_dataset(f"hf:{place}")
    assert not (tmp_path / "ran").exists()


def test_without_the_library_a_name_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        InputError, match=r"is read by the library datasets, which isn't installed; type `.*`"
    ):
        load_dataset("hf:org/name")
