"""The readers of the user's own files, fed with anything: records, or one sentence that names the file."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.data.sources import load_dataset
from workbench.data.sources.layouts import LAYOUTS
from workbench.data.sources.layouts.choice import MAPPED
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


INSIDE = [
    *("role", "from", "content", "value", "text", "type", "replies", "message_id", "parent_id", "rank"),
    *("deleted", "solution", "is_correct", "input", "output"),
]
"""Keys of what is nested in an object of some layout."""
NESTED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 2)
    | st.sampled_from(["user", "gpt", "prompter", "assistant", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INSIDE), inner, max_size=4),
    max_leaves=10,
)
OUTSIDE = [
    *sorted({key for layout in LAYOUTS.values() for key in layout.keys.values()}),
    *("chosen", "rejected", "instances", "message_tree_id", "message_id", "parent_id", "role", "turns"),
]
"""Keys of the objects themselves."""
OF_ANY_LAYOUT = st.dictionaries(st.sampled_from(OUTSIDE), NESTED, max_size=6)


def read(path, content: bytes, **options) -> None:
    path.write_bytes(content)
    try:
        dataset = load_dataset(path, on_bad="drop", **options)
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
@given(st.lists(OF_ANY_LAYOUT, min_size=1, max_size=4), st.none() | st.sampled_from(sorted(LAYOUTS)))
def test_objects_of_any_layout(tmp_path, objects, layout):
    read(tmp_path / "objects.json", json.dumps(objects).encode(), read_as=layout)


@SHARED_PATH
@given(
    st.lists(OF_ANY_LAYOUT, min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(MAPPED), st.sampled_from(OUTSIDE), max_size=4),
)
def test_mappings_of_anything(tmp_path, objects, mapping):
    path = tmp_path / "objects.json"
    path.write_text(json.dumps(objects))
    told = path.name
    try:
        load_dataset(path, mapping=mapping)
    except InputError as error:
        told = str(error)
    assert path.name in told or "two meanings" in told


@SHARED_PATH
@given(
    st.sampled_from(
        [
            b"PAR1",
            b"ARROW1\0\0",
            b"\xff\xff\xff\xff",
            b"\x1f\x8b\x08\0",
            b"BZh9",
            b"\xfd7zXZ\0",
            b"\x28\xb5\x2f\xfd",
        ]
    ),
    st.binary(max_size=60),
)
def test_beginnings_of_every_kind_of_file(tmp_path, start, rest):
    read(tmp_path / "begun.bin", start + rest)


@SHARED_PATH
@given(st.text(st.sampled_from('",;\t|\n\r ap'), max_size=40), st.sampled_from([".csv", ".tsv", ".txt"]))
def test_tables_of_anything(tmp_path, text, suffix):
    read(tmp_path / f"table{suffix}", f"prompt,response\n{text}".encode())


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
