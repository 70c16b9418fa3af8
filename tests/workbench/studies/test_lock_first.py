"""A run takes its folder's lock before it loads anything, and a refused one leaves nothing behind."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from follows import follows
from small_study import small_study

from workbench.cli import main
from workbench.errors import InputError
from workbench.studies import engine, runner
from workbench.studies import plan as planning
from workbench.studies.disk import lock
from workbench.studies.disk.lock import locked
from workbench.studies.grid import Study

PLANNING = ("load_base", "prepare", "partition", "fit_context", "keep_freed_memory")
"""What a plan does one after the other; the first of them would already be too much."""


def fails(*given, **named):
    raise AssertionError("a run that is refused plans nothing")


@pytest.fixture
def nothing_is_planned(monkeypatch):
    for name in PLANNING:
        monkeypatch.setattr(planning, name, fails)
    monkeypatch.setattr(runner, "plan", fails)
    monkeypatch.setattr(engine, "make_executor", fails)
    monkeypatch.setattr(Study, "dataset", fails)


@pytest.mark.usefixtures("nothing_is_planned")
def test_a_second_run_is_refused_before_it_plans(study, tmp_path):
    with locked(tmp_path / "study"):
        for executor in ("in-process", "processes", "ray", "no such"):
            with pytest.raises(InputError, match=r"run is writing .*study \(process \d+ on .*\); wait"):
                runner.run(study, tmp_path / "study", executor=executor)


@pytest.mark.usefixtures("nothing_is_planned")
def test_a_second_command_is_refused_before_it_reads_its_file(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.jsonl").write_text("no record at all")
    with locked(tmp_path / "runs" / "mine-coffee"):
        assert main(["run", "mine.jsonl"]) == 2
    assert "another run is writing runs/mine-coffee (process" in capsys.readouterr().err


def test_a_second_command_is_refused_before_torch_is_loaded(tmp_path):
    code = f"""
import sys
from workbench.cli import main
status = main(["run", "verbs", "--out", {str(tmp_path / "study")!r}])
print(status, "torch" in sys.modules)
"""
    with locked(tmp_path / "study"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "another run is writing" in done.stderr
    assert done.stdout.split() == ["2", "False"]


@pytest.mark.parametrize("there", [(), ("a",), ("a", "a/b"), ("a", "a/b", "a/b/study")])
def test_a_refused_run_leaves_the_folders_that_were_there(study, tmp_path, there):
    for name in there:
        (tmp_path / name).mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="unknown template"):
        runner.run(replace(study, template="chad"), tmp_path / "a" / "b" / "study")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError, RuntimeError])
def test_whatever_ends_a_run_before_it_has_a_study_leaves_nothing(tmp_path, error):
    def ends():
        with locked(tmp_path / "a" / "study"):
            assert (tmp_path / "a" / "study" / "lock").is_file()
            raise error

    with pytest.raises(error):
        ends()
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_put_into_the_folder_stays(tmp_path):
    def ends():
        with locked(tmp_path / "a" / "study"):
            (tmp_path / "a" / "study" / "mine.txt").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        ends()
    assert [path.name for path in (tmp_path / "a" / "study").iterdir()] == ["mine.txt"]


def test_a_study_that_is_there_keeps_its_lock(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    assert (tmp_path / "lock").read_bytes() == b""
    with locked(tmp_path):
        pass


def test_a_lock_whose_file_was_taken_away_is_no_lock(tmp_path, monkeypatch):
    """A run opens the lock of one that is being refused, which then takes the file away."""
    real, taken = lock._take, []

    def too_late(handle, path):
        real(handle, path)
        if not taken:
            taken.append(path)
            path.unlink()

    monkeypatch.setattr(lock, "_take", too_late)
    with locked(tmp_path / "study"):
        assert taken
        assert (tmp_path / "study" / "lock").read_text().startswith(f"process {os.getpid()}")
        with pytest.raises(InputError, match="another run is writing"):
            locked(tmp_path / "study").__enter__()


def test_a_refused_study_that_is_there_is_as_it_was(tmp_path):
    tiny = small_study(seeds=(0,), sizes=(8,), settings={"steps": 2, "batch_size": 4, "rank": 4})
    runner.run(tiny, tmp_path / "study").close()
    files = {path: path.read_bytes() for path in (tmp_path / "study").rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="rank was 4 and is 2"):
        runner.run(replace(tiny, settings={**tiny.settings, "rank": 2}), tmp_path / "study")
    assert {path: path.read_bytes() for path in (tmp_path / "study").rglob("*") if path.is_file()} == files


def leave_nothing(folder):
    folder.rename(folder.with_name("elsewhere"))


def begin_anew(folder):
    leave_nothing(folder)
    folder.mkdir()
    (folder / lock.LOCK).write_text("another run's")


@pytest.mark.parametrize("happens", [begin_anew, leave_nothing])
def test_a_folder_that_is_no_longer_the_locked_one_is_left_alone(tmp_path, happens):
    told = []

    def work():
        with locked(tmp_path / "study") as held:
            tell = held.checked(told.append)
            tell("before")
            happens(tmp_path / "study")
            tell("after")

    with pytest.raises(InputError, match=r"study was deleted, moved or replaced .* put it back"):
        work()
    assert told == ["before"]
    left = {path.name: path.read_text() for path in (tmp_path / "study").glob("*")}
    assert left == ({lock.LOCK: "another run's"} if happens is begin_anew else {})


def test_a_run_whose_folder_is_begun_anew_while_it_plans_makes_no_study_there(study, tmp_path, monkeypatch):
    real = runner.plan

    def plan(*given):
        begin_anew(tmp_path / "study")
        return real(*given)

    monkeypatch.setattr(runner, "plan", plan)
    with pytest.raises(InputError, match="was deleted, moved or replaced"):
        runner.run(study, tmp_path / "study", threads=1)
    assert [path.name for path in (tmp_path / "study").iterdir()] == [lock.LOCK]


@follows("its results have no place; put it back, or begin anew")
@pytest.mark.parametrize("way", ["put it back", "begin anew"])
def test_a_run_whose_folder_was_moved_ends_at_its_next_step_and_goes_on_either_way(study, tmp_path, way):
    folder, elsewhere, told = tmp_path / "study", tmp_path / "elsewhere", []

    def move(progress):
        told.append(progress)
        if progress.step == 1:
            folder.rename(elsewhere)

    with pytest.raises(InputError, match="was deleted, moved or replaced"):
        runner.run(study, folder, move, threads=1)
    assert told[-1].step == 1
    assert not folder.exists()
    if way == "put it back":
        elsewhere.rename(folder)
    with runner.run(study, folder, threads=1) as store:
        assert store.manifest.outcome == "finished"
        assert len(store.manifest.sessions) == (2 if way == "put it back" else 1)
