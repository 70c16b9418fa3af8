"""What all tests share: how often shapes are checked, no limits of time, no unnoticed skip on the gate."""

import functools
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import hypothesis
import jaxtyping
import pytest

CALLS = 30
"""Calls of one function, in one test, whose types and shapes are checked: a training loop makes thousands."""
calls: Counter[Callable] = Counter()
check_shapes = jaxtyping.jaxtyped
hypothesis.settings.register_profile("workbench", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("workbench")


def check_first_calls(*, typechecker):
    """Stand in for the decorator that pytest's option --jaxtyping-packages puts on every function.

    That one checks every call, and for a function that is defined in another one it compiles the check
    again each time: together four fifths of a training loop's time.
    """

    def decorate(target):
        if isinstance(target, classmethod | staticmethod):
            return type(target)(decorate(target.__func__))
        if isinstance(target, property):
            return property(*(one and decorate(one) for one in (target.fget, target.fset, target.fdel)))
        if not inspect.isfunction(target):
            return check_shapes(target, typechecker=typechecker)
        if "<locals>" in target.__qualname__:
            return target
        checked = check_shapes(target, typechecker=typechecker)

        @functools.wraps(target)
        def counted(*arguments, **named):
            calls[checked] += 1
            return (checked if calls[checked] <= CALLS else target)(*arguments, **named)

        return counted

    return decorate


jaxtyping.jaxtyped = check_first_calls


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    calls.clear()


MAY_SKIP = (
    "needs a CUDA or ROCm device",  # the gate has none
    "isn't beside the (checkout|repository)",  # tables that may not be copied into it
    "this user may not give a process its own view of the disk",  # root may
    "a small disk can't be mounted by this user",  # root may
    "gsm8k was never fetched",  # the gate may reach package registries alone
    "the hashes are of matplotlib",  # the pictures are compared with any version
    "this processor can't multiply bytes exactly",  # so the workbench doesn't, either
)
"""Reasons that are no fault of an installation, as patterns."""


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure, unless its reason is one that may be."""
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("WORKBENCH_NO_SKIPS"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not any(re.search(pattern, reason) for pattern in MAY_SKIP):
        report.outcome = "failed"
        report.longrepr = f"{reason}: on the gate this has to run (WORKBENCH_NO_SKIPS is set)"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport():
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report():
    report = yield
    refuse_skip(report)
    return report


# ------------------------------------------------------------------- tests in a process of their own

ALONE = "WORKBENCH_ALONE"
"""Set in such a process: the file into which it writes what came out."""
outcomes: dict[Path, list[pytest.TestReport]] = {}


class Recorder:
    """Writes each report of this process as a line of JSON."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        with open(os.environ[ALONE], "a", encoding="utf-8") as file:
            file.write(json.dumps(data) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get(ALONE):
        config.pluginmanager.register(Recorder(config))


def run_alone(item: pytest.Item) -> list[pytest.TestReport]:
    """Run the chosen tests of an item's file in a process of their own, once; returns what came out."""
    mine = [one.nodeid for one in item.session.items if one.path == item.path]
    config = item.config
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "reports"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *mine],
            cwd=config.rootpath,
            env={**os.environ, ALONE: str(record), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
        )
        lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    found = [
        config.hook.pytest_report_from_serializable(config=config, data=json.loads(line)) for line in lines
    ]
    told = {report.nodeid for report in found}
    for one in item.session.items:
        if one.path == item.path and one.nodeid not in told:
            why = f"its process ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            found.append(pytest.TestReport(one.nodeid, one.location, {}, "failed", why, "call"))
    return found


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Tests marked "alone" change their process for good: they get one, together with those of their file."""
    if item.get_closest_marker("alone") is None or os.environ.get(ALONE):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    if item.path not in outcomes:
        outcomes[item.path] = run_alone(item)
    for report in outcomes[item.path]:
        if report.nodeid == item.nodeid:
            item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    # what the test before this one left set up for it is no longer needed
    item.session._setupstate.teardown_exact(nextitem)
    return True
