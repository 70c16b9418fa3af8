"""On the gate nothing skips unnoticed: with WORKBENCH_NO_SKIPS set, a test that skips fails."""

import os
import re

import pytest

MAY_SKIP = (
    "needs a CUDA or ROCm device",  # the gate has none
    "isn't beside the (checkout|repository)",  # tables that may not be copied into it
    "this user may not give a process its own view of the disk",  # root may
    "a small disk can't be mounted by this user",  # root may
    "the hashes are of matplotlib",  # the pictures are compared with any version
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
