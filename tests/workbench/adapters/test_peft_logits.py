"""The outside oracle for adapters: PEFT on a model of transformers gives our logits, whatever the kind.

Both directions: what PEFT saved is read here, what is written here is read by PEFT, and the files' tensors
are the same bytes. The model is small and random; one in use would differ in size alone.
"""

import json
import re

import pytest
import torch
from random_adapters import random_adapter

from workbench.adapters.formats import load_adapter, save_adapter
from workbench.adapters.formats.peft import CONFIG, WEIGHTS, peft_module
from workbench.adapters.formats.peft_settings import (
    HARMLESS,
    REFUSED,
    USED,
    alpha_of,
    is_adapted,
    rank_of,
)
from workbench.config import LINEARS
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import DecoderConfig
from workbench.models.safetensors_folder import huggingface_name

pytestmark = pytest.mark.slow  # transformers and PEFT take long to import, the rest is quick

CONFIG_OF = DecoderConfig(
    vocabulary=60, width=32, layers=3, heads=4, kv_heads=2, head_size=8, feed_forward=48
)
TOKENS = [7, 33, 1, 59, 12, 12, 40, 3, 25, 58, 0, 17]
KINDS = {
    "LoRA": {},
    "rsLoRA": {"use_rslora": True},
    "DoRA": {"use_dora": True},
    "rsLoRA and DoRA": {"use_rslora": True, "use_dora": True, "rank_pattern": {"k_proj": 3}},
    "patterns of ranks and alphas": {
        "rank_pattern": {"q_proj": 2, r"model\.layers\.1\..*v_proj": 7},
        "alpha_pattern": {"layers.2.mlp.up_proj": 3, "layers.1": 20, r".*[02].*o_proj": 1},
    },
    "some layers": {"layers_to_transform": [0, 2]},
    "one layer, by a pattern": {"layers_to_transform": 1, "layers_pattern": "layers"},
    "a regex": {"target_modules": r".*layers\.(1\.self_attn\.q_proj|[12]\.mlp\.down_proj)"},
    "all linear layers": {"target_modules": "all-linear", "exclude_modules": ["o_proj"]},
}


@pytest.fixture(scope="module")
def peft():
    return pytest.importorskip("peft")


@pytest.fixture(scope="module")
def decoder():
    generator = torch.Generator().manual_seed(0)

    def weight(shape):
        values = torch.randn(shape, generator=generator)
        return 1 + 0.1 * values if len(shape) == 1 else values / shape[-1] ** 0.5

    return Decoder(CONFIG_OF, {name: weight(shape) for name, shape in CONFIG_OF.shapes(tied=False).items()})


@pytest.fixture
def model(decoder):
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=CONFIG_OF.vocabulary,
        hidden_size=CONFIG_OF.width,
        intermediate_size=CONFIG_OF.feed_forward,
        num_hidden_layers=CONFIG_OF.layers,
        num_attention_heads=CONFIG_OF.heads,
        num_key_value_heads=CONFIG_OF.kv_heads,
        head_dim=CONFIG_OF.head_size,
        rms_norm_eps=CONFIG_OF.norm_epsilon,
        rope_parameters={"rope_type": "default", "rope_theta": CONFIG_OF.rope_base},
        tie_word_embeddings=False,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    model.load_state_dict({huggingface_name(name): decoder.weight(name) for name in decoder.weights})
    return model


@torch.no_grad()
def theirs(model):
    return model(torch.tensor([TOKENS])).logits[0]


@torch.no_grad()
def ours(decoder, adapters=None):
    batch = Pool([Example(tuple(TOKENS), 1)]).batch([[0]])
    return decoder.head(decoder(batch, adapters).flatten(0, 1))[: len(TOKENS)]


def merged(decoder, adapter):
    weights = {
        name: adapter.changed(name, weight) if name in adapter.layers else weight
        for name, weight in decoder.weights.items()
    }
    return Decoder(CONFIG_OF, weights)


def trained(peft, model, settings):
    """Return a model of PEFT whose adapter does something."""
    torch.manual_seed(1)
    targets = {"r": 4, "lora_alpha": 6, "target_modules": [*LINEARS]}
    with_adapter = peft.get_peft_model(model, peft.LoraConfig(**{**targets, **settings})).eval()
    for name, weight in with_adapter.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(0, 0.2)
        if "magnitude" in name:
            weight.data.mul_(0.7 + 0.6 * torch.rand_like(weight))
    return with_adapter


@pytest.mark.parametrize("kind", KINDS)
def test_what_peft_saved_gives_its_logits_and_goes_back_the_same(peft, model, decoder, tmp_path, kind):
    with_adapter = trained(peft, model, KINDS[kind])
    expected = theirs(with_adapter)
    with_adapter.save_pretrained(tmp_path / "theirs")
    adapter = load_adapter(tmp_path / "theirs")
    assert (expected - ours(decoder)).abs().max() > 0.1, "the adapter does something"
    torch.testing.assert_close(ours(merged(decoder, adapter)), expected, rtol=0, atol=1e-5)
    carried = adapter.for_decoder(decoder.weight)
    torch.testing.assert_close(ours(decoder, carried), expected, rtol=0, atol=1e-5)
    save_adapter(adapter, tmp_path / "again")
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (tmp_path / "theirs" / WEIGHTS).read_bytes()


MADE = {
    "LoRA": {},
    "rsLoRA": {"rslora": True},
    "DoRA": {"dora": True},
    "own ranks and alphas": {
        "ranks": {"layers.1.v_proj": 9, "layers.0.up_proj": 2},
        "alphas": {"layers.1.v_proj": 2.5},
    },
    "some layers": {"leaves": ("k_proj", "gate_proj"), "blocks": (0, 2)},
    "a hash": {"base_sha256": "a" * 64},
}


@pytest.mark.parametrize("kind", MADE)
def test_what_we_write_gives_peft_our_logits_and_comes_back(peft, model, decoder, tmp_path, kind):
    adapter = random_adapter(CONFIG_OF, size=0.2, **MADE[kind])
    save_adapter(adapter, tmp_path / "ours")
    with_adapter = peft.PeftModel.from_pretrained(model, tmp_path / "ours").eval()
    torch.testing.assert_close(ours(merged(decoder, adapter)), theirs(with_adapter), rtol=0, atol=1e-5)
    with_adapter.save_pretrained(tmp_path / "theirs")
    again = load_adapter(tmp_path / "theirs")
    assert set(again.tensors) == set(adapter.tensors)
    assert all(torch.equal(again.tensors[name], adapter.tensors[name]) for name in adapter.tensors)
    assert [again.scale(layer) for layer in again.layers] == [
        adapter.scale(layer) for layer in adapter.layers
    ]


def test_some_layers_of_a_block_are_no_others_in_peft(peft, model, tmp_path):
    """Layers that are no full grid are named one by one; PEFT adapts these and no more."""
    whole = random_adapter(CONFIG_OF)
    kept = ("layers.0.q_proj", "layers.2.q_proj", "layers.2.down_proj")
    tensors = {name: value for name, value in whole.tensors.items() if name.startswith(kept)}
    save_adapter(type(whole)(name="", base="", rank=4, alpha=6.0, tensors=tensors), tmp_path / "some")
    with_adapter = peft.PeftModel.from_pretrained(model, tmp_path / "some")
    found = {
        re.sub(r"base_model\.model\.", "", name)
        for name, module in with_adapter.named_modules()
        if hasattr(module, "lora_A")
    }
    assert found == {peft_module(layer) for layer in kept}


@pytest.mark.parametrize("kind", KINDS)
def test_patterns_are_matched_as_peft_does(peft, tmp_path, kind):
    from peft.tuners.tuners_utils import check_target_module_exists
    from peft.utils.other import get_pattern_key

    settings = {"r": 4, "lora_alpha": 6, "target_modules": [*LINEARS]} | KINDS[kind]
    config = peft.LoraConfig(**settings)
    for block in range(12):
        for leaf in LINEARS:
            module = peft_module(f"layers.{block}.{leaf}")
            if settings["target_modules"] != "all-linear":
                expected = bool(check_target_module_exists(config, module))
                assert is_adapted(tmp_path, settings, module) == expected, module
            for key, mine in (("rank_pattern", rank_of), ("alpha_pattern", alpha_of)):
                patterns = settings.get(key, {})
                default = settings["r" if key == "rank_pattern" else "lora_alpha"]
                found = patterns.get(get_pattern_key(patterns.keys(), module), default)
                assert mine(tmp_path, settings, module) == found, (module, key)


def test_every_setting_of_peft_is_used_harmless_or_refused(peft):
    known = set(json.loads(json.dumps(peft.LoraConfig().to_dict(), default=str)))
    assert known <= USED | HARMLESS | REFUSED
    assert len(USED | HARMLESS | REFUSED) == len(USED) + len(HARMLESS) + len(REFUSED)


def test_the_configuration_is_what_peft_reads(peft, tmp_path):
    save_adapter(random_adapter(CONFIG_OF, rslora=True), tmp_path / "ours")
    found = peft.PeftConfig.from_pretrained(tmp_path / "ours")
    assert (found.r, found.lora_alpha, found.use_rslora, found.use_dora) == (4, 6, True, False)
    assert json.loads((tmp_path / "ours" / CONFIG).read_bytes())["layers_to_transform"] == [0, 1, 2]
