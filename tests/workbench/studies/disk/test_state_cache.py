"""The frozen blocks' states on disk: the same bits, computed once, never someone else's."""

import os

import pytest
import torch

from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.models.loaders import load_base
from workbench.studies.disk import state_cache
from workbench.studies.disk.state_cache import freeze_once, states_folder
from workbench.studies.torch_threads import torch_threads
from workbench.training.loop import freeze


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    return load_base("classroom")


def pool(seed):
    texts = torch.randint(3, 60, (5, 12), generator=torch.Generator().manual_seed(seed))
    return Pool([Example(tuple(text.tolist()), 4) for text in texts])


def refuse(*_):
    raise AssertionError("computed again")


def test_states_are_computed_once_and_come_back_to_the_bit(base, monkeypatch):
    first = freeze_once(base, pool(0), 2)
    assert torch.equal(first.states, freeze(base.decoder, pool(0), 2).states)
    monkeypatch.setattr(state_cache, "freeze", refuse)
    again = freeze_once(base, pool(0), 2)
    assert torch.equal(again.states, first.states)
    assert (again.first, again.decoder) == (2, base.decoder)


def test_other_tokens_blocks_or_threads_are_other_states(base):
    with torch_threads(1):
        for seed, blocks in ((0, 2), (1, 2), (0, 1)):
            freeze_once(base, pool(seed), blocks)
    with torch_threads(2):
        freeze_once(base, pool(0), 2)
    assert len(list(states_folder().iterdir())) == 4


def test_without_frozen_blocks_nothing_is_kept(base):
    assert freeze_once(base, pool(0), 0).states is None
    assert not states_folder().exists()


@pytest.mark.parametrize("damage", [b"", b"no safetensors at all", "one bit"])
def test_a_damaged_file_is_computed_again(base, damage):
    states = freeze_once(base, pool(0), 2).states
    (path,) = states_folder().iterdir()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data) if damage == "one bit" else damage)
    assert torch.equal(freeze_once(base, pool(0), 2).states, states)
    assert freeze_once(base, pool(0), 2).states.equal(states)


def test_the_budget_keeps_those_that_were_used_last(base, monkeypatch):
    size = freeze_once(base, pool(0), 2).states.nbytes
    (oldest,) = states_folder().iterdir()
    monkeypatch.setattr(state_cache, "BUDGET", 3 * size)
    freeze_once(base, pool(1), 2)
    (newer,) = set(states_folder().iterdir()) - {oldest}
    os.utime(oldest, (1, 1))
    os.utime(newer, (2, 2))
    freeze_once(base, pool(0), 2)  # used again, so the other one is the oldest now
    freeze_once(base, pool(2), 2)
    kept = set(states_folder().iterdir())
    assert oldest in kept
    assert newer not in kept
    monkeypatch.setattr(state_cache, "BUDGET", size - 1)
    freeze_once(base, pool(3), 2)
    assert set(states_folder().iterdir()) == kept


def test_a_full_disk_costs_time_and_no_result(base, monkeypatch):
    def full(*_):
        raise state_cache.InputError("could not write: no space left on device")

    monkeypatch.setattr(state_cache, "write_atomically", full)
    with pytest.warns(UserWarning, match="computes the frozen blocks again: could not write"):
        assert freeze_once(base, pool(0), 2).states is not None
