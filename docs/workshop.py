"""Write docs/workshop.md's table of times: every notebook is run and its cells are timed.

python docs/workshop.py            all (minutes; wants the machine quiet)
python docs/workshop.py NAME ...   these, and the others' lines stay
"""

import argparse
import os
import re
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from nbformat import NotebookNode
from notebooks import FOLDER, code_cells, run, text_of

from workbench.lessons.workshop import WORKSHOP, exercises, title

PAGE = Path(__file__).resolve().parent / "workshop.md"
PLACE = re.compile(r"(<!-- table: times -->\n).*?(<!-- end -->)", flags=re.DOTALL)
HEAD = "| notebook | it asks | exercises | plan (minutes) | runs in (s) | slowest cell (s) | measured |"
LINE = re.compile(r"^\| `(\w+)` \|.*$", flags=re.MULTILINE)


def seconds(cell: NotebookNode) -> float:
    """Return how long a cell took."""
    times = cell.metadata["execution"]
    begun, ended = (
        datetime.fromisoformat(times[name]) for name in ("iopub.execute_input", "shell.execute_reply")
    )
    return (ended - begun).total_seconds()


def line(name: str) -> str:
    """Run a notebook and return its line of the table."""
    notebook = text_of(name)
    with tempfile.TemporaryDirectory() as folder:
        run(notebook, Path(folder))
    times = [seconds(cell) for cell in code_cells(notebook)]
    named = ", ".join(exercises(notebook)) if name in WORKSHOP else ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    measured = f"{datetime.now():%Y-%m-%d}, {cores} cores, load {os.getloadavg()[0]:.1f}"
    plan = str(WORKSHOP[name].exercise_minutes) if name in WORKSHOP else ""
    took = (f"{sum(times):.0f}", f"{max(times):.1f}")
    return "| " + " | ".join([f"`{name}`", title(notebook), named, plan, *took, measured]) + " |"


def write(lines: Mapping[str, str]) -> None:
    """Put the lines into the page's table, in the notebooks' order."""
    rows = [HEAD, "|" + " --- |" * HEAD.count(" | ") + " --- |", *(lines[name] for name in sorted(lines))]
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(PLACE.sub(lambda at: at[1] + "\n".join(rows) + "\n" + at[2], text), encoding="utf-8")


def main() -> None:
    """Measure the notebooks named, or all, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    every = sorted(path.stem for path in FOLDER.glob("*.py"))
    chosen = parser.parse_args().names or every
    known = {found[1]: found[0] for found in LINE.finditer(PAGE.read_text(encoding="utf-8"))}
    for name in chosen:
        known[name] = line(name)
        print(known[name], flush=True)
        write({name: known[name] for name in every if name in known})


if __name__ == "__main__":
    main()
