"""The decoder against transformers' LLaMA, and against itself one example at a time."""

import math
from dataclasses import replace

import pytest
import torch

from qlora_kernels.rope import rope
from workbench.adapters.lora import LoraStack
from workbench.config import LINEARS, CellConfig
from workbench.models.decoder import Decoder
from workbench.models.generation import generate


def hugging_face_twin(decoder: Decoder):
    transformers = pytest.importorskip("transformers", reason="the test extra brings transformers")
    config = decoder.config
    twin = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            intermediate_size=config.feed_forward,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.kv_heads,
            head_dim=config.head_size,
            rms_norm_eps=config.norm_epsilon,
            rope_theta=config.rope_base,
            tie_word_embeddings=True,
        )
    ).double()
    names = {"embedding": "model.embed_tokens.weight", "norm": "model.norm.weight"}
    for layer in range(config.layers):
        ours, theirs = f"layers.{layer}.", f"model.layers.{layer}."
        names[ours + "attention_norm"] = theirs + "input_layernorm.weight"
        names[ours + "feed_forward_norm"] = theirs + "post_attention_layernorm.weight"
        for leaf in LINEARS:
            part = "self_attn" if leaf in ("q_proj", "k_proj", "v_proj", "o_proj") else "mlp"
            names[ours + leaf] = f"{theirs}{part}.{leaf}.weight"
    state = {theirs: decoder.weight(ours) for ours, theirs in names.items()}
    missing, unexpected = twin.load_state_dict(state, strict=False)
    assert missing == ["lm_head.weight"]
    assert unexpected == []
    twin.tie_weights()
    return twin.eval()


def test_logits_equal_transformers(tiny_decoder_float64, tiny_pool):
    decoder = tiny_decoder_float64
    twin = hugging_face_twin(decoder)
    batch = tiny_pool.batch([[0, 5, 9], [7, 2, 30]])
    with torch.no_grad():
        logits = decoder.head(decoder(batch)).flatten(0, 1)
        for row, index in enumerate([0, 5, 9, 7, 2, 30]):
            length = int(tiny_pool.lengths[index])
            start = int(tiny_pool.starts[index])
            tokens = tiny_pool.tokens[start : start + length]
            expected = twin(tokens[None]).logits[0]
            # transformers makes its rotary cosines in float32 whatever the model's dtype: roundings of
            # 6e-8 in each of three blocks, on logits of size 1
            torch.testing.assert_close(logits[batch.gather[row, :length]], expected, rtol=0, atol=5e-6)


def test_positions_turn_as_base_and_scale_say(tiny_config):
    """Pair i of D / 2 turns by position / scale x base^(-2i / D); worked out one by one."""
    config = replace(tiny_config, rope_base=50.0, rope_scale=4.0)
    decoder = Decoder(config, {name: torch.ones(shape) for name, shape in config.shapes().items()})
    cosine, sine = decoder.rotations(torch.tensor([[0, 1, 6]]))[0]
    for slot, position in enumerate((0, 1, 6)):
        for pair in range(4):
            angle = position / 4.0 * 50.0 ** (-2 * pair / 8)
            assert float(cosine[slot, pair]) == pytest.approx(math.cos(angle), abs=1e-7)
            assert float(sine[slot, pair]) == pytest.approx(math.sin(angle), abs=1e-7)


def test_a_pair_turns_from_its_first_axis_to_its_second():
    angle = torch.tensor([[0.3]])
    x, y = (
        rope(torch.tensor([[pair]]), angle.cos(), angle.sin(), layout="half_split")
        for pair in ([1.0, 0.0], [0.0, 1.0])
    )
    torch.testing.assert_close(x[0, 0], torch.tensor([math.cos(0.3), math.sin(0.3)]))
    torch.testing.assert_close(y[0, 0], torch.tensor([-math.sin(0.3), math.cos(0.3)]))


def test_a_norm_has_the_epsilon_of_its_base(tiny_config):
    config = replace(tiny_config, norm_epsilon=3.0)
    decoder = Decoder(config, {name: torch.full(shape, 0.5) for name, shape in config.shapes().items()})
    x = torch.tensor([[1.0, -1.0] * 16])  # a mean square of 1
    torch.testing.assert_close(decoder.normalize("norm", x), x / 2.0 * 0.5)


def test_an_example_does_not_see_its_neighbours(tiny_decoder_float64, tiny_pool):
    decoder = tiny_decoder_float64
    with torch.no_grad():
        alone = decoder(tiny_pool.batch([[4]]))[0]
        batch = tiny_pool.batch([[11, 4, 8], [3]])
        together = decoder(batch).flatten(0, 1)[batch.gather[1, : len(alone)]]
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


def test_lower_blocks_can_be_run_first(tiny_decoder_float64, tiny_pool):
    decoder, batch = tiny_decoder_float64, tiny_pool.batch([[1, 2], [3, 4]])
    with torch.no_grad():
        below = decoder.blocks(decoder.embed(batch.tokens), batch, {}, 0, 2)
        assert torch.equal(decoder(batch, {}, below, 2), decoder(batch))


@pytest.mark.parametrize("first", [0, 2])
def test_rows_of_labels_alone_are_what_all_rows_give(tiny_decoder_float64, tiny_config, tiny_pool, first):
    """Values and gradients, where cells have unequal numbers of labels and one has no adapter to speak of."""
    decoder, batch = tiny_decoder_float64, tiny_pool.batch([[1, 2], [3, 4], [5, 9]])
    cells = [
        CellConfig(data="d", base="b", size=8, seed=seed, rank=3, first_layer=first) for seed in range(3)
    ]
    stack = LoraStack(cells, tiny_config).to(torch.float64)
    stack.weights.data += 0.05 * (torch.arange(3.0, dtype=torch.float64) > 0)[:, None]
    hidden = decoder.blocks(decoder.embed(batch.tokens), batch, {}, 0, first) if first else None
    assert len(set(batch.label_cells.bincount().tolist())) > 1
    got, gradients = [], []
    for rows in (
        decoder.at_labels(batch, stack.adapters(), hidden, first),
        decoder(batch, stack.adapters(), hidden, first).flatten(0, 1)[batch.label_slots],
    ):
        got.append(rows)
        gradients.append(torch.autograd.grad(rows.square().sum(), stack.weights)[0])
    torch.testing.assert_close(*got, rtol=0, atol=1e-12)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("targets", [*((leaf,) for leaf in LINEARS), ("q_proj", "v_proj"), LINEARS], ids=str)
def test_an_adapter_is_a_change_of_its_weight(tiny_decoder_float64, tiny_config, tiny_pool, targets):
    """W + scale B A in the weight gives what the attached adapter gives, for each kind of layer and all."""
    cells = [CellConfig(data="d", base="b", size=8, seed=seed, rank=3, targets=targets) for seed in (0, 1)]
    stack = LoraStack(cells, tiny_config).to(torch.float64)
    stack.weights.data.normal_(generator=torch.Generator().manual_seed(5)).mul_(0.1)
    batch = tiny_pool.batch([[1, 2], [3, 4]])
    with torch.no_grad():
        attached = tiny_decoder_float64(batch, stack.adapters())
        for row in range(2):
            weights = {name: tiny_decoder_float64.weight(name).clone() for name in tiny_config.shapes()}
            for name, (a, b) in stack.matrices().items():
                weights[name] += cells[row].alpha / cells[row].rank * b[row] @ a[row]
            merged = Decoder(tiny_config, weights)(batch)[row]
            # behind a row's last example nothing is defined
            used = int(tiny_pool.lengths[[1, 2] if row == 0 else [3, 4]].sum())
            torch.testing.assert_close(attached[row, :used], merged[:used], rtol=0, atol=1e-11)
        assert not torch.allclose(attached, tiny_decoder_float64(batch))


def test_generation_equals_running_everything_again(tiny_decoder_float64, tiny_config):
    """The cache changes nothing: each added token is the likeliest after the whole text so far."""
    prompts = [[[1, 2, 3], [4]], [[9, 8, 7, 6, 5], [20, 21]]]
    stack = LoraStack([CellConfig(data="d", base="b", size=8, seed=s) for s in (0, 1)], tiny_config)
    stack.to(torch.float64).weights.data.normal_(generator=torch.Generator().manual_seed(5)).mul_(0.1)
    added = generate(tiny_decoder_float64, prompts, stops=(), limit=6, adapters=stack.adapters())
    for row in range(2):
        for prompt, continuation in zip(prompts[row], added[row], strict=True):
            assert len(continuation) == 6
            for count, token in enumerate(continuation):
                text = [prompt + continuation[:count]]
                one = generate(
                    tiny_decoder_float64, [text, text], stops=(), limit=1, adapters=stack.adapters()
                )
                assert one[row][0] == [token]


def test_generation_stops_at_the_end_token(tiny_decoder):
    free = generate(tiny_decoder, [[[1, 2, 3]]], stops=(), limit=8)[0][0]
    end = free[3]
    stopped = generate(tiny_decoder, [[[1, 2, 3]]], stops={end}, limit=8)[0][0]
    assert stopped == free[: free.index(end)]


def test_weights_have_to_be_complete(tiny_decoder, tiny_config):
    weights = {name: tiny_decoder.weight(name) for name in tiny_config.shapes()}
    del weights["layers.1.q_proj"]
    with pytest.raises(ValueError, match=r"missing or unknown: \['layers.1.q_proj'\]"):
        Decoder(tiny_config, weights)
    weights["layers.1.q_proj"] = torch.zeros(3, 3)
    with pytest.raises(ValueError, match=r"layers.1.q_proj has shape \(3, 3\), expected \(32, 32\)"):
        Decoder(tiny_config, weights)
