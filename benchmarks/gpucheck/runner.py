"""Runs the parts, each in a process of its own with a limit of time: one that fails takes no other along."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from gpucheck.record import Record, commit, today, without_paths

ERROR_LINES = 25
"""Of what a part that failed had printed, its last lines are kept."""

Tell = Callable[[str, Record], None]
"""(name of a part, what came of it) -> None."""


def run_parts(
    command: Sequence[str],
    limits: Mapping[str, float],
    seconds: float,
    tell: Tell,
    folder: Path | None = None,
) -> dict[str, Record]:
    """Run parts one after the other and return what came of each, by name.

    Args:
        command: Runs one part where "NAME" and "INTO" in it are replaced by its name and by the file that it
            writes its result to.
        limits: Seconds that each part may take, in the order in which they run.
        seconds: Seconds for all of them; a part whose turn comes later isn't run.
        tell: Told of each part when it has ended.
        folder: For the parts' results and output; a temporary one by default.
    """
    ends = time.monotonic() + seconds
    found: dict[str, Record] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, limit in limits.items():
            left = ends - time.monotonic()
            if left <= 0:
                outcome = _outcome("not run", 0.0, limit, f"the {seconds:g} seconds of the check were over")
            else:
                outcome = run_part(command, name, min(limit, left), folder or Path(temporary))
            found[name] = {**outcome, "date": today(), "commit": commit()}
            tell(name, found[name])
    return found


def run_part(command: Sequence[str], name: str, limit: float, folder: Path) -> Record:
    """Run one part and return its status, seconds, error and result, as far as there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    into, log = folder / f"{name}.json", folder / f"{name}.log"
    into.unlink(missing_ok=True)
    words = [{"NAME": name, "INTO": str(into)}.get(word, word) for word in command]
    started = time.monotonic()
    with open(log, "wb") as output:
        # a group of its own, so that what the part has started ends with it
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status, error = _waited(child, limit)
        finally:
            _end(child)
    seconds = time.monotonic() - started
    kept = json.loads(into.read_text(encoding="utf-8")) if into.exists() else {"whole": False, "result": None}
    if status == "done" and not kept["whole"]:
        status, error = "failed", "it ended without a result"
    if error is not None:
        error = "\n".join(filter(None, [error, _last_lines(log)]))
    return _outcome(status, seconds, limit, error, kept["result"])


def _waited(child: "subprocess.Popen[bytes]", limit: float) -> tuple[str, str | None]:
    try:
        code = child.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        return "out of time", f"it was ended after {limit:.0f} seconds"
    if code < 0:
        return "killed", f"its process was ended by {signal.Signals(-code).name}"
    return ("done", None) if code == 0 else ("failed", f"its process ended with status {code}")


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End the part's process and all that it started."""
    if sys.platform == "win32":
        child.kill()
    else:
        with suppress(ProcessLookupError):  # nothing of it may be left
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _last_lines(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return without_paths("\n".join(lines[-ERROR_LINES:]))


def _outcome(
    status: str, seconds: float, limit: float, error: str | None, result: Record | None = None
) -> Record:
    return {
        "status": status,
        "seconds": round(seconds, 1),
        "limit": round(limit, 1),
        "error": error,
        "result": result,
    }
