"""A `verbs` grid of 16 cells, in stacks and one by one: `python benchmarks/stacking.py [FILE.json]`.

Both ways train and evaluate the same cells with the same code; only the size of a stack differs. They
alternate, and the held-out losses are compared before the times.
"""

import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

from workbench.studies.grid import STUDIES
from workbench.studies.plan import plan
from workbench.training.run_stack import run_stack

ROUNDS = 3
STEPS = 25


def main():
    study = STUDIES["verbs"]("coffee")
    study = replace(
        study, qualities=study.qualities[:2], seeds=(0, 1), settings={**study.settings, "steps": STEPS}
    )
    concrete = plan(study)
    ways = {
        "stacked": concrete.stacks,
        "one by one": [[cell] for stack in concrete.stacks for cell in stack],
    }
    times, losses = {name: [] for name in ways}, {}
    for number in range(ROUNDS):
        for name, stacks in ways.items():
            started = time.perf_counter()
            results = {}
            for stack in stacks:
                results |= run_stack(concrete.prepared, stack)
            times[name].append(time.perf_counter() - started)
            losses[name] = {key: result.metrics["loss"] for key, result in results.items()}
            print(f"round {number + 1}: {name}: {times[name][-1]:.1f} s", flush=True)
    apart = max(abs(losses["stacked"][key] - loss) for key, loss in losses["one by one"].items())
    medians = {name: statistics.median(each) for name, each in times.items()}
    ratio = medians["one by one"] / medians["stacked"]
    print(f"{len(concrete.cells)} cells; held-out losses within {apart:.1e}; ratio {ratio:.2f}")
    if sys.argv[1:]:
        table = {
            "cells": len(concrete.cells),
            "steps": STEPS,
            "seconds": medians,
            "ratio": ratio,
            "apart": apart,
        }
        Path(sys.argv[1]).write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
