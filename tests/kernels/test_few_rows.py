"""Weights in the forms for few rows multiply as the numbers that they stand for."""

import pytest
import torch
from einops import einsum

from qlora_kernels import FORMATS, quantize
from qlora_kernels.few_rows import BLOCK_SIZES, FOUR_BITS_UP_TO, FourBitWeight, OrderedWeight
from qlora_kernels.quantize_k import K_ENCODERS, quantize_k

PACKED = [name for name, format in FORMATS.items() if format.pack is not None] + list(K_ENCODERS)
FOUR_BITS = {"q4_0", "q4_1", "q4_k", "int4"}


def drawn(*shape, seed=0):
    # rows of different sizes and away from 0, so that scales and offsets all matter
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return made * torch.linspace(0.5, 2, shape[0])[:, None] + torch.linspace(-1, 1, shape[0])[:, None]


def far_off(given, x, weight):
    right = einsum(x.double(), weight.double(), "M K, N K -> M N")
    return float((given - right).norm() / right.norm())


@pytest.mark.parametrize("name", PACKED)
def test_every_format_in_equal_steps_of_four_bits_multiplies_as_far_off_as_bfloat16(name):
    weight = (quantize_k if name in K_ENCODERS else quantize)(drawn(48, 512), name)
    made = FourBitWeight.of([weight.affine()])
    assert (made is not None) == (name in FOUR_BITS)
    if made is None:
        return
    for rows in (1, 3, FOUR_BITS_UP_TO):
        x = drawn(rows, 512, seed=1)
        numbers = weight.dequantize()
        by_bfloat16 = torch.nn.functional.linear(x.bfloat16(), numbers.bfloat16())
        assert made(x).dtype == torch.float32
        assert far_off(made(x), x, numbers) < 2 * far_off(by_bfloat16, x, numbers) < 0.02


@pytest.mark.parametrize("block", BLOCK_SIZES)
def test_matrices_with_the_same_inputs_are_one(block):
    parts = [quantize(drawn(rows, 512, seed=rows), "int4", block_size=block) for rows in (16, 8, 24)]
    made = FourBitWeight.of([one.affine() for one in parts])
    x = drawn(2, 512, seed=1)
    assert made is not None
    assert far_off(made(x), x, torch.cat([one.dequantize() for one in parts])) < 0.01


def test_other_forms_are_none_of_four_bits():
    def of(*parts):
        return FourBitWeight.of(
            [quantize(drawn(*shape), name, **more).affine() for shape, name, more in parts]
        )

    assert of(((16, 512), "q4_0", {}), ((16, 512), "q4_1", {})) is not None
    assert of(((24, 512), "q4_1", {})) is None, "rows"
    assert of(((16, 512), "q4_1", {}), ((16, 512), "int4", {})) is None, "blocks of two sizes"
    assert of(((16, 512), "q4_1", {}), ((16, 512), "nf4", {"block_size": 32})) is None, "levels"


def test_an_ordered_weight_has_the_bits_of_products_in_bfloat16():
    weight = drawn(48, 64).bfloat16()
    made = OrderedWeight.of(weight, 3)
    assert OrderedWeight.of(weight.float(), 3) is None
    if made is None:
        pytest.skip("no products in bfloat16 here")
    x = drawn(3, 64, seed=1)
    assert torch.equal(made(x), torch.nn.functional.linear(x.bfloat16(), weight).float())
