"""The kernel lab without Triton: one sentence, no traceback, and what it says helps."""

import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import jupytext
import pytest
from follows import follows

from workbench.errors import InputError
from workbench.lessons.kernel_lab import needs, ready

ROOT = Path(__file__).resolve().parents[3]
FIRST = next(
    cell.source
    for cell in jupytext.read(ROOT / "notebooks" / "03k_kernel_lab.py").cells
    if cell.cell_type == "code"
)
RUN = """
import sys
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell().run_cell(sys.argv[1])
"""


def first_cell(*packages: Path) -> str:
    """Run the notebook's first cell where these folders of packages come first; return what is shown."""
    path = os.pathsep.join([*map(str, packages), str(ROOT / "src"), str(ROOT / "kernels")])
    done = subprocess.run(
        [sys.executable, "-c", RUN, FIRST],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr


def a_wheel(folder: Path, version: str) -> None:
    """Write a wheel that says that it is Triton; no network is needed to install it."""
    name = f"triton-{version}"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("triton/__init__.py", f"__version__ = {version!r}\n")
        wheel.writestr(
            f"{name}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: triton\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{name}.dist-info/RECORD", "")


@follows("restart the kernel and run the notebook again")
def test_without_triton_the_first_cell_says_what_to_do_and_that_helps(tmp_path):
    none, wheels, there = (tmp_path / name for name in ("none", "wheels", "there"))
    (none / "triton").mkdir(parents=True)
    (none / "triton" / "__init__.py").write_text("raise ImportError('there is none')\n")
    wheels.mkdir()
    for version in ("3.5.0", "3.8.0", "3.10.0"):
        a_wheel(wheels, version)
    said = first_cell(none)
    assert re.fullmatch(
        r"\s*The kernel lab needs Triton >=3.6,<3.10 \(Linux only\), and it isn't installed. Type this in a "
        r"terminal, restart the kernel and run the notebook again: .* -m pip install 'triton>=3.6,<3.10'\s*",
        said,
    )
    assert "Traceback" not in said
    command = shlex.split(said.rpartition(": ")[2])
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_TARGET": str(there)}
    subprocess.run(command, env={**os.environ, **offline}, check=True, capture_output=True)
    assert first_cell(there).strip() == ""


def test_another_system_is_told_that_there_is_none_for_it(monkeypatch):
    monkeypatch.setattr(needs, "why_no_triton", lambda: "the Triton kernels need Triton, and there is none")
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(InputError, match=r"^The kernel lab needs Triton, which exists on Linux only\. Read"):
        ready()


def test_a_triton_too_old_is_no_triton(monkeypatch):
    monkeypatch.setattr(
        needs,
        "why_no_triton",
        lambda: "the Triton kernels need Triton 3.6 to 3.9, and this is 3.5.1, which is too old",
    )
    with pytest.raises(InputError, match=r"and this is 3\.5\.1, which is too old\. Type this"):
        ready()
