"""Steps of one token give the bits of the decoder's own blocks, for every setting of bases and adapters."""

from dataclasses import replace

import pytest
import torch

from qlora_kernels import quantize
from qlora_kernels.few_rows import FOUR_BITS_UP_TO, FourBitWeight, OrderedWeight
from workbench.models import decoding, generation
from workbench.models.adapted import Adapter, Prefix
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import BIASES, RopeScaling
from workbench.models.decoding import LINEARS_OF_PLAN, LONG_FROM, KeyValueCache, Steps, fits
from workbench.models.generation import generate, through_blocks

SETTINGS = {
    "llama": {},
    "norms after": {"norms": "after"},
    "norms around": {"norms": "around", "residual_scale": 0.3},
    "norm of each head": {"head_norms": "head"},
    "norm of the projection": {"head_norms": "projection"},
    "biases": {"biases": frozenset({"q_proj", "k_proj", "o_proj", "up_proj"})},
    "gelu": {"activation": "gelu", "embedding_scale": 3.0},
    "windows": {"windows": (None, 4, 2), "windowed_rope_base": 100.0},
    "softcap": {"attention_softcap": 2.0, "attention_scale": 0.7, "windows": (3,)},
    "positions": {
        "rope_features": 4,
        "unturned": frozenset({1}),
        "rope_scaling": RopeScaling(kind="llama3", factor=8.0, original_context=16),
    },
    "logits": {"logit_scale": 0.2, "logit_softcap": 5.0},
}
TOKENS = torch.tensor([[3, 9, 28, 0], [17, 5, 5, 1], [2, 8, 20, 11]])
ALIKE, APART = torch.tensor([6, 6, 6, 6]), torch.tensor([6, 2, 8, 0])


def adapters_of(
    config, cells, leaves=("q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"), *, gains=False
):
    drawn = torch.Generator().manual_seed(1)
    made = {}
    for layer in range(config.layers - 1):  # the last block has none
        for leaf in leaves:
            outputs, inputs = config.linear_shape(leaf)
            a, b = (
                0.3 * torch.randn(cells, *shape, generator=drawn) for shape in ((2, inputs), (outputs, 2))
            )
            gain = torch.rand(cells, outputs, generator=drawn) + 0.5 if gains and leaf != "q_proj" else None
            made[f"layers.{layer}.{leaf}"] = Adapter(a, b, torch.arange(1.0, cells + 1), gain)
    return made


def three_steps(decoder, route, adapters, cells, positions, prompts=4):
    """Run three steps over a cache with something in it; returns what they give, and the cache."""
    cache = KeyValueCache(decoder, prompts, 12)
    cache.pairs.normal_(generator=torch.Generator().manual_seed(2))
    step = route(decoder, cache, adapters, cells)
    with torch.no_grad():
        given = [step(tokens[:prompts], positions[:prompts] + n) for n, tokens in enumerate(TOKENS)]
    return torch.stack(given), cache.pairs


def assert_same_bits(decoder, adapters, cells, prompts=4, route=Steps):
    assert fits(decoder, adapters)
    for positions in (ALIKE, APART):
        ours, kept = three_steps(decoder, route, adapters, cells, positions, prompts)
        theirs, cached = three_steps(decoder, through_blocks, adapters, cells, positions, prompts)
        assert ours.isfinite().all()
        assert ours.std() > 0.1
        assert torch.equal(ours, theirs)
        assert torch.equal(kept, cached)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_has_the_bits_of_the_blocks(tiny_config, make_decoder, name, precision):
    decoder = make_decoder(replace(tiny_config, **SETTINGS[name]))
    decoder.set_precision(precision)
    for leaf in decoder.config.biases:
        assert f"layers.0.{BIASES[leaf]}" in decoder.weights
    assert_same_bits(decoder, {}, 1)
    assert_same_bits(decoder, {}, 1, prompts=1)
    assert_same_bits(decoder, adapters_of(decoder.config, 2), 2)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_adapters_of_cells_have_the_bits_of_the_blocks(tiny_config, make_decoder, precision):
    decoder = make_decoder(replace(tiny_config, biases=frozenset({"v_proj"})))
    decoder.set_precision(precision)
    for cells in (1, 2, 4):
        assert_same_bits(decoder, adapters_of(tiny_config, cells), cells)
        assert_same_bits(decoder, adapters_of(tiny_config, cells, gains=True), cells)
    assert_same_bits(decoder, adapters_of(tiny_config, 1, ("k_proj",)), 1, prompts=1)


def test_float64_has_the_bits_of_the_blocks(tiny_decoder_float64):
    assert_same_bits(tiny_decoder_float64, {}, 1)


def forms(decoder, steps, prompts=4):
    """Return the forms of the base that steps multiply with: of all linear layers, and of the head."""
    made = Steps(decoder, KeyValueCache(decoder, prompts, 12), {}, 1, steps)
    held = [getattr(block, name).few_rows for block in made.blocks for name in LINEARS_OF_PLAN]
    return {type(one) for one in held}, type(made.head.few_rows)


NONE = ({type(None)}, type(None))
needs_ordered = pytest.mark.skipif(
    OrderedWeight.of(torch.zeros(16, 16, dtype=torch.bfloat16), 1) is None, reason="no products in bfloat16"
)


@needs_ordered
def test_ordered_copies_have_the_same_bits_and_are_made_for_long_generations_alone(tiny_decoder):
    assert forms(tiny_decoder, 1000) == NONE, "products in float32"
    tiny_decoder.set_precision("bfloat16")
    assert forms(tiny_decoder, LONG_FROM - 1) == NONE
    assert forms(tiny_decoder, LONG_FROM) == ({OrderedWeight}, OrderedWeight)
    for adapters in ({}, adapters_of(tiny_decoder.config, 2)):
        assert_same_bits(tiny_decoder, adapters, 2, route=lambda *given: Steps(*given, LONG_FROM))


def in_four_bits(make_decoder, config):
    plain = make_decoder(config)
    packed = {
        name: quantize(weight, "q4_1") if weight.ndim == 2 and name != "embedding" else weight
        for name, weight in plain.weights.items()
    }
    decoder = Decoder(config, packed)
    decoder.set_precision("bfloat16")
    return decoder


@pytest.mark.parametrize("prompts", [1, 4, 5])
def test_few_prompts_of_a_base_in_four_bits_are_multiplied_with_these(tiny_config, make_decoder, prompts):
    decoder = in_four_bits(make_decoder, tiny_config)
    many = ALIKE[:1].repeat(prompts)
    tokens = TOKENS[:, :1].repeat(1, prompts)
    cell = adapters_of(tiny_config, 1)

    def logits(route):
        cache = KeyValueCache(decoder, prompts, 12)
        cache.pairs.normal_(generator=torch.Generator().manual_seed(2))
        step = route(decoder, cache, cell, 1)
        with torch.no_grad():
            return torch.stack([step(given, many + n) for n, given in enumerate(tokens)])

    ordered = type(OrderedWeight.of(torch.zeros(16, 16, dtype=torch.bfloat16), prompts))
    taken = FourBitWeight if prompts <= FOUR_BITS_UP_TO else ordered
    assert forms(decoder, LONG_FROM, prompts) == ({taken}, ordered)
    assert forms(decoder, LONG_FROM - 1, prompts) == NONE
    ours, theirs = logits(lambda *given: Steps(*given, LONG_FROM)), logits(through_blocks)
    exact = logits(lambda *given: Steps(*given, LONG_FROM, exact=True))
    assert torch.equal(exact, theirs), "as the scores of a study"
    if prompts > FOUR_BITS_UP_TO:
        assert torch.equal(ours, theirs)
    else:
        assert not torch.equal(ours, theirs)
        decoder.set_precision("float32")
        right = logits(through_blocks)
        assert (ours - right).norm() < 1.5 * (theirs - right).norm(), "four bits err as much as bfloat16"


def test_copies_that_do_not_fit_or_give_something_else_are_left(
    tiny_config, make_decoder, tiny_decoder, monkeypatch
):
    tiny_decoder.set_precision("bfloat16")
    packed = in_four_bits(make_decoder, tiny_config)
    with monkeypatch.context() as patched:
        patched.setattr(decoding.memory, "free_bytes", lambda: 1000)
        assert forms(tiny_decoder, LONG_FROM) == forms(packed, LONG_FROM) == NONE
    for kind, wrong, decoder in ((OrderedWeight, 1.01, tiny_decoder), (FourBitWeight, 1.05, packed)):
        multiply = kind.__call__
        with monkeypatch.context() as patched:
            patched.setattr(kind, "__call__", lambda self, x, same=multiply, by=wrong: same(self, x) * by)
            assert forms(decoder, LONG_FROM) == NONE


def test_generate_takes_the_steps_and_writes_the_same(tiny_decoder, monkeypatch):
    prompts = [[[1, 2, 3], [4]], [[9, 8, 7, 6, 5], [20, 21]]]
    adapters = adapters_of(tiny_decoder.config, 2)
    taken = []
    monkeypatch.setattr(generation, "Steps", lambda *given, **more: taken.append(1) or Steps(*given, **more))
    ours = generate(tiny_decoder, prompts, stops=(), limit=7, adapters=adapters)
    assert taken
    monkeypatch.setattr(generation, "fits", lambda *_: False)
    assert ours == generate(tiny_decoder, prompts, stops=(), limit=7, adapters=adapters)
    assert len(taken) == 1


def test_what_is_not_here_takes_the_blocks(tiny_config, make_decoder, tiny_decoder):
    assert not fits(make_decoder(replace(tiny_config, experts=2, experts_used=1)), {})
    prefix = Prefix(torch.zeros(1, 2, 32), torch.zeros(1, 4))
    assert not fits(tiny_decoder, {"layers.0.prefix": prefix})
    low = {name: weight.bfloat16() for name, weight in tiny_decoder.weights.items()}
    assert not fits(Decoder(tiny_config, low), {})
    assert not fits(Decoder(tiny_config, tiny_decoder.weights, hold="packed"), {})
    weights = {name: weight.clone().requires_grad_() for name, weight in tiny_decoder.weights.items()}
    assert not fits(Decoder(tiny_config, weights), {})


@pytest.mark.slow
def test_smollm2_writes_what_the_blocks_write_and_what_its_logits_say(smollm2_path, monkeypatch):
    """The real base: each token is the likeliest by a pass over the text; many prompts' are the blocks'."""
    from workbench.data.batches import Pool
    from workbench.data.templates import Example
    from workbench.models.gguf_reader import load_gguf

    base = load_gguf(smollm2_path, "smollm2-135m", precision="bfloat16")
    prompts = [base.tokenizer.encode(text) for text in ("A river in France is", "In 1848, the")]
    ours = generate(base.decoder, [prompts], stops=(), limit=30)
    exact = generate(base.decoder, [prompts], stops=(), limit=30, exact=True)
    more = generate(base.decoder, [[*prompts, *prompts, *prompts]], stops=(), limit=30)
    monkeypatch.setattr(generation, "fits", lambda *_: False)
    assert exact == generate(base.decoder, [prompts], stops=(), limit=30)
    assert more == generate(base.decoder, [[*prompts, *prompts, *prompts]], stops=(), limit=30)
    both = [(*pair, 0.05) for pair in zip(prompts, exact[0], strict=True)]
    # logits in four bits, in bfloat16 and in float32 differ by 0.1
    both += [(*pair, 0.3) for pair in zip(prompts, ours[0], strict=True)]
    for prompt, written, apart in both:
        text = (*prompt, *written)
        batch = Pool([Example(text, len(prompt))]).batch([[0]])
        with torch.no_grad():
            hidden = base.decoder(batch)[0, batch.gather[0, len(prompt) - 1 : -1]]
            logits = base.decoder.head(hidden)
        gaps = logits.amax(-1) - logits[torch.arange(len(written)), torch.tensor(written)]
        assert gaps.max() < apart, "sums of other orders are as far apart at most"
