"""A workshop's folders: student and solution copies of the notebooks, and what a class needs beside them.

The notebooks themselves are the only source. An exercise is three cells: a function ``NAME_mine`` with a
hole, a solution ``NAME_solved`` with the tag "solution", and a check. In the notebook's text form the
solution is code. In its file it is a folded text: GitHub and nbviewer open what Jupyter folds, and leave
closed what HTML folds. A student's copy leaves the solution out; in a solution's copy it stands in the place,
and under the name, of the hole.
"""

import re
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.lessons.library import INDEX, LESSONS, index, master, page, with_links

WORKSHOP = {name: lesson for name, lesson in LESSONS.items() if lesson.exercise_minutes}
"""Notebooks with exercises."""
TAG = "solution"
HOLE = re.compile(r"\b(\w+)_mine\b")
FOLDED = """<details>
<summary>A solution</summary>

```python
{code}
```

</details>"""
CODE = re.compile(r"```python\n(.*?)\n```", re.DOTALL)


def exercises(notebook: NotebookNode) -> list[str]:
    """Return the names of a notebook's exercises, in its order.

    Raises:
        ValueError: If a solution doesn't stand behind its exercise's hole.
    """
    return [_named(notebook.cells[place - 1], notebook.cells[place]) for place in _solutions(notebook)]


def folded(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook whose solutions are folded texts, which nothing runs."""
    copy = deepcopy(notebook)
    for place in _solutions(copy):
        text = FOLDED.format(code=copy.cells[place].source)
        copy.cells[place] = new_markdown_cell(text, metadata={"tags": [TAG]})
    return copy


def student_copy(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook without its solutions and without outputs."""
    copy, places = _without_outputs(notebook), set(_solutions(notebook))
    copy.cells = [cell for place, cell in enumerate(copy.cells) if place not in places]
    return copy


def solution_copy(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook with its holes filled and without outputs."""
    copy, places = _without_outputs(notebook), set(_solutions(notebook))
    for place in places:
        name = _named(copy.cells[place - 1], copy.cells[place])
        code = solution_code(copy.cells[place]).replace(f"{name}_solved", f"{name}_mine")
        copy.cells[place] = new_code_cell(code, id=copy.cells[place].id, metadata={"tags": [TAG]})
    copy.cells = [cell for place, cell in enumerate(copy.cells) if place + 1 not in places]
    return copy


COPIES = {"student": student_copy, "solution": solution_copy}
"""The folders of a kit, and how a notebook becomes their copy of it."""


def write_kit(masters: Path, folder: Path) -> list[Path]:
    """Write every notebook's copies, an index and a glossary into ``folder``/student and ``folder``/solution.

    The instructor's page lies beside both.

    Args:
        masters: The folder that has the notebooks.
        folder: A new or empty folder: what a student has filled in is never written over.

    Returns:
        The notebooks' copies.

    Raises:
        InputError: If a notebook is missing, ``folder`` isn't empty, or it can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already; name a new folder, so that no work is written over")
    notebooks = {name: master(name, masters) for name in LESSONS}
    written = []
    for kind, make in COPIES.items():
        for name, notebook in notebooks.items():
            written.append(folder / kind / f"{name}.ipynb")
            write_atomically(written[-1], nbformat.writes(with_links(make(notebook), name)).encode())
        what = "Fill in what says *your turn*." if kind == "student" else "Solved."
        write_atomically(folder / kind / INDEX, index("Workshop", what).encode())
        write_atomically(folder / kind / "GLOSSARY.md", page("GLOSSARY.md").encode())
    write_atomically(folder / "INSTRUCTOR.md", page("INSTRUCTOR.md").encode())
    return written


def title(notebook: NotebookNode) -> str:
    """Return a notebook's heading."""
    return notebook.cells[0].source.split("\n")[0].removeprefix("# ")


def solution_code(cell: NotebookNode) -> str:
    """Return the code of a solution, folded or not."""
    found = CODE.search(cell.source) if cell.cell_type == "markdown" else None
    return found[1] if found else str(cell.source)


def _solutions(notebook: NotebookNode) -> list[int]:
    return [place for place, cell in enumerate(notebook.cells) if TAG in cell.metadata.get("tags", ())]


def _named(hole: NotebookNode, solution: NotebookNode) -> str:
    found = HOLE.search(hole.source)
    if found is None or f"{found[1]}_solved" not in solution.source:
        raise ValueError(f"no hole NAME_mine stands before this solution: {solution.source!r}")
    return found[1]


def _without_outputs(notebook: NotebookNode) -> NotebookNode:
    copy = deepcopy(notebook)
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return copy
