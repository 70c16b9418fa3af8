"""A card's memory decides how large stacks are, is predicted, and refuses a study that can't fit."""

import re
from dataclasses import replace

import pytest
import torch
from follows import follows
from small_study import small_study

from workbench import foresight
from workbench.cli import main
from workbench.config import CellConfig
from workbench.devices import Device
from workbench.errors import InputError
from workbench.models.decoder import Decoder
from workbench.studies import engine, runner, stacks
from workbench.studies import plan as planning
from workbench.studies.card_fit import largest_need
from workbench.studies.plan import plan
from workbench.studies.runner import run
from workbench.training import card_memory, loop
from workbench.training.card_memory import CardRoom, card_need

CARD = "Paper 4"
CELL = CellConfig(data="d", base="b", size=8, batch_size=4, steps=10, rank=2, targets=("q_proj",))


@pytest.fixture
def card(monkeypatch):
    """Return a function that says that the processor is a card with so much memory."""

    def of(memory: int) -> None:
        monkeypatch.setattr(card_memory, "memory_of", lambda device: memory)
        made = Device(torch.device("cpu"), CARD, memory, "made up")
        for module in (planning, foresight, engine, runner):
            monkeypatch.setattr(module, "choose_device", lambda name: made)

    return of


@pytest.fixture
def fixed(monkeypatch):
    """Take away what any study needs of any card, which these small ones would not be seen beside."""
    for name in (
        "RESERVE",
        "JUDGED_BYTES",
        "DEVICE_CHUNK_BYTES",
        "SCRATCH_BYTES",
        "LOGIT_BYTES_ON_GPU",
        "CACHE_BYTES",
    ):
        monkeypatch.setattr(card_memory, name, 0)


def need_of(study) -> tuple[card_memory.CardNeed, int]:
    """Return what a cell of a study needs, and the tokens of its longest text."""
    made = plan(study)
    pool = made.prepared.pool
    cell = max(made.cells, key=lambda one: one.rank)
    need = card_need(made.base.decoder, len(pool.tokens), made.prepared.first, cell, 0)
    drawn = made.prepared.draws[cell.key()]
    return need, int(pool.lengths[drawn].max())


@pytest.mark.parametrize("together", [1, 2, 3, 6])
def test_stacks_are_as_large_as_the_card_s_memory_allows(fixed, card, together):
    study = small_study(sizes=(16,))
    need, _ = need_of(study)
    made = plan(study)
    tokens = max(stacks.step_tokens(cell, made.prepared) for cell in made.cells)
    memory = int(need.peak(together, together * tokens) / (1 - card_memory.SPLINTERS)) + 2
    assert need.peak(together + 1, (together + 1) * tokens) > memory * (1 - card_memory.SPLINTERS)
    card(memory)
    on_card = plan(study)
    assert sorted(map(len, on_card.stacks), reverse=True) == [together] * (6 // together)
    taken = largest_need(on_card.card, on_card.stacks, on_card.prepared)
    assert 0.9 * memory < taken <= memory


def test_the_adapters_of_all_cells_of_a_stack_count(fixed, card):
    """A card on which three cells' tokens would fit with the adapters of one, and not with those of three."""
    study = small_study(sizes=(16,))
    need, _ = need_of(study)
    made = plan(study)
    tokens = max(stacks.step_tokens(cell, made.prepared) for cell in made.cells)
    memory = int(need.peak(3, 3 * tokens) / (1 - card_memory.SPLINTERS)) - 2
    assert need.peak(1, 3 * tokens) < need.peak(3, 3 * tokens) - 1000
    card(memory)
    assert max(map(len, plan(study).stacks)) == 2


def test_a_card_takes_more_tokens_at_once_than_a_processor(card, monkeypatch):
    card(16 * 2**30)
    monkeypatch.setattr(stacks, "STEP_TOKENS", 1)
    assert list(map(len, plan(small_study()).stacks)) == [12]
    monkeypatch.setattr(stacks, "STEP_TOKENS_ON_GPU", 1)
    assert list(map(len, plan(small_study()).stacks)) == [1] * 12


def test_the_partition_is_a_function_of_the_card_s_kind(card):
    """Some megabytes more or fewer, as cards of one kind have, change nothing."""

    class Properties:
        name = CARD

        def __init__(self, memory):
            self.total_memory = memory

    from workbench import devices

    found = set()
    with pytest.MonkeyPatch.context() as patch:
        for memory in (15835660288, 15835660288 - 50 * 2**20):
            patch.setattr(torch.cuda, "get_device_properties", lambda _, m=memory: Properties(m))
            found.add(devices.memory_of(torch.device("cuda", 0)))
    assert len(found) == 1
    assert devices.memory_of(torch.device("cpu")) is None


def test_a_step_that_is_larger_than_the_card_goes_through_in_pieces(
    tiny_decoder, tiny_pool, monkeypatch, fixed
):
    """The gradient is the same; tokens at once never pass what the card has left."""
    frozen = loop.freeze(tiny_decoder, tiny_pool, 0)
    stack = loop.fresh_stack([CELL, CELL.with_(seed=1)], tiny_decoder.config, tiny_decoder)
    rows = [list(range(8)), list(range(8, 16))]
    _, whole = loop.step_gradient(frozen, stack, rows)
    room = CardRoom(tiny_decoder, len(tiny_pool.tokens), 0, 0)
    need = room.need(stack.cells)
    memory = need.held + need.step + 2 * need.cell_step + 40 * need.token
    monkeypatch.setattr(card_memory, "SPLINTERS", 0)
    monkeypatch.setattr(card_memory, "memory_of", lambda device: memory)
    assert loop.tokens_at_once(frozen, stack) == 40
    seen = []
    lay_out = tiny_pool.batch

    def watched(own):
        batch = lay_out(own)
        seen.append(batch.tokens.numel())
        return batch

    monkeypatch.setattr(type(tiny_pool), "batch", lambda _, own: watched(own))
    _, pieces = loop.step_gradient(frozen, stack, rows)
    assert len(seen) > 1
    longest = int(tiny_pool.lengths.max())
    assert max(seen) <= 40 + 2 * longest, "no cut is finer than an example"
    torch.testing.assert_close(pieces, whole, rtol=1e-4, atol=1e-6)


def test_the_prediction_says_what_the_card_needs(card, fixed, tmp_path, capsys):
    card(2**30)
    told = []
    study = small_study(sizes=(8,), seeds=(0,))
    with run(study, tmp_path / "study", told.append) as store:
        prediction = store.manifest.prediction
    assert prediction.card_memory == 2**30
    assert 0 < prediction.card_bytes < 2**30
    assert told[-1].prediction.card_bytes == prediction.card_bytes
    card(2**31)
    assert main(["run", "verbs", "--sizes", "8", "--seeds", "0", "--quality", "clean", "--steps", "2",
                 "--heldout", "20", "--out", str(tmp_path / "told")]) == 0  # fmt: skip
    assert re.search(r"predicted: .* of 2\.0 GiB of the card", capsys.readouterr().out)


def test_a_dry_run_says_what_the_card_needs_or_refuses(card, capsys):
    few = [
        "run",
        "verbs",
        "--dry-run",
        "--sizes",
        "8",
        "--seeds",
        "0",
        "1",
        "--heldout",
        "20",
        "--steps",
        "2",
    ]
    assert main(few) == 0
    assert "takes this process to about" in capsys.readouterr().out
    card(6 * 2**30)
    assert main(few) == 0
    said = re.search(
        r"memory: the .* needs about (\d\.\d) GiB of the 6\.0 GiB of Paper 4", capsys.readouterr().out
    )
    assert 0 < float(said[1]) <= 6
    card(2**28)
    assert main(few) == 2
    assert "what would fit" in capsys.readouterr().err


def test_on_a_processor_nothing_is_said_of_a_card(tmp_path):
    with run(small_study(sizes=(8,), seeds=(0,)), tmp_path / "study") as store:
        assert store.manifest.prediction.card_bytes is None
        assert plan(small_study()).card is None


FULL = {"steps": 2, "batch_size": 4, "rank": 64, "targets": ("q_proj", "v_proj", "up_proj", "down_proj")}


@follows("of memory, and {what} {gib(")
def test_a_study_that_cannot_fit_is_refused_with_what_would_fit(fixed, card):
    study = small_study(sizes=(8,), seeds=(0,), settings=FULL, adapted_layers=4)
    need, longest = need_of(study)
    memory = int((need.peak(1, longest) - 1) / (1 - card_memory.SPLINTERS))
    card(memory)
    with pytest.raises(InputError) as refused:
        plan(study)
    message = str(refused.value)
    assert message.startswith(f"{CARD} has ")
    assert "one cell needs" in message
    assert "base" in message
    assert message.endswith("--device cpu")
    layers = int(re.search(r"--adapted-layers (\d+)", message)[1])
    rank = int(re.search(r"--rank (\d+)", message)[1])
    assert layers < 4
    plan(replace(study, adapted_layers=layers))
    plan(replace(study, settings={**FULL, "rank": rank}))
    with pytest.raises(InputError, match="would fit"):
        plan(replace(study, adapted_layers=layers + 1))


def test_shorter_texts_are_advised_where_they_are_what_is_too_large(fixed, card):
    study = small_study(sizes=(8,), seeds=(0,))
    need, longest = need_of(study)
    few = longest - 3
    step = need.held + need.step + need.cell_step + few * need.token
    assert step > need.cell_update, "it is the texts that are too large here"
    card(int(step / (1 - card_memory.SPLINTERS)) + need.token // 2)
    with pytest.raises(InputError, match=f"texts of at most {few} tokens instead of {longest}"):
        plan(study)


def test_a_base_in_fewer_bits_is_advised_where_its_numbers_are_what_is_too_large(fixed, card, monkeypatch):
    study = small_study(sizes=(8,), seeds=(0,))
    monkeypatch.setattr(card_memory, "held_bytes", lambda decoder: 10**9)
    monkeypatch.setattr(type(plan(study).base), "bits_per_weight", property(lambda self: 32.0))
    card(6 * 10**8)
    with pytest.raises(InputError, match="the same base in 4 bits"):
        plan(study)


def test_the_command_line_refuses_with_status_2(card, fixed, tmp_path, capsys):
    card(2**20)
    assert main(["run", "verbs", "--out", str(tmp_path / "study"), "--device", "cuda"]) == 2
    assert f"{CARD} has 0.0 GiB of memory" in capsys.readouterr().err
    assert not (tmp_path / "study" / "manifest.json").exists()


@follows("alone don't fit into what is free of the")
def test_a_base_that_is_larger_than_the_card_is_told(card, monkeypatch):
    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    card(2**30)
    monkeypatch.setattr(planning, "load_base", full)
    with pytest.raises(
        InputError, match=r"the weights of classroom alone .* 1\.0 GiB of Paper 4; .*--device cpu"
    ):
        plan(small_study())
    monkeypatch.undo()
    plan(replace(small_study(), device="cpu"))


def test_what_a_decoder_holds_is_counted_once(tiny_decoder: Decoder):
    """Products that share numbers with the weights don't count them twice."""
    held = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for tensor in card_memory._tensors(tiny_decoder)}  # fmt: skip
    assert card_memory.held_bytes(tiny_decoder) == sum(held.values())
