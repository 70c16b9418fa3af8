"""Checkpoints: bit for bit the same end, and a bad one costs time, never a wrong number."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.studies.disk.checkpoints import Checkpoint, remove_checkpoint
from workbench.training.loop import TrainState

CELLS = [CellConfig(data="d", base="b", size=4, seed=seed, rank=2, steps=5) for seed in (0, 1)]


@pytest.fixture
def state(tiny_config) -> TrainState:
    state = TrainState.fresh(LoraStack(CELLS, tiny_config))
    state.step = 3
    state.losses[:3] = torch.rand(3, 2)
    return state


@pytest.fixture
def checkpoint(tmp_path) -> Checkpoint:
    return Checkpoint(tmp_path, CELLS, "this machine")


def test_what_was_written_is_read_back_to_the_bit(checkpoint, state, tmp_path):
    assert checkpoint.read() is None
    checkpoint.write(state)
    again = checkpoint.read()
    assert again.step == 3
    for name, tensor in state.tensors().items():
        assert torch.equal(
            tensor.flatten().view(torch.uint8), again.tensors()[name].flatten().view(torch.uint8)
        )
    remove_checkpoint(tmp_path, CELLS)
    assert checkpoint.read() is None


def test_it_is_written_now_and_then(tmp_path):
    assert not Checkpoint(tmp_path, CELLS, "x", every=1000.0).due()
    assert Checkpoint(tmp_path, CELLS, "x", every=0.0).due()


def test_other_arithmetic_is_refused(checkpoint, state, tmp_path):
    checkpoint.write(state)
    with pytest.raises(InputError, match="is of other arithmetic"):
        Checkpoint(tmp_path, CELLS, "another machine").read()


def test_other_cells_are_refused(checkpoint, state, tmp_path):
    checkpoint.write(state)
    other = Checkpoint(tmp_path, CELLS[:1], "this machine")
    assert other.path != checkpoint.path
    checkpoint.path.rename(other.path)
    with pytest.raises(InputError, match="is of other cells"):
        other.read()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


def empty(path):
    path.write_bytes(b"")


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def write_text(path):
    path.write_text("not a checkpoint")


def drop_a_tensor(path):
    tensors = load_file(path)
    del tensors["mean"]
    save_file(tensors, path)


@pytest.mark.parametrize("harm", [truncate, empty, flip_a_bit, write_text, drop_a_tensor])
def test_a_damaged_one_is_refused(checkpoint, state, harm):
    checkpoint.write(state)
    harm(checkpoint.path)
    with pytest.raises(InputError, match=r"the checkpoint \w+\.safetensors is"):
        checkpoint.read()
