"""Folders of GPTQ and AWQ, against a second definition written from the papers and programs, value by value.

Neither program runs here. `pack` writes numbers as AutoGPTQ and AutoAWQ do, one code after the other; what a
weight is follows from the formula (code - zero) * scale, in float64.
"""

import json
import re
import shutil

import pytest
import torch
from changed_files import change_bytes
from follows import follows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from qlora_kernels import QuantizedTensor
from workbench.errors import InputError
from workbench.models.folder_gptq import read_awq, read_gptq
from workbench.models.folder_quantized import Misfit
from workbench.models.loaders import load_base
from workbench.models.safetensors_folder import huggingface_name

SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "tie_word_embeddings": True}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": True}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}
LAYOUTS = {"gptq": GPTQ, "gptq v2": GPTQ | {"checkpoint_format": "gptq_v2"}, "awq": AWQ}


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def pack(codes, order=range(8)):
    """Eight codes of a row to a number of 32 bits, the one at order[i] shifted left by 4 i: plain Python."""
    rows = []
    for row in codes.tolist():
        numbers = [
            sum(row[start + place] << 4 * shift for shift, place in enumerate(order))
            for start in range(0, len(row), 8)
        ]
        rows.append([number - (1 << 32 if number >> 31 else 0) for number in numbers])
    return torch.tensor(rows, dtype=torch.int32)


def drawn(rng, rows, columns, size, dtype=torch.float16):
    """Codes [K, N], and zeros and scales of each group of inputs."""
    groups = -(-columns // size)
    codes = torch.randint(16, (columns, rows), generator=rng)
    zeros = torch.randint(1, 16, (groups, rows), generator=rng)
    scales = (torch.randn(groups, rows, generator=rng) / 100).to(dtype)
    return codes, zeros, scales


def stored(layout, codes, zeros, scales, g_idx=None):
    """The tensors of one layer."""
    if layout == "awq":
        order = (0, 2, 4, 6, 1, 3, 5, 7)
        return {"qweight": pack(codes, order), "qzeros": pack(zeros, order), "scales": scales}
    less = 0 if layout == "gptq v2" else 1
    packed = {"qweight": pack(codes.T).T.contiguous(), "qzeros": pack(zeros - less), "scales": scales}
    return packed if g_idx is None else packed | {"g_idx": g_idx}


def defined(codes, zeros, scales, group):
    """The weight, outputs first, by the formula in float64."""
    return ((codes.double() - zeros.double()[group]) * scales.double()[group]).T


def read(layout, tensors, shape, **changes):
    return (read_awq if layout == "awq" else read_gptq)(tensors, shape, LAYOUTS[layout] | changes)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_million_weights_are_those_of_the_definition(rng, layout, dtype):
    codes, zeros, scales = drawn(rng, 1024, 1024, 128, dtype)
    scales[0, :4] = torch.tensor([0.0, -0.0, 6e-8, 65504.0], dtype=dtype)
    weight = read(layout, stored(layout, codes, zeros, scales), (1024, 1024), group_size=128)
    assert isinstance(weight, QuantizedTensor)
    assert (weight.format, weight.block_size) == ("int4_zero", 128)
    assert weight.bits_per_weight == 4 + 24 / 128
    expected = defined(codes, zeros, scales, torch.arange(1024) // 128)
    assert torch.equal(weight.dequantize().double(), expected)
    # the programs multiply in 16 bits: the one rounding is that of the exact product
    theirs = (codes.T - zeros.T.repeat_interleave(128, 1)).to(dtype) * scales.T.repeat_interleave(128, 1)
    assert torch.equal(weight.dequantize(dtype), theirs)


def test_conventions_by_hand():
    """One output of each kind, worked out on paper."""
    scales = torch.full((1, 8), 0.5, dtype=torch.float16)
    # inputs 0 to 7 have the codes 1 to 8 for output 0; the zero is stored as 7, so that it is 8
    qweight = torch.zeros(1, 8, dtype=torch.int32)
    qweight[0, 0] = 0x8765_4321 - (1 << 32)
    tensors = {"qweight": qweight, "qzeros": torch.full((1, 1), 0x7777_7777, dtype=torch.int32)}
    weight = read_gptq(tensors | {"scales": scales}, (8, 8), GPTQ | {"group_size": -1})
    assert weight[0].tolist() == [-3.5, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0]
    assert weight[1].tolist() == [-4.0] * 8
    # input 0 has the codes 0 to 7 for the outputs 0, 2, 4, 6, 1, 3, 5, 7; every zero is 0
    tensors = {
        "qweight": torch.zeros(8, 1, dtype=torch.int32),
        "qzeros": torch.zeros(1, 1, dtype=torch.int32),
    }
    tensors["qweight"][0, 0] = 0x7654_3210
    weight = read_awq(tensors | {"scales": scales}, (8, 8), AWQ | {"group_size": -1})
    assert weight[:, 0].tolist() == [0.0, 2.0, 0.5, 2.5, 1.0, 3.0, 1.5, 3.5]
    assert not weight[:, 1:].any()


def test_a_zero_of_0_was_borrowed_from_its_neighbour(rng):
    """GPTQModel takes 0x11111111 off the whole number; adding it again undoes that for any zeros."""
    codes, zeros, scales = drawn(rng, 32, 64, 32)
    zeros[0, ::3] = 0
    tensors = stored("gptq v2", codes, zeros, scales)
    tensors["qzeros"] = tensors["qzeros"] - 0x11111111
    weight = read("gptq", tensors, (32, 64))
    assert torch.equal(weight.dequantize().double(), defined(codes, zeros, scales, torch.arange(64) // 32))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("columns", "size", "block"),
    [
        pytest.param(64, -1, 64, id="one-group"),
        pytest.param(1024, 512, 256, id="large-groups"),
        pytest.param(64, 128, 64, id="wider-than-the-row"),
        pytest.param(96, 64, None, id="a-short-last-group"),
        pytest.param(96, 48, None, id="no-block-fits"),
        pytest.param(64, 16, None, id="small-groups"),
    ],
)
def test_groups_of_any_size(rng, layout, columns, size, block):
    real = columns if size == -1 else min(size, columns)
    codes, zeros, scales = drawn(rng, 16, columns, real)
    weight = read(layout, stored(layout, codes, zeros, scales), (16, columns), group_size=size)
    expected = defined(codes, zeros, scales, torch.arange(columns) // real)
    if block is None:
        assert torch.equal(weight.double(), expected)
    else:
        assert weight.block_size == block
        assert torch.equal(weight.dequantize().double(), expected)


def test_inputs_in_order_of_their_activations_are_decoded_once(rng):
    codes, zeros, scales = drawn(rng, 16, 64, 32)
    in_order = torch.arange(64, dtype=torch.int32) // 32
    shuffled = in_order[torch.randperm(64, generator=rng)]
    weight = read("gptq", stored("gptq", codes, zeros, scales, shuffled), (16, 64), desc_act=True)
    assert torch.equal(weight.double(), defined(codes, zeros, scales, shuffled))
    # and packed where the order is the plain one after all
    weight = read("gptq", stored("gptq", codes, zeros, scales, in_order), (16, 64), desc_act=True)
    assert weight.format == "int4_zero"


def test_scales_of_32_bits_are_decoded_once_by_the_definition(rng):
    codes, zeros, scales = drawn(rng, 16, 64, 32, torch.float32)
    weight = read("awq", stored("awq", codes, zeros, scales), (16, 64))
    assert torch.equal(weight, defined(codes, zeros, scales, torch.arange(64) // 32).float())


# ------------------------------------------------------------------------------------------ whole folders


@pytest.fixture(scope="module")
def plain(make_folder):
    return make_folder(**SIZES)[0]


def quantized(rng, plain, folder, layout="gptq", *, desc_act=False):
    """Write a folder of random codes; the weights that they stand for, by tensor."""
    shutil.copytree(plain, folder)
    tensors, exact = {}, {}
    for name, weight in load_file(plain / "model.safetensors").items():
        if not name.endswith("_proj.weight"):
            tensors[name] = weight
            continue
        rows, columns = weight.shape
        codes, zeros, scales = drawn(rng, rows, columns, 32)
        group = torch.arange(columns) // 32
        if desc_act and name.endswith("up_proj.weight"):
            group = group[torch.randperm(columns, generator=rng)]
        g_idx = None if layout == "awq" else group.int()
        module = name.removesuffix(".weight")
        parts = stored(layout, codes, zeros, scales, g_idx)
        tensors |= {f"{module}.{rest}": one for rest, one in parts.items()}
        exact[name] = defined(codes, zeros, scales, group)
        if layout == "gptq":  # as AutoGPTQ does
            tensors[f"{module}.bias"] = torch.zeros(rows, dtype=torch.float16)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    set_config(folder, LAYOUTS[layout] | ({"desc_act": True} if desc_act else {}))
    return exact


def set_config(folder, value):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": value}))


def told(folder):
    with pytest.raises(InputError) as caught:
        load_base(folder)
    return str(caught.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_is_read_packed(rng, plain, tmp_path, layout):
    exact = quantized(rng, plain, tmp_path / "q", layout)
    base = load_base(tmp_path / "q")
    assert base.formats == ("int4_zero", "float32")
    assert base.notes == ()
    for name in base.decoder.weights:
        if (tensor := huggingface_name(name)) in exact:
            assert torch.equal(base.decoder.weight(name).double(), exact[tensor]), name


def test_a_note_says_what_was_decoded(rng, plain, tmp_path):
    exact = quantized(rng, plain, tmp_path / "q", desc_act=True)
    base = load_base(tmp_path / "q")
    assert base.notes == (
        "1 of 7 weights in the format gptq were decoded to float32 once and take 2.46e-05 GB of memory "
        "instead of the file's 3.81e-06: their groups don't lie side by side in rows",
    )
    found = base.decoder.weight("layers.0.up_proj").double()
    assert torch.equal(found, exact["model.layers.0.mlp.up_proj.weight"])


def test_a_bias_that_is_not_zero_is_not_passed_over(rng, plain, tmp_path):
    quantized(rng, plain, tmp_path / "q")
    tensors = load_file(tmp_path / "q" / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.bias"][3] = 1
    save_file(tensors, tmp_path / "q" / "model.safetensors", {"format": "pt"})
    assert "tensor 'model.layers.0.mlp.up_proj.bias' has no place" in told(tmp_path / "q")


def test_plain_numbers_beside_codes_are_not_passed_over(rng, plain, tmp_path):
    quantized(rng, plain, tmp_path / "q")
    tensors = load_file(tmp_path / "q" / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"] = torch.zeros(96, 64)
    save_file(tensors, tmp_path / "q" / "model.safetensors", {"format": "pt"})
    assert "up_proj' has a weight in plain numbers and another that is quantized" in told(tmp_path / "q")


SETTINGS = {
    "bits": (GPTQ | {"bits": 3}, "bits is 3, expected 4"),
    "group": (
        GPTQ | {"group_size": "128"},
        "group_size is '128', expected a number of inputs, or -1 for all",
    ),
    "no group": (GPTQ | {"group_size": 0}, "group_size is 0, expected"),
    "marlin": (GPTQ | {"is_marlin_format": True}, "is_marlin_format is True, expected None"),
    "format": (GPTQ | {"checkpoint_format": "marlin"}, "checkpoint_format is 'marlin', expected None"),
    "layer by layer": (GPTQ | {"dynamic": {"-:a": {}}}, "dynamic is {'-:a': {}}, expected None"),
    "unknown": (GPTQ | {"hadamard": 1}, "hadamard is 1, which the workbench doesn't know"),
    "gemv": (AWQ | {"version": "GEMV"}, "version is 'gemv', expected 'gemm'"),
    "no zeros": (AWQ | {"zero_point": False}, "zero_point is False, expected True"),
}


@follows("Give the folder that they were made from")
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_are_not_read_are_named(plain, tmp_path, name):
    shutil.copytree(plain, tmp_path / "q")
    value, complaint = SETTINGS[name]
    set_config(tmp_path / "q", value)
    message = told(tmp_path / "q")
    assert (
        f"quantized in the format '{value['quant_method']}', and quantization_config isn't read: " in message
    )
    assert complaint in message
    assert load_base(plain).decoder.config.layers == 1


UP = "model.layers.0.mlp.up_proj"
GROUP = torch.ones(64, dtype=torch.int32)
HUGE = torch.full((2, 96), torch.inf, dtype=torch.float16)
BROKEN = {
    "no scales": ({f"{UP}.scales": None}, r"lacks scales, expected float16 or bfloat16 or float32 of"),
    "no zeros": ({f"{UP}.qzeros": None}, r"lacks qzeros, expected int32 of the shape \(2, 12\)"),
    "no codes": ({f"{UP}.qweight": None}, "lacks qweight, expected int32"),
    "few codes": ({f"{UP}.qweight": torch.zeros(3, 96, dtype=torch.int32)}, "has qweight in int32 of"),
    "codes of another type": ({f"{UP}.qweight": torch.zeros(8, 96)}, "has qweight in float32"),
    "infinite": ({f"{UP}.scales": HUGE}, "has scales that are no numbers, infinite, or too large"),
    "no number": ({f"{UP}.scales": HUGE * 0}, "has scales that are no numbers"),
    "too large": ({f"{UP}.scales": torch.full((2, 96), 1e38, dtype=torch.bfloat16)}, "or too large"),
    "group 2 of 2": ({f"{UP}.g_idx": 2 * GROUP}, "groups up to 2 in g_idx, expected 0"),
    "negative group": ({f"{UP}.g_idx": -GROUP}, "in g_idx, expected 0 to 1"),
    "few groups": ({f"{UP}.g_idx": torch.zeros(7, dtype=torch.int32)}, "has g_idx in int32 of the shape"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_weight_is_named(rng, plain, tmp_path, name):
    quantized(rng, plain, tmp_path / "q")
    changes, complaint = BROKEN[name]
    tensors = load_file(tmp_path / "q" / "model.safetensors") | changes
    kept = {key: one for key, one in tensors.items() if one is not None}
    save_file(kept, tmp_path / "q" / "model.safetensors", {"format": "pt"})
    whose = f"model.safetensors: the quantized weight '{UP}' "
    assert re.search(f"{whose}.*{complaint}.*; get the folder again", told(tmp_path / "q"))


def test_awq_has_no_order_of_inputs(rng, plain, tmp_path):
    quantized(rng, plain, tmp_path / "q", "gptq")
    set_config(tmp_path / "q", AWQ)
    assert "has g_idx, which AWQ doesn't" in told(tmp_path / "q")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_made_of_a_size_that_the_file_does_not_have(rng, layout):
    """A config.json of a petabyte over tensors of a few bytes: refused before anything is allocated."""
    tensors = stored(layout, *drawn(rng, 16, 64, 32))
    for size in (32, -1, 1 << 24):
        with pytest.raises(Misfit, match="expected float16 or bfloat16 or float32 of"):
            read(layout, tensors, (1 << 24, 1 << 24), group_size=size)


def test_shapes_that_do_not_divide_are_named():
    with pytest.raises(Misfit, match="expected multiples of 8"):
        read_gptq({}, (12, 8), GPTQ)
    with pytest.raises(Misfit, match="expected a multiple of 8 outputs"):
        read_awq({}, (12, 7), AWQ)


SHARED_PATH = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def whole(plain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed")
    for layout in ("gptq", "awq"):
        quantized(torch.Generator().manual_seed(0), plain, folder / layout, layout)
    return folder


@SHARED_PATH
@given(layout=st.sampled_from(["gptq", "awq"]), data=st.data())
def test_a_file_with_changes_loads_or_is_refused(whole, tmp_path, layout, data):
    folder = tmp_path / "changed"
    shutil.copytree(whole / layout, folder, dirs_exist_ok=True)
    change_bytes(folder / "model.safetensors", data)
    try:
        base = load_base(folder)
    except InputError:
        return  # any other exception is a defect
    assert base.decoder.config.layers == 1


KEYS = [*GPTQ, *AWQ, "checkpoint_format", "dynamic", "x"]
JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.integers())


@SHARED_PATH
@given(
    value=st.dictionaries(st.sampled_from(KEYS), JSON) | JSON,
    layout=st.sampled_from([GPTQ, AWQ]),
)
def test_settings_of_anything(whole, tmp_path, value, layout):
    folder = tmp_path / "changed"
    shutil.copytree(whole / layout["quant_method"], folder, dirs_exist_ok=True)
    set_config(folder, layout | value if isinstance(value, dict) else value)
    try:
        base = load_base(folder)
    except InputError:
        return
    assert base.decoder.config.layers == 1
