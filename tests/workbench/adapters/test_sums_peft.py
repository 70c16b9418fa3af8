"""The outside oracle for sums of adapters: PEFT's ``add_weighted_adapter``, each way to 1e-5."""

import pytest
import torch
from random_adapters import random_adapter

from workbench.adapters.formats import save_adapter
from workbench.adapters.formats.peft import peft_module
from workbench.adapters.sums import SUMS, combine
from workbench.config import LINEARS
from workbench.models.decoder_config import DecoderConfig

pytestmark = pytest.mark.slow  # transformers and PEFT take long to import, the rest is quick

CONFIG = DecoderConfig(vocabulary=20, width=32, layers=2, heads=4, kv_heads=2, head_size=8, feed_forward=48)
THEIR_NAMES = {"dare": "dare_linear"}


@pytest.fixture
def model():
    pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=20,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
    )
    return transformers.LlamaForCausalLM(config).eval()


ADAPTERS = {
    "three": ([{}, {"rslora": True}, {"alpha": 3.0}], (1.0, 0.5, -0.7)),
    "one lacks layers": ([{}, {"leaves": ("q_proj", "down_proj")}], (0.3, 1.5)),
    "ranks differ": ([{"rank": 2}, {"rank": 6}], (1.0, 2.0)),
}


def both(model, tmp_path, monkeypatch, fields, weights, how, **options):
    """Return our combination, and PEFT's change of each layer."""
    import peft

    adapters = [random_adapter(CONFIG, seed=seed, size=0.3, **one) for seed, one in enumerate(fields)]
    for place, adapter in enumerate(adapters):
        save_adapter(adapter, tmp_path / str(place))
    # the one with most layers first, so that PEFT finds all of them
    theirs = peft.PeftModel.from_pretrained(model, tmp_path / "0", adapter_name="0")
    for place in range(1, len(adapters)):
        theirs.load_adapter(tmp_path / str(place), adapter_name=str(place))
    ours = combine(adapters, weights, how, seed=11, **options)
    # the new adapter's first weights are drawn before what is dropped: the seed is set in between
    monkeypatch.setattr("peft.tuners.lora.model._freeze_adapter", lambda *_: torch.manual_seed(11))
    names = {"rank": "svd_rank", "density": "density"}
    theirs.base_model.add_weighted_adapter(
        [str(place) for place in range(len(adapters))],
        list(weights),
        "sum",
        combination_type=THEIR_NAMES.get(how, how),
        **{names[key]: value for key, value in options.items()},
    )
    found = {}
    for layer in ours.layers:
        module = theirs.get_submodule(f"base_model.model.{peft_module(layer)}")
        b, a = module.lora_B["sum"].weight, module.lora_A["sum"].weight
        found[layer] = (b @ a).detach()
    return ours, found


# neither side adds matrices of different ranks apart
WAYS = [
    (which, how) for which in ADAPTERS for how in SUMS if which != "ranks differ" or not SUMS[how].equal_ranks
]


@pytest.mark.parametrize(("which", "how"), WAYS)
def test_each_way_is_that_of_peft(model, tmp_path, monkeypatch, how, which):
    fields, weights = ADAPTERS[which]
    options = {"svd": {"rank": 5}, "ties": {"density": 0.4}, "dare": {"density": 0.6}}.get(how, {})
    ours, theirs = both(model, tmp_path, monkeypatch, fields, weights, how, **options)
    assert set(ours.layers) == {f"layers.{block}.{leaf}" for block in range(2) for leaf in LINEARS}
    for layer, expected in theirs.items():
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(ours.change(layer), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("how", ["linear", "ties", "dare"])
def test_the_halves_are_those_of_peft(model, tmp_path, monkeypatch, how):
    """Not only their product: which numbers were kept is the same draw."""
    options = {} if how == "linear" else {"density": 0.5}
    ours, _ = both(model, tmp_path, monkeypatch, [{}, {"alpha": 3.0}], (1.0, 0.5), how, **options)
    for layer in ours.layers:
        module = model.get_submodule(peft_module(layer))
        for half in ("lora_A", "lora_B"):
            expected = getattr(module, half)["sum"].weight.detach()
            torch.testing.assert_close(ours.tensors[f"{layer}.{half}"], expected, rtol=0, atol=1e-5)
