"""Growing from the front door and the command line: where it begins, what it chooses, what it refuses."""

from dataclasses import replace

import pytest

import workbench as wb
from workbench.cli import main
from workbench.config import Quality
from workbench.growing import factor_of, growing, minutes_of
from workbench.studies.cell_costs import minutes_by_size, operations_by_size
from workbench.studies.disk.manifest import read_manifest
from workbench.studies.disk.store import Store
from workbench.studies.grid import verbs
from workbench.studies.replay import replay
from workbench.training.results import CellResult

SMALL = {"heldout": 60, "steps": 3, "rank": 2, "batch_size": 8, "threads": None}


def tiny(**changes):
    few = {"qualities": ["clean", "other_form:0.5"], "sizes": [8, 32], "heldout": 40, "steps": 2, "rank": 2}
    return wb.study("verbs", **{**few, "batch_size": 4, **changes})


@pytest.mark.parametrize(("text", "factor"), [("rate:1.3", 1.3), (" rate:2 ", 2.0)])
def test_a_factor_is_read(text, factor):
    assert factor_of(text) == factor


@pytest.mark.parametrize(("text", "minutes"), [("30m", 30.0), ("90s", 1.5), ("1.5h", 90.0)])
def test_a_time_is_read(text, minutes):
    assert minutes_of(text) == minutes


@pytest.mark.parametrize(
    ("sizes", "at", "begins"),
    [
        ((32, 128, 512, 2048), None, (64, 128, 256)),
        ((32, 2048), 128, (32, 64, 128)),
        ((32, 2048), 32, (32, 64, 128)),
        ((32, 48), None, (32,)),
        ((50, 100, 400), 100, (50, 100, 200)),
    ],
)
def test_a_new_study_begins_with_the_size_asked_about_and_those_next_to_it(tmp_path, sizes, at, begins):
    study = replace(verbs("coffee"), sizes=sizes, seeds=(4, 2, 9))
    start, rule = growing(study, tmp_path / "none", until="rate:1.3", at=at)
    assert start.sizes == begins
    assert start.seeds == (4, 2)
    assert start.qualities == (study.qualities[0], study.qualities[-1])
    assert (rule.smallest, rule.largest, rule.seeds) == (sizes[0], sizes[-1], (4, 2, 9))
    assert rule.at in start.sizes


def test_one_seed_becomes_two(tmp_path):
    start, _ = growing(replace(verbs("coffee"), seeds=(3,)), tmp_path / "none", until="rate:1.3")
    assert start.seeds == (3, 4)


def test_a_cell_costs_a_fixed_part_and_one_for_each_example():
    rows = [{"size": size, "flops": 3e12 + 2e9 * size, "seconds": 6.0} for size in (10, 100, 1000)]
    price = operations_by_size(rows)
    assert [price(10), price(500)] == pytest.approx([3.02, 4.0])
    assert operations_by_size([{"size": 5, "flops": None}, {"size": 50}]) is None
    minutes = minutes_by_size(rows)
    assert sum(map(minutes, (10, 100, 1000))) == pytest.approx(0.3), "18 seconds in all"
    assert minutes(500) / minutes(10) == pytest.approx(4.0 / 3.02)


def test_without_operations_time_itself_tells_and_without_either_nothing():
    minutes = minutes_by_size([{"size": size, "seconds": 60 + 0.6 * size} for size in (10, 100, 1000)])
    assert minutes(200) == pytest.approx(3.0)
    assert minutes_by_size([{"size": 5, "flops": 1e12, "seconds": None}]) is None


def test_a_study_grows_in_time_goes_on_by_a_rule_and_is_trained_again(tmp_path, capsys):
    """A real study: so many minutes first, then to a width, then the same command once more."""
    folder = tmp_path / "study"
    told = []
    results = wb.run(tiny(), folder, on_progress=told.append, minutes=0.02)
    manifest = results.manifest
    assert {one.rule for one in manifest.growth.decisions} == {"--for 0.02m --at 16 --sizes 8 32"}
    assert manifest.growth.decisions[-1].cells == 0
    assert {(one.size, one.factor) for one in manifest.growth.decisions} == {(16, None)}
    assert [at.note for at in told if "minutes of training" in at.note]
    command = [
        "run",
        "verbs",
        "--quality",
        "clean",
        "other_form:0.5",
        "--sizes",
        "8",
        "32",
        "--heldout",
        "40",
    ]
    command += ["--steps", "2", "--rank", "2", "--batch-size", "4", "--out", str(folder)]
    assert main([*command, "--until", "rate:50"]) == 0
    shown = capsys.readouterr().out
    assert "; the end" in shown
    after = read_manifest(folder)
    assert after.growth.decisions[-1].rule == "--until rate:50 --at 16 --sizes 8 32"
    assert after.growth.decisions[-1].metric
    assert (after.growth.decisions[-1].size, after.growth.decisions[-1].factor) == (16, 50)
    rows = wb.open_study(folder).table().rows
    assert {row["size"] for row in rows if row["size"]} <= set(range(8, 33))
    assert len(rows) - 1 == after.study.cells
    assert main([*command, "--until", "rate:50"]) == 0
    assert read_manifest(folder).growth == after.growth, "it has ended, and nothing was trained again"
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "Not a full grid: " in page
    assert (
        "by --for 0.02m --at 16 --sizes 8 32, then --until rate:50 --at 16 --sizes 8 32. It ended: " in page
    )
    capsys.readouterr()
    assert main(["list", str(tmp_path)]) == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.endswith("grown by")
    assert line.endswith("--until rate:50 --at 16 --sizes 8 32")
    assert f"{after.study.cells} of {after.study.cells} done" in repr(wb.open_study(folder))
    assert not replay(folder).different


def committed(folder, study, values):
    """Write a study of known losses, as a run would."""
    cells = study.cells(data_fingerprint="d", base_sha256="b")
    described = study.to_dict() | {"template": "verbs"}
    store = Store.create(
        folder, {"study": described, "data": {"sha256": "d", "train_records": 500}, "base": {"sha256": "b"}}
    )
    results = {
        cell.key(): CellResult(cell=cell, metrics={"loss": values(cell)}, seconds=6.0) for cell in cells
    }
    store.commit(results, {key: {"flops": 1e12} for key in results}, {"stack": list(results), "threads": 1})
    return store


def test_the_rule_reads_the_study_and_stays_within_its_records(tmp_path):
    study = replace(verbs("coffee"), sizes=(32, 2048), precision="float32")
    start, rule = growing(study, tmp_path / "study", until="rate:1.01", at=128)
    noise = {0: 0.01, 1: -0.01}
    slow = {True: 3.0, False: 9.0}
    store = committed(
        tmp_path / "study",
        start,
        lambda cell: (
            1
            + slow[cell.quality.share == 1] * cell.size**-0.4
            + noise[cell.seed]
            + (cell.size * 7919 % 13 + 3 * (cell.quality.share == 1)) * 1e-3 * (-1) ** cell.seed
        ),
    )
    decision = rule.next(store, 6)
    assert {place.quality.label for place in decision.cells} == {"50% other_form"}
    assert {place.size for place in decision.cells} == {256}
    assert (decision.after, decision.metric) == (12, "loss")
    assert decision.minutes == pytest.approx(1.2)
    assert rule.next(store, 6).cells == decision.cells, "the same results, the same cells"
    capped = replace(rule, largest=4096)
    assert capped._room(store, store.rows(), 6).largest == 500, "no more than there are records"


def test_time_counts_from_now_and_from_what_cells_really_took(tmp_path):
    study = replace(verbs("coffee"), sizes=(32, 2048), precision="float32")
    start, _ = growing(study, tmp_path / "study", minutes=1, at=128)
    store = committed(tmp_path / "study", start, lambda cell: 2.0 + cell.seed * 0.01 * (cell.size % 7))
    _, rule = growing(study, tmp_path / "study", minutes=1, at=128)
    assert rule.until_minutes == pytest.approx(1.2 + 1.0)
    room = rule._room(store, store.rows(), 6)
    assert room.left / room.minutes("clean", 64) == pytest.approx(10.0), "ten cells of six seconds"


def test_a_folder_goes_on_with_its_own_grid(tmp_path):
    study = replace(verbs("coffee"), sizes=(16, 64), seeds=(0, 1, 2), precision="float32")
    committed(tmp_path / "study", study, lambda cell: 2.0)
    wanted = replace(
        study, sizes=(16, 1024), seeds=(0,), qualities=(Quality(), Quality(corruption="typo", share=0.5))
    )
    start, rule = growing(wanted, tmp_path / "study", until="rate:1.3")
    assert (start.sizes, start.seeds) == ((16, 64), (0, 1, 2))
    assert [quality.label for quality in start.qualities] == [
        "clean",
        "25% other_form",
        "50% other_form",
        "50% typo",
    ]
    assert (rule.reference.label, rule.other.label) == ("clean", "50% typo")
