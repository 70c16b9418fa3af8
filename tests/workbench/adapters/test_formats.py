"""Every format of adapter files: round trips, recognition, and files that are broken or hostile."""

import errno
import json
import os
import pickle
import struct
from dataclasses import replace

import pytest
import torch
from follows import follows
from random_adapters import random_adapter
from safetensors.torch import save, save_file

from workbench.adapters.adapter import LoraAdapter
from workbench.adapters.formats import ADAPTER_FORMATS, format_of, load_adapter, save_adapter
from workbench.adapters.formats.peft import CONFIG, PICKLED, WEIGHTS, peft_name
from workbench.adapters.formats.tensor_file import tensor_bytes
from workbench.errors import InputError
from workbench.models.loaders import load_base


def image_adapter(names, **fields) -> LoraAdapter:
    generator = torch.Generator().manual_seed(5)
    tensors = {}
    for place, name in enumerate(names):
        window = (3, 3) if place % 2 else ()
        one = (1, 1) if window else ()
        tensors[f"{name}.lora_A"] = torch.randn(3, 5, *window, generator=generator)
        tensors[f"{name}.lora_B"] = torch.randn(7, 3, *one, generator=generator)
    return LoraAdapter(
        name="picture", base="not stated", rank=3, **{"alpha": 3.0, "tensors": tensors, **fields}
    )


def made(format, config) -> LoraAdapter:
    """Return an adapter that this format can hold whole."""
    match format:
        case "peft":
            return random_adapter(config, ranks={"layers.1.v_proj": 6}, alphas={"layers.0.q_proj": 2.0})
        case "gguf":
            return random_adapter(config, heads=(config.heads, config.kv_heads))
        case "kohya":
            names = ("lora_unet_down_blocks_0_to_q", "lora_te_text_model_fc1", "lora_unet_mid_conv")
            return image_adapter(
                names, alphas={names[0]: 1.0}, facts={"ss_output_name": 'a "name"', "ss_dim": "3"}
            )
        case "cloneofsimo":
            names = ("unet:0", "unet:1", "unet:10", "text_encoder:2")
            return image_adapter(
                names, extras={"<s1>": torch.ones(4)}, facts={"unet": '["Attention"]', "<s1>": "<embed>"}
            )
    raise AssertionError(f"give an adapter that {format} can hold")


def written(format, config, folder):
    path = folder / f"adapter{ADAPTER_FORMATS[format].suffix}"
    save_adapter(made(format, config), path, format)
    return path


def files_of(path):
    return sorted(path.iterdir()) if path.is_dir() else [path]


each_format = pytest.mark.parametrize("format", ADAPTER_FORMATS)


@each_format
def test_what_is_written_is_recognised_and_read_back_the_same(format, tiny_config, tmp_path):
    adapter, path = made(format, tiny_config), written(format, tiny_config, tmp_path)
    assert format_of(path) == format
    again = load_adapter(path)
    assert again.layers == adapter.layers
    for mine, found in ((adapter.tensors, again.tensors), (adapter.extras, again.extras)):
        assert set(mine) == set(found)
        assert all(torch.equal(mine[name], found[name]) for name in mine)
    for layer in adapter.layers:
        assert again.scale(layer) == pytest.approx(adapter.scale(layer), rel=1e-7)
    assert {**again.facts} == {**adapter.facts}
    assert "rank" in repr(again)


@each_format
def test_the_same_adapter_gives_the_same_bytes(format, tiny_config, tmp_path):
    first, adapter = written(format, tiny_config, tmp_path / "1"), made(format, tiny_config)
    turned = {name: dict(reversed(getattr(adapter, name).items())) for name in ("tensors", "facts", "extras")}
    shuffled = replace(adapter, **turned)
    second = tmp_path / "2" / first.name
    save_adapter(shuffled, second, format)
    for one, two in zip(files_of(first), files_of(second), strict=True):
        assert one.read_bytes() == two.read_bytes()


@each_format
def test_a_file_that_is_cut_off_anywhere_is_refused_in_a_sentence(format, tiny_config, tmp_path):
    path = written(format, tiny_config, tmp_path)
    for file in files_of(path):
        whole = file.read_bytes()
        for share in (0, 0.001, 0.01, 0.3, 0.99):
            file.write_bytes(whole[: int(share * len(whole))])
            with pytest.raises(InputError, match=r"damaged|cut off|is no adapter|more than the remaining"):
                load_adapter(path)
        file.write_bytes(whole)


@each_format
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(format, number, tiny_config, tmp_path):
    adapter = made(format, tiny_config)
    name = next(iter(adapter.tensors))
    broken = adapter.tensors[name].clone()
    broken.view(-1)[2] = number
    path = tmp_path / f"broken{ADAPTER_FORMATS[format].suffix}"
    save_adapter(replace(adapter, tensors={**adapter.tensors, name: broken}), path, format)
    with pytest.raises(InputError, match=rf"holds {number} at place 2; expected finite numbers"):
        load_adapter(path)


@each_format
def test_a_full_disk_leaves_what_was_there(format, tiny_config, tmp_path, monkeypatch):
    path = written(format, tiny_config, tmp_path / "out")
    before = {file: file.read_bytes() for file in files_of(path)}

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    again = path if path.is_file() else path.with_name("other")
    with pytest.raises(InputError, match=r"could not write .*: No space left on device.*free some space"):
        save_adapter(made(format, tiny_config), again, format)
    assert {file: file.read_bytes() for file in files_of(path)} == before
    assert sorted(path.parent.iterdir()) == [path]


@follows("is there already; choose another folder, or move it away")
def test_a_folder_that_is_there_is_never_written_into(tiny_config, tmp_path):
    adapter = made("peft", tiny_config)
    (tmp_path / "mine").mkdir()
    save_adapter(adapter, tmp_path / "mine")  # an empty one may be
    with pytest.raises(InputError, match="is there already; choose another folder, or move it away"):
        save_adapter(adapter, tmp_path / "mine")
    (tmp_path / "mine").rename(tmp_path / "away")
    save_adapter(adapter, tmp_path / "mine")


@follows("whose layers PEFT names otherwise; write it in the format", "dialect has no name for; write it in")
@each_format
def test_an_adapter_that_a_format_cannot_hold_is_refused_by_what_it_cannot(format, tiny_config, tmp_path):
    other = "kohya" if format in ("peft", "gguf", "cloneofsimo") else "peft"
    path = tmp_path / f"out{ADAPTER_FORMATS[format].suffix}"
    with pytest.raises(InputError, match=r"image model|has no name for"):
        save_adapter(made(other, tiny_config), path, format)
    assert not path.exists()
    save_adapter(made(other, tiny_config), path, other)


def test_an_unknown_format_is_refused(tiny_config, tmp_path):
    with pytest.raises(InputError, match=r"unknown format of adapters 'pfet'. Did you mean 'peft'"):
        save_adapter(made("peft", tiny_config), tmp_path / "out", "pfet")


class Opened:
    """A pickle that would leave a mark if it were opened."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return (os.mkdir, (self.mark,))


def test_a_pickle_is_never_opened(tiny_config, tmp_path):
    folder = written("peft", tiny_config, tmp_path)
    (folder / WEIGHTS).unlink()
    (folder / PICKLED).write_bytes(pickle.dumps(Opened(tmp_path / "mark")))
    torch.save({"a": torch.ones(1)}, folder / "renamed.safetensors")
    for path in (folder, folder / PICKLED, folder / CONFIG, folder / "renamed.safetensors"):
        with pytest.raises(
            InputError, match=r"is a pickle: .*wasn't opened. Save the adapter as safetensors"
        ):
            load_adapter(path)
    assert not (tmp_path / "mark").exists()


@follows("has PEFT's tensors and not PEFT's name")
def test_a_file_of_another_name_is_never_read_with_a_neighbours_settings(tiny_config, tmp_path):
    folder = written("peft", tiny_config, tmp_path)
    other = folder / "other.safetensors"
    (folder / WEIGHTS).rename(other)
    with pytest.raises(InputError, match=r"rename it adapter_model\.safetensors and put it beside"):
        load_adapter(other)
    other.rename(folder / WEIGHTS)
    load_adapter(folder / WEIGHTS)


def test_a_header_as_long_as_a_pickle_begins_is_no_pickle(tmp_path):
    """The first byte of a safetensors file is the end of its header's length: 128 is how pickles begin."""
    tensors = {"unet:0:down": torch.ones(1, 3), "unet:0:up": torch.ones(2, 1)}
    found = (save(tensors, {"unet": "x" * length}) for length in range(256))
    path = tmp_path / "a.safetensors"
    path.write_bytes(next(data for data in found if data[0] == 0x80))
    assert load_adapter(path).layers == ("unet:0",)


def test_a_file_of_a_folder_names_the_adapter(tiny_config, tmp_path):
    folder = written("peft", tiny_config, tmp_path)
    for path in (folder / WEIGHTS, folder / CONFIG):
        assert load_adapter(path).layers == load_adapter(folder).layers


@follows("is no adapter: none of its {len(names)} tensors is a LoRA weight")
def test_what_is_no_adapter_is_refused(tiny_config, tmp_path):
    save_file({"model.norm.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="is no adapter: none of its 1 tensors is a LoRA weight"):
        load_adapter(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"could not read .*nothing: No such file"):
        load_adapter(tmp_path / "nothing")
    for format in ("peft", "gguf", "kohya"):
        load_adapter(written(format, tiny_config, tmp_path))


HALF = torch.ones(4, 32, dtype=torch.int8)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lora_B": torch.ones(32, 5)}, r"lora_B is float32 of shape \(32, 5\); expected a matrix of rank 4"),
        ({"lora_A": torch.ones(4)}, r"lora_A is float32 of shape \(4,\); expected a matrix of rank 4"),
        ({"lora_A": HALF}, r"lora_A\.weight is int8; expected float32"),
        ({"lora_A": None}, "layers.0.q_proj has no lora_A"),
        ({"lora_A": torch.ones(0, 32)}, r"has the shape \(0, 32\) and holds nothing"),
    ],
)
def test_matrices_that_disagree_are_refused(tiny_config, tmp_path, changes, said):
    folder = written("peft", tiny_config, tmp_path)
    adapter = made("peft", tiny_config)
    tensors = adapter.tensors | {f"layers.0.q_proj.{half}": value for half, value in changes.items()}
    named = {peft_name(name): value for name, value in tensors.items() if value is not None}
    (folder / WEIGHTS).write_bytes(save(named))
    with pytest.raises(InputError, match=said):
        load_adapter(folder)


@pytest.mark.parametrize(
    "name",
    [
        "base_model.model.lm_head.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.base_layer.bias",
        "base_model.model.model.embed_tokens.lora_embedding_A",
        "base_model.model.model.layers.0.mlp.q_proj.lora_A.weight",
        f"base_model.model.model.layers.{'9' * 5000}.self_attn.q_proj.lora_A.weight",
    ],
)
def test_a_tensor_of_another_place_is_refused_by_name(tiny_config, tmp_path, name):
    """A whole head (modules_to_save), a bias, an embedding, a wrong part of a block, an absurd block."""
    folder = written("peft", tiny_config, tmp_path)
    named = {peft_name(key): value for key, value in made("peft", tiny_config).tensors.items()}
    (folder / WEIGHTS).write_bytes(save({**named, name: torch.ones(2, 2)}))
    with pytest.raises(InputError) as refused:
        load_adapter(folder)
    assert f"has a tensor {name[:200]!r}, which is no LoRA weight of this decoder" in str(refused.value)


def test_a_header_that_declares_more_than_there_is_allocates_nothing(tmp_path):
    header = json.dumps(
        {"unet:0:down": {"dtype": "F32", "shape": [1 << 40, 8], "data_offsets": [0, 1 << 45]}}
    )
    path = tmp_path / "huge.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode())
    with pytest.raises(InputError, match="is damaged"):
        load_adapter(path)
    path.write_bytes(struct.pack("<Q", 1 << 60) + header.encode())
    with pytest.raises(InputError, match="is damaged"):
        load_adapter(path)


def test_our_file_is_the_librarys(tiny_config):
    tensors = dict(made("peft", tiny_config).tensors)
    tensors["half"] = torch.ones(3, dtype=torch.float16)
    tensors["brain"] = torch.ones(2, 2, dtype=torch.bfloat16)
    tensors["turned"] = torch.arange(6.0).view(2, 3)
    assert tensor_bytes({**tensors, "turned": torch.arange(6.0).view(3, 2).T.contiguous().T}) != b""
    assert tensor_bytes(tensors, {"format": "pt"}) == save(tensors, {"format": "pt"})
    turned = {"a": torch.arange(6.0).view(3, 2).T}
    assert tensor_bytes(turned) == save({"a": turned["a"].contiguous()})


def test_another_bases_adapter_is_refused_where_a_base_is_given(tiny_config, tmp_path):
    base = load_base("classroom")
    save_adapter(made("peft", tiny_config), tmp_path / "tiny")
    with pytest.raises(InputError, match="take the base that the adapter was trained on"):
        load_adapter(tmp_path / "tiny", base)
    with pytest.raises(InputError, match="take the base that the adapter was trained on"):
        save_adapter(made("peft", tiny_config), tmp_path / "out", base=base)
    config = base.decoder.config
    save_adapter(random_adapter(config), tmp_path / "own", base=base)
    own = load_adapter(tmp_path / "own", base)
    assert (own.base_sha256, own.heads) == (base.sha256, (config.heads, config.kv_heads))
    save_adapter(random_adapter(config, base_sha256="0" * 64), tmp_path / "wrong")
    with pytest.raises(InputError, match="its layers fit, its numbers don't"):
        load_adapter(tmp_path / "wrong", base)
    with pytest.raises(InputError, match="its layers fit, its numbers don't"):
        save_adapter(load_adapter(tmp_path / "wrong"), tmp_path / "again", base=base)
    assert not (tmp_path / "again").exists()
