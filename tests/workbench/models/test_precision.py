"""Precision of the frozen products: what is chosen, what is kept apart, and what it does to the numbers."""

import re

import pytest
import torch
from follows import follows

from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.models import precision as precision_module
from workbench.models.decoder import SAME_INPUT, Decoder
from workbench.models.loaders import load_base
from workbench.models.precision import INT8_ERROR, bytes_are_exact, choose_precision
from workbench.training.loop import freeze, step_gradient


def weights_of(decoder, config):
    return {name: decoder.weight(name).clone() for name in config.shapes()}


def test_auto_leaves_small_bases_alone_and_takes_what_the_processor_has(monkeypatch):
    assert choose_precision("auto", 128)[0] == "float32"
    has = {"_is_avx512_bf16_supported": True, "_is_amx_tile_supported": False}
    for name in has:
        monkeypatch.setattr(torch.cpu, name, lambda name=name: has[name])
    assert choose_precision("auto", 576)[0] == "bfloat16"
    has["_is_avx512_bf16_supported"] = False
    assert choose_precision("auto", 576)[0] == "float32"
    assert choose_precision("bfloat16", 128) == ("bfloat16", "asked for")


@follows("choose --precision bfloat16 or --precision float32")
def test_a_precision_that_would_be_wrong_is_refused(monkeypatch):
    with pytest.raises(InputError, match="unknown precision 'int4'"):
        choose_precision("int4", 576)
    monkeypatch.setattr(precision_module, "bytes_are_exact", lambda: False)
    with pytest.raises(InputError) as caught:
        choose_precision("int8", 576)
    ways = re.findall(r"--precision (\w+)", str(caught.value))
    assert [choose_precision(way, 576)[0] for way in ways] == ["bfloat16", "float32"]


GPU = torch.device("cuda")


def on_card(monkeypatch, generation, hip=None):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: generation)
    monkeypatch.setattr(torch.version, "hip", hip)


def test_a_gpu_gets_the_16_bits_that_its_matrix_units_take(monkeypatch):
    for generation, expected in (((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")):
        on_card(monkeypatch, generation)
        assert choose_precision("auto", 576, GPU)[0] == expected
        assert choose_precision("auto", 128, GPU)[0] == "float32", "small bases stay exact there too"
        assert choose_precision("float32", 576, GPU) == ("float32", "asked for")
    on_card(monkeypatch, (0, 0), hip="6.4")
    assert choose_precision("auto", 576, GPU)[0] == "bfloat16"


@follows("this GPU's matrix units don't take it; choose --precision float16")
@follows("precision int8: that product is for processors; on a GPU choose --precision ")
@follows("processors multiply it slowly, it is for GPUs; choose --precision bfloat16 ")
def test_a_precision_of_another_device_is_refused_with_one_that_does(monkeypatch):
    on_card(monkeypatch, (7, 5))
    for precision, device in (("bfloat16", GPU), ("int8", GPU), ("float16", torch.device("cpu"))):
        with pytest.raises(InputError) as caught:
            choose_precision(precision, 576, device)
        ways = re.findall(r"--precision (\w+)", str(caught.value))
        assert ways
        for way in ways:
            assert choose_precision(way, 576, device)[0] == way


def test_saturating_products_are_noticed(monkeypatch):
    bytes_are_exact.cache_clear()
    true_product = torch._int_mm
    monkeypatch.setattr(torch, "_int_mm", lambda x, w: true_product(x, w).clamp(-(2**15), 2**15 - 1))
    assert not bytes_are_exact()
    bytes_are_exact.cache_clear()


def test_the_probe_finds_planted_outliers(tiny_decoder, tiny_config):
    weights = weights_of(tiny_decoder, tiny_config)
    weights["layers.1.attention_norm"][5] = 300.0
    found = Decoder(tiny_config, weights).probe()
    assert set(found) == {name for name in weights if name.endswith("_proj")}
    assert 5 in found["layers.1.q_proj"].columns.tolist()
    assert 5 not in found["layers.0.q_proj"].columns.tolist()
    assert all(0 < one.error < 0.05 for one in found.values())


@pytest.mark.skipif(not bytes_are_exact(), reason="this processor can't multiply bytes exactly")
def test_layers_that_take_badly_to_bytes_are_multiplied_in_16_bits(tiny_decoder, tiny_config, monkeypatch):
    decoder = Decoder(tiny_config, weights_of(tiny_decoder, tiny_config), "int8")
    errors = {name: one.error for name, one in decoder.probe().items()}
    for name, precision in decoder.precisions.items():
        layer, leaf = name.rsplit(".", 1)
        together = [f"{layer}.{other}" for leaves in SAME_INPUT if leaf in leaves for other in leaves]
        coarse = any(errors[other] > INT8_ERROR for other in together)
        assert precision == ("bfloat16" if coarse else "int8")
        prepared = decoder.prepared[together[0]].parts[0]
        assert prepared.dtype == {"bfloat16": torch.bfloat16, "int8": torch.int8}[precision]
    assert decoder.head_weight().dtype == torch.bfloat16
    decoder.set_precision("float32")
    assert set(decoder.precisions.values()) == {"float32"}
    assert decoder.prepared["layers.0.q_proj"].parts[0].dtype == torch.float32


PRECISE = {"float32": 1e-6, "bfloat16": 0.02, "bfloat16-activations": 0.02, "int8": 0.02}
"""Largest relative error of a stack's gradient on the classroom base: products off by 0.4 to 0.9% each."""


@pytest.mark.parametrize("precision", PRECISE)
def test_losses_and_gradients_of_the_classroom_base(precision, tiny_pool):
    """Against float32, with a loss of some nats; and every cell as it is alone."""
    cells = [CellConfig(data="d", base="b", size=8, seed=seed, rank=4) for seed in (0, 1)]
    rows = [[0, 1, 2], [3, 4, 5]]
    results = {}
    for name in ("float32", precision):
        decoder = load_base("classroom", name).decoder
        stack = LoraStack(cells, decoder.config)
        stack.weights.data.add_(
            0.02 * torch.randn(stack.weights.shape, generator=torch.Generator().manual_seed(0))
        )
        frozen = freeze(decoder, tiny_pool, 0)
        results[name] = step_gradient(frozen, stack, rows)
        alone = step_gradient(frozen, stack.select([1]), rows[1:])
        # sums in another order turn some last digits: of float32, of 8 bits, or of bytes, where one step is
        # 1 / 127 of a row's largest number and that is some four times its root mean square
        digit = {"float32": 1e-5, "bfloat16": 2**-7, "bfloat16-activations": 2**-6, "int8": 2**-5}[name]
        torch.testing.assert_close(results[name][0][1], alone[0][0], rtol=digit, atol=0)
        assert (results[name][1][1] - alone[1][0]).norm() <= digit * alone[1].norm()
    (loss, gradient), (exact_loss, exact_gradient) = results[precision], results["float32"]
    torch.testing.assert_close(loss, exact_loss, rtol=PRECISE[precision], atol=0)
    assert (gradient - exact_gradient).norm() <= 5 * PRECISE[precision] * exact_gradient.norm()
