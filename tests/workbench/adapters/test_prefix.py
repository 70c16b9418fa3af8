"""Trained tokens before a block: PEFT's adaption prompt, and the paper's with a tanh gate in each head."""

import math

import pytest
import torch
from follows import follows
from hugging_face import as_transformers

from workbench.adapters.kinds.known import ADAPTER_KINDS
from workbench.adapters.prefix import GATE, PROMPT, PrefixStack, count_prefix, fresh_stack
from workbench.config import PREFIX_KINDS, CellConfig
from workbench.data.batches import Pool
from workbench.data.records import Record
from workbench.data.templates import Example, render
from workbench.errors import InputError
from workbench.models.decoder_config import DecoderConfig
from workbench.models.generation import generate
from workbench.models.loaders import load_base
from workbench.studies.disk.adapters import check_adapter, peft_config, read_adapter, write_adapter
from workbench.training.loop import TrainState, freeze, train

CELL = CellConfig(data="d", base="b", size=8, rank=4, steps=30, batch_size=8, learning_rate=2e-2)
TEXT = tuple(range(1, 13))
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def fresh(decoder, kind: str, *cells: CellConfig) -> PrefixStack:
    return fresh_stack([cell.with_(adapter=kind) for cell in cells or (CELL,)], decoder.config, decoder)


def opened(decoder, kind: str, *cells: CellConfig) -> PrefixStack:
    """A stack whose gates let something through."""
    stack = fresh(decoder, kind, *cells)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for own in stack.halves().values():
            own[GATE].copy_(0.7 + 0.5 * torch.randn(own[GATE].shape, generator=generator))
    return stack


def logits(decoder, stack=None):
    batch = Pool([Example(TEXT, 1)]).batch([[0]] * (1 if stack is None else len(stack.cells)))
    found = decoder.head(decoder(batch, stack.adapters() if stack else None).flatten(0, 1))
    return found.unflatten(0, (-1, len(TEXT)))


@pytest.mark.parametrize("kind", PREFIX_KINDS)
@pytest.mark.parametrize("first", [0, 2])
def test_a_fresh_one_is_the_base_bit_for_bit(tiny_decoder, kind, first):
    stack = fresh(tiny_decoder, kind, CELL.with_(first_layer=first), CELL.with_(first_layer=first, seed=1))
    with torch.no_grad():
        assert torch.equal(logits(tiny_decoder, stack), logits(tiny_decoder).expand(2, -1, -1))


def test_outputs_and_gradients_are_those_of_peft(tiny_decoder):
    peft = pytest.importorskip("peft", reason="the test extra brings peft")
    transformers = pytest.importorskip("transformers")
    asked = peft.AdaptionPromptConfig(adapter_len=4, adapter_layers=2, task_type="CAUSAL_LM")
    model = peft.get_peft_model(as_transformers(transformers, tiny_decoder), asked)
    stack = opened(tiny_decoder, "adaption-prompt", CELL.with_(first_layer=1))
    blocks = model.base_model.model.model.layers
    with torch.no_grad():
        for layer, own in zip((1, 2), stack.halves().values(), strict=True):
            for name in (PROMPT, GATE):
                getattr(blocks[layer].self_attn, name).copy_(own[name][0].view_as(own[name][0]))
    expected = model(torch.tensor([TEXT])).logits
    got = logits(tiny_decoder, stack)
    assert (got - logits(tiny_decoder)).abs().max() > 0.01
    torch.testing.assert_close(got, expected, **CLOSE)
    (gradient,) = torch.autograd.grad(got.square().sum(), stack.weights)
    expected.square().sum().backward()
    for layer, own in zip((1, 2), stack.halves(gradient).values(), strict=True):
        for name in (PROMPT, GATE):
            theirs = getattr(blocks[layer].self_attn, name).grad
            torch.testing.assert_close(own[name][0].view_as(theirs), theirs, rtol=1e-4, atol=1e-4)


def test_a_gate_in_each_head_is_the_papers_equation(tiny_decoder, tiny_config):
    """For one token of one block by hand: tanh(gate) softmax(q K^T / sqrt(D)) V, keys not turned."""
    stack = opened(tiny_decoder, "llama-adapter")
    (own, *_) = stack.halves().values()
    prompts, gates = own[PROMPT][0], own[GATE][0]
    size, share = tiny_config.head_size, tiny_config.heads // tiny_config.kv_heads
    q = torch.randn(1, tiny_config.heads, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        got = tiny_decoder.from_prefix(0, q, stack.adapters()["layers.0.prefix"])[0]
        keys = prompts @ tiny_decoder.weight("layers.0.k_proj").T
        values = prompts @ tiny_decoder.weight("layers.0.v_proj").T
        for head in range(tiny_config.heads):
            own_kv = slice(head // share * size, (head // share + 1) * size)
            shares = (keys[:, own_kv] @ q[0, head] / math.sqrt(size)).softmax(dim=0)
            torch.testing.assert_close(got[head], gates[head].tanh() * shares @ values[:, own_kv], **CLOSE)


@pytest.mark.parametrize("kind", PREFIX_KINDS)
def test_each_cell_has_its_own_and_a_part_computes_as_the_whole(tiny_decoder, kind):
    stack = opened(tiny_decoder, kind, CELL, CELL.with_(seed=1), CELL.with_(seed=2))
    with torch.no_grad():
        whole = logits(tiny_decoder, stack)
        assert (whole[0] - whole[1]).abs().max() > 0.01
        torch.testing.assert_close(logits(tiny_decoder, stack.select([2, 0])), whole[[2, 0]], **CLOSE)


@pytest.mark.parametrize("kind", PREFIX_KINDS)
def test_generation_with_a_cache_sees_it_too(tiny_decoder, kind):
    stack = opened(tiny_decoder, kind)
    ((written,),) = generate(tiny_decoder, [[TEXT]], stops=(), limit=4, adapters=stack.adapters())
    tokens = list(TEXT)
    with torch.no_grad():
        for token in written:
            batch = Pool([Example(tuple(tokens), 1)]).batch([[0]])
            rows = tiny_decoder.head(tiny_decoder(batch, stack.adapters()).flatten(0, 1))
            assert token == int(rows[len(tokens) - 1].argmax())
            tokens.append(token)


@pytest.mark.parametrize("kind", PREFIX_KINDS)
def test_it_is_written_and_read_back(tiny_decoder, kind, tmp_path):
    stack, cell = opened(tiny_decoder, kind), CELL.with_(adapter=kind)
    write_adapter(tmp_path, cell, stack.tensors(0))
    check_adapter(tmp_path, cell.key())
    other = fresh(tiny_decoder, kind, CELL.with_(seed=5))
    other.load(0, read_adapter(tmp_path, cell.key()))
    assert torch.equal(other.weights, stack.weights)
    with pytest.raises(InputError, match="the adapter belongs to another cell"):
        fresh(tiny_decoder, kind, CELL.with_(rank=5)).load(0, stack.tensors(0))


def test_peft_opens_what_is_written(tiny_decoder, tmp_path):
    peft = pytest.importorskip("peft", reason="the test extra brings peft")
    transformers = pytest.importorskip("transformers")
    stack, cell = opened(tiny_decoder, "adaption-prompt"), CELL.with_(adapter="adaption-prompt")
    write_adapter(tmp_path, cell, stack.tensors(0))
    folder = tmp_path / "adapters" / cell.key()
    model = peft.PeftModel.from_pretrained(as_transformers(transformers, tiny_decoder), folder).eval()
    with torch.no_grad():
        expected = model(torch.tensor([TEXT])).logits
        torch.testing.assert_close(logits(tiny_decoder, stack), expected, **CLOSE)


def test_without_the_closed_gate_the_first_losses_are_visibly_worse():
    """On a base that has learnt something: tokens of noise, let in at once, take it away."""
    base = load_base("classroom", "float32")
    words = ("walk", "bark", "call", "fold", "hunt", "jump", "look", "melt")
    records = [Record(id=word, prompt=f"ing {word}=", response=f"{word}ing") for word in words]
    pool = Pool([render("verbatim", record, base.tokenizer) for record in records])
    frozen = freeze(base.decoder, pool, 0)
    draws = [list(range(8))] * 2
    cells = [CELL.with_(adapter="llama-adapter", seed=seed) for seed in (0, 1)]
    _, closed = train(frozen, cells, draws)
    start = fresh(base.decoder, "llama-adapter", *cells)
    with torch.no_grad():
        for own in start.halves().values():
            own[GATE].fill_(3.0)
    _, wide = train(frozen, cells, draws, start=TrainState.fresh(start))
    assert (wide.losses[:5].mean(dim=0) > 10 * closed.losses[:5].mean(dim=0)).all()
    assert (closed.losses[-1] < closed.losses[0]).all(), "and it learns"


def test_counts_are_those_of_the_paper():
    seven = DecoderConfig(
        vocabulary=32000, width=4096, layers=32, heads=32, kv_heads=32, head_size=128, feed_forward=11008
    )
    assert count_prefix(seven, 10, 30) == 1_228_800


def test_tokens_are_standard_normal_and_of_the_seed(tiny_decoder):
    many = fresh(tiny_decoder, "llama-adapter", *(CELL.with_(seed=seed) for seed in range(40)))
    tokens = torch.cat([own[PROMPT].detach().flatten() for own in many.halves().values()])
    assert tokens.mean().abs() < 0.02
    assert (tokens.std() - 1).abs() < 0.02
    again = fresh(tiny_decoder, "llama-adapter", CELL.with_(seed=7))
    assert torch.equal(again.weights[0], many.weights[7])


@follows("mean nothing; leave --alpha and --targets out")
def test_what_a_prefix_does_not_have_is_refused(tiny_decoder):
    for change in ({"alpha": 8.0}, {"targets": ("q_proj",)}):
        with pytest.raises(InputError, match=r"has no matrices, so alpha .* leave --alpha and --targets out"):
            CELL.with_(adapter="llama-adapter", **change)
    assert CELL.with_(adapter="llama-adapter").adapter == "llama-adapter", "nothing else is asked for"
    with pytest.raises(ValueError, match="of one kind and length"):
        fresh(tiny_decoder, "llama-adapter", CELL, CELL.with_(rank=5))
    with pytest.raises(InputError, match="first_layer is 3; the base has blocks 0 to 2"):
        fresh(tiny_decoder, "llama-adapter", CELL.with_(first_layer=3))


def test_the_configuration_is_pefts_and_says_which_gate():
    found = {
        kind: peft_config(CELL.with_(adapter=kind), {"layers.1.prefix.x": torch.zeros(1)})
        for kind in PREFIX_KINDS
    }
    for kind, config in found.items():
        asked = (config["peft_type"], config["adapter_len"], config["adapter_layers"])
        assert asked == ("ADAPTION_PROMPT", 4, 1)
        assert ("workbench_gate" in config) == ADAPTER_KINDS[kind].gate_of_each_head
