"""A `verbs` grid of 16 cells, in stacks and one by one: `python benchmarks/stacking.py [FILE.json]`.

Both ways train and evaluate the same cells with the same code; only the size of a stack differs. They
alternate, and the held-out losses are compared before the times. Then the cost of one step is measured for
stacks of 1 to 16 cells, on a small base and a large one, and a line is put through it: seconds to start a
step, and seconds for each token. `workbench.studies.stacks` takes its limit from them.
"""

import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from workbench.adapters.lora import LoraStack
from workbench.studies.grid import STUDIES
from workbench.studies.plan import plan
from workbench.studies.stacks import step_tokens
from workbench.training.loop import step_gradient, step_rows
from workbench.training.run_stack import run_stack

ROUNDS = 3
STEPS = 25
TOGETHER = (1, 2, 4, 8, 16)


def step_costs(name):
    """Return tokens and median seconds of one step of stacks of several sizes, and the line through them."""
    study = replace(STUDIES[name]("coffee"), seeds=(0, 1, 2, 3))
    concrete = plan(study)
    prepared = concrete.prepared
    table = []
    for count in TOGETHER:
        cells = concrete.cells[:count]
        stack = LoraStack(cells, concrete.base.decoder.config)
        draws = [prepared.draws[cell.key()] for cell in cells]
        seconds = []
        for step in range(1 + 2 * ROUNDS):
            started = time.perf_counter()
            step_gradient(prepared.frozen, stack, step_rows(cells, draws, step))
            seconds.append(time.perf_counter() - started)
        tokens = sum(step_tokens(cell, prepared) for cell in cells)
        table.append({"cells": count, "tokens": tokens, "seconds": statistics.median(seconds[1:])})
    slope, start = np.polyfit(
        [row["tokens"] for row in table],
        [row["seconds"] for row in table],
        1,
        w=[1 / row["seconds"] for row in table],
    )
    limit = max(len(stack) for stack in concrete.stacks)
    print(f"{name}: {1000 * start:.1f} ms to start a step, {1e6 * slope:.1f} microseconds for each token")
    return {"steps": table, "start_seconds": start, "token_seconds": slope, "largest_stack": limit}


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
            "costs": {name: step_costs(name) for name in ("verbs", "raters")},
        }
        Path(sys.argv[1]).write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
