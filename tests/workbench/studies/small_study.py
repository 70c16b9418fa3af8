"""A real study of seconds, and a server that runs it in children and kills them.

Run as a script: ``python small_study.py FOLDER KILLS SEED SEEDS``, the last for the study's size. Importing
torch and reading the data happen once; each run is a forked child that is killed at a random instant, until
the study is done; and so on with new folders until so many children were killed. Prints one JSON object for
each finished study.
"""

import json
import os
import random
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from workbench.config import Quality
from workbench.studies import stacks
from workbench.studies.disk.store import Store
from workbench.studies.grid import Study, verbs
from workbench.studies.plan import plan
from workbench.studies.runner import run

TIMES = ("seconds", "predicted_seconds")
"""Columns that never repeat."""


def small_study(**changes) -> Study:
    """Twelve cells of the classroom study, a few steps each."""
    few = {
        "qualities": (Quality(), Quality(corruption="other_form", share=0.5)),
        "sizes": (8, 16),
        "seeds": (0, 1, 2),
        "heldout": 20,
        "settings": {"steps": 6, "batch_size": 8, "rank": 4},
    }
    return replace(verbs("coffee"), **{**few, **changes})


def three_stacks() -> Study:
    """Six cells, two in each of three stacks, for executors that train several at once."""
    settings = {"steps": 8, "batch_size": 96, "rank": 4}
    return small_study(sizes=(64,), settings=settings)


def measured(store: Store) -> list[tuple]:
    """Everything that a study measured, bit for bit, without the time it took."""
    rows = [{name: value for name, value in row.items() if name not in TIMES} for row in store.rows()]
    return [(row, store.curves(row["key"])) for row in rows]


def start(study: Study, folder: Path) -> int:
    """Run the study in a child and return its process id."""
    if child := os.fork():
        return child
    run(study, folder, checkpoint_seconds=0.0)
    os._exit(0)


def ended(child: int) -> bool:
    """Say whether a child has ended; its failure ends us."""
    done, status = os.waitpid(child, os.WNOHANG)
    if done and status:
        sys.exit(f"the run failed with status {status}")
    return bool(done)


def run_and_kill(study: Study, folder: Path, longest: float, wanted: int, chance: random.Random) -> int:
    """Run a study to its end, killing it on the way up to ``wanted`` times; return how often that was."""
    kills = 0
    while True:
        child = start(study, folder)
        deadline = time.monotonic() + (chance.uniform(0, longest) if kills < wanted else 1e9)
        while not (over := ended(child)) and time.monotonic() < deadline:
            time.sleep(0.002)
        if over:
            return kills
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1


def main() -> None:
    """Kill as asked."""
    folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    study = small_study(seeds=tuple(range(int(sys.argv[4]))))
    torch.set_num_threads(1)
    stacks.STEP_TOKENS = 300
    plan(study)  # what children then need not read again
    started = time.monotonic()
    run_and_kill(study, folder / "whole", 0.0, 0, random.Random(0))
    longest = time.monotonic() - started
    chance, left, number = random.Random(seed), kills, 0
    while left:
        number += 1
        killed = run_and_kill(study, folder / f"killed {number}", longest * 0.6, min(left, 12), chance)
        left -= killed
        print(json.dumps({"folder": f"killed {number}", "kills": killed}), flush=True)


if __name__ == "__main__":
    main()
