"""What lies between products in bfloat16: each function against its definition, and a whole step."""

import re
from dataclasses import replace

import pytest
import torch
from follows import follows
from what_is_kept import kept_bytes

from qlora_kernels.rms_norm import rms_norm_reference
from qlora_kernels.swiglu import swiglu_reference
from workbench.adapters.lora import LoraStack
from workbench.adapters.prefix import fresh_stack
from workbench.config import KINDS_OF_ADAPTER, PREFIX_KINDS, CellConfig
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.errors import InputError
from workbench.models import between
from workbench.models.attention import Attention, mix_by_block
from workbench.models.between import (
    LONGEST_BY_HAND,
    attention_reference,
    rounded_norm,
    rounded_unit,
    written_attention,
)
from workbench.models.decoder import Decoder
from workbench.models.experts import refuse_experts
from workbench.models.generation import generate
from workbench.models.loaders import load_base
from workbench.models.precision import choose_precision
from workbench.studies.torch_threads import torch_threads
from workbench.training import loop
from workbench.training.loop import TrainState, freeze, step_gradient, train

ROUNDED = "bfloat16-activations"
WEIGHT = torch.linspace(0.5, 2, 48, dtype=torch.float64)
SEEN = torch.ones(7, 7, dtype=torch.bool).tril() & ~torch.ones(7, 7, dtype=torch.bool).tril(-4)
CASES = {
    "norm": ([(5, 48)], lambda x: rounded_norm(x, WEIGHT.to(x), 1e-3, x.dtype)),
    "unit": ([(5, 48), (5, 48)], rounded_unit),
    "attention": (
        [(2, 6, 7, 8), (2, 2, 7, 8), (2, 2, 7, 8)],
        lambda q, k, v: written_attention(q, k, v, 0.3, SEEN),
    ),
}
DEFINITIONS = {
    "norm": lambda x: rms_norm_reference(x, WEIGHT.to(x), 1e-3),
    "unit": swiglu_reference,
    "attention": lambda q, k, v: attention_reference(q, k, v, 0.3, SEEN),
}


def with_gradients(function, inputs, slope):
    inputs = [one.detach().requires_grad_() for one in inputs]
    y = function(*inputs)
    return y.detach(), *torch.autograd.grad(y, inputs, slope.to(y.dtype))


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture(params=CASES)
def case(request, rng):
    shapes, function = CASES[request.param]
    inputs = [torch.randn(shape, generator=rng, dtype=torch.float64) for shape in shapes]
    slope = torch.randn(shapes[0], generator=rng, dtype=torch.float64)
    return function, DEFINITIONS[request.param], inputs, slope


@pytest.mark.parametrize("kept", [0, 256])
def test_values_and_gradients_in_float64_are_the_definition_s(case, kept, monkeypatch):
    monkeypatch.setattr(between, "KEPT_SCORES", kept)
    function, definition, inputs, slope = case
    assert torch.autograd.gradcheck(function, [one.clone().requires_grad_() for one in inputs])
    pairs = zip(
        with_gradients(function, inputs, slope), with_gradients(definition, inputs, slope), strict=True
    )
    for got, exact in pairs:
        torch.testing.assert_close(got, exact, rtol=1e-9, atol=1e-12)


def test_in_bfloat16_they_are_off_by_a_rounding_or_two(case):
    function, definition, inputs, slope = case
    rounded = [one.bfloat16() for one in (*inputs, slope)]
    exact = with_gradients(definition, [one.double() for one in rounded[:-1]], rounded[-1].double())
    for got, true in zip(with_gradients(function, rounded[:-1], rounded[-1]), exact, strict=True):
        assert got.dtype == torch.bfloat16
        assert (got.double() - true).norm() < 0.006 * true.norm()


def test_large_scores_keep_their_digits(rng):
    """Scores of about 40 differ by less than their last of 8 bits."""
    q, k, v = (torch.randn(1, heads, 7, 64, generator=rng) for heads in (2, 1, 1))
    q[..., 0], k[..., 0] = 8, 40
    q, k, v = q.bfloat16(), k.bfloat16(), v.bfloat16()
    exact = attention_reference(q.double(), k.double(), v.double(), 0.125, SEEN)
    got = written_attention(q, k, v, 0.125, SEEN)
    assert (got.double() - exact).norm() < 0.005 * exact.norm()


def test_a_norm_of_the_residual_stream_sums_in_float32(rng):
    x = torch.randn(9, 48, generator=rng) * 100
    got = rounded_norm(x, WEIGHT.float(), 1e-3)
    exact = rms_norm_reference(x.double(), WEIGHT, 1e-3)
    assert got.dtype == torch.bfloat16
    assert ((got.double() - exact).abs() <= 2**-8 * exact.abs() + 1e-9).all()
    y = rounded_norm(x.requires_grad_(), WEIGHT.float(), 1e-3)
    (dx,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert dx.dtype == torch.float32


@pytest.fixture
def rounded_decoder(tiny_decoder, tiny_config):
    weights = {name: tiny_decoder.weight(name).clone() for name in tiny_config.shapes()}
    return Decoder(tiny_config, weights, ROUNDED)


def test_products_take_and_give_bfloat16_and_the_residual_stream_is_float32(rounded_decoder, tiny_pool):
    seen = {}
    batch = tiny_pool.batch([range(8)])
    hidden = rounded_decoder.blocks(
        rounded_decoder.embed(batch.tokens),
        batch,
        {},
        0,
        3,
        observe=lambda name, x: seen.update({name: x.dtype}),
    )
    assert set(seen.values()) == {torch.bfloat16}
    assert len(seen) == 21
    assert hidden.dtype == torch.float32
    finished = rounded_decoder.finish(hidden)
    assert finished.dtype == torch.bfloat16
    assert rounded_decoder.head(finished).dtype == torch.float32
    assert set(rounded_decoder.precisions.values()) == {ROUNDED}


@pytest.mark.parametrize("threads", [1, 2])
def test_training_repeats_to_the_bit_and_so_does_a_training_that_goes_on(threads):
    decoder = load_base("classroom", ROUNDED).decoder
    chance = torch.Generator().manual_seed(0)
    texts = torch.randint(3, decoder.config.vocabulary, (24, 40), generator=chance)
    texts[:, :20] = texts[0, :20]
    pool = Pool([Example(tuple(text.tolist()), 24) for text in texts])
    cells = [CellConfig(data="d", base="b", size=24, seed=seed, steps=4, rank=4) for seed in (0, 1)]
    states = {}

    def watch(state):
        states.setdefault(state.step, {name: one.clone() for name, one in state.tensors().items()})

    with torch_threads(threads):
        frozen = freeze(decoder, pool, 0)
        _, first = train(frozen, cells, [list(range(24))] * 2, on_step=watch)
        _, second = train(frozen, cells, [list(range(24))] * 2)
        _, resumed = train(frozen, cells, [list(range(24))] * 2, start=TrainState.from_tensors(states[2]))
    for other in (second, resumed):
        assert torch.equal(first.losses, other.losses)
        assert torch.equal(first.weights, other.weights)


def test_a_long_example_goes_another_way_to_the_same_numbers(rounded_decoder, tiny_pool, monkeypatch):
    batch = tiny_pool.batch([range(12)])
    short = rounded_decoder(batch).float()
    monkeypatch.setattr("workbench.models.attention.LONGEST_BY_HAND", {torch.bfloat16: 5})
    assert (rounded_decoder(batch).float() - short).norm() < 0.01 * short.norm()


def test_a_window_is_kept(rng):
    q, k, v = (torch.randn(2, heads, 9, 8, generator=rng).bfloat16() for heads in (4, 2, 2))
    windowed = Attention(0.4, window=3)
    places = torch.arange(9)
    exact = windowed.mix(*(one.double() for one in (q, k, v)), windowed.visible(places, places))
    assert (windowed.mix_written(q, k, v).double() - exact).norm() < 0.01 * exact.norm()


def test_generation_reads_what_it_wrote(rounded_decoder):
    """Token by token through the cache, as in one pass over all of them."""
    prompt = (3, 5, 7, 2)
    ((added,),) = generate(rounded_decoder, [[prompt]], stops=(), limit=6)
    whole = (*prompt, *added)
    batch = Pool([Example(whole, len(whole))]).batch([[0]])
    logits = rounded_decoder.head(rounded_decoder(batch))[0, len(prompt) - 1 : -1]
    chosen = logits.gather(1, torch.tensor(added)[:, None])[:, 0]
    assert (logits.amax(1) - chosen < 0.02 * logits.std()).all()


@pytest.mark.parametrize(("first", "change"), [(0, {}), (2, {}), (0, {"feed_forward": 256})], ids=str)
def test_a_token_leaves_behind_about_what_is_counted(tiny_config, make_decoder, tiny_pool, first, change):
    config = replace(tiny_config, **change)
    plain = make_decoder(config)
    decoder = Decoder(config, {name: plain.weight(name).clone() for name in config.shapes()}, ROUNDED)
    stack = LoraStack([CellConfig(data="d", base="b", size=12, rank=1, first_layer=first)], config)
    batch = tiny_pool.batch([range(40)])
    hidden = decoder.embed(batch.tokens)
    saved = kept_bytes(
        lambda: decoder.blocks(hidden, batch, stack.adapters(), first, config.layers),
        [stack.weights, *decoder.weights.values(), *(p for h in decoder.prepared.values() for p in h.parts)],
    )
    estimated = batch.tokens.numel() * loop.activation_bytes(config, first, precision=ROUNDED)
    assert 0.7 < saved / estimated < 1.15, saved / estimated


@pytest.mark.parametrize("window", [None, 30])
def test_a_block_of_one_example_keeps_its_own_numbers_alone(window):
    """Its queries are a view of all examples', which the gradient needs no longer."""
    longest = LONGEST_BY_HAND[torch.float32]
    lengths = 20, *4 * (longest // 2,), longest + 20
    batch = Pool([Example((1,) * length, 1) for length in lengths]).batch([range(len(lengths))])
    assert sorted(len(block) for block in batch.blocks) == [1, 1, 4]
    slots = sum(block.numel() for block in batch.blocks)
    given = torch.randn(slots, 6, 8, requires_grad=True)

    def mix():
        return mix_by_block(*given.split((4, 1, 1), dim=1), batch, Attention(scale=0.3, window=window))

    assert kept_bytes(mix) == kept_bytes(mix, [given])


@follows("router would choose them by rounded vectors; choose --precision bfloat16")
def test_experts_are_refused(tiny_config):
    config = replace(tiny_config, experts=4, experts_used=1)
    with pytest.raises(InputError, match="has 4 experts") as caught:
        refuse_experts(config, torch.device("cpu"), ROUNDED)
    (way,) = re.findall(r"--precision (\S+)$", str(caught.value))
    refuse_experts(config, torch.device("cpu"), way)


@follows("and on a GPU all activations are in the precision named; choose --precision ")
def test_on_a_gpu_the_precision_is_that_of_activations_anyway(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    monkeypatch.setattr(torch.version, "hip", None)
    with pytest.raises(InputError, match="is for processors") as caught:
        choose_precision(ROUNDED, 576, torch.device("cuda"))
    (way,) = re.findall(r"--precision (\w+)", str(caught.value))
    assert choose_precision(way, 576, torch.device("cuda")) == (way, "asked for")


@pytest.mark.parametrize("kind", KINDS_OF_ADAPTER)
def test_every_kind_of_adapter_learns_as_in_float32(tiny_config, make_decoder, tiny_pool, kind):
    """On a base that has all that a family may add: biases, norms of heads, capped scores, a window."""
    config = replace(
        tiny_config,
        biases=frozenset() if kind == "dora" else frozenset(("q_proj", "k_proj", "v_proj")),
        head_norms="head",
        attention_softcap=20.0 if kind == "olora" else None,
    )
    plain = make_decoder(config)
    results = []
    for precision in ("float32", ROUNDED):
        decoder = Decoder(config, {name: plain.weight(name).clone() for name in config.shapes()}, precision)
        plainly = {} if kind in PREFIX_KINDS else {"rank": 2}
        stack = fresh_stack(
            [CellConfig(data="d", base="b", size=12, adapter=kind, **plainly)], config, decoder
        )
        chance = torch.Generator().manual_seed(0)
        stack.weights.data.add_(0.05 * torch.randn(stack.weights.shape, generator=chance))
        results.append(step_gradient(freeze(decoder, tiny_pool, 0), stack, [range(12)]))
    (exact_loss, exact), (loss, gradient) = results
    torch.testing.assert_close(loss, exact_loss, rtol=0.01, atol=0)
    assert gradient.dtype == torch.float32
    assert (gradient - exact).norm() < 0.05 * exact.norm()
