"""Every key of a GGUF is used, changes nothing, or is refused by name; llama.cpp's side is in test_parity."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from follows import follows
from gguf.constants import Keys
from gguf.scripts import gguf_new_metadata
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.models.decoder import Decoder
from workbench.models.gguf_config import ALLOWED_VALUES, HARMLESS_KEYS, NAMESPACES, READ_KEYS, read_config
from workbench.models.gguf_container import read_container
from workbench.models.gguf_reader import load_gguf, read_weights
from workbench.models.gguf_writer import write_gguf
from workbench.models.not_a_base import refuse_other_kinds
from workbench.models.tokenizer import CharacterTokenizer

TOKENS = [1, 5, 17, 3, 28, 9, 9, 2]

OLD_AND_NEW = ("rope.scale_linear", "attention.value_scale", "hidden_activation", "num_loops", "swin_norm")
"""Keys that llama.cpp reads for some architecture and the package doesn't list."""

OTHER = {
    "llama.rope.scaling.type": "yarn",
    "llama.tensor_data_layout": "reference",
    "llama.attention.sliding_window": 6,
    "llama.attention.causal": False,
    "llama.context_length": 16,
    "general.type": "adapter",
    "general.architecture": "gpt2",
    "split.count": 3,
}


def names_of(keys):
    """Every key in a class of the package, and in the classes inside it."""
    for value in vars(keys).values():
        if isinstance(value, str) and "." in value:
            yield value.format(arch="llama", id=0, dense="dense", name="tools")
        elif isinstance(value, type):
            yield from names_of(value)


KINDS = ("general.type", "split.count", "adapter.type")
"""Keys that say that the file is something else than a base."""

WALKED = sorted(
    {key for key in names_of(Keys) if not key.startswith("tokenizer.") and key != "general.alignment"}
    | {f"llama.{key}" for key in (*READ_KEYS, *ALLOWED_VALUES, *HARMLESS_KEYS, *OLD_AND_NEW)}
)


def other(key, value):
    if key in OTHER:
        return OTHER[key]
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, bool) or key.removeprefix("llama.") == "use_parallel_residual":
        return not value
    return 2 * value if value else 3.0


@pytest.fixture(scope="module")
def file(tmp_path_factory, toy_config, make_weights):
    path = tmp_path_factory.mktemp("walk") / "toy.gguf"
    tokenizer = CharacterTokenizer("abcdefghijklmnopqrstuvwxyz '")
    config = replace(toy_config, rope_scale=1.5)
    write_gguf(path, config, make_weights(config, "plain"), tokenizer, name="toy", licence="MIT")
    return read_container(path)


def read(file, changes):
    """Read a decoder out of the file with other metadata; None takes a field out."""
    kept = {key: value for key, value in (file.metadata | changes).items() if value is not None}
    changed = replace(file, metadata=kept)
    refuse_other_kinds(changed)
    config, notes = read_config(changed)
    return Decoder(config, read_weights(changed, config)), notes


@pytest.fixture(scope="module")
def numbers(logits):
    class Holder:
        def __init__(self, decoder):
            self.decoder = decoder

    return lambda decoder: logits(Holder(decoder), TOKENS)


def test_what_a_file_leaves_out_is_what_llama_cpp_takes(file):
    config = read_config(replace(file, metadata=without(file, "rope.freq_base", "rope.scaling.factor")))[0]
    assert (config.rope_base, config.rope_scale) == (10_000.0, 1.0)
    kept = without(file, "rope.freq_base", "rope.scaling.factor", "rope.scaling.type")
    assert read_config(replace(file, metadata=kept))[0].rope_scale == 1.0
    assert read_config(replace(file, metadata=kept | {"llama.rope.scale_linear": 2.5}))[0].rope_scale == 2.5


def without(file, *keys):
    names = {f"llama.{key}" for key in keys}
    return {name: value for name, value in file.metadata.items() if name not in names}


@pytest.mark.parametrize("key", WALKED)
def test_the_walk_over_every_key(file, numbers, key):
    """Another value changes the numbers, or is refused by the key's name, or the key is known as harmless."""
    whole, _ = read(file, {})
    value = other(key, file.metadata.get(key))
    harmless = key.removeprefix("llama.") in HARMLESS_KEYS or key.startswith(tuple(NAMESPACES))
    try:
        decoder, notes = read(file, {key: value})
    except InputError as error:
        # a size may be told by a tensor's shape, and what isn't a base by what it is
        if key not in str(error) and "expected the " not in str(error) and key not in KINDS:
            raise
        return
    same = torch.equal(numbers(decoder), numbers(whole)) and decoder.config == whole.config
    said = bool(notes) and key in notes[0]
    assert same == (harmless or said), f"{key}: {value!r} {'changes nothing' if same else 'is used'}"


def test_most_keys_of_a_llama_are_refused_or_used_and_few_are_harmless(file):
    """What a walk can't see: a list of the harmless that swallows everything."""
    under = [key for key in WALKED if key.startswith("llama.")]
    harmless = [key for key in under if key.removeprefix("llama.") in HARMLESS_KEYS]
    assert len(under) > 100
    assert len(harmless) <= 6


@settings(max_examples=60, deadline=None)
@given(
    key=st.text("abcdefghijklmnopqrstuvwxyz_.", min_size=1, max_size=20).filter(
        lambda key: key not in READ_KEYS | ALLOWED_VALUES.keys() | HARMLESS_KEYS.keys()
    ),
    value=st.booleans() | st.integers(0, 9) | st.floats(0, 9) | st.text(max_size=5) | st.just([1, 2]),
)
def test_an_unknown_key_is_refused(file, key, value):
    with pytest.raises(InputError) as caught:
        read_config(replace(file, metadata=file.metadata | {f"llama.{key}": value}))
    assert f"llama.{key} is" in str(caught.value)


@follows("make a copy without with `", "gguf-new-metadata --force", "--remove-metadata ")
def test_the_advice_about_an_unknown_key_works(toy_gguf, edit_gguf, tmp_path, monkeypatch):
    path = edit_gguf(toy_gguf, tmp_path, fields={"llama.logit_twist": 0.5, "llama.other": True})
    with pytest.raises(InputError, match="make a copy without") as caught:
        load_gguf(path, "strange")
    command = str(caught.value).split("`")[1].split()
    assert command[0] == "gguf-new-metadata"
    monkeypatch.setattr(sys, "argv", command)
    gguf_new_metadata.main()
    assert load_gguf(Path(command[-1]), "plain").decoder.config == load_gguf(toy_gguf, "toy").decoder.config


@pytest.mark.parametrize(
    ("fields", "scale"),
    [
        ({}, 1.0),
        ({"rope.scale_linear": 4.0}, 4.0),
        ({"rope.scaling.factor": 4.0}, 4.0),
        ({"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, 4.0),
        ({"rope.scaling.type": "linear", "rope.scaling.factor": 1.0}, 1.0),
        ({"rope.scaling.type": "linear"}, 1.0),
        ({"rope.scaling.type": "none", "rope.scaling.factor": 4.0}, 1.0),
        ({"rope.scaling.factor": 4.0, "rope.scale_linear": 4.0}, 4.0),
        ({"rope.scaling.factor": 0.0}, 1.0),
    ],
)
def test_linear_scaling_in_all_its_spellings(file, fields, scale):
    bare = {"llama.rope.scaling.type": None, "llama.rope.scaling.factor": None}
    decoder, notes = read(file, bare | {f"llama.{key}": value for key, value in fields.items()})
    assert decoder.config.rope_scale == scale
    assert notes == ()


def test_two_factors_that_differ_are_refused(file):
    with pytest.raises(InputError, match=r"rope.scale_linear is 4.0, expected 1.5, as in rope.scal"):
        read(file, {"llama.rope.scale_linear": 4.0})


def test_the_writer_keeps_linear_scaling(file):
    assert read(file, {})[0].config.rope_scale == 1.5


def test_a_size_for_each_block_is_read_where_they_agree(file):
    assert read(file, {"llama.feed_forward_length": [96, 96]})[0].config.feed_forward == 96
    with pytest.raises(InputError, match=r"feed_forward_length is \[96, 48\], expected one number, the same"):
        read(file, {"llama.feed_forward_length": [96, 48]})


def test_a_window_and_keys_of_no_one_are_said(file):
    decoder, notes = read(file, {"llama.attention.sliding_window": 6, "my.own.remark": "hi"})
    assert decoder.config.context == 6
    assert notes[0] == "the file has metadata that no reader uses: my.own.remark"
    assert notes[1].startswith("the base attends to no more than 6 tokens")


FACTORS = {
    "too few": (np.linspace(1, 8, 15, dtype=np.float32), "is F32 of the shape (15,), expected F32 of"),
    "zero": (np.linspace(0, 8, 16, dtype=np.float32), "holds a number that isn't positive and finite"),
    "infinite": (np.full(16, np.inf, np.float32), "holds a number that isn't positive and finite"),
    "no number": (np.full(16, np.nan, np.float32), "holds a number that isn't positive and finite"),
    "16 bits": (np.ones(16, np.float16), "is F16 of the shape (16,), expected F32"),
}


@pytest.mark.parametrize("name", FACTORS)
def test_factors_of_positions_that_cannot_be_are_refused(toy_gguf, edit_gguf, tmp_path, name):
    values, said = FACTORS[name]
    kind = gguf.GGMLQuantizationType.F16 if values.dtype == np.float16 else gguf.GGMLQuantizationType.F32
    path = edit_gguf(toy_gguf, tmp_path, {"rope_freqs.weight": (values, kind)})
    with pytest.raises(InputError, match=re.escape(f"'rope_freqs.weight' {said}")):
        load_gguf(path, "scaled")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rope.scaling.type": "longrope"}, "'longrope', expected another one without rope_freqs.weight"),
        ({"rope.scaling.attn_factor": 1.5}, "attn_factor is 1.5, expected 1 without scaled positions"),
        ({"rope.scaling.type": "su"}, "rope.scaling.type is 'su', expected one of 'none', 'linear', 'yarn'"),
    ],
)
def test_scaled_positions_that_are_not_whole_are_refused(file, fields, said):
    with pytest.raises(InputError, match=said):
        read(file, {f"llama.{key}": value for key, value in fields.items()})
