"""Which cells are trained together: as many as a step has room for, in equal stacks of like lengths."""

from dataclasses import replace

import pytest
import torch

from workbench.config import CellConfig
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.models.decoder_config import DecoderConfig
from workbench.studies import stacks
from workbench.studies.stacks import own_steps, partition, step_tokens
from workbench.training.evaluation import HeldOut
from workbench.training.loop import branches
from workbench.training.prepare import Prepared

DECODER = DecoderConfig(
    vocabulary=29, width=8, layers=2, heads=1, kv_heads=1, head_size=8, feed_forward=8, context=64
)
CELL = CellConfig(data="d", base="b", size=2, batch_size=4, steps=10, rank=2)


def no_states():
    """Stand for the frozen blocks, whose output no stack is cut by."""
    raise AssertionError("stacks are cut by lengths alone")


def prepared(cells) -> Prepared:
    """Every cell takes the same examples: of 5 and 7 tokens, of which the first 2 are the same."""
    pool = Pool([Example((1, 2, 3, 4, 5), 4), Example((1, 2, 9, 4, 5, 6, 7), 4)])
    return Prepared(pool, 0, no_states, {cell.key(): [0, 1] for cell in cells}, HeldOut([0]))


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """No decoder is needed to count tokens."""
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)


def test_what_all_examples_begin_with_counts_once_in_a_step():
    assert step_tokens(CELL, prepared([CELL])) == 2 + 4 * (3 + 5) / 2


@pytest.mark.parametrize(
    ("count", "room", "sizes"),
    [(13, 12, [6, 7]), (12, 12, [12]), (25, 12, [8, 8, 9]), (3, 1, [1, 1, 1]), (3, 0.5, [1, 1, 1])],
)
def test_stacks_are_equal_and_as_large_as_a_step_may_be(monkeypatch, count, room, sizes):
    cells = [CELL.with_(seed=seed) for seed in range(count)]
    monkeypatch.setattr(stacks, "STEP_TOKENS", 18 * room)  # a cell's step has 18 tokens
    found = partition(cells, prepared(cells), DECODER)
    assert sorted(map(len, found)) == sizes
    assert sorted(cell.seed for stack in found for cell in stack) == list(range(count))


def test_cells_of_like_length_go_together_the_longest_first(monkeypatch):
    cells = [CELL.with_(seed=seed, steps=steps) for seed, steps in enumerate((10, 90, 20, 80, 10, 95))]
    monkeypatch.setattr(stacks, "STEP_TOKENS", 18 * 2)
    found = partition(cells, prepared(cells), DECODER)
    assert [[cell.steps for cell in stack] for stack in found] == [[95, 90], [80, 20], [10, 10]]


def test_memory_bounds_a_stack_too(monkeypatch):
    cells = [CELL.with_(seed=seed) for seed in range(6)]
    each = 18 * stacks.activation_bytes(DECODER, 0)
    monkeypatch.setattr(stacks, "ACTIVATION_BYTES", 3 * each)
    assert [len(stack) for stack in partition(cells, prepared(cells), DECODER)] == [3, 3]


def test_cells_that_adapt_other_layers_or_take_other_batches_are_apart():
    apart = [{"first_layer": 1}, {"targets": ("q_proj",)}, {"batch_size": 2}, {"adapter": "dora"}]
    changes = [{}, *apart, {"learning_rate": 1e-3}]
    cells = [CELL.with_(**change) for change in changes]
    found = partition(cells, prepared(cells), DECODER)
    assert [len(stack) for stack in found] == [2, 1, 1, 1, 1]


def test_a_trunk_s_cells_train_alone_only_what_is_their_own():
    trunk = {"schedule": "trunk", "warmup_steps": 1, "steps": None, "epochs": 1.0}
    cells = [replace(CELL, size=size, **trunk) for size in (8, 40, 16)]
    made = prepared(cells)
    made.draws.update({cell.key(): torch.zeros(cell.size, dtype=torch.int64).tolist() for cell in cells})
    # of 2, 10 and 4 steps: the fall of a fifth, rounded up, or all of the longest
    branched = branches(cells, [made.draws[cell.key()] for cell in cells])
    assert own_steps([cells], [branched]) == dict(
        zip([cell.key() for cell in cells], [1, 10, 1], strict=True)
    )
