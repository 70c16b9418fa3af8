"""A workshop's copies run from top to bottom: with the score 0, with all of it, and whatever is filled in."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from workbench.lessons.hard_exercises import HARD_EXERCISES
from workbench.lessons.workshop import COPIES, WORKSHOP, exercises, student_copy

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "workshop.md").read_text(encoding="utf-8")


def master(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def run(notebook, folder):
    """Run a copy in an empty folder; return its score, how many there are, and the same of the hard ones."""
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output.get("text", "") for output in outputs)
    found = re.search(r"score: (\d+) of (\d+)(?:, and (\d+) of (\d+) hard)?", said)
    return tuple(int(number or 0) for number in found.groups())


@pytest.mark.slow
@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("name", WORKSHOP)
def test_a_copy_runs_and_scores_what_is_filled_in(tmp_path, name, kind):
    hard = sum(one in HARD_EXERCISES for one in exercises(master(name)))
    total = len(exercises(master(name))) - hard
    expected = {"student": (0, total, 0, hard), "solution": (total, total, hard, hard)}[kind]
    assert run(COPIES[kind](master(name)), tmp_path) == expected


@pytest.mark.slow
def test_whatever_is_filled_in_it_runs(tmp_path):
    copy = student_copy(master("07_exchange_rate"))
    holes = [cell for cell in copy.cells if cell.cell_type == "code" and "return ..." in cell.source]
    for cell, body in zip(holes, ["while True: pass", *["raise KeyboardInterrupt"] * 9], strict=False):
        cell.source = cell.source.replace("return ...", body)
    assert run(copy, tmp_path)[:2] == (0, 2)


def test_the_instructors_page_lists_every_notebook():
    rows = {row[1]: row[0] for row in re.finditer(r"^\| `(\w+)` \|.*$", PAGE, flags=re.MULTILINE)}
    assert set(rows) == {path.stem for path in (ROOT / "notebooks").glob("*.py")}, (
        "run python docs/workshop.py"
    )
    for name, lesson in WORKSHOP.items():
        assert f"| {', '.join(exercises(master(name)))} | {lesson.exercise_minutes} |" in rows[name], (
            "run python docs/workshop.py"
        )
