"""Every notebook: one question, short cells, small, and it runs from top to bottom."""

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST_CELL = 15
"""Lines; a longer one belongs into the package."""
LARGEST = 250_000
"""Bytes."""
IN_CHECKOUT = {"03k_kernel_lab"}
"""Notebooks that read files of the checkout and write none; the others run in an empty folder."""

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert "00_five_minutes" in {path.stem for path in NOTEBOOKS}


@each_notebook
def test_it_asks_in_its_title_and_asserts_at_its_end(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    assert "assert " in code(notebook)[-1]


@each_notebook
def test_its_cells_are_short(path):
    long = [
        source for source in code(nbformat.read(path, as_version=4)) if source.count("\n") >= LONGEST_CELL
    ]
    assert not long


@each_notebook
def test_it_is_small_and_keeps_no_error(path):
    outputs = [
        output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])
    ]
    assert not [output for output in outputs if output.output_type == "error"]
    assert path.stat().st_size < LARGEST


@each_notebook
def test_its_text_form_says_the_same(path):
    text, file = jupytext.read(path.with_suffix(".py")), nbformat.read(path, as_version=4)
    assert [(cell.cell_type, cell.source) for cell in text.cells] == [
        (cell.cell_type, cell.source) for cell in file.cells
    ], "run make notebooks"


@each_notebook
def test_the_index_lists_it(path):
    assert f"({path.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")


@each_notebook
def test_it_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    folder = FOLDER if path.stem in IN_CHECKOUT else tmp_path
    client = NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}})
    client.execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
