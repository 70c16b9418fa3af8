"""Blocks with their gradient written out, against the same blocks composed of operators, in float64."""

from dataclasses import replace

import pytest
import torch
from what_is_kept import kept_bytes

from qlora_kernels import grouped_torch
from workbench.adapters.prefix import fresh_stack
from workbench.config import KINDS_OF_ADAPTER, LINEARS, PREFIX_KINDS, CellConfig
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.models import whole_blocks
from workbench.models.between import LONGEST_BY_HAND
from workbench.models.decoder import Decoder
from workbench.training.loop import freeze, step_gradient

CONFIGS = {
    "plain": {},
    "biases": {"biases": frozenset(LINEARS)},
    "norms of heads": {"head_norms": "head"},
    "norms of projections": {"head_norms": "projection"},
    "norms after each half": {"norms": "after"},
    "norms around each half": {"norms": "around"},
    "gelu": {"activation": "gelu"},
    "scaled residuals": {"residual_scale": 0.22},
    "some features are turned": {"rope_features": 4},
    "some blocks aren't turned": {"unturned": frozenset((1,))},
    "capped scores": {"attention_softcap": 5.0},
    "a window": {"windows": (4, None, 6)},
    "another scale of scores": {"attention_scale": 0.9},
}
"""What a family may have beside a LLaMA: names of ``DecoderConfig``."""


@pytest.fixture(params=CONFIGS)
def config(request, tiny_config):
    return replace(tiny_config, **CONFIGS[request.param])


@pytest.fixture
def pool():
    """Texts of 5 to 23 tokens, the first 3 the same in all."""
    chance = torch.Generator().manual_seed(5)
    lengths = torch.randint(5, 24, (20,), generator=chance).tolist()
    texts = [torch.randint(8, 29, (n - 3,), generator=chance).tolist() for n in lengths]
    return Pool([Example((5, 6, 7, *text), 4) for text in texts])


def wide(config, make_decoder):
    """Return the base in float64, where only a mistake is larger than 1e-9."""
    plain = make_decoder(config)
    weights = {name: plain.weight(name).double() for name in config.shapes()}
    if config.biases:
        chance = torch.Generator().manual_seed(3)
        weights |= {
            name: torch.randn(one.shape, generator=chance, dtype=torch.float64)
            for name, one in weights.items()
            if name.endswith("_bias")
        }
    return Decoder(config, weights)


def stack_of(decoder, cells, **settings):
    plainly = {} if settings.get("adapter") in PREFIX_KINDS else {"rank": 3}
    made = [CellConfig(data="d", base="b", size=12, seed=seed, **plainly | settings) for seed in range(cells)]
    stack = fresh_stack(made, decoder.config, decoder)
    chance = torch.Generator().manual_seed(1)
    noise = 0.05 * torch.randn(stack.weights.shape, generator=chance)
    stack.weights = (stack.weights.detach() + noise).double().requires_grad_()
    return stack


def results(decoder, batch, stack, *, first=0, labels=True, hidden=None):
    """Return the blocks' output, and the gradient of a sum of it."""
    given = decoder.embed(batch.tokens) if hidden is None else hidden
    out = decoder.blocks(given, batch, stack.adapters(), first, decoder.config.layers, labels=labels)
    slope = torch.randn(out.shape, generator=torch.Generator().manual_seed(2), dtype=out.dtype)
    wanted = [stack.weights] if hidden is None else [stack.weights, hidden]
    return out.detach(), *torch.autograd.grad(out, wanted, slope)


def composed(monkeypatch, *arguments, **named):
    with monkeypatch.context() as patch:
        patch.setattr(whole_blocks, "covers", lambda _: False)
        return results(*arguments, **named)


def same(got, expected):
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("labels", [True, False])
def test_all_that_a_family_may_have_gives_the_same(config, make_decoder, pool, labels, monkeypatch):
    decoder = wide(config, make_decoder)
    assert whole_blocks.covers(decoder)
    batch = pool.batch([[0, 3, 7, 11], [2, 5, 9, 4]])
    case = decoder, batch, stack_of(decoder, 2)
    same(results(*case, labels=labels), composed(monkeypatch, *case, labels=labels))


@pytest.mark.parametrize("config", ["plain", "a window", "another scale of scores"], indirect=True)
def test_written_attention_is_the_other_one(config, make_decoder, pool, monkeypatch):
    decoder = wide(config, make_decoder)
    case = decoder, pool.batch([[0, 3, 7, 11], [2, 5, 9, 4]]), stack_of(decoder, 2)
    plain = results(*case)
    monkeypatch.setitem(LONGEST_BY_HAND, torch.float64, 160)
    same(results(*case), plain)


@pytest.mark.parametrize("kind", KINDS_OF_ADAPTER)
def test_every_kind_of_adapter_gets_the_same_gradient(tiny_config, make_decoder, pool, kind, monkeypatch):
    decoder = wide(replace(tiny_config, head_norms="head"), make_decoder)
    case = decoder, pool.batch([[0, 3, 7], [2, 5, 9]]), stack_of(decoder, 2, adapter=kind)
    same(results(*case), composed(monkeypatch, *case))


@pytest.mark.parametrize("targets", ["down_proj", "v_proj up_proj", "o_proj", "q_proj"])
@pytest.mark.parametrize("first", [0, 2])
def test_some_layers_alone_are_adapted(tiny_config, make_decoder, pool, targets, first, monkeypatch):
    decoder = wide(tiny_config, make_decoder)
    case = (
        decoder,
        pool.batch([[0, 3, 7]]),
        stack_of(decoder, 1, targets=tuple(targets.split()), first_layer=first),
    )
    same(results(*case), composed(monkeypatch, *case))
    assert results(*case)[1].norm() > 0


def test_what_comes_in_gets_its_gradient_too(tiny_config, make_decoder, pool, monkeypatch):
    decoder = wide(tiny_config, make_decoder)
    batch = pool.batch([[0, 3, 7]])
    hidden = decoder.embed(batch.tokens).requires_grad_()
    case = decoder, batch, stack_of(decoder, 1, first_layer=2)
    same(results(*case, hidden=hidden), composed(monkeypatch, *case, hidden=hidden))


def test_nothing_is_done_below_the_lowest_adapter(tiny_config, make_decoder, pool, monkeypatch):
    """Of the lowest block's layers only those above an adapter take their slope to their input."""
    decoder, count = wide(tiny_config, make_decoder), []
    real = grouped_torch.input_gradient
    monkeypatch.setattr(grouped_torch, "input_gradient", lambda *given: count.append(1) or real(*given))
    layers = tiny_config.layers
    of_lowest = {("down_proj",): 0, ("up_proj", "down_proj"): 1, ("o_proj",): 2, ("v_proj",): 3}
    for targets, above in of_lowest.items():
        count.clear()
        results(decoder, pool.batch([[0, 3, 7]]), stack_of(decoder, 1, targets=targets, first_layer=1))
        assert len(count) == 4 * (layers - 2) + above


def test_what_goes_in_stays_as_it_was(tiny_config, make_decoder, pool):
    decoder = wide(tiny_config, make_decoder)
    batch = pool.batch([[0, 3, 7]])
    hidden = decoder.embed(batch.tokens)
    before, slope = hidden.clone(), None
    out = decoder.blocks(hidden, batch, stack_of(decoder, 1).adapters(), 0, tiny_config.layers)
    slope = torch.randn_like(out)
    given = slope.clone()
    out.backward(slope)
    assert torch.equal(hidden, before)
    assert torch.equal(slope, given)


def test_what_was_kept_is_freed_with_the_gradient(tiny_config, make_decoder, pool):
    decoder = wide(tiny_config, make_decoder)
    stack, batch = stack_of(decoder, 1), pool.batch([[0, 3, 7]])
    frozen = [stack.weights, *decoder.weights.values()]
    out = decoder.blocks(decoder.embed(batch.tokens), batch, stack.adapters(), 0, tiny_config.layers)
    assert kept_bytes(lambda: out, frozen) > 1000 * batch.tokens.numel()
    out.sum().backward(retain_graph=True)
    assert kept_bytes(lambda: out, frozen) == 0
    with pytest.raises(RuntimeError, match="kept for one gradient, and was taken before"):
        out.sum().backward()


def test_without_a_gradient_nothing_is_kept(tiny_config, make_decoder, pool):
    decoder = wide(tiny_config, make_decoder)
    batch, stack = pool.batch([[0, 3, 7]]), stack_of(decoder, 1)
    with torch.no_grad():
        out = decoder.blocks(decoder.embed(batch.tokens), batch, stack.adapters(), 0, tiny_config.layers)
    assert out.grad_fn is None
    same([out], results(decoder, batch, stack, labels=False)[:1])


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8", "bfloat16-activations"])
def test_each_precision_stays_near_float64(tiny_config, make_decoder, pool, precision):
    plain = make_decoder(tiny_config)
    weights = {name: plain.weight(name).clone() for name in tiny_config.shapes()}
    exact = wide(tiny_config, make_decoder)
    found = []
    for decoder in (exact, Decoder(tiny_config, weights, precision)):
        stack = stack_of(exact, 1)
        stack.weights = stack.weights.detach().to(decoder.dtype).requires_grad_()
        found.append(step_gradient(freeze(decoder, pool, 0), stack, [range(12)]))
    (loss, gradient), (near_loss, near) = found
    allowed = {"float32": 2e-6, "bfloat16": 0.02, "int8": 0.04, "bfloat16-activations": 0.02}[precision]
    assert (near.double() - gradient).norm() < allowed * gradient.norm()
    torch.testing.assert_close(near_loss.double(), loss, rtol=allowed / 2, atol=0)
