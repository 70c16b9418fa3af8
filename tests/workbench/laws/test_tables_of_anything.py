"""The reader of other people's tables, fed with anything: rows, or one sentence."""

import json
import math

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.laws import read_table

SHARED_PATH = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
GOOD = b"quality,size,seed,loss\nclean,8,0,2.5\nclean,16,0,2.0\nspoiled,8,0,2.75\n"
VALUE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ROW = st.dictionaries(st.sampled_from(["quality", "size", "seed", "loss", "status", "x"]), VALUE)


def read(path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        table = read_table(path)
    except InputError:
        return
    assert all(row.size >= 0 for row in table.rows)


@SHARED_PATH
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_bytes_of_anything(tmp_path, content):
    read(tmp_path / "table.csv", content)


@SHARED_PATH
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.binary(max_size=3)), min_size=1, max_size=5))
def test_a_good_table_with_changes(tmp_path, changes):
    content = bytearray(GOOD)
    for place, new in changes:
        content[place : place + 1] = new
    read(tmp_path / "table.csv", bytes(content))


@SHARED_PATH
@given(st.lists(ROW, min_size=1, max_size=4))
@example([{"quality": False}, {"quality": math.inf}])
def test_rows_of_anything(tmp_path, rows):
    read(tmp_path / "table.jsonl", "\n".join(map(json.dumps, rows)).encode())
