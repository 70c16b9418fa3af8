"""What a precision does to a study's results: `python benchmarks/precision.py [FILE.json]` (minutes).

Cells of the `raters` study on SmolLM2-135M, the same in each precision. The question is whether a precision
moves a cell's held-out loss by less than another seed does; "auto" takes the fastest for which it does.
"""

import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

from workbench.config import PRECISIONS, Quality
from workbench.studies.grid import STUDIES
from workbench.studies.plan import plan
from workbench.training.run_stack import run_stack


def main():
    study = STUDIES["raters"]("coffee")
    study = replace(study, qualities=(Quality(), Quality(raters=1)), sizes=(128,), seeds=(0, 1, 2))
    table = {}
    for precision in (one for one in PRECISIONS if one != "float16"):  # that one is a GPU's
        started = time.perf_counter()
        concrete = plan(replace(study, precision=precision))
        planned = time.perf_counter()
        results = [r for stack in concrete.stacks for r in run_stack(concrete.prepared, stack).values()]
        table[precision] = {
            "plan_seconds": planned - started,
            "train_and_evaluate_seconds": time.perf_counter() - planned,
            "cells": {f"{r.cell.quality.label}, seed {r.cell.seed}": r.metrics for r in results},
            "curves": {
                f"{r.cell.quality.label}, seed {r.cell.seed}": r.curves["train_loss"] for r in results
            },
        }
        exact, here = (table[name]["cells"] for name in ("float32", precision))
        moved = statistics.mean(abs(here[cell]["loss"] - exact[cell]["loss"]) for cell in exact)
        by_quality = [
            [row["loss"] for cell, row in exact.items() if cell.startswith(quality)]
            for quality in {cell.split(",")[0] for cell in exact}
        ]
        noise = statistics.mean(statistics.stdev(losses) for losses in by_quality)
        table[precision] |= {"mean_distance": moved, "seed_deviation": noise}
        took = table[precision]["train_and_evaluate_seconds"]
        print(
            f"{precision:20} {took:6.1f} s, moves the loss by {moved:.4f}; a seed by {noise:.4f}", flush=True
        )
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
