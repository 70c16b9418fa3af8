"""The hardware tests of the kernels, counted, in a process of their own."""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

from gpucheck.place import Place
from gpucheck.record import ROOT, Record

FOLDER, ONE_FILE = "tests/kernels", "tests/kernels/test_hardware.py"


def hardware_tests(place: Place, keep: Callable[[Record], None]) -> Record:
    """Run what is marked for a GPU; on a CPU each of these tests says that it needs one, and is skipped.

    A file that can't be imported here counts as an error, and the others run all the same.
    """
    chosen = place.pick(FOLDER, ONE_FILE)
    options = ["-m", "gpu", "-c", "benchmarks/gpucheck/pytest.ini", "--rootdir=.", f"--confcutdir={FOLDER}"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", chosen, *options, "--continue-on-collection-errors"]
        done = subprocess.run(
            [*command, f"--junitxml={report}"], cwd=ROOT, env=os.environ | {"PYTEST_ADDOPTS": ""}, check=False
        )
        if not report.exists():
            raise RuntimeError(f"pytest ended with status {done.returncode} and wrote no report")
        return {"command": f"pytest {chosen} -m gpu", **counted(report.read_text(encoding="utf-8"))}


def counted(report: str) -> Record:
    """Count the tests of a report in JUnit's form; those that failed, by name, with the first line of why."""
    counts, names = {"passed": 0, "failed": 0, "errors": 0, "skipped": 0}, []
    for case in ElementTree.fromstring(report).iter("testcase"):
        kinds = {"failure": "failed", "error": "errors", "skipped": "skipped"}
        problem = next((child for child in case if child.tag in kinds), None)
        counts["passed" if problem is None else kinds[problem.tag]] += 1
        if problem is not None and problem.tag != "skipped":
            why = (problem.get("message") or problem.text or "").strip().splitlines()
            names.append(f"{case.get('name')}: {why[0][:200] if why else 'no message'}")
    return {**counts, "names": names}
