"""The gate is green only if all of it ran: its script on a machine of stand-ins, and its rule about skips."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = """#!/bin/sh
line="${0##*/} $*"
echo "$line" >> "$CALLS"
[ "$line" != "$FAILS" ]
"""
"""A program that notes how it was called, and fails at the one call that shall fail."""
PARTS = ["make .venv/test", "make test", "make demo", "make test-slow"]
SKIPS = """
import pytest

def test_of_a_browser():
    pytest.skip("no Chromium")

@pytest.mark.skipif(True, reason="ray isn't installed")
def test_of_a_cluster():
    pass

@pytest.fixture(scope="module")
def base():
    pytest.skip("SmolLM2 can't be had here")

def test_of_a_base(base):
    pass

def test_of_a_gpu():
    pytest.skip("needs a CUDA or ROCm device")

@pytest.mark.xfail
def test_that_is_known_to_fail():
    assert False
"""


@pytest.fixture
def gate(tmp_path):
    """Return a function that runs the gate on a bare machine and returns its exit status and its calls."""
    calls = tmp_path / "calls"
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    for folder, names in {
        "bin": ("apt-get", "make", "python3"),
        ".venv/bin": ("python", "workbench"),
    }.items():
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            program = tmp_path / folder / name
            program.write_text(STAND_IN)
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
    for name in ("bash", "dirname", "timeout"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))

    def run(fails="", **environment):
        calls.write_text("")
        environment = {"PATH": str(tmp_path / "bin"), "CALLS": str(calls), "FAILS": fails, **environment}
        done = subprocess.run(["bash", tmp_path / ".ci" / "run"], env=environment, capture_output=True)
        return done.returncode, calls.read_text().splitlines()

    return run


def test_a_green_gate_ran_every_part(gate):
    status, calls = gate()
    assert status == 0
    assert [call for call in calls if call.startswith("make")] == PARTS
    assert "workbench fetch smollm2-135m" in calls
    assert "workbench fetch raters" in calls


def test_a_slow_machine_is_no_excuse(gate):
    status, calls = gate(SECONDS="4000")
    assert status != 0 or set(PARTS) <= set(calls)


def test_whatever_fails_ends_the_gate(gate):
    _, calls = gate()
    checks = [call for call in calls if call.startswith("python3 -c")]
    steps = [call for call in dict.fromkeys(calls) if call not in checks]
    assert {"apt-get", "make", "python", "workbench"} == {step.split()[0] for step in steps}
    for step in steps:
        status, calls = gate(fails=step)
        assert status != 0, f"the gate is green although this failed: {step}"
        assert calls[-1] == step, f"the gate went on after this had failed: {step}"


def outcomes(folder, **environment):
    """Return how each test of a folder ended, by name, and what was said."""
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", str(folder)]
    environment = {**os.environ, "COLUMNS": "300", **environment}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    return done.returncode, done.stdout


def test_a_skip_fails_on_the_gate(tmp_path):
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "conftest.py")
    (tmp_path / "test_skips.py").write_text(SKIPS)
    status, said = outcomes(tmp_path, WORKBENCH_NO_SKIPS="")
    assert status == 0
    assert "4 skipped, 1 xfailed" in said
    status, said = outcomes(tmp_path, WORKBENCH_NO_SKIPS="1")
    assert status == 1
    assert "1 failed, 1 skipped, 1 xfailed, 2 errors" in said
    for reason in ("no Chromium", "ray isn't installed", "SmolLM2 can't be had here"):
        assert f"{reason}: on the gate this has to run" in said


def test_a_file_that_skips_fails_on_the_gate(tmp_path):
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "conftest.py")
    (tmp_path / "test_file.py").write_text("import pytest\npytest.importorskip('nothing_of_this_name')\n")
    status, said = outcomes(tmp_path, WORKBENCH_NO_SKIPS="1")
    assert status == 2
    assert "could not import 'nothing_of_this_name'" in said
    assert "on the gate this has to run" in said
