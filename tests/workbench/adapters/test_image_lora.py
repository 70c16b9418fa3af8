"""LoRA files of image models: real ones that people published are read, added and written back the same."""

from pathlib import Path

import pytest
import torch
from follows import follows
from safetensors.torch import save, save_file

from workbench.adapters.formats import load_adapter, save_adapter
from workbench.adapters.ranks import numerical_rank, singular_values
from workbench.adapters.sums import combine
from workbench.errors import InputError
from workbench.models.loaders import load_base

REAL = Path(__file__).resolve().parents[4] / "shared" / "real" / "image_lora"
FILES = ("lora_disney.safetensors", "analog_svd_rank4.safetensors")


def real(name: str) -> Path:
    if not (REAL / name).exists():
        pytest.skip(
            f"{name} isn't beside the checkout, in shared/real/image_lora; it may not be copied into it"
        )
    return REAL / name


@pytest.mark.parametrize(("name", "rank", "tokens"), zip(FILES, (1, 4), (["<s1>", "<s2>"], []), strict=True))
def test_a_real_file_is_read_and_written_back_the_same_byte_for_byte(tmp_path, name, rank, tokens):
    adapter = load_adapter(real(name))
    assert (len(adapter.layers), list(adapter.extras)) == (192, tokens)
    assert {adapter.layer_rank(layer) for layer in adapter.layers} == {rank}
    assert {adapter.scale(layer) for layer in adapter.layers} == {1.0}
    save_adapter(adapter, tmp_path / name)
    assert (tmp_path / name).read_bytes() == real(name).read_bytes()


def test_two_real_adapters_add_up_to_rank_5_everywhere(tmp_path):
    disney, analog = (load_adapter(real(name)) for name in FILES)
    whole = combine([disney, analog], [0.5, 1.0])
    ranks = [numerical_rank(singular_values(whole, layer), whole.shapes[layer]) for layer in whole.layers]
    assert ranks == [5] * 192
    path = tmp_path / "sum.safetensors"
    save_adapter(whole, path)
    again = load_adapter(path)
    for layer in ("unet:0", "unet:100", "text_encoder:23"):
        expected = 0.5 * disney.change(layer) + analog.change(layer)
        torch.testing.assert_close(again.change(layer), expected, rtol=1e-4, atol=1e-6)
    assert list(again.extras) == ["<s1>", "<s2>"]
    assert set(again.facts) >= {"unet", "text_encoder", "<s1>"}


KOHYA = {
    "lora_unet_to_k.lora_down.weight": torch.tensor([[1.0, 2.0], [0.0, 1.0]]),
    "lora_unet_to_k.lora_up.weight": torch.tensor([[1.0, 0.0], [0.0, 4.0], [0.0, 0.0]]),
    "lora_unet_to_k.alpha": torch.tensor(1.0),
}


def test_kohyas_scale_is_alpha_over_rank(tmp_path):
    save_file(KOHYA, path := tmp_path / "k.safetensors", {"ss_network_module": "networks.lora"})
    adapter = load_adapter(path)
    assert adapter.change("lora_unet_to_k").tolist() == [[0.5, 1.0], [0.0, 2.0], [0.0, 0.0]]
    save_adapter(adapter, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    without = {name: value for name, value in KOHYA.items() if "alpha" not in name}
    path.write_bytes(save(without))
    assert load_adapter(path).scale("lora_unet_to_k") == 1.0


def test_a_convolutions_window_is_laid_flat(tmp_path):
    down, up = torch.randn(2, 3, 3, 3), torch.randn(5, 2, 1, 1)
    save_file(
        {"lora_c.lora_down.weight": down, "lora_c.lora_up.weight": up}, path := tmp_path / "c.safetensors"
    )
    adapter = load_adapter(path)
    x = torch.randn(1, 3, 6, 6)
    expected = torch.conv2d(torch.conv2d(x, down), up)
    whole = adapter.change("lora_c").view(5, 3, 3, 3)
    torch.testing.assert_close(torch.conv2d(x, whole), expected, rtol=1e-4, atol=1e-5)
    twice = combine([adapter, adapter], (1, 1))
    torch.testing.assert_close(twice.change("lora_c"), 2 * adapter.change("lora_c"))
    near = combine([adapter, adapter], (1, 1), "svd")
    torch.testing.assert_close(near.change("lora_c"), 2 * adapter.change("lora_c"), rtol=1e-4, atol=1e-5)
    assert near.tensors["lora_c.lora_A"].shape == (2, 3, 3, 3)


@follows("which is no plain LoRA weight")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lora_unet_to_k.alpha": torch.tensor(-1.0)}, "expected a number above 0"),
        ({"lora_unet_to_k.dora_scale": torch.ones(3)}, r"dora_scale', which is no plain LoRA weight"),
        ({"lora_unet_to_q.alpha": torch.tensor(1.0)}, "lora_unet_to_q has an alpha and no matrices"),
        ({"lora_unet_to_k.lora_up.weight": torch.ones(3, 1)}, r"A of shape \(2, 2\) and B of shape \(3, 1\)"),
        ({"lora_unet_to_q.lora_up.weight": torch.ones(3, 1)}, "A of shape None"),
    ],
)
def test_a_file_of_kohyas_that_is_no_lora_is_refused(tmp_path, changes, said):
    save_file(KOHYA | changes, path := tmp_path / "k.safetensors")
    with pytest.raises(InputError, match=said):
        load_adapter(path)
    save_file(KOHYA, path)
    load_adapter(path)


@follows("is an adapter of an image model, and {base.name} is a decoder; leave the base out")
def test_a_file_of_cloneofsimos_that_contradicts_itself_is_refused(tmp_path):
    tensors = {"unet:0:down": torch.ones(2, 3), "unet:0:up": torch.ones(4, 2)}
    save_file(tensors, path := tmp_path / "s.safetensors", {"unet:0:rank": "9"})
    with pytest.raises(InputError, match="its metadata says rank '9' for unet:0, whose matrices have rank 2"):
        load_adapter(path)
    save_file(tensors | {"token": torch.ones(3)}, path)
    with pytest.raises(InputError, match="a tensor 'token', which is neither a LoRA weight nor a token"):
        load_adapter(path)
    save_file(tensors, path)
    with pytest.raises(InputError, match="is an adapter of an image model, and classroom is a decoder"):
        load_adapter(path, load_base("classroom"))
    load_adapter(path)
