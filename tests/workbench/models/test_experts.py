"""Experts and their router: the fast way against the einsum, both against transformers, and hostile files."""

import json
import shutil

import gguf
import pytest
import torch
from follows import follows
from made_families import MODELS, bytes_tokenizer, make
from torch.nn import functional

from workbench.adapters.adapter import LoraAdapter
from workbench.adapters.fits import check_fits
from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.errors import InputError
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import DecoderConfig
from workbench.models.experts import (
    active_parameters,
    balance_loss,
    choose_experts,
    mixture,
    mixture_reference,
)
from workbench.models.folder_config import read_config
from workbench.models.folder_tokenizer import read_json
from workbench.models.gguf_reader import load_gguf
from workbench.models.gguf_writer import write_gguf
from workbench.models.loaders import load_base
from workbench.models.safetensors_folder import _shards, read_weights

TOKENS = [0, 5, 17, 3, 28, 9, 9, 1, 30, 4, 22, 11, 7, 7, 2]


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture(scope="module")
def sparse(transformers, tmp_path_factory, put_tokenizer):
    """A small Mixtral as a folder, and transformers' own; nobody may change them."""
    folder = tmp_path_factory.mktemp("sparse")
    model = make(transformers, *MODELS["mixtral"], folder)
    put_tokenizer(folder)
    return folder, model


@pytest.fixture(scope="module")
def sparse_gguf(sparse, tmp_path_factory):
    """The same as a GGUF, with a tokenizer of 40 bytes."""
    return as_gguf(sparse[0], tmp_path_factory.mktemp("gguf") / "sparse.gguf")


def as_gguf(folder, path):
    config, tied, _ = read_config(folder, read_json(folder / "config.json"))
    weights = read_weights(folder, _shards(folder), config, tied)
    tokenizer = bytes_tokenizer()
    for name in ("embedding", "head"):
        if name in weights:
            more = tokenizer.vocabulary - len(weights[name])
            weights[name] = functional.pad(weights[name], (0, 0, 0, more))
    config = DecoderConfig(
        **{name: getattr(config, name) for name in config.__dataclass_fields__}
        | {"vocabulary": tokenizer.vocabulary}
    )
    write_gguf(path, config, weights, tokenizer, name="sparse", licence=None)
    return path


@pytest.mark.parametrize(
    ("tokens", "experts", "used"),
    [
        pytest.param(7, 4, 1, id="one"),
        pytest.param(9, 4, 2, id="two"),
        pytest.param(1, 5, 3, id="most-without-tokens"),
        pytest.param(6, 2, 2, id="all"),
    ],
)
def test_the_fast_way_is_the_einsum(tokens, experts, used):
    """Values and every gradient, in float64; an expert that no token chose has a gradient of zeros."""
    x, router = drawn(tokens, 6, seed=1), drawn(experts, 6, seed=2)
    weights = [drawn(experts, 5, 6, seed=3), drawn(experts, 5, 6, seed=4), drawn(experts, 6, 5, seed=5)]
    leaves = [x, router, *weights]
    for leaf in leaves:
        leaf.requires_grad_()
    slope = drawn(tokens, 6, seed=6)

    def network(expert, rows, cells):
        assert cells.tolist()[0] == 0
        assert cells.tolist()[-1] == len(rows)
        gate, up, down = (weight[expert] for weight in weights)
        return (functional.silu(rows @ gate.T) * (rows @ up.T)) @ down.T

    choice = choose_experts(x, router, used)
    cells = torch.tensor([0, tokens // 2, tokens])
    ours = mixture(x, choice, experts, cells, network)
    theirs = mixture_reference(x, choice, *weights)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    found = torch.autograd.grad((ours * slope).sum(), leaves, retain_graph=True)
    expected = torch.autograd.grad((theirs * slope).sum(), leaves)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


def test_cells_lie_one_after_the_other_within_an_expert():
    """Two cells of four tokens; the first feature says the expert, the second the cell."""
    x = torch.tensor([[1.0, 0], [-1, 0], [1, 0], [1, 0], [-1, 1], [1, 1], [-1, 1], [-1, 1]])
    router = torch.tensor([[9.0, 0.0], [-9.0, 0.0]])
    seen = {}

    def network(expert, rows, cells):
        seen[expert] = [rows[cells[i] : cells[i + 1], 1].tolist() for i in range(2)]
        return rows

    mixture(x, choose_experts(x, router, 1), 2, torch.tensor([0, 4, 8]), network)
    assert seen == {0: [[0.0] * 3, [1.0]], 1: [[0.0], [1.0] * 3]}


def test_gates_sum_to_one_and_the_likeliest_are_chosen():
    x, router = drawn(50, 8, seed=1), drawn(6, 8, seed=2)
    shares = (x @ router.T).softmax(-1)
    for used in (1, 2, 3):
        choice = choose_experts(x, router, used)
        torch.testing.assert_close(choice.gates.sum(-1), torch.ones(50, dtype=torch.float64))
        least = shares.gather(1, choice.experts).amin(-1)
        assert ((shares > least[:, None]).sum(-1) == used - 1).all()


def test_one_expert_a_token_gives_its_router_the_gradient_of_switch():
    """Switch multiplies by p, so its slope is that of p; here the value is 1, so it is that of p over p."""
    x, router = drawn(5, 4, seed=1), drawn(3, 4, seed=2).requires_grad_()
    choice = choose_experts(x, router, 1)
    assert (choice.gates == 1).all()
    slope = drawn(5, 1, seed=3)
    ours = torch.autograd.grad((choice.gates * slope).sum(), router)[0]
    p = (x @ router.T).softmax(-1).gather(1, choice.experts)
    switch = torch.autograd.grad((p * slope / p.detach()).sum(), router)[0]
    assert ours.abs().max() > 0.1
    torch.testing.assert_close(ours, switch)


@pytest.mark.parametrize("used", [1, 2])
def test_gradients_of_trained_experts_are_those_of_transformers(transformers, sparse, used):
    """Of every weight with two experts a token; with one, transformers' routers get no gradient and hand none
    down, so that only the last block's experts have the same.
    """
    folder, model = sparse
    model.config.num_experts_per_tok = used
    for block in model.model.layers:
        block.mlp.gate.top_k = used
    config, tied, _ = read_config(folder, read_json(folder / "config.json") | {"num_experts_per_tok": used})
    weights = {
        name: weight.clone().requires_grad_()
        for name, weight in read_weights(folder, _shards(folder), config, tied).items()
    }
    decoder = Decoder(config, weights)
    batch = Pool([Example(tuple(TOKENS), 1)]).batch([[0]])
    slope = drawn(len(TOKENS), config.vocabulary, dtype=torch.float32)
    ours, theirs = decoder.head(decoder(batch))[0], model(torch.tensor([TOKENS])).logits[0]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    (ours * slope).sum().backward()
    model.zero_grad()
    (theirs * slope).sum().backward()
    for layer, block in [*enumerate(model.model.layers)][-1 if used == 1 else 0 :]:
        gate_up, down = block.mlp.experts.gate_up_proj.grad, block.mlp.experts.down_proj.grad
        for expert in range(config.experts):
            gate, up = gate_up[expert].chunk(2)
            for leaf, expected in (("gate_proj", gate), ("up_proj", up), ("down_proj", down[expert])):
                found = weights[f"layers.{layer}.expert{expert}_{leaf}"].grad
                found = torch.zeros_like(expected) if found is None else found
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        router, expected = weights[f"layers.{layer}.router"].grad, block.mlp.gate.weight.grad
        if used == 2:
            torch.testing.assert_close(router, expected, rtol=1e-4, atol=1e-4)
        else:
            assert router.abs().max() > 0.01
            assert expected.abs().max() < 1e-4, "a gate that is always 1"


@pytest.mark.parametrize("used", [1, 2, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_the_balance_loss_is_that_of_transformers(transformers, used, masked):
    module = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    scores = 2 * drawn(3, 20, 5, dtype=torch.float32)
    counted = (torch.arange(20) % 3 > 0).float() if masked else None
    mask = None if counted is None else counted.view(2, 10)
    ours, theirs = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    loss = balance_loss(ours, used, counted)
    expected = module.load_balancing_loss_func(tuple(theirs), 5, used, mask)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), abs=1e-6)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-7)


def test_the_balance_loss_is_least_where_all_is_even():
    even = 9 * torch.eye(4).repeat(1, 3, 1)
    assert float(balance_loss(even, 1)) == pytest.approx(1.0)
    assert float(balance_loss(9 * torch.eye(4)[:1].repeat(2, 12, 1), 1)) > 3.9


def test_weights_grow_with_the_experts_and_those_of_a_token_do_not():
    """But for the router's own: one row of the width for each expert and block."""

    def config(experts, used):
        return (
            DecoderConfig(
                vocabulary=99, width=64, layers=3, heads=4, kv_heads=2, head_size=16, feed_forward=176
            )
            if not experts
            else DecoderConfig(
                vocabulary=99,
                width=64,
                layers=3,
                heads=4,
                kv_heads=2,
                head_size=16,
                feed_forward=176,
                experts=experts,
                experts_used=used,
            )
        )

    dense, network = active_parameters(config(0, 0)), 3 * 3 * 64 * 176
    for experts in (2, 4, 8):
        for used in (1, 2):
            assert active_parameters(config(experts, used)) == (
                dense + (used - 1) * network + 3 * 64 * experts
            )
        whole = sum(torch.Size(shape).numel() for shape in config(experts, 1).shapes().values())
        assert whole == dense + (experts - 1) * network + 3 * 64 * experts


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_other_precisions_come_near(sparse, logits, precision):
    exact, rough = (logits(load_base(sparse[0], one), TOKENS) for one in ("float32", precision))
    assert 0 < float((exact - rough).abs().max()) < 0.3 * float(exact.std())


def broken(folder, place, put_tokenizer, **settings):
    """Copy a folder with other settings."""
    copy = place / "broken"
    shutil.copytree(folder, copy)
    whole = json.loads((copy / "config.json").read_text()) | settings
    (copy / "config.json").write_text(json.dumps(whole))
    return copy


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"num_local_experts": 0}, "num_local_experts is 0, expected a whole number from 1"),
        ({"num_local_experts": 513}, "num_local_experts is 513, expected at most 512"),
        ({"num_local_experts": 16_777_217}, "num_local_experts is 16777217"),
        ({"num_local_experts": 5}, r"gate.weight' has the shape \(4, 32\), expected \(5, 32\)"),
        ({"num_local_experts": 3}, "experts.3.w1.weight' has no place"),
        ({"num_experts_per_tok": 0}, "num_experts_per_tok is 0, expected a whole number from 1"),
        ({"num_experts_per_tok": 5}, "num_experts_per_tok is 5, expected at most num_local_experts, 4"),
        ({"num_experts_per_tok": "two"}, "num_experts_per_tok is 'two'"),
        ({"model_type": "mistral"}, "num_local_experts is 4, expected 0"),
        ({"num_experts": 4}, "num_experts is 4, expected 0"),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused(sparse, tmp_path, put_tokenizer, settings, says):
    with pytest.raises(InputError, match=says):
        load_base(broken(sparse[0], tmp_path, put_tokenizer, **settings))


ROUTER = "blk.1.ffn_gate_inp.weight"
EXPERTS = "blk.2.ffn_down_exps.weight"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"llama.expert_count": 0}, r"llama.expert_used_count is 2, expected 0"),
        ({"llama.expert_count": 0, "llama.expert_used_count": 0}, "has no place in a decoder"),
        ({"llama.expert_count": 513}, "expert_count is 513, expected at most 512"),
        ({"llama.expert_count": 5}, r"the shape \(4, .*expected the shape \(5,"),
        ({"llama.expert_used_count": 5}, "expert_used_count is 5, expected at most expert_count, 4"),
        ({"llama.expert_used_count": 0}, "expert_used_count is 0, expected 1 to"),
        ({"llama.expert_used_count": None}, "'llama.expert_used_count' is missing"),
        ({"llama.expert_weights_scale": 2.0}, "doesn't know that key"),
    ],
)
def test_a_gguf_that_contradicts_itself_is_refused(sparse_gguf, tmp_path, edit_gguf, fields, says):
    with pytest.raises(InputError, match=says):
        load_gguf(edit_gguf(sparse_gguf, tmp_path, fields=fields), "broken")


@pytest.mark.parametrize("tensor", [ROUTER, EXPERTS])
def test_a_gguf_without_router_or_experts_is_refused(sparse_gguf, tmp_path, edit_gguf, tensor):
    with pytest.raises(InputError, match=f"tensor '{tensor}' is missing"):
        load_gguf(edit_gguf(sparse_gguf, tmp_path, tensors={tensor: None}), "broken")


def test_experts_that_lie_flat_are_refused(sparse_gguf, tmp_path, edit_gguf):
    data = next(one.data for one in gguf.GGUFReader(sparse_gguf).tensors if one.name == EXPERTS)
    flat = {EXPERTS: (data.reshape(-1, data.shape[-1]).copy(), gguf.GGMLQuantizationType.F32)}
    with pytest.raises(InputError, match=r"has the shape \(128, 48\), expected the shape \(4, 32, 48\)"):
        load_gguf(edit_gguf(sparse_gguf, tmp_path, tensors=flat), "broken")


@follows("take no adapters: give --targets")
def test_adapters_of_experts_are_refused_and_those_of_attention_are_not(sparse):
    base = load_base(sparse[0])
    cell = CellConfig(data="d", base="b", size=8, seed=0, rank=3, alpha=6.0)
    with pytest.raises(InputError, match="give --targets q_proj k_proj v_proj o_proj") as told:
        LoraStack([cell], base.decoder.config)
    targets = tuple(str(told.value).partition("--targets ")[2].split())
    cell = CellConfig(data="d", base="b", size=8, seed=0, rank=3, alpha=6.0, targets=targets)
    assert len(LoraStack([cell], base.decoder.config).matrices()) == 4 * 4


def test_an_adapter_of_the_dense_base_is_refused(sparse):
    halves = {"lora_A": torch.ones(2, 32), "lora_B": torch.ones(48, 2)}
    tensors = {f"layers.0.gate_proj.{half}": value for half, value in halves.items()}
    adapter = LoraAdapter(name="dense", base="b", rank=2, alpha=4.0, tensors=tensors)
    with pytest.raises(InputError, match="has 4 experts there instead of one matrix; take the base"):
        check_fits(adapter, load_base(sparse[0]))


@follows("choose --device cpu, or a base without experts")
def test_experts_on_a_gpu_are_refused(sparse):
    config = load_base(sparse[0], device="cpu").decoder.config
    with pytest.raises(InputError, match=r"4 experts in a block.*choose --device cpu"):
        Decoder(config, {}, device="cuda")
