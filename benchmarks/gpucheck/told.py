"""A plugin of pytest that writes down what came of each test as it ends: an end by force loses nothing.

    TOLD=FILE pytest -p gpucheck.told

One JSON line a test: its name, one of "passed", "failed", "errors" and "skipped", and the first line of why.
With pytest-xdist only the process that the workers report to writes.
"""

import json
import os
from typing import Any

FILE, WORKER = "TOLD", "PYTEST_XDIST_WORKER"
OUTCOMES = {"passed": "passed", "failed": "failed", "skipped": "skipped"}


def pytest_runtest_logreport(report: Any) -> None:
    """Write down a test's own outcome, and what goes wrong before or after it as an error."""
    if report.when == "call" or not report.passed:
        outcome = "errors" if report.failed and report.when != "call" else OUTCOMES[report.outcome]
        _tell(report.nodeid, outcome, report.longreprtext if report.failed else "")


def pytest_collectreport(report: Any) -> None:
    """Write down a file that can't be imported."""
    if report.failed:
        _tell(report.nodeid, "errors", report.longreprtext)


def _tell(name: str, outcome: str, why: str) -> None:
    if WORKER not in os.environ:
        said = [line[1:].strip() for line in why.splitlines() if line.startswith("E ")]
        line = {"name": name, "outcome": outcome, "why": (said or ["no message"])[0][:200] if why else ""}
        with open(os.environ[FILE], "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
