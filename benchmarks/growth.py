"""How a study's time grows with its cells, examples and tokens: `python benchmarks/growth.py [FILE.json]`.

The classroom base; one thing grows and the others stay. Where the time for each stays or falls, cost grows as
the work does, or slower.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from workbench.config import Quality
from workbench.studies.grid import Study
from workbench.studies.runner import run

CELLS = (10, 100, 1000)
STEPS = (25, 100, 400)
HELD_OUT = (100, 400, 1600)


def study(*, cells=4, steps=10, heldout=50):
    return Study(
        name="growth",
        data="verbs",
        base="classroom",
        qualities=(Quality(),),
        sizes=(64,),
        seeds=tuple(range(cells)),
        heldout=heldout,
        template="verbs",
        settings={"batch_size": 8, "steps": steps},
    )


def seconds(grid):
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run(grid, Path(folder) / "study").close()
        return time.perf_counter() - started


def main():
    seconds(study())  # loads torch's operators once
    ways = {
        "cells": (CELLS, lambda n: study(cells=n, steps=4)),
        "steps of 12 cells": (STEPS, lambda n: study(cells=12, steps=n)),
        "held-out examples of 12 cells": (HELD_OUT, lambda n: study(cells=12, heldout=n)),
    }
    table = {}
    for name, (counts, grid) in ways.items():
        table[name] = {count: seconds(grid(count)) for count in counts}
        for count, took in table[name].items():
            print(f"{count} {name}: {took:.1f} s, {1000 * took / count:.1f} ms each", flush=True)
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
