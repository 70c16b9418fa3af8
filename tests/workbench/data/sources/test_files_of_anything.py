"""The readers of the user's own files, fed with anything: records, or one sentence that names the file."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.data.sources import load_dataset
from workbench.errors import InputError

SHARED_PATH = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
RECORD = st.fixed_dictionaries(
    {"prompt": st.text(max_size=8) | JSON, "response": st.text(max_size=8) | JSON},
    optional=dict.fromkeys(("id", "choices", "alternatives", "instruction", "input", "output"), JSON),
)


def read(path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        dataset = load_dataset(path)
    except InputError as error:
        told = str(error)
    else:
        assert all(isinstance(one.prompt, str) for one in dataset.train)
        return
    assert path.name in told, "the sentence names the file"
    assert len(told) < 2000


@SHARED_PATH
@given(st.lists(RECORD, max_size=4), st.booleans())
def test_records_of_anything(tmp_path, records, as_list):
    text = json.dumps(records) if as_list else "\n".join(map(json.dumps, records))
    read(tmp_path / "records.jsonl", text.encode())


@SHARED_PATH
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_bytes_of_anything(tmp_path, content):
    read(tmp_path / "bytes.jsonl", content)


GOOD = "".join(json.dumps({"prompt": f"p{n}", "response": f"r{n}"}) + "\n" for n in range(8)).encode()


@SHARED_PATH
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.binary(max_size=3)), min_size=1, max_size=5))
def test_a_good_file_with_changes(tmp_path, changes):
    content = bytearray(GOOD)
    for place, new in changes:
        content[place : place + 1] = new
    read(tmp_path / "changed.jsonl", bytes(content))
