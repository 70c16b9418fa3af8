"""What all tests share: how often shapes are checked, no limits of time, no unnoticed skip on the gate."""

import functools
import inspect
import os
import re
from collections import Counter
from collections.abc import Callable

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
