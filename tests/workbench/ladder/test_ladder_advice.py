"""What a ladder's messages advise is done to its end, and succeeds."""

import json
import multiprocessing
import os
import re
import shlex

import pytest
from follows import follows
from tiny_ladder import SHORT

from workbench.cli import main
from workbench.errors import InputError
from workbench.ladder import climb as climbing
from workbench.ladder.climb import Climber, climb
from workbench.ladder.folder import LadderFolder
from workbench.ladder.rungs import LadderPlan

FEW = ["--widths", "16", "--equal", "--seeds", "0", "1", "--ratio", "0.02", "--workers", "1"]


@pytest.fixture
def refused(few, capsys):
    """Run the command, which ends with status 2, and return what it says."""

    def refused(*options):
        capsys.readouterr()
        assert main(["ladder", *map(str, options)]) == 2
        return capsys.readouterr().err.partition("workbench: error: ")[2].rstrip("\n")

    return refused


@pytest.fixture
def followed(few, capsys):
    """Run the command, which has to succeed."""

    def followed(*options):
        assert main(["ladder", *map(str, options)]) == 0, capsys.readouterr().err

    return followed


@pytest.fixture
def made(followed, tmp_path):
    """A small ladder that a test may damage."""
    followed(*FEW, "--out", tmp_path / "made")
    return LadderFolder(tmp_path / "made")


def quoted(message, before, after):
    found = re.search(f"{before}(.*?){after}", message)
    assert found, message
    return found[1]


@follows("lessons of your own are learnt in this process: leave workers at 1")
def test_lessons_of_your_own(tmp_path, few_lessons):
    folder, plan = LadderFolder(tmp_path / "ladder"), LadderPlan(widths=(16,), ratio=0.02)
    with pytest.raises(InputError, match="leave workers at 1"):
        climb(folder, plan, Climber(workers=2), settings=SHORT, known=few_lessons)
    assert climb(folder, plan, Climber(), settings=SHORT, known=few_lessons)


@follows("a process that trained ended too early")
def test_processes_that_die(refused, followed, tmp_path, monkeypatch):
    real = multiprocessing.get_context
    with monkeypatch.context() as patch:
        patch.setattr(climbing.multiprocessing, "get_context", lambda kind: real("fork"))
        patch.setattr(climbing, "_work", lambda *arguments: os._exit(9))
        said = refused(*FEW, "--workers", "2", "--out", tmp_path / "ladder")
    assert "exit codes 9, 9" in said
    options = shlex.split(quoted(said, "goes on, with ", " if memory"))
    followed(*FEW, *options, "--out", tmp_path / "ladder")
    assert len(LadderFolder(tmp_path / "ladder").rows()) == 2


@follows("holds no ladder: {LADDER} is missing")
def test_no_ladder(refused, followed, tmp_path):
    said = refused("--report-only", "--out", tmp_path / "none")
    command = shlex.split(quoted(said, "`workbench ", "`"))
    followed(*command[1:], *FEW)
    followed("--report-only", "--out", tmp_path / "none")


@follows("isn't a ladder of format {LADDER_FORMAT}")
def test_another_format(refused, followed, made, tmp_path):
    (made.path / "ladder.json").write_text(json.dumps({"format": 99}))
    assert "train a ladder in another folder" in refused(*FEW, "--out", made.path)
    followed(*FEW, "--out", tmp_path / "another")


@follows(
    "isn't the row of a run; delete it",
    "is missing; delete {path.name} beside it",
    "is damaged: {error}; restore it, or delete it to make it again",
)
@pytest.mark.parametrize("damage", ["another row", "no weights", "half a row"])
def test_a_damaged_run(refused, followed, made, damage):
    before = made.rows()
    row, weights = made.row_of(before[0].run), made.weights_of(before[0].run)
    if damage == "no weights":
        weights.unlink()
    else:
        row.write_text({"another row": "{}", "half a row": row.read_text()[:50]}[damage])
    said = refused(*FEW, "--out", made.path)
    if damage == "no weights":
        assert quoted(said, "delete ", " beside it") == row.name
    else:
        assert said.startswith(str(row))
    row.unlink()
    followed(*FEW, "--out", made.path)
    assert [one.sha256 for one in made.rows()] == [one.sha256 for one in before]


@follows("one table can't hold both: choose another folder with --out")
def test_other_settings(refused, followed, made, tmp_path):
    other = [*FEW, "--matrix-rate", "0.01"]
    assert "whose settings have matrix_rate 0.02" in refused(*other, "--out", made.path)
    followed(*other, "--out", tmp_path / "another")


@follows("nothing can be predicted of width {width}")
def test_too_few_to_predict_from(refused, followed, tmp_path):
    plan = ["--widths", "16", "24", "32", "40", "--equal", "--ratio", "0.02", "--workers", "1"]
    plan += ["--out", str(tmp_path / "ladder")]
    assert "add seeds or rungs" in refused(*plan, "--seeds", "0")
    followed(*plan, "--seeds", "0", "1", "--equal", "24")


@follows("has no finished run yet; go on with `workbench ladder`")
def test_nothing_to_report_yet(refused, followed, made):
    for row in made.rows():
        made.row_of(row.run).unlink()
    said = refused("--report-only", "--out", made.path)
    assert "`workbench ladder`" in said
    followed(*FEW, "--out", made.path)
    followed("--report-only", "--out", made.path)


@follows("a ladder has at least one width and one seed; give --widths and --seeds")
def test_nothing_to_train(followed, tmp_path):
    with pytest.raises(InputError, match="give --widths and --seeds"):
        LadderPlan(widths=())
    plan = ["--equal", "--ratio", "0.02", "--workers", "1"]
    followed("--widths", "16", "--seeds", "0", *plan, "--out", tmp_path / "ladder")


@follows("add it to --widths, or leave it out of --equal")
def test_a_curve_of_no_rung(refused, followed, tmp_path):
    plan = ["--ratio", "0.02", "--seeds", "0", "--workers", "1"]
    said = refused("--widths", "16", "32", "--equal", "24", *plan, "--out", tmp_path / "a")
    missing = quoted(said, "rungs, and ", " is none")
    followed("--widths", "16", missing, "32", "--equal", missing, *plan, "--out", tmp_path / "a")
    followed("--widths", "16", "32", "--equal", *plan, "--out", tmp_path / "b")


@follows("so the training diverged at a matrix rate of")
def test_a_training_that_diverges(refused, followed, tmp_path):
    said = refused(*FEW, "--matrix-rate", "1e30", "--out", tmp_path / "ladder")
    rates = shlex.split(said[said.index("--matrix-rate") :])
    assert rates == ["--matrix-rate", "0.02", "--vector-rate", "0.0015"]
    followed(*FEW, *rates, "--out", tmp_path / "another")
