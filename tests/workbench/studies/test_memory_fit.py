"""A processor's memory decides how a base is held, is predicted, and refuses a study that can't fit."""

import re
from dataclasses import replace

import pytest
import torch
from follows import follows
from small_study import small_study

import workbench as wb
from workbench import memory
from workbench.cli import main
from workbench.devices import Device
from workbench.errors import InputError
from workbench.models.gguf_writer import write_gguf
from workbench.models.loaders import load_base
from workbench.studies import memory_fit
from workbench.studies.disk.manifest import read_manifest
from workbench.studies.grid import Study
from workbench.studies.memory_fit import lacking
from workbench.studies.parts import plan_parts
from workbench.studies.plan import plan
from workbench.studies.runner import run
from workbench.training import processor_memory
from workbench.training.processor_memory import HeldBase, held_otherwise, processor_need

ONE = {"sizes": (8,), "seeds": (0,)}
TRUNK = {"schedule": "trunk", "warmup_steps": 1, "steps": None, "epochs": 1.0, "batch_size": 4}
WIDE = {"steps": 2, "batch_size": 4, "rank": 64, "targets": ("q_proj", "v_proj", "up_proj", "down_proj")}


@pytest.fixture
def left(monkeypatch):
    """A function that says how much memory is free; what any base needs beside it is taken away."""

    def of(free: int, *, own: int = 0) -> None:
        monkeypatch.setattr(memory, "free_bytes", lambda: free)
        monkeypatch.setattr(memory, "own_bytes", lambda: own)

    for name in ("LOGIT_BYTES", "PACKED_LOGIT_BYTES", "CHUNK_BYTES"):
        monkeypatch.setattr(processor_memory, name, 0)
    monkeypatch.setattr("workbench.models.holding.SPARE_BYTES", 0)
    return of


def needed(study: Study, hold: str) -> int:
    """Return the bytes that training a study's largest cell takes beside the program."""
    made = plan(replace(study, hold=hold))
    lengths, draws = made.prepared.pool.lengths, made.prepared.draws.values()
    longest = max(int(lengths[drawn].max()) for drawn in draws)
    return made.room.need(made.cells).peak(1, longest)


def test_a_base_is_decoded_where_there_is_memory_and_packed_where_not(left):
    study = small_study(**ONE)
    decoded, packed = needed(study, "decoded"), needed(study, "packed")
    assert packed < decoded
    left(decoded)
    made = plan(study)
    assert (made.study.hold, made.base.decoder.hold) == ("decoded", "decoded")
    assert not any("packed" in note for note in made.notes)
    left(decoded - 1)
    made = plan(study)
    assert (made.study.hold, made.base.decoder.hold) == ("packed", "packed")
    (told,) = (note for note in made.notes if "held packed" in note)
    assert "of memory are free" in told
    assert made.arithmetic.used["hold"] == "packed"
    left(2**40)
    assert made.arithmetic.name != plan(replace(study, hold="decoded", precision="float32")).arithmetic.name
    left(packed - 1)
    with pytest.raises(InputError, match="what would fit"):
        plan(study)


def test_weights_that_do_not_fit_decoded_are_never_decoded(left, monkeypatch):
    """The loader asks before it reads: what is decoded would be too much already."""
    base = load_base("classroom")
    held = HeldBase.of(base.decoder)
    monkeypatch.setattr("workbench.models.decoder.PreparedWeight.of", lambda *_: pytest.fail("decoded"))
    left(held.bytes - 1)
    assert load_base("classroom", hold="auto").decoder.packed
    monkeypatch.undo()


def test_a_base_s_bytes_are_those_that_it_holds():
    for precision, item in (("float32", 4), ("bfloat16", 2)):
        decoder = load_base("classroom", precision).decoder
        held = HeldBase.of(decoder)
        parts = {one.parts[0].untyped_storage().data_ptr(): one.parts[0] for one in decoder.prepared.values()}
        stored = sum(weight.nbytes for weight in decoder.weights.values())
        shared = sum(
            weight.nbytes
            for weight in decoder.weights.values()
            if not hasattr(weight, "stored") and weight.untyped_storage().data_ptr() in parts
        )
        assert held.bytes == stored - shared + sum(part.nbytes for part in parts.values())
        assert held_otherwise(held, "packed").bytes == stored
        assert held_otherwise(held, "packed").buffer >= item * held.largest


def test_a_study_goes_on_as_it_was_begun(left, tmp_path):
    """Packed where memory was short, also when there is plenty; and the reverse is refused in a sentence."""
    study = small_study(**ONE)
    left(needed(study, "decoded") - 1)
    run(study, tmp_path / "study").close()
    assert read_manifest(tmp_path / "study").study.parsed().hold == "packed"
    left(2**40)
    more = replace(study, seeds=(0, 1))
    with run(more, tmp_path / "study") as store:
        made_by = {how["arithmetic"] for how in store.made().values()}
        assert store.manifest.study.parsed().hold == "packed"
    assert len(made_by) == 1
    with pytest.raises(InputError, match="hold was packed and is decoded"):
        run(replace(more, hold="decoded"), tmp_path / "study")


def test_what_was_begun_before_is_held_decoded(tmp_path):
    """A description without the word, as earlier versions wrote it and read it."""
    run(small_study(**ONE), tmp_path / "study").close()
    written = read_manifest(tmp_path / "study").study.written
    assert "hold" not in written
    assert read_manifest(tmp_path / "study").study.parsed().hold == "decoded"
    assert Study.from_dict(small_study(hold="packed").to_dict()).hold == "packed"


def test_workers_hold_the_base_as_the_runner_does(tmp_path):
    """Their arithmetic is compared, of which this is a part."""
    study = small_study(sizes=(8,), seeds=(0, 1), hold="packed")
    with run(study, tmp_path / "alone") as store:
        alone = {row["key"]: row["loss"] for row in store.rows()}
    with run(study, tmp_path / "workers", executor="processes", workers=1, threads=1) as store:
        assert {row["key"]: row["loss"] for row in store.rows()} == pytest.approx(alone, abs=1e-6)


def test_bases_of_one_study_are_held_alike(tmp_path):
    """Where the second is too large to be decoded, the first is planned anew."""
    base = load_base("classroom")
    other = tmp_path / "other.gguf"
    write_gguf(other, base.decoder.config, base.decoder.weights, base.tokenizer, name="other", licence=None)
    asked = []

    def make(part):
        asked.append((part.base, part.hold))
        found = {"auto": "packed" if part.base == str(other) else "decoded"}
        return plan(replace(part, hold=found.get(part.hold, part.hold)))

    study = small_study(**ONE, further_bases=(str(other),))
    whole = plan_parts(study, make, lambda progress: None, frozenset())
    assert {part.study.hold for part in whole.parts} == {"packed"}
    assert whole.manifest["study"]["hold"] == "packed"
    assert asked == [
        ("classroom", "auto"),
        (str(other), "auto"),
        ("classroom", "packed"),
        (str(other), "packed"),
    ]


@follows("of memory are free, and {what} {gib(")
def test_a_study_that_cannot_fit_is_refused_with_what_would_fit(left):
    study = small_study(**ONE, settings=WIDE, adapted_layers=4, hold="packed")
    peak = needed(study, "packed")
    left(peak - 1)
    with pytest.raises(InputError) as refused:
        plan(study)
    message = str(refused.value)
    assert "one cell needs" in message
    assert "close what else uses the memory" in message
    layers = int(re.search(r"--adapted-layers (\d+)", message)[1])
    rank = int(re.search(r"--rank (\d+)", message)[1])
    plan(replace(study, adapted_layers=layers))
    plan(replace(study, settings={**WIDE, "rank": rank}))
    with pytest.raises(InputError, match="would fit"):
        plan(replace(study, adapted_layers=layers + 1))
    with pytest.raises(InputError, match="would fit"):
        plan(replace(study, settings={**WIDE, "rank": 2 * rank}))
    short = needed(replace(study, adapted_layers=2), "packed") - 1
    left(short)
    with pytest.raises(InputError, match="--adapted-layers 1,"):
        plan(study)
    plan(replace(study, adapted_layers=1))


def test_holding_it_packed_is_advised_where_decoded_was_asked_for(left):
    study = small_study(**ONE, hold="decoded")
    left(needed(study, "packed"))
    with pytest.raises(InputError, match="what would fit: --hold packed") as refused:
        plan(study)
    assert "held decoded" in str(refused.value)
    plan(replace(study, hold="packed"))


def test_shorter_texts_are_advised_where_they_are_what_is_too_large(left):
    study = small_study(**ONE, hold="packed")
    made = plan(study)
    need = made.room.need(made.cells)
    longest = int(made.prepared.pool.lengths[made.prepared.draws[made.cells[0].key()]].max())
    few = longest - 3
    room = replace(made.room, free=need.base + need.buffer + need.cell_step + few * need.token, program=0)
    need = replace(need, judging=0, cell_update=0, cell_judged=0, states=0)
    assert need.tokens(room.free, 1) == few
    assert room.fits(need, 1, few)
    assert not room.fits(need, 1, few + 1)


def short_of(share: float):
    """Return what is advised for a base in 8 bits where memory lacks a share of them."""
    made = plan(small_study(**ONE, hold="packed"))
    base, cells = made.base, made.cells[:1]
    bits = 2 * base.bits_per_weight
    room = replace(made.room, held=replace(made.room.held, stored=2 * made.room.held.stored), program=0)
    short = replace(room, free=room.need(cells).peak(1, 30) - int(share * room.held.stored))
    four = replace(short, held=replace(room.held, stored=int(room.held.stored * 4.5 / bits)))
    advised = list(memory_fit._smaller(short, cells, 30, bits))
    return [one for one in advised if "in 4 bits" in one], four.fits(four.need(cells), 1, 30)


def test_fewer_bits_are_advised_where_the_weights_are_what_is_too_large():
    advised, fits = short_of(0.4)
    assert fits
    assert advised == ["the same base in 4 bits (such as a GGUF file of type Q4_K_M)"]


def test_fewer_bits_are_not_advised_where_they_do_not_suffice():
    assert short_of(0.6) == ([], False)


def test_a_trunk_s_cells_need_room_together(left):
    study = small_study(sizes=(8, 16), seeds=(0,), hold="packed", settings=TRUNK)
    made = plan(study)
    found = replace(made.room, free=0)
    family, _ = lacking(found, made.cells, made.prepared)
    assert len(family) == 2


def test_the_need_grows_with_what_it_is_made_of():
    decoder = load_base("classroom", hold="packed").decoder
    held = HeldBase.of(decoder)
    made = plan(small_study(**ONE))
    cell = made.cells[0]
    need = processor_need(held, 100, 0, cell)
    config = decoder.config
    kept = 4 * (config.layers * config.width + 10 * config.width + 3 * config.feed_forward)
    assert need.token > kept
    assert processor_need(held, 100, 1, cell).states == 4 * 100 * config.width
    assert need.states == 0
    assert need.peak(2, 10) > need.peak(1, 10)
    assert need.peak(1, 10**7) - need.peak(1, 10**7 - 10**6) == 10**6 * need.token
    decoded = processor_need(held_otherwise(held, "decoded"), 100, 0, cell)
    assert decoded.buffer == 0
    more = (config.layers - 1) * (9 * config.width + 3 * config.feed_forward) - config.width
    assert decoded.token - need.token == 4 * more


def test_a_container_s_limit_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    plenty = memory.free_bytes()
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("500000\n")
    (tmp_path / "memory.stat").write_text("anon 300000\ninactive_file 100000\n")
    assert memory.free_bytes() == pytest.approx(plenty, rel=0.2)
    (tmp_path / "memory.max").write_text("600000\n")
    assert memory.free_bytes() == 200_000


def test_a_dry_run_says_what_a_processor_needs_or_refuses(left, capsys):
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
    left(2**33)
    assert main(few) == 0
    said = capsys.readouterr().out
    assert re.search(
        r"memory: .* takes this process to about \d\.\d GiB, the base held decoded; 8\.0 GiB", said
    )
    left(1000)
    assert main(few) == 2
    assert "of memory are free" in capsys.readouterr().err


@follows("and on a GPU weights stay packed in any case")
@follows("are made of decoded weights, once; choose")
def test_what_packed_does_not_go_with_is_refused_where_it_is_asked_for(monkeypatch):
    card = Device(torch.device("cuda"), "Paper 4", 2**34, "made up")
    with monkeypatch.context() as there:
        there.setattr("workbench.devices.choose_device", lambda name: card)
        with pytest.raises(InputError, match=r"leave --hold out, or choose --device cpu"):
            wb.study("verbs", hold="packed")
        wb.study("verbs")
    with pytest.raises(
        InputError, match=r"choose --precision bfloat16 or --precision float32, or --hold decod"
    ):
        wb.study("verbs", hold="packed", precision="int8", device="cpu")
    wb.study("verbs", hold="packed", precision="float32", device="cpu")
    wb.study("verbs", hold="decoded", precision="int8", device="cpu")
