"""A GGUF in parts is the whole one, whichever part is given; parts that don't belong together are named."""

import hashlib
import re
import shutil

import gguf
import numpy as np
import pytest
import torch
from follows import follows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.models.gguf_parts import is_part, read_parts
from workbench.models.loaders import load_base
from workbench.studies.executors import shipping


def write(writer, fields, tensors):
    """Write a file of the `gguf` package; fields by key, each a value with its types."""
    for key, (value, kind, *inner) in fields.items():
        kind = gguf.GGUFValueType.UINT32 if kind == gguf.GGUFValueType.INT32 else kind
        writer.add_key_value(key, value, kind, *inner)
    for name, data, kind in tensors:
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def content(path):
    """Fields and tensors of a file, as :func:`write` takes them."""
    reader = gguf.GGUFReader(path)
    kept = {key: field for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    fields = {key: (field.contents(), *field.types[:2]) for key, field in kept.items()}
    return fields, [(tensor.name, tensor.data, tensor.tensor_type) for tensor in reader.tensors]


def split(source, folder):
    """Cut a GGUF into parts of nine tensors as the `gguf` package does; the parts' paths."""
    fields, tensors = content(source)
    writer = gguf.GGUFWriter(folder / "cut.gguf", "llama", split_max_tensors=9)
    fields.pop("general.architecture")
    write(writer, fields, tensors)
    return sorted(folder.glob("cut-*.gguf"))


def rewrite(path, changes, more=()):
    """Write a part anew with other metadata, where None leaves a field out, and more tensors."""
    fields, tensors = content(path)
    fields |= {
        key: None if value is None else (value, gguf.GGUFValueType.get_type(value))
        for key, value in changes.items()
    }
    writer = gguf.GGUFWriter(path.with_suffix(".new"), "llama")
    writer.kv_data[0].clear()
    write(writer, {key: entry for key, entry in fields.items() if entry}, [*tensors, *more])
    path.with_suffix(".new").replace(path)


@pytest.fixture
def parts(toy_gguf, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    found = split(toy_gguf, folder)
    assert [path.name for path in found] == [f"cut-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    return found


def rewritten(path, **fields):
    """Write a part anew with other metadata, where None leaves a field out."""
    reader, copy = gguf.GGUFReader(path), path.with_suffix(".new")
    writer = gguf.GGUFWriter(copy, "llama")
    writer.kv_data[0].clear()
    values = {k: (f.contents(), f.types) for k, f in reader.fields.items() if not k.startswith("GGUF.")}
    for key, value in fields.items():
        key = key.replace("__", ".")
        values[key] = (
            (value, values[key][0:0] or [gguf.GGUFValueType.get_type(value)]) if value is not None else None
        )
    for key, entry in values.items():
        if entry is not None:
            value, types = entry
            kind = gguf.GGUFValueType.UINT32 if types[0] == gguf.GGUFValueType.INT32 else types[0]
            writer.add_key_value(key, value, kind, types[1] if len(types) > 1 else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    copy.replace(path)


def told(path):
    with pytest.raises(InputError) as caught:
        load_base(path)
    return str(caught.value)


def again(toy_gguf, parts):
    """What "get all parts again" means: the parts as they were."""
    for path in parts[0].parent.iterdir():
        path.unlink()
    assert split(toy_gguf, parts[0].parent) == parts
    assert load_base(parts[0]).decoder.config.layers == 2


@pytest.mark.parametrize("place", [0, 1, 2])
def test_any_part_gives_the_whole_base(toy_gguf, parts, place):
    whole, base = load_base(toy_gguf), load_base(parts[place])
    for name in whole.decoder.weights:
        assert torch.equal(base.decoder.weight(name), whole.decoder.weight(name)), name
    assert base.tokenizer.alphabet == whole.tokenizer.alphabet
    assert base.licence == "MIT"
    assert base.path == parts[0]
    # the hash of `cat part1 part2 part3 | sha256sum`
    assert base.sha256 == hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()


def test_a_worker_takes_all_parts_from_their_place(parts):
    base = load_base(parts[0])
    held = {"precision": "float32", "device": "cpu", "hold": "decoded"}
    told = {"base": {"path": str(parts[0]), "sha256": base.sha256}, **held}
    assert shipping._base(told, shipping.fetch_nothing).sha256 == base.sha256


def test_one_file_has_the_hash_of_its_bytes(toy_gguf):
    assert read_parts(toy_gguf).sha256 == hashlib.sha256(toy_gguf.read_bytes()).hexdigest()
    assert [is_part(toy_gguf.with_name(name)) for name in ("a.gguf", "a-00001-of-00001.gguf")] == [False] * 2
    assert is_part(toy_gguf.with_name("a-00002-of-00003.gguf"))


@follows("get all parts into one folder")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_missing_part_is_named(parts, tmp_path, place):
    moved = shutil.move(parts[place], tmp_path / parts[place].name)
    left = next(path for path in parts if path.exists())
    assert f"3 parts of a GGUF that was split, and {parts[place].name} isn't beside it" in told(left)
    shutil.move(moved, parts[place])
    assert load_base(left).decoder.config.layers == 2


def test_several_missing_parts_are_counted(parts):
    for path in parts[1:]:
        path.unlink()
    assert "cut-00002-of-00003.gguf and 1 more isn't beside it" in told(parts[0])


@follows("rename the parts to NAME-00001-of-{count}.gguf and so on, and give the first")
def test_parts_by_another_name(parts):
    others = [path.rename(path.with_name(f"part{place}.gguf")) for place, path in enumerate(parts)]
    form = re.search(r"rename the parts to (\S+) and so on", told(others[1]))[1]
    assert form == "NAME-00001-of-00003.gguf"
    named = [
        path.rename(path.with_name(form.replace("NAME", "x").replace("00001", f"{place:05}")))
        for place, path in enumerate(others, 1)
    ]
    assert load_base(named[0]).decoder.config.layers == 2


@follows(
    "get all parts of one model again, under their own names",
    "get all parts of one model again",
    "get all {count} parts of one model again",
    "split.tensors.count isn't what the first part says; get all parts of one model",
)
def test_parts_in_another_order(toy_gguf, parts):
    second, third = (path.read_bytes() for path in parts[1:])
    parts[1].write_bytes(third)
    parts[2].write_bytes(second)
    assert "cut-00002-of-00003.gguf says that it is part 3 of 3, expected part 2 of 3; get all" in told(
        parts[0]
    )
    again(toy_gguf, parts)


WRONG = {
    "number": (1, {"split.no": 7}, "00002-of-00003.gguf says that it is part 8 of 3, expected part 2 of 3"),
    "count": (1, {"split.count": 4}, "says that it is part 2 of 4, expected part 2 of 3"),
    "no number": (2, {"split.no": "two"}, "says that it is part 'two' of 3"),
    "not split": (2, {"split.count": None, "split.no": None}, "says that it is part None of None"),
    "total": (1, {"split.tensors.count": 99}, "00002-of-00003.gguf: split.tensors.count isn't what"),
    "contradiction": (1, {"llama.block_count": 7}, "llama.block_count isn't what the first part says"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_part_of_something_else_is_named(toy_gguf, parts, name):
    place, fields, complaint = WRONG[name]
    rewrite(parts[place], fields)
    assert complaint in told(parts[0])
    again(toy_gguf, parts)


def test_a_total_that_is_not_there(toy_gguf, parts):
    for path in parts:
        rewrite(path, {"split.tensors.count": 21})
    assert "the 3 parts hold 20 tensors, expected 21 (split.tensors.count)" in told(parts[0])
    again(toy_gguf, parts)


def test_a_tensor_in_two_parts_is_named(toy_gguf, parts):
    name = "blk.0.attn_norm.weight"
    rewrite(parts[2], {}, [(name, np.zeros(64, np.float32), gguf.GGMLQuantizationType.F32)])
    assert f"tensor {name!r} is in another part, too; get all 3 parts" in told(parts[0])
    again(toy_gguf, parts)


SHARED_PATH = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SHARED_PATH
@given(
    place=st.integers(0, 2),
    changes=st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.none() | st.floats(0, 1, exclude_max=True),
)
def test_a_changed_or_cut_part_loads_or_is_refused(parts, tmp_path, place, changes, cut):
    folder = tmp_path / "changed"
    shutil.copytree(parts[0].parent, folder, dirs_exist_ok=True)
    path = folder / parts[place].name
    content = bytearray(path.read_bytes())
    for at, value in changes:
        content[at % len(content)] = value
    path.write_bytes(content if cut is None else content[: int(cut * len(content))])
    try:
        base = load_base(folder / parts[0].name)
    except InputError:
        return  # any other exception is a defect
    assert base.decoder.config.layers == 2
