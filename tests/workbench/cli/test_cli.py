"""The command line: help at once, one sentence for bad input, the right exit status."""

import subprocess
import sys
from dataclasses import replace

import pytest

from workbench import cli
from workbench.cli import COMMANDS, doctor, main
from workbench.config import CellConfig
from workbench.studies.disk.lock import locked
from workbench.studies.disk.store import Store
from workbench.studies.grid import verbs
from workbench.studies.predict import Prediction
from workbench.studies.runner import Progress
from workbench.training.results import CellResult
from workbench.views import progress


@pytest.fixture
def study(tmp_path):
    axes = {"qualities": [{}], "sizes": [32, 64], "seeds": [0, 1]}
    folder = tmp_path / "runs" / "verbs-coffee"
    cell = CellConfig(data="verbs", base="classroom", size=32)
    with Store.create(folder, {"started": "2026-11-22T17:20:00+0000", "study": axes}) as store:
        store.commit(
            {
                "a": CellResult(cell=cell, metrics={"loss": 0.5}, seconds=60.0),
                "b": CellResult(cell=replace(cell, seed=1), metrics={"loss": 0.6}, seconds=65.0),
                "c": CellResult(cell=replace(cell, size=64), status="failed", failure="diverged at step 3"),
            }
        )
    return folder


def test_a_system_without_posix_is_refused_in_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(cli, "SYSTEMS", ("another",))
    assert main(["doctor"]) == 2
    assert "needs Linux or macOS; on Windows, install and run it in WSL" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert command in capsys.readouterr().out


def test_help_loads_nothing_slow():
    code = (
        "import sys, workbench.cli\n"
        "try: workbench.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print({'torch', 'numpy', 'scipy', 'matplotlib', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_a_note_is_told_on_one_line(tmp_path, capsys):
    note = (
        "mine.jsonl: 12 of 60 records left out: [not JSON] (lines 4, 18, 20, 22, 24 and 7 more); " + "x" * 80
    )
    with progress.progress_bars(verbs("coffee"), tmp_path) as on_progress:
        on_progress(Progress(phase="loading", note=note))
    assert note in capsys.readouterr().out.splitlines()


def test_the_time_that_is_left_is_the_predicted_one_and_then_the_measured():
    told = Prediction(seconds=60.0, peak_bytes=0, raw_seconds=60.0, learned_from=0, error=None)
    left = progress.TimeLeft()
    at = [Progress(phase="training", share=share, prediction=told) for share in (0.0, 0.1, 0.5)]
    assert left.in_words(at[0], 1000.0) == "about 60 s left"
    assert left.in_words(at[1], 1004.0) == "about 54 s left", "4 s say too little"
    assert left.in_words(at[2], 1020.0) == "about 20 s left", "half of it took 20 s"
    assert progress.TimeLeft().in_words(Progress(phase="training", share=0.5), 0.0) == ""


def test_the_help_says_what_is_read(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "'prompt' and 'response', or those of Alpaca",
        "'history'",
        "'system'",
        "are kept as columns, on which nothing is trained",
    ):
        assert part in text


def test_a_number_and_a_file_for_what_is_held_out(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["run", "a.jsonl", "--heldout", "3", "--heldout-file", "b.jsonl"])
    assert stopped.value.code == 2
    assert "--heldout-file: not allowed with argument --heldout" in capsys.readouterr().err


def test_bad_input_is_one_sentence_and_status_2(tmp_path):
    command = [sys.executable, "-m", "workbench", "report", str(tmp_path / "nothing")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"workbench: error: {tmp_path / 'nothing'} holds no study")
    assert len(done.stderr.splitlines()) == 1


def test_an_interrupt_is_one_sentence_and_status_130(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.studies.disk.listing.find_studies", interrupted)
    assert main(["list", "."]) == 130
    assert "the same command goes on from there" in capsys.readouterr().err


def test_a_defect_of_ours_keeps_its_traceback(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("workbench.studies.disk.listing.find_studies", broken)
    with pytest.raises(ZeroDivisionError):
        main(["list", "."])


def test_list_counts_cells(study, capsys):
    assert main(["list", str(study.parent)]) == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split() == ["study", "state", "done", "failed", "planned", "training", "started"]
    assert line.split()[-7:] == ["2", "1", "4", "2.1", "min", "2026-11-22", "17:20"]


def test_list_says_how_each_study_ended(study, capsys):
    for outcome, said in (("finished",) * 2, ("stopped",) * 2, ("refused: no such file", "refused")):
        with Store.open(study) as store:
            store.update_manifest(outcome=outcome)
        main(["list", str(study.parent)])
        assert capsys.readouterr().out.splitlines()[1].split()[1] == said
    with Store.open(study) as store:
        store.update_manifest(outcome="running")
    main(["list", str(study.parent)])
    assert " interrupted " in capsys.readouterr().out, "no process holds its lock"
    with locked(study):
        main(["list", str(study.parent)])
    assert " running " in capsys.readouterr().out


def test_list_goes_on_past_a_damaged_study(study, capsys):
    (study.parent / "broken").mkdir()
    (study.parent / "broken" / "manifest.json").write_text("{")
    assert main(["list", str(study.parent)]) == 0
    out = capsys.readouterr().out
    assert "verbs-coffee" in out
    assert "can't be read" in out


def test_list_before_the_first_study(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["list"]) == 0
    assert "no study yet; start with: workbench run verbs" in capsys.readouterr().out
    assert main(["list", "elsewhere"]) == 2
    assert "there is no folder elsewhere" in capsys.readouterr().err


def test_report_says_where_it_is(study, capsys):
    assert main(["report", str(study)]) == 0
    assert f"report: {study / 'report' / 'index.html'}" in capsys.readouterr().out


def test_fetch_without_a_name_lists(capsys):
    assert main(["fetch"]) == 0
    assert "smollm2-135m" in capsys.readouterr().out


def test_fetch_of_an_unknown_name_offers_the_nearest(capsys):
    assert main(["fetch", "rater"]) == 2
    assert "Did you mean 'raters'?" in capsys.readouterr().err


def test_doctor_says_what_it_found(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for name in ("torch", "cores", "memory", "GPU", "compilers", "front end", "cache"):
        assert name in out


def test_doctor_advises_what_is_missing(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: "missing")
    monkeypatch.setattr(doctor, "_gpus", lambda: ["A GPU"])
    advised = " ".join(doctor.advice())
    assert "There is a GPU but no Triton" in advised
    assert "There is no JupyterLab" in " ".join(doctor.missing())
