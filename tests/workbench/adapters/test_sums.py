"""Several adapters as one: exactly the sum where a way says so, and what each way is, by hand."""

from dataclasses import replace

import pytest
import torch
from random_adapters import random_adapter

from workbench.adapters.adapter import LoraAdapter
from workbench.adapters.ranks import effective_rank, numerical_rank, singular_values
from workbench.adapters.sums import SUMS, combine
from workbench.errors import InputError

Q = "layers.0.q_proj"


def small(a, b, **fields) -> LoraAdapter:
    tensors = {f"{Q}.lora_A": torch.tensor(a), f"{Q}.lora_B": torch.tensor(b)}
    return LoraAdapter(
        name="small", base="base", rank=len(a), tensors=tensors, **({"alpha": float(len(a))} | fields)
    )


def sum_of(adapters, weights, layer):
    return sum(w * one.change(layer) for one, w in zip(adapters, weights, strict=True) if layer in one.layers)


@pytest.fixture
def several(tiny_config):
    return [
        random_adapter(tiny_config, seed=1, rank=3),
        random_adapter(tiny_config, seed=2, rank=5, rslora=True),
        random_adapter(tiny_config, seed=3, rank=2, leaves=("q_proj",), blocks=(1,), alphas={Q: 9.0}),
    ]


def test_cat_is_the_sum(several):
    weights = (0.5, -2.0, 1.0)
    whole = combine(several, weights)
    assert whole.layer_rank("layers.1.q_proj") == 10
    assert whole.layer_rank("layers.0.v_proj") == 8
    for layer in whole.layers:
        assert whole.scale(layer) == 1
        torch.testing.assert_close(whole.change(layer), sum_of(several, weights, layer), rtol=1e-5, atol=1e-6)


def test_svd_of_enough_rank_is_the_sum_and_else_the_nearest(several):
    weights = (0.5, -2.0, 1.0)
    whole = combine(several, weights, "svd", rank=10)
    near = combine(several, weights, "svd", rank=4)
    for layer in ("layers.1.q_proj", "layers.2.down_proj"):
        exact = sum_of(several, weights, layer)
        torch.testing.assert_close(whole.change(layer), exact, rtol=1e-4, atol=1e-5)
        left = torch.linalg.svdvals(exact.double())[4:].norm()  # Eckart and Young
        assert (near.change(layer) - exact).norm() == pytest.approx(float(left), rel=1e-4)
        assert near.layer_rank(layer) == 4
    assert combine(several[:2], (1, 1), "svd").rank == 5


def test_linear_has_cross_terms():
    one, two = small([[1.0, 0.0]], [[1.0], [0.0]]), small([[0.0, 1.0]], [[0.0], [1.0]], alpha=4.0)
    found = combine([one, two], (1, 1), "linear").change(Q)
    # A = (1, 2) with the roots of 1 and 4, and B alike
    assert found.tolist() == [[1.0, 2.0], [2.0, 4.0]]
    assert combine([one, two], (1, 1)).change(Q).tolist() == [[1.0, 0.0], [0.0, 4.0]]
    assert combine([one], (-4.0,), "linear").tensors[f"{Q}.lora_A"].tolist() == [[-2.0, -0.0]]


def test_ties_by_hand():
    one = small([[4.0, -1.0, 3.0, 0.5]], [[1.0], [1.0]])
    two = small([[-2.0, -5.0, 1.0, 6.0]], [[1.0], [1.0]])
    found = combine([one, two], (1, 1), "ties", density=0.5)
    # kept: (4, 0, 3, 0) and (0, -5, 0, 6); no place has two signs
    assert found.tensors[f"{Q}.lora_A"].tolist() == [[4.0, -5.0, 3.0, 6.0]]
    whole = combine([one, two], (1, 1), "ties", density=1.0)
    # elected +, -, +, +: 4 alone, the mean of -1 and -5, of 3 and 1, of 0.5 and 6
    assert whole.tensors[f"{Q}.lora_A"].tolist() == [[4.0, -3.0, 2.0, 3.25]]


def test_dare_keeps_a_share_and_enlarges_it(tiny_config):
    adapter = random_adapter(tiny_config, leaves=("gate_proj",), rank=16, alpha=16.0)
    found = combine([adapter], (1,), "dare", density=0.25, seed=4)
    again = combine([adapter], (1,), "dare", density=0.25, seed=4)
    other = combine([adapter], (1,), "dare", density=0.25, seed=5)
    for name, numbers in found.tensors.items():
        kept = numbers != 0
        assert kept.float().mean() == pytest.approx(0.25, abs=0.06)
        torch.testing.assert_close(numbers[kept], 4 * adapter.tensors[name][kept])
        assert torch.equal(numbers, again.tensors[name])
    assert any(not torch.equal(found.tensors[name], other.tensors[name]) for name in found.tensors)


@pytest.mark.parametrize("how", SUMS)
def test_one_adapter_alone_stays_what_it_is_where_nothing_is_dropped(how, tiny_config):
    adapter = random_adapter(tiny_config, rslora=True)
    found = combine([adapter], (1,), how, density=1.0)
    for layer in adapter.layers:
        torch.testing.assert_close(found.change(layer), adapter.change(layer), rtol=1e-4, atol=1e-5)


def test_72_random_adapters_of_rank_8_reach_rank_576():
    """A layer of SmolLM2's width; low rank is no bound for what many adapters add up to."""
    generator = torch.Generator().manual_seed(0)
    many = [
        LoraAdapter(
            name=str(k),
            base="base",
            rank=8,
            alpha=8.0,
            tensors={
                f"{Q}.lora_A": torch.randn(8, 576, generator=generator),
                f"{Q}.lora_B": torch.randn(576, 8, generator=generator),
            },
        )
        for k in range(72)
    ]
    reached = {}
    for count in (1, 36, 71, 72):
        values = singular_values(combine(many[:count], [1.0] * count), Q)
        reached[count] = numerical_rank(values, (576, 576))
    assert reached == {1: 8, 36: 288, 71: 568, 72: 576}
    assert 300 < effective_rank(values) < 576


REFUSED = [
    ({"how": "sum"}, r"unknown way to combine 'sum'\..* Known: cat, dare, linear, svd, ties"),
    ({"how": "linear"}, "layers.0.q_proj has the ranks 3, 5, and linear adds matrices of one rank"),
    ({"density": 0.0}, "density is 0.0; choose a number above 0 and up to 1"),
    ({"rank": 0}, "rank is 0; choose a rank of at least 1"),
    ({"weights": (1.0,)}, "2 adapters and 1 weights; give a weight for each adapter"),
]


@pytest.mark.parametrize(("asked", "said"), REFUSED)
def test_what_cannot_be_combined_so_is_refused(several, asked, said):
    with pytest.raises(InputError, match=said):
        combine(several[:2], **({"weights": (1.0, 1.0)} | asked))


def test_adapters_that_do_not_belong_together_are_refused(tiny_config, several):
    one = several[0]
    wide = random_adapter(replace(tiny_config, width=48))
    with pytest.raises(InputError, match="take adapters of one base"):
        combine([one, wide], (1, 1))
    dora = random_adapter(tiny_config, dora=True)
    with pytest.raises(InputError, match="is DoRA, which rescales the base's rows"):
        combine([one, dora], (1, 1))
    hashes = [replace(one, base_sha256=letter * 64) for letter in "ab"]
    with pytest.raises(InputError, match="bases with different hashes"):
        combine(hashes, (1, 1))
    assert combine([hashes[0], one], (1, 1)).base_sha256 == "a" * 64
    tensors = {"unet:0.lora_A": torch.ones(1, 2), "unet:0.lora_B": torch.ones(2, 1)}
    image = LoraAdapter(name="image", base="", rank=1, alpha=1.0, tensors=tensors)
    with pytest.raises(InputError, match="are of different kinds of models"):
        combine([one, image], (1, 1))
    token = [replace(image, extras={"<s1>": torch.full((2,), float(k))}) for k in range(2)]
    with pytest.raises(InputError, match="two adapters have different vectors of the token <s1>"):
        combine(token, (1, 1))
