"""Folders quantized by bitsandbytes: its own program writes them, and its own decoding is the oracle."""

import json
import re
import shutil
from dataclasses import replace

import made_families
import pytest
import torch
from changed_files import change_bytes
from follows import follows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from qlora_kernels import QuantizedTensor
from workbench.errors import InputError
from workbench.models.decoder import Decoder
from workbench.models.folder_bitsandbytes import read_bitsandbytes
from workbench.models.folder_methods import METHODS
from workbench.models.folder_quantized import Misfit
from workbench.models.loaders import load_base
from workbench.models.safetensors_folder import huggingface_name
from workbench.models.writers.folder import write_folder
from workbench.models.writers.model import WholeModel

SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "tie_word_embeddings": True}
BNB = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_compute_dtype": "bfloat16"}
GROUPED = {"bits": 4, "group_size": 32}
PLAINEST = {
    "bitsandbytes": BNB,
    "gptq": {"quant_method": "gptq", **GROUPED},
    "awq": {"quant_method": "awq", **GROUPED},
}
"""The least that config.json says for each method; a new one needs a line here."""
STATE = "model.layers.0.mlp.up_proj.weight.quant_state.bitsandbytes__nf4"


@pytest.fixture(scope="module")
def functional():
    return pytest.importorskip("bitsandbytes.functional", reason="bitsandbytes, the oracle, isn't installed")


@pytest.fixture(scope="module")
def plain(make_folder):
    return make_folder(**SIZES)[0]


def quantized(functional, plain, folder, kind="nf4", double=False, block=64, storage=torch.uint8):
    """Write a folder as transformers does with bitsandbytes; weights as it decodes them, by tensor."""
    shutil.copytree(plain, folder)
    tensors, decoded = {}, {}
    for name, weight in load_file(plain / "model.safetensors").items():
        if not name.endswith("_proj.weight"):
            tensors[name] = weight
            continue
        codes, state = functional.quantize_4bit(
            weight, blocksize=block, quant_type=kind, compress_statistics=double, quant_storage=storage
        )
        tensors |= {name: codes} | {
            f"{name}.{key}": one.contiguous() for key, one in state.as_dict(packed=True).items()
        }
        decoded[name] = as_it_decodes(functional, codes, state)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    set_config(folder, BNB | {"bnb_4bit_quant_type": kind, "bnb_4bit_use_double_quant": double})
    return decoded


def as_it_decodes(functional, codes, state):
    """Return the weight as bitsandbytes decodes it.

    Its product for processors takes a row to have a whole number of blocks and is wrong where it hasn't; the
    definition that it has for other devices counts them through the whole weight, as it does when it encodes.
    """
    if state.shape[1] % state.blocksize == 0:
        return functional.dequantize_4bit(codes, state)
    from bitsandbytes.backends.default.ops import _dequantize_4bit_compute

    scales = state.absmax
    if state.nested:
        scales = functional.dequantize_blockwise(state.absmax, state.state2) + state.offset
    decode = _dequantize_4bit_compute.__wrapped__  # which isn't compiled for each shape
    return decode(codes.flatten(), scales, state.code, state.blocksize, state.shape, torch.float32)


def set_config(folder, value):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": value}))


def told(folder):
    with pytest.raises(InputError) as caught:
        load_base(folder)
    return str(caught.value)


@pytest.mark.parametrize("storage", [torch.uint8, torch.bfloat16], ids=str)
@pytest.mark.parametrize("double", [False, True], ids=["single", "double"])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_weights_stay_packed_and_are_those_of_bitsandbytes(
    functional, plain, tmp_path, logits, kind, double, storage
):
    """Blocks of 32, which end with the rows of 64 and of 96."""
    decoded = quantized(functional, plain, tmp_path / "b", kind, double, 32, storage)
    base = load_base(tmp_path / "b")
    assert base.notes == ()
    exact = {name: base.decoder.weight(name) for name in base.decoder.weights}
    for name, weight in base.decoder.weights.items():
        if (tensor := huggingface_name(name)) in decoded:
            assert isinstance(weight, QuantizedTensor)
            assert weight.format == (f"{kind}_double" if double else kind)
            assert torch.equal(exact[name], decoded[tensor]), name
    plain_decoder = Decoder(base.decoder.config, exact)
    tokens = [0, 5, 17, 3]
    assert torch.equal(logits(base, tokens), logits(replace(base, decoder=plain_decoder), tokens))


@pytest.mark.parametrize("double", [False, True], ids=["single", "double"])
@pytest.mark.parametrize("block", [64, 128, 4096])
def test_blocks_across_rows_are_decoded_once_which_a_note_says(functional, plain, tmp_path, block, double):
    """A down_proj of 96 columns has no blocks of 64 in its rows, and nothing here has 4096."""
    decoded = quantized(functional, plain, tmp_path / "b", "nf4", double, block)
    base = load_base(tmp_path / "b")
    across = [name for name, one in decoded.items() if one.shape[1] % block]
    plainly = 4 * sum(decoded[name].numel() for name in across) / 1e9
    assert base.notes[0].startswith(
        f"{len(across)} of 7 weights in the format bitsandbytes were decoded to float32 once and take "
        f"{plainly:.3g} GB of memory instead"
    )
    for name, weight in base.decoder.weights.items():
        if (tensor := huggingface_name(name)) in decoded:
            assert isinstance(weight, QuantizedTensor) == (tensor not in across)
            assert torch.equal(base.decoder.weight(name), decoded[tensor]), name
            # no oracle needed: NF4 moves no weight further than half of its widest step
            moved = (decoded[tensor] - load_file(plain / "model.safetensors")[tensor]).abs().max()
            assert moved < 0.2 * decoded[tensor].abs().max()


@pytest.mark.parametrize("double", [False, True], ids=["single", "double"])
def test_large_blocks_in_rows(functional, make_folder, tmp_path, double):
    """Their scales are said twice, if they are numbers; 8-bit scales count off their outer ones."""
    plain = make_folder(**SIZES | {"hidden_size": 512, "intermediate_size": 512})[0]
    decoded = quantized(functional, plain, tmp_path / "b", "nf4", double, 512)
    base = load_base(tmp_path / "b")
    assert len(base.notes) == double
    assert base.formats[0] == ("float32" if double else "nf4")
    if not double:
        assert base.decoder.weights["layers.0.up_proj"].block_size == 256
    for name in ("q_proj", "down_proj"):
        tensor = huggingface_name(f"layers.0.{name}")
        assert torch.equal(base.decoder.weight(f"layers.0.{name}"), decoded[tensor])


@pytest.mark.parametrize("double", [False, True], ids=["single", "double"])
@pytest.mark.parametrize("name", ["phi3", "qwen2"])
def test_fused_matrices_and_biases_are_read_alike(
    functional, transformers, put_tokenizer, tmp_path, logits, name, double
):
    """Logits are those of the same folder with the weights that bitsandbytes decodes, in plain numbers."""
    plain = tmp_path / "plain"
    plain.mkdir()
    made_families.make(transformers, *made_families.MODELS[name], plain)
    put_tokenizer(plain)
    decoded = quantized(functional, plain, tmp_path / "b", "nf4", double, 32)
    whole = load_file(plain / "model.safetensors") | decoded
    save_file(whole, plain / "model.safetensors", {"format": "pt"})
    base, tokens = load_base(tmp_path / "b"), [0, 5, 17, 3]
    assert any(one.startswith("nf4") for one in base.formats)
    assert torch.equal(logits(base, tokens), logits(load_base(plain), tokens))


def test_a_folder_that_is_written_of_it_is_plain(functional, plain, tmp_path):
    """With the other settings of config.json, so that its numbers are taken as they are."""
    quantized(functional, plain, tmp_path / "b", double=True, block=32)
    base = load_base(tmp_path / "b")
    weights = {name: base.decoder.weight(name) for name in base.decoder.weights}
    model = WholeModel(
        config=base.decoder.config, weights=weights, tokenizer=base.tokenizer, name="b", source=base.path
    )
    write_folder(tmp_path / "w", model, dict.fromkeys(weights, "f32"))
    again = load_base(tmp_path / "w")
    assert again.formats == ("float32",)
    for name, weight in weights.items():
        assert torch.equal(again.decoder.weight(name), weight), name


SETTINGS = {
    "8 bits": ({"load_in_8bit": True}, "load_in_4bit is True, expected True: its 8 bits aren't read"),
    "neither": ({"load_in_4bit": False}, "load_in_4bit is False, expected True"),
    "kind": ({"bnb_4bit_quant_type": "int4"}, "bnb_4bit_quant_type is 'int4', expected 'nf4'"),
    "unknown": ({"bnb_5bit": 1}, "bnb_5bit is 1, which the workbench doesn't know"),
    "other": ({"quant_method": "fp8"}, "isn't read: known are bitsandbytes"),
    "no method": ({"quant_method": None, "load_in_4bit": None}, "isn't read: known are"),
}


@follows("Give the folder that they were made from")
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_are_not_read_are_named(functional, plain, tmp_path, name):
    quantized(functional, plain, tmp_path / "b", block=32)
    change, complaint = SETTINGS[name]
    set_config(tmp_path / "b", BNB | change)
    assert complaint in told(tmp_path / "b")
    assert load_base(plain).decoder.config.layers == 1


@pytest.mark.parametrize("name", METHODS)
def test_every_method_refuses_what_it_does_not_know(plain, tmp_path, name):
    shutil.copytree(plain, tmp_path / "b")
    set_config(tmp_path / "b", PLAINEST[name] | {"a_setting_of_tomorrow": 7})
    assert "a_setting_of_tomorrow is 7, which the workbench doesn't know" in told(tmp_path / "b")
    set_config(tmp_path / "b", PLAINEST[name] | {"a_setting_of_tomorrow": None})
    assert f"quantized in the format '{name}', but none is" in told(tmp_path / "b")


def test_the_first_versions_named_no_method(functional, plain, tmp_path):
    quantized(functional, plain, tmp_path / "b", block=32)
    set_config(tmp_path / "b", {"load_in_4bit": True, "load_in_8bit": False})
    assert load_base(tmp_path / "b").formats[0] == "nf4"


@follows("take quantization_config out of the file")
def test_plain_weights_that_say_that_they_are_quantized(plain, tmp_path):
    shutil.copytree(plain, tmp_path / "b")
    set_config(tmp_path / "b", BNB)
    assert "but none is; take quantization_config out" in told(tmp_path / "b")
    config = json.loads((tmp_path / "b" / "config.json").read_text())
    del config["quantization_config"]
    (tmp_path / "b" / "config.json").write_text(json.dumps(config))
    assert load_base(tmp_path / "b").decoder.config.layers == 1


def state(**changes):
    value = {"quant_type": "nf4", "blocksize": 32, "dtype": "float32", "shape": [96, 64]} | changes
    return torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)


UP = "model.layers.0.mlp.up_proj.weight"
BROKEN = {
    "no scales": ({f"{UP}.absmax": None}, "lacks absmax, expected float32"),
    "scales of another type": ({f"{UP}.absmax": torch.zeros(192, dtype=torch.int32)}, "has absmax in int32"),
    "few scales": ({f"{UP}.absmax": torch.zeros(7)}, r"has absmax in float32 of the shape \(7,\), expected"),
    "few codes": ({UP: torch.zeros(7, 1, dtype=torch.uint8)}, "has 7 bytes of codes, expected 3072"),
    "no codes": ({UP: None}, "has no codes, expected 3072"),
    "no levels": ({f"{UP}.quant_map": None}, "lacks quant_map"),
    "other levels": ({f"{UP}.quant_map": torch.zeros(16)}, "has other levels in quant_map"),
    "no state": ({STATE: None}, r"has the states \[\], expected one of nf4 and fp4"),
    "not JSON": ({STATE: torch.zeros(9, dtype=torch.uint8)}, "has a state that isn't JSON"),
    "deep JSON": ({STATE: torch.full((4096,), 91, dtype=torch.uint8)}, "has a state that isn't JSON"),
    "no object": ({STATE: torch.tensor([55], dtype=torch.uint8)}, "has the state 7, expected a JSON object"),
    "long": ({STATE: torch.zeros(5000, dtype=torch.uint8)}, "expected JSON in bytes"),
    "numbers": ({STATE: torch.zeros(9)}, "has a state in torch.float32"),
    "block": ({STATE: state(blocksize=33)}, "its blocksize is 33, expected 32 or 64"),
    "block of true": ({STATE: state(blocksize=True)}, "its blocksize is True"),
    "huge block": ({STATE: state(blocksize=1 << 62)}, "its blocksize is 4611686018427387904"),
    "kind": ({STATE: state(quant_type="fp4")}, "its quant_type is 'fp4', expected 'nf4'"),
    "shape": ({STATE: state(shape=[64, 96])}, r"its shape is \[64, 96\], expected \[96, 64\]"),
    "part": ({f"{UP}.rotation": torch.zeros(3)}, "has weight.rotation beside it, which the workbench"),
    "setting": ({STATE: state(rotation=1)}, "the settings rotation in its state"),
    "nested": ({STATE: state(nested_blocksize=256)}, "has absmax in float32 of"),
    "nested block": ({STATE: state(nested_blocksize=64)}, "its nested_blocksize is 64"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_weight_is_named(functional, plain, tmp_path, name):
    quantized(functional, plain, tmp_path / "b", block=32)
    changes, complaint = BROKEN[name]
    tensors = load_file(tmp_path / "b" / "model.safetensors") | changes
    kept = {key: one for key, one in tensors.items() if one is not None}
    save_file(kept, tmp_path / "b" / "model.safetensors", {"format": "pt"})
    whose = "model.safetensors: the quantized weight 'model.layers.0.mlp.up_proj' "
    assert re.search(f"{whose}.*{complaint}", told(tmp_path / "b"))


def test_the_offset_of_double_quantization_has_to_be_a_number(functional, plain, tmp_path):
    quantized(functional, plain, tmp_path / "b", block=32, double=True)
    tensors = load_file(tmp_path / "b" / "model.safetensors")
    for wrong in ("1", 1e300, 10**400, float("nan"), None):
        tensors[STATE] = state(nested_blocksize=256, nested_dtype="float32", nested_offset=wrong)
        save_file(tensors, tmp_path / "b" / "model.safetensors", {"format": "pt"})
        assert f"its nested_offset is {wrong!r}, expected a number" in told(tmp_path / "b")


def test_nothing_is_made_of_a_size_that_the_file_does_not_have():
    """A config.json of a petabyte over tensors of a few bytes: refused before anything is allocated."""
    huge = [1 << 24, 1 << 24]
    tensors = {"weight.quant_state.bitsandbytes__nf4": state(shape=huge)}
    with pytest.raises(Misfit, match="has 8 bytes of codes, expected 140737488355328"):
        read_bitsandbytes(tensors | {"weight": torch.zeros(8, 1, dtype=torch.uint8)}, (1 << 24, 1 << 24), {})


SHARED_PATH = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def whole(functional, plain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed") / "whole"
    quantized(functional, plain, folder, block=32, double=True)
    return folder


@SHARED_PATH
@given(data=st.data())
def test_a_file_with_changes_loads_or_is_refused(whole, tmp_path, data):
    folder = tmp_path / "changed"
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    change_bytes(folder / "model.safetensors", data)
    try:
        base = load_base(folder)
    except InputError:
        return  # any other exception is a defect
    assert base.decoder.config.layers == 1
