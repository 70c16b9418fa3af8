"""A workshop's copies: cut from the notebooks, and nothing of the solution left in the student's."""

from pathlib import Path

import nbformat
import pytest

from workbench.cli import main
from workbench.errors import InputError
from workbench.lessons.workshop import WORKSHOP, exercises, solution_copy, student_copy, title, write_kit

NOTEBOOKS = Path(__file__).resolve().parents[3] / "notebooks"
HOLE = "def half_mine(x):\n    # your turn\n    return ..."
SOLUTION = "def half_solved(x):\n    return x / 2"


@pytest.fixture
def notebook():
    cells = [
        nbformat.v4.new_markdown_cell("# Halves\n\nOne exercise."),
        nbformat.v4.new_code_cell(HOLE),
        nbformat.v4.new_code_cell(
            SOLUTION, metadata={"tags": ["solution"], "jupyter": {"source_hidden": True}}
        ),
        nbformat.v4.new_code_cell("check('half', half_mine)", execution_count=3),
    ]
    cells[-1].outputs = [nbformat.v4.new_output("stream", text="not yet")]
    return nbformat.v4.new_notebook(cells=cells)


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def test_a_student_gets_the_hole(notebook):
    copy = student_copy(notebook)
    assert sources(copy) == ["# Halves\n\nOne exercise.", HOLE, "check('half', half_mine)"]
    assert "solved" not in nbformat.writes(copy)


def test_the_solution_takes_the_holes_place_and_name(notebook):
    copy = solution_copy(notebook)
    assert sources(copy)[1:] == ["def half_mine(x):\n    return x / 2", "check('half', half_mine)"]
    assert "jupyter" not in copy.cells[1].metadata


@pytest.mark.parametrize("make", [student_copy, solution_copy])
def test_a_copy_has_no_outputs_and_leaves_the_notebook_alone(notebook, make):
    before = nbformat.writes(notebook)
    copy = make(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in copy.cells)
    assert nbformat.writes(notebook) == before
    nbformat.validate(copy)


def test_a_notebook_names_its_exercises(notebook):
    assert exercises(notebook) == ["half"]
    assert title(notebook) == "Halves"


def test_a_solution_without_a_hole_is_refused(notebook):
    notebook.cells[1].source = "x = 1"
    with pytest.raises(ValueError, match="no hole NAME_mine stands before this solution: 'def half_solved"):
        exercises(notebook)


def test_the_command_writes_both_folders(tmp_path, capsys):
    folder = tmp_path / "kit"
    assert main(["workshop", str(folder)]) == 0
    assert f"workbench lab {folder / 'student'}" in capsys.readouterr().out
    for kind in ("student", "solution"):
        index = (folder / kind / "README.md").read_text(encoding="utf-8")
        assert {path.stem for path in (folder / kind).glob("*.ipynb")} == set(WORKSHOP)
        assert all(f"({name}.ipynb)" in index for name in WORKSHOP)
    assert "_solved" not in "".join(path.read_text() for path in (folder / "student").glob("*.ipynb"))


def test_nobodys_work_is_written_over(tmp_path, capsys):
    mine = tmp_path / "mine.ipynb"
    mine.write_text("my work")
    assert main(["workshop", str(tmp_path)]) == 2
    assert "name a new folder, so that no work is written over" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [mine]


def test_a_folder_without_notebooks_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"02_lora_by_hand.ipynb is missing; name the checkout's folder"):
        write_kit(tmp_path, tmp_path / "kit")
    assert not (tmp_path / "kit").exists()


@pytest.mark.parametrize("name", WORKSHOP)
def test_every_exercise_is_checked_by_its_function(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    code = "\n".join(cell.source for cell in student_copy(notebook).cells if cell.cell_type == "code")
    found = exercises(notebook)
    assert len(found) >= 2
    for exercise in found:
        assert f"def {exercise}_mine(" in code
        assert f"    {exercise}_mine,\n" in code or f", {exercise}_mine, " in code, "no check"
    assert "_solved" not in code, "the rest of the notebook hangs on a solution"
