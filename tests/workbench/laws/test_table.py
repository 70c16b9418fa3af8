"""Whatever is wrong with a table is said in one sentence, with the line and what to do."""

import pytest

from workbench.errors import InputError
from workbench.laws import read_table
from workbench.laws.replicates import arrange

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
        read_table([GOOD, GOOD | {"size": 64} | change]).measured("loss")


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


PLAIN = "quality,size,seed,loss\nclean,1600,0,1.25\nclean,3200000,1,2.5\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeff" + PLAIN, id="byte-order-mark"),
        pytest.param(PLAIN.replace("\n", "\r\n") + "\r\n", id="windows-and-blank-line"),
        pytest.param(PLAIN.replace(",", ";"), id="semicolons"),
        pytest.param(PLAIN.replace(",", "\t"), id="tabs"),
        pytest.param(PLAIN.replace(",", ";").replace(".", ","), id="decimal-comma"),
        pytest.param(
            PLAIN.replace(",", ";").replace(".", ",").replace("3200000", "3.200.000"), id="german-thousands"
        ),
        pytest.param(PLAIN.replace("1600", '"1,600"').replace("3200000", '"3,200,000"'), id="thousands"),
        pytest.param(PLAIN.replace("3200000", "3 200 000"), id="thousands-by-space"),
        pytest.param(PLAIN.replace("clean", '"clean"').replace("1600", "1.6e3"), id="quotes-and-exponents"),
        pytest.param(
            '{"quality": "clean", "size": 1600, "seed": 0, "loss": 1.25}\n'
            '{"quality": "clean", "size": 3200000, "seed": 1, "loss": 2.5}\n',
            id="json-lines",
        ),
    ],
)
def test_tables_in_many_manners_are_one_table(tmp_path, text):
    path = tmp_path / "table"
    path.write_text(text, encoding="utf-8", newline="")
    rows = read_table(path).rows
    assert [(r.quality, r.size, r.seed, r.values) for r in rows] == [
        ("clean", 1600.0, 0, {"loss": 1.25}),
        ("clean", 3_200_000.0, 1, {"loss": 2.5}),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size;loss\n1;1,250\n2;2,500\n", "'1,250' may mean 1.250 or 1250, and nothing in the file tells"),
        ("size,loss\n1,2\n2,1.4 nats\n", "line 3: loss is '1.4 nats'; expected a number"),
        ("size,loss\n0.5k,2\n2,1\n", "size is '0.5k'; expected a number"),
        ("size,loss,loss\n1,2,3\n", "two columns are called 'loss'"),
        ('{"size": 1}\n[1]\n', "line 2: a list, not an object"),
        ('{"size": 1\n', "line 1: not JSON"),
        ("size,share,loss\n1,70,2\n", "share is 70; expected the share left clean"),
        ("size,loss\n4,1.5\n4,150\n", "lines 2 and 3: loss is 1.5 and 150 in one cell"),
        ("size,loss\n4,1.5\n8,1.5\n16,1.5\n", "the metric is 1.5 in every cell"),
    ],
)
def test_what_could_be_misread_is_refused(tmp_path, text, message):
    path = tmp_path / "table"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_table(path).measured("loss")


def test_rows_that_only_the_model_tells_apart_make_no_curve():
    rows = [{"size": n, "seed": 0, "model": m, "loss": 1 / n + 1 / m} for n in (1, 2, 4) for m in (10, 20)]
    with pytest.raises(InputError, match=r"lines 2 and 3: two rows of size 1 .* differ in 'model'"):
        arrange(read_table(rows), "loss")
