"""A workshop's copies: cut from the notebooks, and nothing of the solution left in the student's."""

import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

from workbench.cli import lab, main
from workbench.errors import InputError
from workbench.lessons import library
from workbench.lessons.exercise_list import EXERCISES
from workbench.lessons.hard_exercises import HARD_EXERCISES
from workbench.lessons.kernel_lab.kernel_list import KERNEL_EXERCISES
from workbench.lessons.library import LESSONS
from workbench.lessons.own_copy import write_own_copy
from workbench.lessons.workshop import (
    WORKSHOP,
    exercises,
    folded,
    solution_code,
    solution_copy,
    student_copy,
    title,
    write_kit,
)

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


@pytest.mark.parametrize("make", [student_copy, solution_copy])
def test_a_folded_solution_is_cut_as_an_open_one(notebook, make):
    closed = folded(notebook)
    assert closed.cells[2].cell_type == "markdown"
    assert closed.cells[2].source.startswith(
        "<details>\n<summary>A solution</summary>\n\n```python\ndef half_solved"
    )
    assert sources(make(closed)) == sources(make(notebook))
    assert [cell.cell_type for cell in make(closed).cells][1:] == ["code"] * 2
    assert solution_code(closed.cells[2]) == SOLUTION


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
        assert {path.stem for path in (folder / kind).glob("*.ipynb")} == set(LESSONS)
        assert all(f"[{lesson.question}]({name}.ipynb)" in index for name, lesson in LESSONS.items())
    assert (folder / "INSTRUCTOR.md").is_file()
    assert "_solved" not in "".join(path.read_text() for path in (folder / "student").glob("*.ipynb"))


def test_nobodys_work_is_written_over(tmp_path, capsys):
    mine = tmp_path / "mine.ipynb"
    mine.write_text("my work")
    assert main(["workshop", str(tmp_path)]) == 2
    assert "name a new folder, so that no work is written over" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [mine]


def test_a_folder_without_notebooks_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"00_five_minutes.ipynb is missing; name the checkout's folder"):
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
        assert re.search(rf'check(_kernel)?\("{exercise}", .*{exercise}_mine\)', code), "no check"
        assert exercise in EXERCISES.keys() | HARD_EXERCISES.keys() | KERNEL_EXERCISES.keys()
    assert "_solved" not in code, "the rest of the notebook hangs on a solution"


def linked(folder):
    """Return what the pages and notebooks of a folder lead to, each with the file that says so."""
    texts = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.md")}
    for path in folder.rglob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        texts[path] = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for path, text in texts.items():
        text = re.sub(r"`[^`\n]+`", "", text)  # code may look like a link
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            yield path, target


def test_every_link_of_a_kit_leads_somewhere_in_it(tmp_path):
    write_kit(NOTEBOOKS, tmp_path)
    found = list(linked(tmp_path))
    assert len(found) > 2 * 3 * len(LESSONS)
    for path, target in found:
        assert target.startswith("https://") or (path.parent / target).is_file(), f"{path.name}: {target}"


def test_following_next_passes_every_notebook_once(tmp_path):
    write_own_copy(tmp_path, NOTEBOOKS)
    seen, name = [], next(iter(LESSONS))
    while name:
        seen.append(name)
        last = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4).cells[-1].source
        assert "(GLOSSARY.md)" in last
        assert "(README.md)" in last
        found = re.search(r"Next: \[(.+)\]\((\w+)\.ipynb\)", last)
        assert found is None or found[1] == LESSONS[found[2]].question
        name = found and found[2]
    assert seen == list(LESSONS)


def test_every_notebook_is_known_with_its_exercises():
    assert set(LESSONS) == {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
    for name, lesson in LESSONS.items():  # the heading asks; the answer stands at the end
        number = name.split("_")[0].lstrip("0") or "0"
        asked = title(nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4))
        assert asked == f"{number}. {lesson.question}"
    table = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    for name, lesson in LESSONS.items():
        assert f"| [{name}]({name}.ipynb) | {lesson.question} |" in table
        has = bool(exercises(nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)))
        assert has == bool(lesson.exercise_minutes), name


@pytest.fixture
def masters(tmp_path):
    return Path(shutil.copytree(NOTEBOOKS, tmp_path / "masters", ignore=shutil.ignore_patterns("runs*")))


def test_a_copy_keeps_what_somebody_did_and_tells_what_changed(tmp_path, masters):
    folder = tmp_path / "mine"
    assert write_own_copy(folder, masters) == []
    own = folder / "02_lora_by_hand.ipynb"
    own.write_bytes(own.read_bytes().replace(b"your turn", b"my answer"))
    mine = own.read_bytes()
    assert write_own_copy(folder, masters) == [], "what is changed is the copy"
    for name in ("02_lora_by_hand", "06_loss_surface"):
        path = masters / f"{name}.ipynb"
        path.write_bytes(path.read_bytes().replace(b"the", b"THE"))
    assert write_own_copy(folder, masters) == ["02_lora_by_hand", "06_loss_surface"]
    assert own.read_bytes() == mine
    own.rename(folder / "mine.ipynb")
    assert write_own_copy(folder, masters) == ["06_loss_surface"]
    assert b"your turn" in own.read_bytes()
    assert (folder / "mine.ipynb").read_bytes() == mine


@pytest.mark.parametrize(
    "text", [b"", b"no JSON", b"[]", b"{}", b'{"metadata": {"workbench": {"copy_of": 3}}}']
)
def test_a_file_that_is_no_copy_of_ours_is_left_alone(tmp_path, text):
    (tmp_path / "05_grid.ipynb").write_bytes(text)
    assert write_own_copy(tmp_path, NOTEBOOKS) == []
    assert (tmp_path / "05_grid.ipynb").read_bytes() == text


def test_originals_stay_as_they_are(masters, tmp_path):
    before = {path: path.read_bytes() for path in masters.rglob("*") if path.is_file()}
    write_own_copy(tmp_path / "mine", masters)
    write_kit(masters, tmp_path / "kit")
    assert {path: path.read_bytes() for path in masters.rglob("*") if path.is_file()} == before


def test_without_a_checkout_the_notebooks_are_those_of_the_wheel(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "_checkout", lambda: tmp_path / "nowhere")
    assert library.masters_folder() == Path(library.__file__).parent / "notebooks"
    wheel = tmp_path / "wheel"
    shutil.copytree(NOTEBOOKS, wheel, ignore=shutil.ignore_patterns("runs*"))
    for name in library.PAGES.values():
        shutil.copy(NOTEBOOKS.parent / "docs" / name, wheel)
    monkeypatch.setattr(library, "masters_folder", lambda: wheel)
    write_kit(wheel, tmp_path / "kit")
    assert "# Glossary" in (tmp_path / "kit" / "student" / "GLOSSARY.md").read_text(encoding="utf-8")


def test_the_command_opens_a_copy(tmp_path, monkeypatch, capsys):
    begun = []
    monkeypatch.setattr(lab.os, "execve", lambda program, command, _: sys.exit(begun.append(command)))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["lab"])
    assert f"--ServerApp.root_dir={tmp_path / 'my-notebooks'}" in begun[0]
    assert "--LabApp.default_url=/lab/tree/README.md" in begun[0]
    assert {path.stem for path in (tmp_path / "my-notebooks").glob("*.ipynb")} == set(LESSONS)
    assert "Changed since" not in capsys.readouterr().out
    one = tmp_path / "my-notebooks" / "05_grid.ipynb"
    one.write_text(re.sub(r'"copy_of": "\w+"', '"copy_of": "older"', one.read_text()))
    with pytest.raises(SystemExit):
        main(["lab"])
    assert (
        "Changed since you got them: 05_grid. To have the new ones, rename yours" in capsys.readouterr().out
    )
