"""GGUF files as an enemy would write them: one sentence, no other exception, no large allocation."""

import struct
import tracemalloc

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.models.gguf_container import read_container
from workbench.models.gguf_reader import load_gguf

UINT8, UINT32, BOOL, STRING, ARRAY = 0, 4, 7, 8, 9
HUGE = (1 << 64) - 1


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def field(key: str | bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def entry(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    axes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + axes + struct.pack("<IQ", kind, offset)


def gguf_bytes(fields=(), tensors=(), data=bytes(256), *, counts=None, version=3, magic=b"GGUF") -> bytes:
    tensor_count, field_count = counts or (len(tensors), len(fields))
    head = magic + struct.pack("<IQQ", version, tensor_count, field_count) + b"".join([*fields, *tensors])
    return head + bytes(-len(head) % 32) + data


ENEMIES = {
    "empty": (b"", "is empty"),
    "foreign": (b"PK\x03\x04" + bytes(100), "begins with b'PK"),
    "magic only": (b"GGUF", "cut off in the version: 4 bytes belong there and 0 are left of 4"),
    "big-endian": (gguf_bytes(version=3 << 24), "it is big-endian"),
    "first version": (gguf_bytes(version=1), "GGUF version is 1, expected 2 or 3"),
    "many tensors": (gguf_bytes(counts=(HUGE, 0)), f"declares {HUGE} tensors"),
    "many fields": (gguf_bytes(counts=(0, 1 << 40)), f"declares {1 << 40} metadata fields"),
    "long key": (
        gguf_bytes([struct.pack("<Q", HUGE)], counts=(0, 1)),
        f"cut off in a metadata key: {HUGE + 8} bytes",
    ),
    "long text": (
        gguf_bytes([field("a", STRING, struct.pack("<Q", 1 << 62))]),
        "cut off in metadata field 'a'",
    ),
    "not UTF-8": (gguf_bytes([field("a", STRING, text(b"\xff\xfe"))]), "'a' at byte .* isn't UTF-8"),
    "key twice": (gguf_bytes([field("a", BOOL, b"\1")] * 2), "'a' is there twice"),
    "unknown type": (gguf_bytes([field("a", 77, b"")]), "'a' has the type 77"),
    "neither true nor false": (gguf_bytes([field("a", BOOL, b"\2")]), "truth value other than 0 and 1"),
    "many numbers": (gguf_bytes([field("a", ARRAY, struct.pack("<IQ", UINT8, HUGE))]), "numbers in metadata"),
    "many texts": (gguf_bytes([field("a", ARRAY, struct.pack("<IQ", STRING, 1 << 61))]), "texts in metadata"),
    "list of lists": (gguf_bytes([field("a", ARRAY, struct.pack("<IQ", ARRAY, 1))]), "a list of the type 9"),
    "odd alignment": (
        gguf_bytes([field("general.alignment", UINT32, struct.pack("<I", 33))]),
        "general.alignment is 33",
    ),
    "no alignment": (
        gguf_bytes([field("general.alignment", UINT32, struct.pack("<I", 0))]),
        "general.alignment is 0",
    ),
    "alignment in words": (gguf_bytes([field("general.alignment", STRING, text("x"))]), "alignment is 'x'"),
    "no axes": (gguf_bytes(tensors=[entry("t", ())]), "'t' has 0 axes"),
    "many axes": (gguf_bytes(tensors=[entry("t", (1,) * 9)]), "'t' has 9 axes"),
    "large tensor": (gguf_bytes(tensors=[entry("t", (HUGE, HUGE, HUGE, HUGE))]), "'t' ends at byte"),
    "no elements": (gguf_bytes(tensors=[entry("t", (0, 4))]), "'t' has the shape"),
    "part of a block": (gguf_bytes(tensors=[entry("t", (33,), kind=2)]), "Q4_0 can't store in blocks of 32"),
    "unknown blocks": (gguf_bytes(tensors=[entry("t", (32,), kind=999)]), "the block type 999"),
    "crooked offset": (gguf_bytes(tensors=[entry("t", (8,), offset=4)]), "begins at 4"),
    "far offset": (gguf_bytes(tensors=[entry("t", (8,), offset=1 << 63)]), "'t' ends at byte"),
    "tensor twice": (gguf_bytes(tensors=[entry("t", (8,))] * 2), "'t' is there twice"),
    "cut off": (gguf_bytes(tensors=[entry("t", (64,))], data=bytes(255)), "the file is cut off: tensor 't'"),
}


@pytest.mark.parametrize("name", ENEMIES)
def test_an_enemy_is_named(tmp_path, name):
    content, complaint = ENEMIES[name]
    path = tmp_path / "enemy.gguf"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(InputError, match=complaint) as caught:
        read_container(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert peak < 2_000_000, f"{peak} bytes were taken to say no"


def test_the_same_pieces_make_a_good_file(tmp_path):
    path = tmp_path / "good.gguf"
    content = gguf_bytes([field("a", STRING, text("é"))], [entry("t", (4, 2))], data=bytes(range(32)))
    path.write_bytes(content)
    file = read_container(path)
    assert file.metadata == {"a": "é"}
    assert file.tensors["t"].shape == (2, 4)
    assert file.tensors["t"].data.tobytes() == bytes(range(32))


def test_an_absent_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "absent.gguf", tmp_path):
        with pytest.raises(InputError, match=r"could not read .*(No such file|Is a directory)"):
            read_container(path)


def assert_same_as_package(path):
    """Compare with the `gguf` package's reader, field by field and byte by byte."""
    ours, theirs = read_container(path), gguf.GGUFReader(path)
    fields = {key: value for key, value in theirs.fields.items() if not key.startswith("GGUF.")}
    assert list(ours.metadata) == list(fields)
    for key, value in fields.items():
        assert ours.metadata[key] == value.contents(), key
    assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        mine = ours.tensors[tensor.name]
        assert mine.format == tensor.tensor_type
        assert mine.shape == tuple(int(size) for size in reversed(tensor.shape))
        np.testing.assert_array_equal(mine.data.ravel(), tensor.data.view(np.uint8).ravel())


def test_reads_what_the_package_reads(toy_gguf):
    assert_same_as_package(toy_gguf)


@pytest.mark.slow
def test_reads_what_the_package_reads_in_smollm2(smollm2_path):
    assert_same_as_package(smollm2_path)


SHARED_PATH = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SHARED_PATH
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused(toy_gguf, tmp_path, share):
    data = toy_gguf.read_bytes()
    path = tmp_path / "cut.gguf"
    # half of the cuts fall into the header, which is a small part of the file
    path.write_bytes(data[: int(share * (len(data) if share > 0.5 else 4096))])
    with pytest.raises(InputError, match=r"cut off|is empty|begins with|more than the remaining"):
        load_gguf(path, "cut")


@SHARED_PATH
@given(st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_changed_header_loads_or_is_refused(toy_gguf, tmp_path, changes):
    data = bytearray(toy_gguf.read_bytes())
    for place, value in changes:
        data[place] = value
    path = tmp_path / "changed.gguf"
    path.write_bytes(data)
    try:
        base = load_gguf(path, "changed")
    except InputError:
        return  # any other exception is a defect
    base.tokenizer.decode([3])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_noise_behind_the_magic_is_refused_or_empty(tmp_path, noise):
    path = tmp_path / "noise.gguf"
    path.write_bytes(b"GGUF\3\0\0\0" + noise)
    with pytest.raises(InputError):
        load_gguf(path, "noise")
