"""``workbench ladder``: what it trains, what it says, what it refuses; a rung as the base of a study."""

from dataclasses import replace

import pytest
from tiny_ladder import OPTIONS

from workbench.cli import main
from workbench.config import Quality
from workbench.ladder.training import LADDER_SETTINGS
from workbench.studies.grid import verbs
from workbench.studies.runner import run as run_study


def test_the_command_trains_predicts_and_reports(few, tmp_path, capsys):
    out = tmp_path / "mine"
    command = ["ladder", *OPTIONS, "--out", str(out)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert said.index("predicted at") < said.index("The additive law")
    assert "before width 40 is trained: loss" in said
    assert (out / "report" / "index.html").is_file()
    assert len((out / "table.csv").read_text().splitlines()) == 1 + 4 * 3 + 3
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").iterdir()}
    assert main(command) == 0, "again: nothing is trained"
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").iterdir()} == before
    again = capsys.readouterr().out
    assert again == said[said.index("The additive law") :]
    assert main(["ladder", "--out", str(out), "--replay", "w016-r0.02-s1"]) == 0
    assert "w016-r0.02-s1: the same bytes" in capsys.readouterr().out
    assert main(["ladder", "--out", str(out), "--replay", "w016-r0.02-s9"]) == 2
    assert "unknown run 'w016-r0.02-s9'" in capsys.readouterr().err
    weights = out / "runs" / "w016-r0.02-s1.json"
    text = weights.read_text()
    weights.write_text(text.replace('"sha256": "', '"sha256": "0'))
    assert main(["ladder", "--out", str(out), "--replay", "w016-r0.02-s1"]) == 1


def test_what_was_measured_can_be_fitted_by_everybody(short_ladder, capsys):
    table = short_ladder[0].write_table()
    columns = ["--columns", "model=parameters", "size=tokens"]
    code = main(["fit", str(table), "--metric", "loss", "--law", "chinchilla", *columns])
    assert code == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "tea"], "unknown budget 'tea'"),
        (["--widths", "30"], "a rung's width is 30; it has to be a multiple of 8"),
        (["--ratio", "-1"], "the ratio is -1; tokens a parameter are a number above 0"),
        (["--workers", "0"], "workers is 0; it has to be at least 1"),
        (
            ["--report-only"],
            "holds no ladder: ladder.json is missing; train one with",
        ),
    ],
)
def test_bad_input_is_a_sentence(options, message, tmp_path, capsys):
    assert main(["ladder", *options, "--out", str(tmp_path / "new")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_rung_is_the_base_of_a_study(short_ladder, tmp_path):
    """Size x quality x amount: the verbs study runs on a rung's own file."""
    folder, _ = short_ladder
    base = folder.weights_of(folder.rows()[0].run)
    study = replace(
        verbs("coffee"),
        base=str(base),
        qualities=(Quality(), Quality(corruption="other_form", share=0.5)),
        sizes=(8, 16),
        seeds=(0, 1),
        heldout=20,
        settings={"steps": 4, "batch_size": 8, "rank": 4},
    )
    with run_study(study, tmp_path / "study") as store:
        rows = [row for row in store.table() if row["size"] > 0]
        assert len(rows) == 8
        assert all(row["status"] == "done" and 0 < row["loss"] < 10 for row in rows)
        assert store.manifest.base.sha256 == folder.rows()[0].sha256


def test_rungs_never_saw_four_bits():
    assert LADDER_SETTINGS.quantized_share == 0
