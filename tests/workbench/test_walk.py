"""docs/architecture.md follows a cell through the code: in the order in which the code runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
STATION = re.compile(r"^\| (\d+) \| `([\w/.]+)` \| `([\w.]+)` \|", flags=re.MULTILINE)


def walks() -> list[list[tuple[str, str]]]:
    """Return the page's numbered tables, each as (file, function)."""
    found: list[list[tuple[str, str]]] = []
    for number, path, function in STATION.findall(PAGE):
        if number == "1":
            found.append([])
        assert int(number) == len(found[-1]) + 1, f"{path} {function} has the number {number}"
        found[-1].append((path, function))
    return found


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    program = [
        sys.executable,
        Path(__file__).with_name("walked.py"),
        tmp_path_factory.mktemp("walk") / "study",
    ]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [tuple(line.split(" ")) for line in done.stderr.splitlines() if re.fullmatch(r"\S+\.py \S+", line)]


def test_the_page_has_both_walks():
    assert [len(walk) > 5 for walk in walks()] == [True, True]


@pytest.mark.slow
@pytest.mark.parametrize("walk", walks(), ids=["a cell", "a step"])
def test_a_walk_is_the_way_that_the_code_goes(walk, calls):
    assert not [station for station in walk if station not in calls], "nobody calls these"
    # a function that is met twice on the page counts once
    first = [calls.index(station) for station in dict.fromkeys(walk)]
    assert first == sorted(first), [calls[place] for place in sorted(first)]
