"""What can go wrong with a study, done for real: each case is a function in :data:`FAULTS`.

A case gets an empty folder, brings the fault about, checks that nothing is lost and that the study then ends
in the table of an undisturbed run, and returns the sentence that a user saw. The tests run every case, and
``docs/reliability.py`` writes them down.
"""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from small_disk import fill, small_disk
from small_study import measured, small_study

from workbench.errors import InputError
from workbench.models.loaders import CLASSROOM
from workbench.studies import runner
from workbench.studies.disk.store import Store
from workbench.studies.executors import stack_task
from workbench.studies.grid import Study
from workbench.studies.runner import Progress, run
from workbench.studies.sharing.archive import export_study

SETTINGS = {"steps": 4, "batch_size": 4, "rank": 4}
STEPS = SETTINGS["steps"]
MANY = 60
"""Steps of a run that has to be caught while it trains."""


def tiny(steps: int = STEPS) -> Study:
    """Four cells in one stack."""
    return small_study(seeds=(0,), settings={**SETTINGS, "steps": steps})


@cache
def reference(steps: int = STEPS) -> list[tuple]:
    """What an undisturbed run measures."""
    with TemporaryDirectory() as folder, run(tiny(steps), Path(folder) / "study", threads=1) as store:
        return measured(store)


def goes_on(folder: Path, steps: int = STEPS) -> None:
    """Run the study to its end and compare."""
    with run(tiny(steps), folder, threads=1) as store:
        assert store.manifest.outcome == "finished"
        assert measured(store) == reference(steps)


def said(work: Callable[[], object]) -> str:
    """Return the sentence with which some work is refused."""
    try:
        work()
    except InputError as error:
        return str(error)
    raise AssertionError("nothing was said")


def command(folder: Path, *options: str) -> list[str]:
    """Return the command line that runs :func:`tiny`."""
    grid = ["verbs", "--quality", "clean", "other_form:0.5", "--sizes", "8", "16"]
    rest = ["--seeds", "0", "--heldout", "20"]
    cell = ["--steps", "4", "--batch-size", "4", "--rank", "4", "--threads", "1", "--checkpoint-every", "0"]
    return [sys.executable, "-m", "workbench", "run", *grid, *rest, *cell, "--out", str(folder), *options]


def signalled(folder: Path, number: signal.Signals) -> str:
    """Send a signal to a run once it trains, and return its last words."""
    slow = [*command(folder), "--steps", str(MANY)]
    process = subprocess.Popen(slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(folder.glob("checkpoints/*.safetensors")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(number)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 130
    assert list(folder.glob("checkpoints/*.safetensors"))
    with Store.open(folder, read_only=True) as store:
        assert store.manifest.outcome == "stopped"
    goes_on(folder, MANY)
    return words.strip().splitlines()[-1]


def ctrl_c(place: Path) -> str:
    """Ctrl-C in the terminal."""
    return signalled(place / "study", signal.SIGINT)


def sigterm(place: Path) -> str:
    """SIGTERM, from a scheduler or at shutdown."""
    return signalled(place / "study", signal.SIGTERM)


def closed_terminal(place: Path) -> str:
    """The terminal is closed."""
    return signalled(place / "study", signal.SIGHUP)


def second_run(place: Path) -> str:
    """A second run is started on the same study."""
    words = []

    def second(progress: Progress) -> None:
        if progress.step == 2:
            words.append(said(lambda: run(tiny(), place / "study")))

    with run(tiny(), place / "study", second, threads=1) as store:
        assert measured(store) == reference()
    return words[0]


def full_disk(place: Path, on_progress: Callable[[Path, Progress], None], **how: float) -> str:
    """Run on a disk that fills up on the way, then make room and go on."""
    with small_disk(place) as disk:
        words = said(lambda: run(tiny(), disk / "study", lambda at: on_progress(disk, at), threads=1, **how))
        left = [
            path for path in (disk / "study").rglob("*") if path.name.startswith(".") or path.suffix == ".tmp"
        ]
        assert left == [], "half-written files stay"
        (disk / "filler").unlink()
        goes_on(disk / "study")
        return words.replace(str(place), "")


def full_at_start(place: Path) -> str:
    """Disk full while the study's first files are written."""
    return full_disk(place, lambda disk, at: fill(disk) if at.phase == "loading" else None)


def full_at_checkpoint(place: Path) -> str:
    """Disk full while a checkpoint is written."""
    return full_disk(place, lambda disk, at: fill(disk) if at.step == 2 else None, checkpoint_seconds=0.0)


def full_at_adapter(place: Path) -> str:
    """Disk full while an adapter is written."""
    return full_disk(place, lambda disk, at: fill(disk) if at.step == STEPS else None)


def full_at_commit(place: Path) -> str:
    """Disk full while results are committed."""
    real = runner.write_adapter

    def last_then_full(study: Path, cell: object, tensors: dict) -> None:
        real(study, cell, tensors)
        if len(list(study.glob("adapters/*/adapter_config.json"))) == 4:
            fill(study.parent)
            runner.write_adapter = real

    runner.write_adapter = last_then_full
    try:
        return full_disk(place, lambda disk, at: None)
    finally:
        runner.write_adapter = real


def full_at_manifest(place: Path) -> str:
    """Disk full while the manifest is brought up to date."""
    return full_disk(place, lambda disk, at: fill(disk) if at.cells_done == 4 else None)


def full_at_export(place: Path) -> str:
    """Disk full while a study is exported."""
    with small_disk(place) as disk:
        goes_on(disk / "study")
        fill(disk)
        words = said(lambda: export_study(disk / "study", disk / "study.zip"))
        assert not (disk / "study.zip").exists()
        (disk / "filler").unlink()
        goes_on(disk / "study")
        return words.replace(str(place), "")


def read_only(place: Path) -> str:
    """The folder can't be written."""
    with small_disk(place) as disk:
        goes_on(disk / "study")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with Store.open(disk / "study", read_only=True) as store:
            assert measured(store) == reference(), "reading goes on"
        words = said(lambda: run(replace(tiny(), sizes=(8, 16, 32)), disk / "study"))
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        goes_on(disk / "study")
        return words.replace(str(place), "")


def clock_set_back(place: Path) -> str:
    """The clock is set back by a year in mid-run."""
    real, back = time.time, [0.0]
    time.time = lambda: real() - back[0]

    def set_back(progress: Progress) -> None:
        back[0] = 365 * 86400.0 if progress.step >= 2 else 0.0

    try:
        with run(tiny(), place / "study", set_back, threads=1) as store:
            assert measured(store) == reference()
            assert 0 < store.manifest.actual.seconds < 600
            assert all(row["seconds"] > 0 for row in store.rows())
    finally:
        time.time = real
    return "nothing: durations come from a clock that is never set, and nothing is ordered by time"


def changed(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "cells.sqlite")) as database:
        database.execute(statement)
        database.commit()


def noted(folder: Path) -> str:
    goes_on(folder)
    with Store.open(folder, read_only=True) as store:
        return store.attempts()[-1]["detail"].strip().splitlines()[0]


def corrupted_record(place: Path) -> str:
    """A record was changed in the results."""
    goes_on(place / "study")
    changed(place / "study", "UPDATE cell SET metrics = replace(metrics, '0.', '1.') WHERE id = 3")
    return noted(place / "study")


def truncated_curve(place: Path) -> str:
    """A curve lost its end."""
    goes_on(place / "study")
    changed(place / "study", "UPDATE curve SET points = substr(points, 1, 20) WHERE id = 7")
    return noted(place / "study")


def damaged_pages(place: Path) -> str:
    """Pages of the results were overwritten."""
    goes_on(place / "study")
    path = place / "study" / "cells.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * 8192 + whole[12288:])
    words = said(lambda: run(tiny(), place / "study"))
    path.write_bytes(whole)
    goes_on(place / "study")
    return words.replace(str(place), "")


def manifest_from_the_future(place: Path) -> str:
    """The study was written by a newer workbench."""
    goes_on(place / "study")
    path = place / "study" / "manifest.json"
    whole = path.read_bytes()
    path.write_text(json.dumps(json.loads(whole) | {"format": 99}))
    words = said(lambda: run(tiny(), place / "study"))
    path.write_bytes(whole)
    goes_on(place / "study")
    return words.replace(str(place), "")


def damaged_checkpoint(place: Path) -> str:
    """A checkpoint was cut short."""
    seen: list[Progress] = []
    run(tiny(), place / "study", seen.append, lambda: seen[-1].step == 2, threads=1).close()
    (path,) = (place / "study" / "checkpoints").iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    return noted(place / "study")


def changed_base(place: Path) -> str:
    """The base's file is no longer the one that the study was begun on."""
    base = place / "base.gguf"
    shutil.copyfile(CLASSROOM, base)
    study = small_study(seeds=(0,), settings=SETTINGS, base=str(base))
    with run(study, place / "study", threads=1) as store:
        before = measured(store)
    data = bytearray(base.read_bytes())
    data[-1000] ^= 1
    base.write_bytes(data)
    words = said(lambda: run(study, place / "study", threads=1))
    shutil.copyfile(CLASSROOM, base)
    with run(study, place / "study", threads=1) as store:
        assert measured(store) == before
    return words.replace(str(place), "")


def loss_is_nan(place: Path) -> str:
    """The loss of some cells stops being a number."""
    wild = {**SETTINGS, "learning_rate": 1e30, "warmup": 0.0}
    with run(small_study(seeds=(0,), settings=wild), place / "study", threads=1) as store:
        assert store.manifest.outcome == "finished"
        row = store.rows()[0]
        assert (row["status"], row["loss"]) == ("failed", None)
        return row["failure"]


def out_of_memory(place: Path) -> str:
    """A stack asks for more memory than there is."""
    real, left = stack_task.run_stack, [1]

    def short_of_memory(*given: object, **named: object) -> object:
        if left:
            left.pop()
            torch.empty(1 << 60)
        return real(*given, **named)

    stack_task.run_stack = short_of_memory
    try:
        with run(tiny(), place / "study", threads=1) as store:
            assert store.manifest.outcome == "incomplete"
            assert "Traceback" in store.attempts()[0]["detail"]
    finally:
        stack_task.run_stack = real
    return noted(place / "study")


def folder_replaced(place: Path) -> str:
    """The study's results are deleted while it runs."""

    def delete(progress: Progress) -> None:
        if progress.step == 2:
            (place / "study" / "cells.sqlite").unlink()

    words = said(lambda: run(tiny(), place / "study", delete, threads=1))
    shutil.rmtree(place / "study")
    goes_on(place / "study")
    return words.replace(str(place), "")


def begun_anew(place: Path) -> str:
    """The study's folder is moved away while it runs, and a run begins anew in its place."""

    def begin_anew(progress: Progress) -> None:
        assert progress.step <= 2, "it trains on"
        if progress.step == 2 and not (place / "elsewhere").exists():
            (place / "study").rename(place / "elsewhere")
            goes_on(place / "study")

    words = said(lambda: run(tiny(), place / "study", begin_anew, threads=1, checkpoint_seconds=0.0))
    with Store.open(place / "study") as store:
        assert store.manifest.outcome == "finished"
        assert len(store.manifest.sessions) == 1
    goes_on(place / "study")
    goes_on(place / "elsewhere")
    return words.replace(str(place), "")


def no_result_is_a_pickle(place: Path) -> str:
    """A checkpoint is a pickle that would run a program."""
    seen: list[Progress] = []
    run(tiny(), place / "study", seen.append, lambda: seen[-1].step == 2, threads=1).close()
    (path,) = (place / "study" / "checkpoints").iterdir()
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(place / "ran").encode() + b"'\ntR.")
    words = noted(place / "study")
    assert not (place / "ran").exists()
    return words


ELSE = {"loss_is_nan": "stored as failed; its loss is missing, not 0"}
"""How a case ends that doesn't end in the table of an undisturbed run."""

FAULTS: dict[str, Callable[[Path], str]] = {
    case.__name__: case
    for case in (
        ctrl_c,
        sigterm,
        closed_terminal,
        second_run,
        full_at_start,
        full_at_checkpoint,
        full_at_adapter,
        full_at_commit,
        full_at_manifest,
        full_at_export,
        read_only,
        clock_set_back,
        corrupted_record,
        truncated_curve,
        damaged_pages,
        manifest_from_the_future,
        damaged_checkpoint,
        no_result_is_a_pickle,
        changed_base,
        loss_is_nan,
        out_of_memory,
        folder_replaced,
        begun_anew,
    )
}
