"""Every executor gives the same bits, survives its workers, and leaves no process behind."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from small_study import measured, three_stacks

from workbench.errors import InputError
from workbench.studies.disk.store import Store
from workbench.studies.executors import EXECUTORS, make_executor
from workbench.studies.executors.processes import Processes, affordable_workers
from workbench.studies.executors.protocol import Executor
from workbench.studies.runner import run

RAY = [pytest.mark.slow, pytest.mark.skipif(find_spec("ray") is None, reason="ray isn't installed")]
OTHERS = [
    pytest.param(name, marks=RAY if name == "ray" else [], id=name)
    for name in EXECUTORS
    if name != "in-process"
]
PROGRAM = """
import sys
from importlib.util import find_spec
from pathlib import Path
from small_study import three_stacks
from workbench.studies.runner import run
run(three_stacks(), Path(sys.argv[1]), lambda at: print(at.phase, at.step, flush=True),
    executor=sys.argv[2], workers=2, threads=1, checkpoint_seconds=0.0)
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What the study measures, trained in this process with one thread."""
    with run(three_stacks(), tmp_path_factory.mktemp("reference") / "study", threads=1) as store:
        assert store.manifest.outcome == "finished"
        return measured(store)


def children(program: str) -> list[psutil.Process]:
    """Return the descendants of this process that run a program."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if program in " ".join(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def trains(process: psutil.Process) -> bool:
    try:
        return any(program in " ".join(process.cmdline()) for program in WORKERS.values())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False  # one of Ray's own helpers that has just ended


WORKERS = {"processes": "studies.executors.worker", "ray": "ray::_body"}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_a_killed_worker_changes_nothing(name, reference, tmp_path):
    killed = []

    def kill_one(progress):
        # Ray tells only the newest step, so on a busy machine the second may never be told
        if progress.step >= 2 and not killed:
            victim = children(WORKERS[name])[0]
            killed.append(victim.pid)
            victim.kill()

    store = run(
        three_stacks(),
        tmp_path / "study",
        kill_one,
        executor=name,
        workers=2,
        threads=1,
        checkpoint_seconds=0.0,
    )
    assert killed
    assert store.manifest.outcome == "finished"
    assert measured(store) == reference, "every cell once, and the same to the bit"
    assert {attempt["outcome"] for attempt in store.attempts()} == {"lost"}
    assert len(store.attempts()) == 2, "one stack of two cells was lost once"
    assert children(WORKERS[name]) == []


def start_runner(folder: Path, name: str) -> "subprocess.Popen[str]":
    """Start a run in a process of its own, and wait until it trains."""
    paths = [str(Path(__file__).parent), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    program = [sys.executable, "-c", PROGRAM, folder, name]
    runner = subprocess.Popen(
        program, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    for line in runner.stdout:
        phase, step = line.split()
        if phase == "training" and int(step) >= 2:
            return runner
    raise AssertionError("the run ended before it trained")


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_a_killed_runner_leaves_no_orphans_and_its_study_goes_on(name, reference, tmp_path):
    runner = start_runner(tmp_path / "study", name)
    # Ray's own helpers take their time to end; what trains has to end now
    left = [process for process in psutil.Process(runner.pid).children(recursive=True) if trains(process)]
    assert left
    runner.kill()
    runner.wait()
    _, alive = psutil.wait_procs(left, timeout=60)
    assert alive == []
    assert measured(run(three_stacks(), tmp_path / "study", threads=1)) == reference


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray isn't installed")
def test_a_killed_head_of_ray_ends_the_run_and_its_study_goes_on(reference, tmp_path):
    runner = start_runner(tmp_path / "study", "ray")
    everyone = psutil.Process(runner.pid).children(recursive=True)
    heads = [one for one in everyone if one.is_running() and one.name() == "gcs_server"]
    assert len(heads) == 1
    heads[0].kill()
    runner.stdout.read()
    # what was under way may be told to its end; if not, Ray ends the run after a minute
    runner.wait(timeout=300)
    assert measured(run(three_stacks(), tmp_path / "study", threads=1)) == reference


@pytest.mark.parametrize(
    ("held", "free", "workers"),
    [(100, 1000, 8), (100, 1249, 9), (100, 1250, 10), (100, 100, 1), (100, 10, 1), (300, 1000, 2)],
)
def test_workers_get_four_fifths_of_the_free_memory(monkeypatch, held, free, workers):
    """Each is as large as this process is now; there is always one."""
    other = 10**6  # what a process has reserved, and what the machine has in all, bound nothing
    monkeypatch.setattr(psutil.Process, "memory_info", lambda _: SimpleNamespace(rss=held, vms=other))
    memory = SimpleNamespace(available=free, total=other, free=1, percent=1.0, used=1)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert affordable_workers() == workers


def test_a_stack_whose_worker_always_dies_is_given_up_and_the_rest_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    # a library that ends every process in which it finds a certain file
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif os.environ.get('DEADLY') and 'worker' in ' '.join(sys.orig_argv): os._exit(3)\n"
    )
    monkeypatch.setenv("DEADLY", "1")
    store = run(three_stacks(), tmp_path / "study", executor="processes", workers=1)
    assert store.manifest.outcome == "incomplete"
    assert store.rows() == []
    assert {attempt["number"] for attempt in store.attempts()} == {1, 2, 3}
    assert "ended by itself with status 3" in store.attempts()[0]["detail"]
    with Store.open(tmp_path / "study", read_only=True) as again:
        assert again.manifest.sessions[-1].outcome == "incomplete"


@pytest.mark.slow
def test_asked_to_stop_the_workers_write_checkpoints_and_end(reference, tmp_path):
    seen = []
    store = run(
        three_stacks(),
        tmp_path / "study",
        seen.append,
        lambda: bool(seen) and seen[-1].step == 2,
        executor="processes",
        workers=2,
    )
    assert store.manifest.outcome == "stopped"
    assert len(list((tmp_path / "study" / "checkpoints").iterdir())) >= 1
    assert children(WORKERS["processes"]) == []
    assert measured(run(three_stacks(), tmp_path / "study", threads=1)) == reference


def test_every_executor_keeps_the_protocol():
    for name in EXECUTORS:
        if name != "ray":
            assert isinstance(make_executor(name), Executor)
    with pytest.raises(InputError, match=r"unknown executor 'raj'\. Did you mean 'ray'"):
        make_executor("raj")
    with pytest.raises(InputError, match="workers is 0; at least 1"):
        Processes(0)
