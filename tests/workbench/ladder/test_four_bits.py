"""What rounding costs: by other ways to round and to measure; the order on weights never rounded."""

import gguf
import pytest
import torch
from tiny_ladder import SHORT
from torch.nn import functional

from workbench.classroom.pretrain import DECODER, example_of, first_weights
from workbench.exporting.parity import log_probabilities
from workbench.ladder.four_bits import (
    ROUNDED_KINDS,
    RoundingCost,
    cost_of_rounding,
    divergence_of,
    rounded_decoder,
    rounded_through,
    sentence_on_order,
    sentence_on_size,
)
from workbench.ladder.rungs import Run, architecture
from workbench.ladder.training import train_run
from workbench.models.decoder import Decoder
from workbench.models.loaders import load_base


@pytest.fixture(scope="module")
def rung(tmp_path_factory, few_lessons):
    """A base of width 48, whose rows fill no super-block, after a few steps."""
    path = tmp_path_factory.mktemp("rung") / "rung.gguf"
    train_run(Run(48, 0.02, 0), path, few_lessons, settings=SHORT)
    return load_base(path).decoder


@pytest.mark.parametrize("kind", ROUNDED_KINDS)
def test_rounding_is_that_of_the_package_gguf(kind):
    """A matrix of whole super-blocks, decoded by others; the order of its numbers is that in memory."""
    weight = torch.randn(6, 128, generator=torch.Generator().manual_seed(0))
    rounded = rounded_through(weight, kind)
    assert rounded.shape == weight.shape
    type = gguf.GGMLQuantizationType[kind.upper()]
    if kind in ("q8_0", "q4_1"):
        flat = weight.reshape(1, -1).numpy()
        others = gguf.quants.dequantize(gguf.quants.quantize(flat, type), type)
        assert torch.equal(rounded, torch.from_numpy(others).view_as(weight))
    steps = {"q8_0": 255, "q6_k": 63, "q4_k": 15, "q4_1": 15}[kind]
    assert 0.1 < float((rounded - weight).abs().max()) * steps / float(weight.max() - weight.min()) < 2


def test_what_fills_a_block_up_changes_nothing():
    """The first super-block of a matrix is the same whether or not others follow, and ends are kept."""
    weight = torch.randn(24, 48, generator=torch.Generator().manual_seed(1))  # 1152: four and a half
    for kind in ROUNDED_KINDS:
        rounded = rounded_through(weight, kind).flatten()
        assert len(rounded) == 1152
        alone = rounded_through(weight.flatten()[None, :1024], kind).flatten()
        assert torch.equal(rounded[:1024], alone), kind
        last = (rounded - weight.flatten())[1024:]
        assert 0 < float(last.abs().mean()) < 0.2


def test_only_matrices_of_blocks_are_rounded(rung):
    rounded = rounded_decoder(rung, "q4_1")
    for name in rung.weights:
        assert torch.equal(rounded.weight(name), rung.weight(name)) == (not name.endswith("_proj")), name


def test_the_divergence_by_hand(rung, few_lessons):
    """Sum of p (log p - log q) in float64 after each token but the last."""
    tasks = few_lessons.data.heldout[:7]
    # far apart, so that one direction isn't the other
    weights = {name: rung.weight(name) * (3 if name.endswith("_proj") else 1) for name in rung.weights}
    other = Decoder(rung.config, weights)
    total, count = 0.0, 0
    for task in tasks:
        example = example_of(task)
        p, q = (log_probabilities(one, example.token_ids, {}).double() for one in (rung, other))
        for place in range(len(example.token_ids) - 1):
            total += float(functional.kl_div(q[place], p[place], log_target=True, reduction="sum"))
            count += 1
    assert divergence_of(rung, other, tasks) == pytest.approx(total / count, rel=1e-3)
    assert divergence_of(rung, rung, tasks) == 0


def test_the_order_on_weights_never_rounded(few_lessons):
    """Random weights: nothing in them was made for one kind of numbers. The two kinds of 4 bits are close."""
    for width in (48, 128):
        weights = {
            name: 4 * weight if name.endswith("_proj") else weight
            for name, weight in first_weights(architecture(width), 0).items()
        }
        costs = cost_of_rounding(Decoder(architecture(width), weights), few_lessons.data.heldout[:40])
        assert list(costs) == ["q8_0", "q6_k", "q4_k", "q4_1"]
        assert 0 < 4 * costs["q8_0"] < costs["q6_k"] < min(costs["q4_k"], costs["q4_1"]) / 4, costs
        assert costs["q4_k"] == pytest.approx(costs["q4_1"], rel=0.5)
    assert architecture(128) == DECODER


def cost(parameters, q4_k, rest=(1.0, 2.0, 4.0)):
    low, middle, high = rest
    by_kind = {"q8_0": low, "q6_k": middle, "q4_k": None, "q4_1": high}
    return RoundingCost(
        parameters, {k: tuple(q4_k) if v is None else (v,) * len(q4_k) for k, v in by_kind.items()}
    )


def test_the_order_is_counted_seed_by_seed():
    costs = [cost(10, (3.0, 3.1, 5.0)), cost(20, (3.0, 1.5, 3.0))]
    assert [one.in_order for one in costs] == [2, 2]
    assert sentence_on_order(costs) == "q8_0 < q6_k < q4_k < q4_1 in 4 of 6 models"


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ((3.0, 3.1, 3.2), (3.3, 3.4, 3.5), "more for the larger one in every pair of seeds"),
        ((3.3, 3.4, 3.5), (3.0, 3.1, 3.2), "less for the larger one in every pair of seeds"),
        ((3.0, 3.1, 3.4), (3.3, 3.4, 3.5), "no difference is claimed"),
        ((3.0, 3.1), (3.3, 3.4), "no difference is claimed"),
    ],
)
def test_a_trend_is_claimed_only_where_seeds_bear_it(first, last, said):
    assert said in sentence_on_size([cost(10, first), cost(20, last)])
