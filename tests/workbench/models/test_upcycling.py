"""A sparse base out of a dense one: equal to it at first, and read by transformers and llama.cpp."""

import json
from dataclasses import replace

import pytest
import torch
from ask_llamacpp import Llama
from follows import follows
from made_families import MODELS, bytes_tokenizer, make

from workbench.cli import main
from workbench.cli.upcycle import growth_in_words
from workbench.errors import InputError
from workbench.exporting import exporter
from workbench.exporting.exporter import export_model
from workbench.exporting.parity import NotTheSame
from workbench.exporting.sparse import same_as_dense
from workbench.exporting.texts import PROMPTS, RUNNING_TEXTS
from workbench.models.base import Base
from workbench.models.decoder import Decoder
from workbench.models.folder_config import read_config
from workbench.models.folder_tokenizer import read_json
from workbench.models.gguf_reader import load_gguf
from workbench.models.gguf_writer import write_gguf
from workbench.models.loaders import load_base
from workbench.models.safetensors_folder import _shards, read_weights
from workbench.models.upcycling import ROUTER_SIZE, upcycled
from workbench.models.writers import MODEL_FORMATS

TOKENS = [0, 5, 17, 3, 28, 9, 9, 1, 30, 4, 22, 11, 7, 7, 2]


@pytest.fixture(scope="module")
def dense(transformers, tmp_path_factory, put_tokenizer):
    """A function (name of a model) -> a dense base as a folder; each made once."""
    kept = {}

    def give(name):
        if name not in kept:
            kept[name] = tmp_path_factory.mktemp("dense")
            make(transformers, *MODELS[name], kept[name])
            put_tokenizer(kept[name])
        return kept[name]

    return give


@pytest.fixture(autouse=True)
def few_texts(monkeypatch):
    """Compare what is written on a few texts."""
    monkeypatch.setattr(exporter, "PROMPTS", PROMPTS[:2])
    monkeypatch.setattr(exporter, "RUNNING_TEXTS", RUNNING_TEXTS[:1])


@pytest.fixture(scope="module")
def dense_gguf(transformers, tmp_path_factory):
    """A dense base with a tokenizer of bytes, as a GGUF."""
    folder, tokenizer = tmp_path_factory.mktemp("dense"), bytes_tokenizer()
    make(transformers, *MODELS["llama 3.1"], folder, vocab_size=tokenizer.vocabulary, intermediate_size=64)
    config, tied, _ = read_config(folder, read_json(folder / "config.json"))
    path = folder / "dense.gguf"
    write_gguf(
        path, config, read_weights(folder, _shards(folder), config, tied), tokenizer, name="d", licence=None
    )
    return path


@pytest.mark.parametrize("name", ["llama", "llama 3.1", "llama, yarn", "mistral"])
@pytest.mark.parametrize(("experts", "used"), [(2, 1), (4, 1), (5, 3)])
def test_it_is_equal_at_first(dense, logits, name, experts, used):
    base = load_base(dense(name))
    sparse = upcycled(base, experts, used=used, seed=3)
    ours, theirs = logits(sparse, TOKENS), logits(base, TOKENS)
    assert theirs.std() > 0.2
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_it_is_shown_to_be_equal_on_texts(dense_gguf):
    base = load_gguf(dense_gguf, "dense")
    found = same_as_dense(base, upcycled(base, 3))
    assert found.kl < 1e-9
    assert found.agreement == 1


def test_a_router_is_small_random_and_its_seed_s(dense):
    base = load_base(dense("llama"))
    one, again, other = (upcycled(base, 8, seed=seed).decoder.weights for seed in (0, 0, 1))
    routers = [name for name in one if name.endswith("router")]
    assert len(routers) == base.decoder.config.layers
    assert len({one[name].sum().item() for name in routers}) == len(routers)
    for name in routers:
        assert torch.equal(one[name], again[name])
        assert not torch.equal(one[name], other[name])
    together = torch.cat([one[name] for name in routers])
    assert float(together.std()) == pytest.approx(ROUTER_SIZE, rel=0.1)
    assert float(together.mean().abs()) < 0.002


def test_weights_grow_and_those_of_a_token_do_not(dense):
    """Counted here from the shapes of a LLaMA: 3 x 32 x 48 a network, 32 a row of a router, 4 blocks."""
    base = load_base(dense("llama"))
    for experts in (2, 4, 8):
        sparse = upcycled(base, experts)
        more, routers = 4 * (experts - 1) * 3 * 32 * 48, 4 * 32 * experts
        assert sparse.parameters == base.parameters + more + routers
        said = growth_in_words(base, sparse)
        assert f"{base.parameters + routers:,} ({routers / base.parameters:+.2%})" in said


def test_the_written_folder_is_a_mixtral_to_transformers(dense, transformers, tmp_path, logits):
    base = load_base(dense("llama 3.1"))
    sparse = upcycled(base, 3, used=2)
    made = export_model(sparse, tmp_path / "sparse", "safetensors-f32", description="three experts")
    assert made.written.kl < 1e-12
    assert "three experts" in (tmp_path / "sparse" / "README.md").read_text()
    settings = json.loads((tmp_path / "sparse" / "config.json").read_text())
    assert (settings["model_type"], settings["num_local_experts"]) == ("mixtral", 3)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "sparse", dtype=torch.float32, attn_implementation="eager"
    ).eval()
    assert type(model).__name__ == "MixtralForCausalLM"
    with torch.no_grad():
        theirs = model(torch.tensor([TOKENS])).logits[0]
    torch.testing.assert_close(logits(base, TOKENS), theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("format", "used", "allowed"),
    [
        ("f32", 1, 0.03),
        ("f32", 2, 0.03),
        pytest.param("q8_0", 1, 0.2, id="q8_0: llama.cpp rounds activations, too"),
    ],
)
def test_the_written_gguf_means_the_same_to_llama_cpp(dense_gguf, tmp_path, logits, format, used, allowed):
    """Experts made different first, so that it matters which one a token goes through."""
    base = load_gguf(dense_gguf, "dense")
    sparse = upcycled(base, 4, used=used)
    chance = torch.Generator().manual_seed(5)
    weights = {
        name: weight
        + (0.1 if "expert" in name else 1.0 if name.endswith("router") else 0.0)
        * torch.randn(weight.shape, generator=chance)
        for name, weight in sparse.decoder.weights.items()
    }
    sparse = replace(sparse, decoder=Decoder(sparse.decoder.config, weights))
    path = tmp_path / "sparse.gguf"
    made = export_model(sparse, path, format)
    assert made.instead == {}
    again = load_gguf(path, "sparse")
    assert again.decoder.weights["layers.0.router"].dtype == torch.float32
    texts = ([(37 * place + shift) % 200 for place in range(24)] for shift in range(99))
    tokens = next(one for one in texts if logits(again, one)[-1].argmax() < 94)
    expected = logits(again, tokens)[-1].log_softmax(-1)
    assert float((expected - logits(base, tokens)[-1].log_softmax(-1)).abs().max()) > 0.1
    oracle = Llama(path).top(tokens, 50)
    worst = max(abs(float(expected[token]) - value) for token, value in oracle.items())
    assert worst < allowed, f"{worst:.4f} nats"


def test_a_sparse_base_that_says_something_else_is_refused(dense):
    base = load_base(dense("llama"))
    sparse = upcycled(base, 2)
    sparse.decoder.weights["layers.1.router"].mul_(1.0)
    weights = dict(sparse.decoder.weights)
    weights["layers.1.expert0_up_proj"] = 1.01 * weights["layers.1.expert0_up_proj"]
    changed = replace(sparse, decoder=Decoder(sparse.decoder.config, weights))
    with pytest.raises(NotTheSame, match="the sparse base doesn't say what the dense one says"):
        same_as_dense(base, changed)


@follows(
    "give the dense base that it was made from",
    "which a base of the family",
    "such as --experts 4",
    "such as --used 1",
)
@pytest.mark.parametrize(
    ("name", "experts", "used", "says"),
    [
        ("mixtral", 4, 1, "has 4 experts in a block already"),
        ("qwen2", 4, 1, "is of the family 'qwen2', and experts are known"),
        ("llama with biases", 4, 1, "biases in down_proj, gate_proj, up_proj"),
        ("llama", 1, 1, "experts is 1; a block can have 2 to 512"),
        ("llama", 513, 1, "experts is 513; a block can have 2 to 512"),
        ("llama", 4, 0, "used is 0; a token goes through 1 to 4"),
        ("llama", 4, 5, "used is 5; a token goes through 1 to 4"),
    ],
)
def test_what_can_not_be_made_is_refused(dense, name, experts, used, says):
    with pytest.raises(InputError, match=says):
        upcycled(load_base(dense(name)), experts, used=used)
    assert isinstance(upcycled(load_base(dense("llama")), 4, used=1), Base)


def test_the_command_writes_a_base_and_says_what_it_is(dense_gguf, tmp_path, capsys):
    out = tmp_path / "sparse.gguf"
    assert main(["upcycle", str(dense_gguf), "--experts", "3", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "3 experts in each of 4 blocks, 1 for a token" in said
    assert "the same as the dense base: KL" in said
    assert load_base(out).decoder.config.experts == 3
    assert b"3 experts in each block, 1 for a token, out of" in out.read_bytes()[:4000]
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--experts", "1"], "experts is 1"),
        (["--format", "q5_9"], "unknown format 'q5_9'"),
        (["--steps", "-1"], "--steps is -1"),
        (["--balance", "0.1"], "--balance is for training, and no steps are asked for"),
        (["--steps", "1", "--matrix-rate", "nan"], "--matrix-rate is nan"),
        (["--steps", "1"], "can't be trained here: the words are written in the classroom's characters"),
    ],
)
def test_the_command_refuses_and_writes_nothing(dense_gguf, tmp_path, capsys, options, says):
    assert main(["upcycle", str(dense_gguf), "--out", str(tmp_path / "s.gguf"), *options]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_place_that_is_taken_is_refused_before_anything_is_made(dense_gguf, tmp_path, capsys):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    assert main(["upcycle", "no such base", "--out", str(tmp_path / "there")]) == 2
    assert "there is there already" in capsys.readouterr().err


@pytest.mark.parametrize("format", ["bf16", "q4_0", "safetensors"])
def test_other_formats_hold_experts(dense_gguf, tmp_path, format):
    sparse = upcycled(load_gguf(dense_gguf, "dense"), 2)
    out = tmp_path / ("sparse" if MODEL_FORMATS[format].is_folder else "sparse.gguf")
    assert export_model(sparse, out, format).written.kl < 0.1
    assert load_base(out).decoder.config.experts == 2
