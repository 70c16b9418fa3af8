"""Whatever is wrong with a table is said in one sentence, with the line and what to do."""

import pytest

from workbench.errors import InputError
from workbench.laws import read_table

GOOD = {"quality": "clean", "size": 32, "seed": 0, "status": "done", "loss": 1.5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"size": -5}, "line 3: size is -5; expected a count", id="negative-size"),
        pytest.param({"size": None}, "line 3: size is None", id="no-size"),
        pytest.param({"loss": float("nan")}, "line 3: loss is nan; expected a finite number", id="nan"),
        pytest.param({"loss": "inf"}, "line 3: loss is inf", id="infinity"),
        pytest.param({"status": "ok"}, "status is 'ok'; expected one of done, failed, censored", id="status"),
        pytest.param({"seed": 0.5}, "seed is 0.5; expected a whole number", id="seed"),
        pytest.param({"seed": "one"}, "seed is 'one'; expected a number", id="seed-text"),
        pytest.param(
            {"size": 32, "seed": 0, "loss": 1.6}, "lines 2 and 3: the same cell twice", id="duplicate"
        ),
        pytest.param({"evaluation": "other"}, "2 evaluation sets", id="two-evaluations"),
    ],
)
def test_a_bad_row_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        read_table([GOOD, GOOD | {"size": 64} | change])


@pytest.mark.parametrize(
    ("metric", "value", "message"),
    [
        ("loss", -0.1, "a loss is above 0"),
        ("exact_match", 87.0, "shares, not percent"),
    ],
)
def test_mixed_units_are_refused(metric, value, message):
    table = read_table([GOOD, GOOD | {"seed": 1, metric: value}])
    with pytest.raises(InputError, match=message):
        table.measured(metric)


def test_an_unmeasured_metric_lists_what_there_is():
    with pytest.raises(InputError, match=r"'exact_match'\. Columns with numbers: loss"):
        read_table([GOOD]).measured("exact_match")


def test_rows_columns_and_files_give_one_table(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("tokens,val_loss,seed\n10,2.5,0\n20,2.0,0\n", encoding="utf-8")
    names = {"size": "tokens", "loss": "val_loss"}
    by_column = {"tokens": [10, 20], "val_loss": [2.5, 2.0], "seed": [0, 0]}
    by_row = [{"tokens": 10, "val_loss": 2.5, "seed": 0}, {"tokens": 20, "val_loss": 2.0, "seed": 0}]
    tables = [read_table(source, columns=names) for source in (path, by_column, by_row)]
    assert tables[0].rows == tables[1].rows == tables[2].rows
    assert tables[0].rows[1].values == {"loss": 2.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("size,loss\n", "no rows"),
        ("size,loss\n1,2,3\n", "line 2: 3 fields under a header of 2"),
        ("n,loss\n1,2\n", "no column 'size'"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_table(path)


def test_missing_files_and_other_encodings_are_refused(tmp_path):
    with pytest.raises(InputError, match="can't be read"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("größe,loss\n1,2\n".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_table(tmp_path / "latin.csv")


def test_zero_shot_is_kept_apart():
    table = read_table([GOOD, GOOD | {"quality": None, "size": 0, "loss": 4.0}])
    assert table.zero_shot("loss") == 4.0
    assert table.qualities == ("clean",)
    assert len(table.measured("loss")) == 1
