"""Tables go straight into other libraries of data frames, and come back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.columns import Columns


@pytest.fixture(scope="module")
def shipped():
    return wb.shipped_study()


def test_a_table_goes_into_pandas_and_polars_and_comes_back(shipped):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    table = shipped.table()
    one, two = pandas.DataFrame(table), polars.DataFrame(table)
    assert one.shape == two.shape == (113, len(table))
    assert one["loss"].tolist() == two["loss"].to_list() == table["loss"]
    assert two["seed"].to_list() == table["seed"]
    assert one.groupby("quality")["loss"].count().sum() == 112
    for frame in (one, two, two.to_dict(as_series=False), table.rows):
        back = wb.read_table(frame, measured_here=True)
        assert [row.values["loss"] for row in back.rows] == table["loss"]


def test_a_table_made_elsewhere_goes_there_too(shipped):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    table = wb.read_table([{"size": 8, "loss": 1.5, "note": "a"}, {"size": 16, "loss": 1, "note": None}])
    columns = table.columns()
    assert columns["loss"] == [1.5, 1.0]
    assert pandas.DataFrame(columns).shape == polars.DataFrame(columns).shape == (2, len(columns))


VALUES = (
    st.none()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.booleans()
)


@given(st.lists(st.lists(VALUES, min_size=2, max_size=2), min_size=1, max_size=130))
def test_any_columns_survive_a_strict_library(rows):
    polars = pytest.importorskip("polars")
    table = Columns([dict(zip("ab", row, strict=True)) for row in rows])
    frame = polars.DataFrame(table)
    for name in "ab":
        assert frame[name].to_list() == table[name]
        for value, before in zip(table[name], (row["ab".index(name)] for row in rows), strict=True):
            assert (value is None) == (before is None)
            assert value == before or value == str(before)
    assert Columns(table.rows) == table


def test_a_late_value_of_another_kind_is_not_cut():
    polars = pytest.importorskip("polars")
    rows = [{"size": 1, "failure": None} for _ in range(150)] + [{"size": 1.5, "failure": "NaN"}]
    frame = polars.DataFrame(Columns(rows))
    assert frame["size"][-1] == 1.5
    assert frame["failure"][-1] == "NaN"


def test_a_studys_own_table_is_known_as_such(shipped):
    assert wb.read_table(shipped.table()).measured_here
    assert not wb.read_table(shipped.table().rows).measured_here
    assert not wb.read_table(shipped.table(), measured_here=False).measured_here
