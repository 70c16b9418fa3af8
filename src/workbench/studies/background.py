"""A study that trains in a process of its own, so that a notebook stays free and nothing is lost.

    STUDY/job/config.json    what is to run, written by whoever starts it
    STUDY/job/state.json     how far the process is: starting, running, and how it ended
    STUDY/job/events.jsonl   one line a step, only ever appended
    STUDY/job/said.jsonl     what the models say meanwhile, where that was asked for; only ever appended
    STUDY/job/stop           there when somebody has asked it to stop
    STUDY/job/log.txt        what the process printed, a traceback included

Whoever shows a job reads these files and nothing else. So a page may be reloaded, a kernel restarted and
a cell run again: the job goes on, and what it recorded is there. The process does what ``workbench run``
does, in the same folder, with the same results.
"""

import _thread
import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import psutil

from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.showing import Shown
from workbench.studies.grid import Study
from workbench.studies.states import ACTIVE, JobName, Outcome

if TYPE_CHECKING:
    from workbench.studies.runner import Progress

PATIENCE = 1.0
"""Seconds that a step may take to notice a request to stop, before it is interrupted."""
SLOWEST_START = 120.0
"""Seconds after which a process that never reported is taken for dead."""
LAST_BYTES = 1 << 18
"""Of the events, where only the last one is asked for; a line is far shorter."""
SAY = "say"
"""The one entry of ``config.json`` that isn't the study's."""
MOST_SAID = 40
"""Records that models may be asked while they train: what a page can show."""
POLITENESS = 5
"""How much the process gives way to others: whoever moves a slider comes first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunState:
    """How far a job is."""

    name: JobName
    error: str | None = None
    """The sentence to show for a job that failed."""

    @property
    def active(self) -> bool:
        """Whether a process is at work."""
        return self.name in ACTIVE


class BackgroundRun(Shown):
    """The job of a study's folder. Making one only points at the folder; :meth:`start` runs it."""

    def __init__(self, folder: Path | str) -> None:
        self.study_folder = Path(folder)
        self.folder = self.study_folder / "job"
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, study: Study, folder: Path | str, say: int = 0) -> "BackgroundRun":
        """Start a study, go on with one that was stopped, or attach to one that runs or has finished.

        Args:
            study: What to train.
            folder: The study's folder.
            say: On how many held-out records the models are asked while they train; see ``said.py``.

        Raises:
            InputError: If the folder's job runs another study at this moment, or can't be written, or the
                number of records is below 0 or above :data:`MOST_SAID`.
        """
        if not 0 <= say <= MOST_SAID:
            raise InputError(
                f"say is {say}: the models answer 0 to {MOST_SAID} held-out prompts while they train; "
                "give one of these, such as say=10"
            )
        job = cls(folder)
        wanted, held = study.to_dict(), job.configuration()
        name = job.state().name
        if name in ACTIVE and held != wanted:
            raise InputError(
                f"{folder} is training another study now; stop that one first, or choose another folder"
            )
        if name in ACTIVE or (name == "finished" and held == wanted):
            return job
        (job.folder / "stop").unlink(missing_ok=True)
        config = {**wanted, **({SAY: say} if say else {})}
        write_atomically(job.folder / "config.json", json.dumps(config, indent=2).encode())
        job._write_state(name="starting", since=time.time())
        with open(job.folder / "log.txt", "ab") as log:
            job._process = subprocess.Popen(
                [sys.executable, "-m", "workbench.studies.background", str(job.study_folder)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a restart or an interrupt of the kernel is not for it
            )
        return job

    def configuration(self) -> dict[str, Any] | None:
        """Return the study as it was started, None before the first start."""
        held = _read(self.folder / "config.json")
        return held and {name: value for name, value in held.items() if name != SAY}

    def say(self) -> int:
        """Return on how many held-out records the models are asked while they train."""
        path = self.folder / "config.json"
        say = (_read(path) or {}).get(SAY, 0)
        if type(say) is not int or not 0 <= say <= MOST_SAID:
            raise _damaged(path, f"{SAY!r} is {say!r}, not a number of records")
        return say

    def state(self) -> RunState:
        """Read how far the job is; a process that died in silence is "lost"."""
        held = self._held_state()
        if held is None:
            return RunState(name="new")
        if held["name"] in ACTIVE and self._dead(held):
            held = self._held_state() or held  # it may have ended just now
            if held["name"] in ACTIVE:
                return RunState(name="lost", error=f"the process has gone; see {self.folder / 'log.txt'}")
        return RunState(name=held["name"], error=held.get("error"))

    def events(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Return the events written since ``offset``, and the offset to go on from.

        A line that is still being written is left for the next call. A record that has become shorter is
        another job's, whose folder was deleted before: it is read from its beginning.
        """
        return _lines(self.folder / "events.jsonl", offset)

    def said(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Return what models said since ``offset``, and the offset to go on from; see ``said.py``."""
        return _lines(self.folder / "said.jsonl", offset)

    def stop(self) -> None:
        """Ask the job to stop; what it has committed and recorded stays. Does nothing if it isn't at work."""
        if self.state().active:
            (self.folder / "stop").touch()

    def wait(self, seconds: float | int = float("inf")) -> RunState:
        """Block until the job has ended or the time is over, and return its state.

        An interrupt, such as the notebook's stop button, asks the job to stop.
        """
        until = time.monotonic() + seconds
        try:
            while (state := self.state()).active and time.monotonic() < until:
                time.sleep(0.1)
        except KeyboardInterrupt:
            self.stop()
            raise
        return state

    def _shown(self) -> tuple[str, dict[str, str]]:
        title = f"BackgroundRun of {self.study_folder}"
        try:
            state, at = self.state(), self._latest()
        except InputError as error:
            return title, {"state": str(error)}
        facts: dict[str, str] = {"state": state.name}
        if at:
            facts["trained"] = (
                f"{at['share']:.0%} of this run's steps, {at['cells_done']} of {at['cells']} cells"
            )
        return title, facts | ({"because": state.error} if state.error else {})

    def _latest(self) -> dict[str, Any] | None:
        """Return the last whole event of the record; None before the first."""
        try:
            size = (self.folder / "events.jsonl").stat().st_size
        except FileNotFoundError:
            return None
        start = max(0, size - LAST_BYTES)
        with open(self.folder / "events.jsonl", "rb") as file:
            file.seek(start)
            lines = file.read()[: size - start].split(b"\n")[:-1]
        whole = lines[1:] if start else lines  # the first of a part may be cut
        return _object(whole[-1], self.folder / "events.jsonl") if whole else None

    def _held_state(self) -> dict[str, Any] | None:
        path = self.folder / "state.json"
        held = _read(path)
        if held is not None and not _is_state(held):
            raise _damaged(path, "it doesn't say how far the job is")
        return held

    def _dead(self, held: Mapping[str, Any]) -> bool:
        if self._process is not None and self._process.poll() is not None:  # polled, or a zombie looks alive
            return True
        if held["name"] == "starting":
            return time.time() - held["since"] > SLOWEST_START
        return _born(held["process"]) != held["born"]  # another process may have the number now

    def _write_state(self, **values: Any) -> None:  # noqa: ANN401 - JSON values
        write_atomically(self.folder / "state.json", json.dumps(values).encode())


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return _object(path.read_bytes(), path)
    except FileNotFoundError:
        return None


def _lines(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Return the whole lines of a record since ``offset``, and the offset to go on from."""
    try:
        with open(path, "rb") as file:
            offset = offset if offset <= file.seek(0, os.SEEK_END) else 0
            file.seek(offset)
            new = file.read()
    except FileNotFoundError:
        return [], 0
    whole = new[: new.rfind(b"\n") + 1]
    return [_object(line, path) for line in whole.split(b"\n")[:-1]], offset + len(whole)


def _object(text: bytes, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise _damaged(path, "it holds no JSON object")
    return value


def _is_state(held: Mapping[str, Any]) -> bool:
    """Say whether this is what a job's process writes about itself."""
    match held:
        case {"name": "starting", "since": float()}:
            return True
        case {"name": "running", "process": int(process), "born": float() | None}:
            return 0 < process < 1 << 31
        case {"name": str(name)}:
            ended = name in get_args(JobName) and name not in ACTIVE
            return ended and isinstance(held.get("error"), str | None)
    return False


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path} is damaged: {why}; delete the folder {path.parent}, the results stay")


def _born(process: int) -> float | None:
    """Return when a process was started, None when it has gone or is only waiting to be forgotten."""
    try:
        found = psutil.Process(process)
        return None if found.status() == psutil.STATUS_ZOMBIE else found.create_time()
    except psutil.NoSuchProcess:
        return None


def _work(job: BackgroundRun) -> None:
    """Run the job in this process and record how it ends."""
    if hasattr(os, "nice"):
        os.nice(POLITENESS)
    me = os.getpid()
    at_work = {"name": "running", "process": me, "born": _born(me)}
    job._write_state(**at_work)
    interrupted = threading.Event()
    threading.Thread(target=_interrupt_on_request, args=(job, interrupted), daemon=True).start()
    try:
        ending: dict[str, str] = {"name": _run(job)}
    except KeyboardInterrupt:
        ending = {"name": "stopped"}
    except InputError as error:
        ending = {"name": "failed", "error": str(error)}
    except Exception as error:
        traceback.print_exc()
        # a library that was interrupted while it loads may raise an error of its own instead
        failed = {"name": "failed", "error": f"{error!r}; see {job.folder / 'log.txt'}"}
        ending = {"name": "stopped"} if interrupted.is_set() else failed
    if job._held_state() == at_work:  # else its folder was deleted or moved, and another may have begun there
        job._write_state(**ending)


def _run(job: BackgroundRun) -> Outcome:
    """Run the study as its configuration says, record its progress, and return how it ended."""
    from workbench.studies.executors.in_process import InProcess
    from workbench.studies.runner import run
    from workbench.studies.said import SaidRecorder

    configuration, say = job.configuration(), job.say()
    assert configuration is not None
    study, stop = Study.from_dict(configuration), job.folder / "stop"
    with (
        open(job.folder / "events.jsonl", "a", buffering=1, encoding="utf-8") as events,
        open(job.folder / "said.jsonl", "a", buffering=1, encoding="utf-8") as said,
        run(
            study,
            job.study_folder,
            _recorder(events.write),
            stop.exists,
            executor=InProcess(watcher=SaidRecorder(say, said.write) if say else None),
        ) as store,
    ):
        outcome = store.manifest.outcome
    assert outcome  # a run that returns has said how it ended
    return outcome


def _recorder(write: Callable[[str], object]) -> Callable[["Progress"], None]:
    """Return what writes a progress as one line, with the cells named only where they change."""
    last: tuple[str, ...] = ()

    def record(at: "Progress") -> None:
        nonlocal last
        event = {"time": round(time.time(), 3), **asdict(at)}
        if at.keys == last:
            del event["keys"]
        last = at.keys
        write(json.dumps(event) + "\n")

    return record


def _interrupt_on_request(job: BackgroundRun, interrupted: threading.Event) -> None:
    """Interrupt the main thread when it is too deep in its work to see a request to stop."""
    while not (job.folder / "stop").exists():
        time.sleep(0.1)
    time.sleep(PATIENCE)
    interrupted.set()
    _thread.interrupt_main()


if __name__ == "__main__":
    _work(BackgroundRun(sys.argv[1]))
