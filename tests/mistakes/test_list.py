"""The lists of planted mistakes fit the source, and their mistakes are caught.

``make mistakes`` plants all of them; the slow test here every sixteenth, from all over the lists.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from mistakes_list import ROOT, Mistake, all_mistakes, planted

MISTAKES = all_mistakes()
RUN = Path(__file__).with_name("run.py")


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake.file}: {mistake.name}")
def test_each_fits_its_file(mistake):
    assert mistake.file.startswith(("src/", "kernels/", "benchmarks/"))
    assert compile(planted(mistake, ROOT), mistake.file, "exec")
    for test in mistake.tests.split():
        assert (ROOT / test.partition("::")[0]).is_file(), test


def test_there_are_at_least_sixty_and_no_two_of_one_name():
    assert len(MISTAKES) >= 60
    assert [name for name, count in Counter(one.name for one in MISTAKES).items() if count > 1] == []


def test_a_text_that_is_not_there_once_is_refused(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for old, new in (("x = 1", "x = 2"), ("y", "z"), ("x = 1\nx", "x = 1\nx")):
        with pytest.raises(ValueError, match=r"mistake 'some': its text occurs \d times in a\.py"):
            planted(Mistake("some", "a.py", old, new, "t.py"), tmp_path)


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(RUN), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_a_pattern_that_matches_nothing_is_refused():
    found = run("--only", "no such mistake")
    assert found.returncode == 2
    assert "--only 'no such mistake' matches no mistake's name or file" in found.stderr


@pytest.mark.slow
def test_every_sixteenth_mistake_is_caught():
    found = run("--workers", "2", "--every", "16")
    assert found.returncode == 0, found.stdout
    planted_ones = len(MISTAKES[::16])
    assert planted_ones >= 60
    assert f"{planted_ones} of {planted_ones} killed" in found.stdout
