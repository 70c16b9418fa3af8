"""The hardware tests of the kernels, counted, in a process of their own."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from gpucheck.place import Place
from gpucheck.record import ROOT, Record, without_paths

FOLDER, ONE_FILE = "tests/kernels", "tests/kernels/test_hardware.py"
SECONDS = 65.0
"""After these pytest is ended, less than the part's limit: what has run until then counts."""
WORKERS = 8
"""Processes that compile and run at once, where pytest-xdist is installed."""
WORSE = ("passed", "skipped", "failed", "errors")
"""What may come of a test; the later ones outweigh the earlier."""


def hardware_tests(place: Place, keep: Callable[[Record], None]) -> Record:
    """Run what is marked for a GPU; on a CPU each of these tests says that it needs one, and is skipped.

    A file that can't be imported here counts as an error, and the others run all the same. The table of times
    is left out: that is another part.
    """
    chosen = place.pick(FOLDER, ONE_FILE)
    ini = ["-c", "benchmarks/gpucheck/pytest.ini", "--rootdir=.", f"--confcutdir={FOLDER}"]
    command = [sys.executable, "-m", "pytest", chosen, "-m", "gpu and not slow", *ini, *at_once(place)]
    return {"command": f"pytest {chosen} -m gpu", **told_by(command, SECONDS)}


def at_once(place: Place) -> list[str]:
    """Return pytest's options for several processes, where it has them: most of the time is compiling."""
    workers = min(WORKERS, (os.cpu_count() or 1) // 2)
    if place.rehearsal or workers < 2 or importlib.util.find_spec("xdist") is None:
        return []
    return ["-n", str(workers), "--dist", "load"]


def told_by(command: list[str], seconds: float) -> Record:
    """Run pytest for so long at most, and return the counts of its tests and the names of those that failed.

    Raises:
        RuntimeError: If it ended with no test run.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "tests.jsonl"
        told.touch()
        path = os.pathsep.join(filter(None, [str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH")]))
        # this process may be a worker of pytest-xdist itself
        inherited = {name: value for name, value in os.environ.items() if "XDIST" not in name}
        child = subprocess.Popen(
            [*command, "-p", "gpucheck.told", "--continue-on-collection-errors"],
            cwd=ROOT,
            env=inherited | {"PYTHONPATH": path, "PYTEST_ADDOPTS": "", "TOLD": str(told)},
        )
        try:
            status: int | None = child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.terminate()
            child.wait()
            status = None
        lines = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
    if not lines:
        raise RuntimeError(f"pytest ended with status {status} and ran no test")
    return {"whole": status is not None, **counted(lines)}


def counted(lines: Iterable[Record]) -> Record:
    """Count the tests by what came of them, each once; those that failed, by name, with why."""
    found: dict[str, Record] = {}
    for line in lines:
        before = found.get(line["name"])
        if before is None or WORSE.index(line["outcome"]) > WORSE.index(before["outcome"]):
            found[line["name"]] = line
    counts = {kind: sum(line["outcome"] == kind for line in found.values()) for kind in WORSE}
    bad = [line for line in found.values() if line["outcome"] in ("failed", "errors")]
    return {**counts, "names": [without_paths(f"{line['name']}: {line['why']}") for line in bad]}
