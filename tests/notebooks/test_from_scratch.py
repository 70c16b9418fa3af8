"""The notebook that is written from scratch: short, on its own, and the same as the package."""

import re
from pathlib import Path

import jupytext
import numpy as np
import pytest
import torch

import workbench as wb
from workbench.laws.analysis import Band
from workbench.lessons.from_scratch import logits_apart, share_inside, step_apart, weights_apart

MOST_LINES = 200
NOTEBOOK = jupytext.read(Path(__file__).resolve().parents[2] / "notebooks" / "14_from_scratch.py")
CODE = [cell.source for cell in NOTEBOOK.cells if cell.cell_type == "code"]
OWN = CODE[: next(place for place, source in enumerate(CODE) if "import workbench" in source)]
"""The cells before the package is called."""
NEEDS_THE_GRID = re.compile(r"^(trained|wrong) =|^for n in|^import matplotlib|^tried|^curves =", re.MULTILINE)
"""Code that trains the cells, which takes half a minute, or reads what came out."""


@pytest.fixture(scope="module")
def scratch():
    """Return what the notebook's cells define, without those that train and judge the grid."""
    names = {}
    for source in OWN:
        exec(NEEDS_THE_GRID.split(source)[0], names)
    return names


@pytest.fixture(scope="module")
def package():
    return wb.load_base("classroom")


def test_all_of_it_has_fewer_than_two_hundred_lines():
    lines = [line for source in CODE for line in source.splitlines() if line.strip()]
    assert len(lines) < MOST_LINES


def test_it_calls_nothing_of_ours_before_the_check():
    assert len(OWN) > 10
    for source in OWN:
        assert not re.search(r"^\s*(import|from)\s+(workbench|qlora_kernels)|wb\.", source, re.MULTILINE)


def test_its_weights_are_the_packages_bit_for_bit(scratch, package):
    assert weights_apart(scratch["base"], package) == 0
    changed = dict(scratch["base"])
    for name in ("blk.2.attn_k.weight", "output_norm.weight"):
        changed[name] = changed[name].clone()
        changed[name].view(torch.int32).flatten()[5] += 1
    assert weights_apart(changed, package) == 2


def test_its_logits_are_the_packages(scratch, package):
    pairs = scratch["draw"](6, 1, 0.5)
    tokens, learn = scratch["numbers"]([pairs])
    logits = scratch["logits"](tokens, {}).detach()
    assert logits_apart(logits, pairs, package) < 1e-4
    shortest = int(learn[0].flip(-1).int().argmax(-1).max())
    logits[0, 2, tokens.shape[-1] - shortest - 3, 7] += 0.5
    assert logits_apart(logits, pairs, package) == pytest.approx(0.5, abs=1e-3)


def test_its_loss_and_slopes_are_the_packages(scratch, package):
    pairs = scratch["draw"](4, 0, 0.25)
    lora = scratch["fresh"](1)
    for _, b in lora.values():
        torch.nn.init.normal_(b, std=0.02)
    loss = scratch["surprise"](*scratch["numbers"]([pairs]), lora)
    loss.backward()
    of_loss, of_slopes = step_apart(loss, lora, pairs, package)
    assert of_loss < 1e-5
    assert of_slopes < 1e-4
    lora["blk.1.attn_q"][1].grad *= 2
    assert step_apart(loss + 0.25, lora, pairs, package)[0] == pytest.approx(0.25, abs=1e-4)
    assert step_apart(loss, lora, pairs, package)[1] > 1e-3


@pytest.mark.parametrize(("rest", "slope", "beta"), [(0.1, 0.9, 0.6), (0.0, 2.0, 1.0)])
def test_its_curve_finds_a_power_law(scratch, rest, slope, beta):
    sizes = (8, 32, 128, 512)
    found = scratch["curve"](sizes, rest + slope * torch.tensor(sizes).double() ** -beta)
    assert found(64).item() == pytest.approx(rest + slope * 64**-beta, rel=0.02)


def test_its_curve_never_rises(scratch):
    found = scratch["curve"]((8, 32, 128, 512), torch.tensor([0.1, 0.2, 0.3, 0.4]).double())
    values = found(torch.tensor([8, 32, 128, 512]))
    assert (values.diff() <= 1e-12).all()
    assert values[0].item() == pytest.approx(0.25)


def test_a_curve_outside_the_packages_bands_is_told(scratch):
    sizes = np.geomspace(8, 512, 5)
    band = Band("clean", "fitted", sizes, *(np.full(5, one) for one in (0.8, 0.7, 0.9)), sizes, sizes, None)
    assert share_inside({"clean": lambda size: torch.full_like(size, 0.25)}, {"clean": band}) == 1
    assert share_inside({"clean": lambda size: size / 1000}, {"clean": band}) == pytest.approx(0.2)
