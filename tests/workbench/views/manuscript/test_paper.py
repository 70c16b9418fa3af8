"""A paper's files: the same every time, each changed by what it depends on and by nothing else, checked."""

import json
import re
from dataclasses import replace

import pytest

from workbench.cli import main
from workbench.errors import InputError
from workbench.studies.disk.store import Store
from workbench.views.manuscript import PaperSource, figures, paper_files, source, write_paper
from workbench.views.manuscript.folder import differences, write_files

CELL = "0.75 128 1"
"""One cell of the made-up study: a quarter spoiled, 128 examples, seed 1."""


@pytest.fixture(scope="module", autouse=True)
def _lean():
    """Draw one kind of file in one width and forecast nothing; test_example.py has everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "FEWEST_SIZES", 9)
        patch.setattr(figures, "FILE_KINDS", ("svg",))
        patch.setattr(figures, "WIDTHS", {"column": figures.WIDTHS["column"]})
        yield


@pytest.fixture(scope="module")
def files(study, _lean):
    return paper_files(PaperSource.read(study))


def reading(files, part):
    """Return the files that say that they were made from a part, and the one that lists all hashes."""
    outputs = json.loads(files["manifest.json"])["outputs"]
    return {path for path, output in outputs.items() if part in output["reads"]} | {"manifest.json"}


def changed(files, others):
    assert set(files) == set(others)
    return {path for path, data in files.items() if others[path] != data}


def inputs(files):
    return json.loads(files["manifest.json"])["inputs"].items()


def measured(table):
    """Return what CELL measured."""
    (row,) = [
        row for row in table if (row["quality"], row["size"], row["seed"]) == ("25% other_form", 128, 1)
    ]
    return {"loss": row["loss"], "exact_match": row["exact_match"]}


def test_one_result_changes_exactly_what_depends_on_it(files, table, make_study):
    metrics = measured(table)
    metrics["exact_match"] += 0.05
    others = paper_files(PaperSource.read(make_study(changed={CELL: {"metrics": metrics}})))
    rate = "exchange-rate-exact-match"
    figures_of_it = (
        *("quality-by-size-exact-match", "heat-map-exact-match"),
        *(f"{rate}-25-percent-other-form", f"{rate}-50-percent-other-form"),
    )
    tables_of_it = ("measured-exact-match", "exchange-rates-exact-match", "cells")
    assert changed(files, others) == {
        *(f"figures/column/{name}.svg" for name in figures_of_it),
        *(f"tables/{name}.{kind}" for name in tables_of_it for kind in ("csv", "tex")),
        *("numbers.tex", "manifest.json"),
    }
    assert changed(files, others) == reading(files, "exact_match")
    assert {part for part, _ in inputs(files) - inputs(others)} == {"exact_match"}


def test_of_the_numbers_only_those_of_that_metric_change(files, table, make_study):
    metrics = measured(table)
    metrics["loss"] *= 1.2
    others = paper_files(PaperSource.read(make_study(changed={CELL: {"metrics": metrics}})))
    assert changed(files, others) == reading(files, "loss")
    lines = [paper["numbers.tex"].decode().splitlines() for paper in (files, others)]
    different = [one for one, two in zip(*lines, strict=True) if one != two]
    assert different
    assert all("Loss" in line for line in different)


def test_a_training_curve_changes_its_figure_alone(files, make_study):
    curves = {"train_loss": [1.0] * 5}
    others = paper_files(PaperSource.read(make_study(changed={"0.75 2048 1": {"curves": curves}})))
    assert changed(files, others) == {"figures/column/training-curves.svg", "manifest.json"}


def test_only_what_a_paper_tells_of_the_settings_counts(study):
    original = PaperSource.read(study)

    def inputs(**changes):
        hashes = replace(original, manifest=original.manifest.with_(**changes)).hashes()
        return {part for part, value in original.hashes().items() if hashes[part] != value}

    assert inputs(base={"name": "another"}) == {"settings"}
    assert inputs(actual={"seconds": 1.0}, started="2027-01-01", sessions=[{}]) == set()


def test_the_manifest_has_the_hash_of_everything(files):
    manifest = json.loads(files["manifest.json"])
    assert set(manifest["outputs"]) == set(files) - {"manifest.json"}
    assert set(manifest["inputs"]) == {"exact_match", "loss", "train_loss", "settings"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", one["sha256"]) for one in manifest["outputs"].values())
    assert manifest["made_with"]["matplotlib"]


def test_every_number_has_a_name_of_letters(files):
    text = files["numbers.tex"].decode()
    names = re.findall(r"\\newcommand\{\\([^}]*)\}", text)
    assert len(names) == len(set(names)) == text.count("\\newcommand")
    assert all(re.fullmatch(r"Verbs[A-Za-z]+", name) for name in names)
    assert "\\newcommand{\\VerbsHeldoutRecords}{600}" in text
    assert "VerbsRateExactMatchFiftyPercentOtherFormAtThirtyTwoNotReached" in names


def test_written_checked_spoiled_and_mended(files, tmp_path):
    folder = tmp_path / "paper"
    paper = write_files(files, folder)
    assert (paper.figures, paper.tables) == (0, 6), "no PDF is drawn in these tests"
    assert paper.numbers > 100
    assert differences(files, folder) == []
    numbers = (folder / "numbers.tex").read_text()
    (folder / "numbers.tex").write_text(numbers.replace("{600}", "{601}"))
    (folder / "figures" / "column" / "heat-map-loss.svg").write_bytes(b"<svg/>")
    (folder / "tables" / "cells.csv").unlink()
    (folder / "tables" / "mine.csv").write_text("")
    (folder / ".DS_Store").write_text("a file manager's")
    lines = [str(difference) for difference in differences(files, folder)]
    assert len(lines) == 4
    assert lines[0].startswith("figures/column/heat-map-loss.svg: the bytes differ (6 here, ")
    assert re.fullmatch(r"numbers.tex: line \d+ is '.*\{601\}', from the study '.*\{600\}'", lines[1])
    assert lines[2:] == ["tables/cells.csv: missing", "tables/mine.csv: extra: the study gives no such file"]
    (folder / "tables" / "mine.csv").unlink()
    write_files(files, folder)
    assert differences(files, folder) == []


@pytest.mark.slow
def test_the_command_writes_and_checks(make_study, capsys):
    study = make_study(seeds=1)
    assert main(["paper", str(study)]) == 0
    assert "numbers" in capsys.readouterr().out
    (study / "paper" / "numbers.tex").write_text("")
    assert main(["paper", str(study), "--check"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("numbers.tex: line 1 is missing, from the study '% Written by")
    assert out.endswith(f"{study / 'paper'}: 1 files differ\n")


def test_what_an_earlier_paper_had_is_removed(files, tmp_path):
    write_files(files, tmp_path)
    fewer = {path: data for path, data in files.items() if path != "tables/exchange-rates-loss.csv"}
    write_files(fewer, tmp_path)
    assert differences(fewer, tmp_path) == []


def test_a_folder_with_other_files_is_left_alone(study, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds other files; name a new folder"):
        write_paper(study, tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(InputError, match="is no paper's manifest"):
        write_paper(study, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_manifest_removes_nothing_outside_its_folder(files, tmp_path):
    folder = tmp_path / "paper"
    manifest = json.loads(files["manifest.json"])
    manifest["outputs"]["../thesis.tex"] = {}
    write_files({**files, "manifest.json": json.dumps(manifest).encode()}, folder)
    (tmp_path / "thesis.tex").write_text("years of work")
    write_files(files, folder)
    assert (tmp_path / "thesis.tex").is_file()


def test_a_bare_record_with_a_failed_cell_is_enough(make_study):
    files = paper_files(PaperSource.read(make_study(manifest={}, broken=("0.5 128 2",))))
    assert "figures/column/quality-by-size-loss.svg" in files
    assert b"nan" not in files["numbers.tex"]
    assert b"\\newcommand{\\StudyCellsDone}{35}" in files["numbers.tex"]


def test_what_there_is_nothing_to_check_against(study, tmp_path, capsys):
    assert main(["paper", str(study), "--output", str(tmp_path / "none"), "--check"]) == 2
    assert "holds no paper; write it first" in capsys.readouterr().err
    Store.create(tmp_path / "empty", {}).close()
    assert main(["paper", str(tmp_path / "empty")]) == 2
    assert "has no finished cell yet" in capsys.readouterr().err
    assert not (tmp_path / "empty" / "paper").exists()
