"""Write each notebook from its text form, with the pictures that it makes.

    python docs/notebooks.py            runs the notebooks whose text has changed (a minute each)
    python docs/notebooks.py NAME ...   runs these, whether they have changed or not

A widget can't live on GitHub or in print, so its static picture is kept in its place, and every other picture
and text with it. Of `ipywidgets.interact` what it showed is kept, with a line that says where its controls
stood. Solutions, which are code in the text form, are written as folded texts.
What is large or of the moment stays out: widgets' state, execution numbers, standard error.
"""

import argparse
import base64
import hashlib
import io
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

from workbench.lessons.workshop import folded
from workbench.studies.background import BackgroundRun

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
LIVE = 40
"""Seconds that what trains beside a notebook gets before the last cell draws it."""
LATER = "after-a-while"
"""The tag of a cell that shows what trains beside the notebook: its picture is taken once that has ended."""
LONGEST = 240
"""Seconds that is waited for that."""
KEPT = ("image/png", "text/plain", "text/html")
WIDGET = "application/vnd.jupyter.widget-view+json"
"""The kind of an output that only a front end with a kernel can show."""
WIDGETS = "application/vnd.jupyter.widget-state+json"
"""The kind of the state of a notebook's widgets."""
LARGEST = 80_000
"""Bytes of a picture that keeps all its pixels; there are two for each of the page's."""
COLOURS = 256
"""Of a kept picture, chosen so that none is far from what it was; it takes a third of the bytes."""


def text_of(name: str) -> NotebookNode:
    """Return a notebook's cells as its text form has them, with the solutions folded."""
    return folded(jupytext.read(FOLDER / f"{name}.py"))


def fingerprint(notebook: NotebookNode) -> str:
    """Return a hash of what is run: the code cells, in their order."""
    code = "\0".join(cell.source for cell in code_cells(notebook))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells that are run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def written(name: str) -> NotebookNode | None:
    """Return the notebook's file, if there is one."""
    path = FOLDER / f"{name}.ipynb"
    return nbformat.read(path, as_version=4) if path.is_file() else None


def run(notebook: NotebookNode, folder: Path) -> None:
    """Execute a notebook in an empty folder and end what it has started."""
    last = notebook.cells.index(code_cells(notebook)[-1])

    def pause(cell: NotebookNode, cell_index: int) -> None:
        if LATER in cell.metadata.get("tags", ()):
            for path in folder.glob("**/job"):
                BackgroundRun(path.parent).wait(LONGEST)
        elif cell_index == last and any(folder.glob("**/job")):
            time.sleep(LIVE)

    client = NotebookClient(
        notebook, timeout=900, resources={"metadata": {"path": str(folder)}}, on_cell_execute=pause
    )
    try:
        client.execute()
    finally:
        for path in folder.glob("**/job"):
            job = BackgroundRun(path.parent)
            job.stop()
            job.wait(60)


def keep_pictures(notebook: NotebookNode) -> None:
    """Leave in a notebook that was run only what a reader wants to see."""
    saved = notebook.metadata.pop("widgets", {}).get(WIDGETS, {}).get("state", {})
    states = {name: one["state"] for name, one in saved.items()}
    for cell in code_cells(notebook):
        cell.execution_count = None
        cell.metadata.pop("execution", None)
        shown = [one for output in cell.outputs for one in _instead(output, states)]
        had_widget = any(WIDGET in output.get("data", {}) for output in cell.outputs)
        cell.outputs = [output for output in map(_kept, shown) if output is not None]
        if had_widget and not cell.outputs:
            raise SystemExit(f"Nothing of this cell's widget can be shown without a kernel:\n{cell.source}")


def _instead(output: NotebookNode, states: Mapping[str, Mapping[str, Any]]) -> Iterator[NotebookNode]:
    """Yield an output, or for a widget without a picture of its own what stands in its place."""
    view = output.get("data", {}).get(WIDGET)
    if view is None or {"image/png", "text/html"} & output.data.keys():
        yield output
        return
    inside = list(_widgets_in(view["model_id"], states))
    if controls := [words for one in inside if (words := _control(one))]:
        yield nbformat.v4.new_output("stream", name="stdout", text=f"[{', '.join(controls)}]\n")
    for one in inside:
        yield from map(nbformat.from_dict, one.get("outputs", []))


def _widgets_in(name: str, states: Mapping[str, Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the state of a widget and of all that it holds, in the order in which they are shown."""
    state = states.get(name, {})
    yield state
    for child in state.get("children", []):
        yield from _widgets_in(child.removeprefix("IPY_MODEL_"), states)


def _control(state: Mapping[str, Any]) -> str | None:
    """Say where a slider or a menu stands; nothing for other widgets."""
    if not state.get("description"):
        return None
    if "index" in state and "_options_labels" in state:
        return f"{state['description']}: {state['_options_labels'][state['index']]}"
    if (value := state.get("value")) is None:
        return None
    if isinstance(value, bool):
        return f"{'☑' if value else '☐'} {state['description']}"
    shown = f"{value:.3g}" if isinstance(value, float) else value
    return f"{state['description']}: {shown}"


def _kept(output: NotebookNode) -> NotebookNode | None:
    if output.output_type == "stream":
        return output if output.name == "stdout" else None
    data = {kind: value for kind, value in output.data.items() if kind in KEPT}
    still = {"image/png", "text/html"} & data.keys()
    if not data or (WIDGET in output.data and not still):
        return None
    if "image/png" in data:
        data["image/png"] = _smaller(data["image/png"])
        data.pop("text/html", None)  # the same as SVG, for a page that has a theme and a width
    return nbformat.v4.new_output("display_data", data=data, metadata=output.metadata)


def _smaller(picture: str) -> str:
    """Return a picture in few colours and, where it is still large, at half the size."""
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        plain = image.convert("RGB")
    small = _few_colours(plain)
    if len(small) > LARGEST:
        small = _few_colours(plain.resize((plain.width // 2, plain.height // 2), Image.Resampling.LANCZOS))
    return base64.b64encode(small).decode()


def _few_colours(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        buffer, "png", optimize=True
    )
    return buffer.getvalue()


def write(name: str, *, anyway: bool) -> bool:
    """Write one notebook and return whether it had to be run."""
    text, old = text_of(name), written(name)
    mark = fingerprint(text)
    fresh = not anyway and old is not None and old.metadata.get("workbench", {}).get("run") == mark
    if fresh and old is not None:
        for new, before in zip(code_cells(text), code_cells(old), strict=True):
            new.outputs = before.outputs
    else:
        with tempfile.TemporaryDirectory() as folder:
            run(text, Path(folder))
        keep_pictures(text)
    for number, cell in enumerate(text.cells):
        cell.id = f"cell-{number}"  # the same in every version
    text.metadata = {
        "jupytext": {"formats": "ipynb,py:percent"},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "workbench": {"run": mark},
    }
    (FOLDER / f"{name}.ipynb").write_text(nbformat.writes(text) + "\n", encoding="utf-8")
    return not fresh


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the notebooks named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="run these (default: what has changed)")
    chosen = parser.parse_args(arguments).names
    for name in chosen or sorted(path.stem for path in FOLDER.glob("*.py")):
        print(name, "run" if write(name, anyway=bool(chosen)) else "as it was", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
