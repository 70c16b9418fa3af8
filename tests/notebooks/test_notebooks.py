"""Every notebook: one question, short cells, small, with its pictures, and it runs from top to bottom."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from workbench.studies.background import BackgroundRun

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST_CELL = 15
"""Lines; a longer one belongs into the package."""
LARGEST = 150_000
"""Bytes."""

SHOWS_WIDGET = re.compile(
    r"interact\(|^wb\.(widgets|watch)\b|^wb\.lessons\.(Guess|Dial|Chat|Budget|Blind)", re.MULTILINE
)
"""Code that shows a widget."""

OFFLINE = """
import socket
connect = socket.socket.connect
def local(self, address):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"a notebook asked for {address}")
    return connect(self, address)
socket.socket.connect = local
"""

spec = importlib.util.spec_from_file_location("writer", FOLDER.parent / "docs" / "notebooks.py")
writer = importlib.util.module_from_spec(spec)
"""What writes the notebooks' files."""
spec.loader.exec_module(writer)

QUICK = ("00_five_minutes", "04_live_fine_tune")
"""Notebooks that every test run executes; the others take their turn in `make test-slow`."""
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
def test_it_shows_its_picture_where_widgets_cant_live(path):
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs), "run make notebooks"


@each_notebook
def test_no_widget_leaves_its_cell_empty_where_widgets_cant_live(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    empty = [cell.source for cell in cells if SHOWS_WIDGET.search(cell.source) and not cell.outputs]
    assert not empty, "run make notebooks"


INTERACT = """
import ipywidgets as widgets
def show(n, kind, all):
    print(f"{n} of {kind}")
_ = widgets.interact(show, n=widgets.IntSlider(3, description="number"),
                     kind=widgets.Dropdown(options=["one", "two"], value="two", description="kind"),
                     all=widgets.Checkbox(value=True, description="all"))
"""


def test_of_interact_the_file_keeps_what_it_showed_and_where_its_controls_stood():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(INTERACT)])
    NotebookClient(notebook, timeout=60).execute()
    writer.keep_pictures(notebook)
    assert [output.text for output in notebook.cells[0].outputs] == [
        "[number: 3, kind: two, ☑ all]\n",
        "3 of two\n",
    ]
    assert "widgets" not in notebook.metadata


def test_a_widget_of_which_nothing_can_be_kept_is_refused():
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("import ipywidgets\nipywidgets.Output()")]
    )
    NotebookClient(notebook, timeout=60).execute()
    with pytest.raises(SystemExit, match="Nothing of this cell's widget"):
        writer.keep_pictures(notebook)


@each_notebook
def test_what_it_shows_is_what_its_code_made(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.workbench.run == writer.fingerprint(notebook), "run make notebooks"


@each_notebook
def test_it_keeps_nothing_of_the_machine_or_the_moment(path):
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) == {"jupytext", "kernelspec", "workbench"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.execution_count is None
            assert not cell.metadata.get("execution")
            shown = nbformat.writes(nbformat.v4.new_notebook(cells=[cell]))
            assert "widget-view" not in shown
            assert not re.search(r"/(home|root|work|tmp)/", shown)


@each_notebook
def test_its_text_form_says_the_same(path):
    text, file = writer.text_of(path.stem), nbformat.read(path, as_version=4)
    assert [(cell.cell_type, cell.source) for cell in text.cells] == [
        (cell.cell_type, cell.source) for cell in file.cells
    ], "run make notebooks"


@each_notebook
def test_no_solution_stands_open_where_nothing_runs(path):
    """GitHub and nbviewer show a code cell's source whatever its metadata say; HTML's details they fold."""
    solutions = [cell for cell in nbformat.read(path, as_version=4).cells if "_solved(" in cell.source]
    for cell in solutions:
        assert cell.cell_type == "markdown"
        assert re.fullmatch(r"<details>\n<summary>[^<]+</summary>\n.*\n</details>", cell.source, re.DOTALL)
    in_text = path.with_suffix(".py").read_text(encoding="utf-8").count('tags=["solution"]')
    assert len(solutions) == in_text


@each_notebook
def test_the_index_lists_it(path):
    assert f"({path.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return an empty folder whose jobs are ended with the test; processes started now reach no network."""
    offline, empty = tmp_path / "offline", tmp_path / "notebook"
    offline.mkdir()
    empty.mkdir()
    (offline / "sitecustomize.py").write_text(OFFLINE)
    monkeypatch.setenv("PYTHONPATH", str(offline))
    yield empty
    for path in empty.glob("**/job"):
        job = BackgroundRun(path.parent)
        job.stop()
        job.wait(60)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[] if path.stem in QUICK else pytest.mark.slow)
        for path in NOTEBOOKS
    ],
)
def test_it_runs_without_a_network(path, folder):
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}})
    client.execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
