"""How well a run's time is predicted, and that it is predicted better with use.

    python benchmarks/costs.py [RUNS]

Runs some small studies of different sizes, one after the other, in one folder of studies, as a user would.
Prints for each what was predicted, with and without what the earlier ones taught, and what it took.
"""

import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import psutil

from workbench.studies.bill import bill
from workbench.studies.costs import EnergyMeter
from workbench.studies.grid import verbs
from workbench.studies.runner import run

STEPS = (4, 12, 6, 16, 8, 10, 14, 5)


def main() -> None:
    """Run the studies and print the errors."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else len(STEPS)
    meter = EnergyMeter().joules()
    print(f"load {psutil.getloadavg()[0]:.1f}; energy meter: {'none' if meter is None else 'readable'}")
    raw, corrected = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number, steps in enumerate(STEPS[:count], start=1):
            settings = {"steps": steps, "batch_size": 16, "rank": 4}
            study = replace(verbs("coffee"), seeds=(0,), heldout=60, settings=settings)
            run(study, Path(folder) / f"study-{number}", threads=1).close()
            (told,) = bill(Path(folder) / f"study-{number}").estimates
            raw.append(abs(told.raw / told.actual - 1))
            corrected.append(abs(told.predicted / told.actual - 1))
            print(
                f"run {number}: took {told.actual:.1f} s; predicted {told.predicted:.1f} s from "
                f"{told.learned_from} earlier runs, {told.raw:.1f} s without them",
                flush=True,
            )
    later = slice(1, None)
    print(
        f"median error after the first run: {statistics.median(corrected[later]):.0%}, without learning "
        f"{statistics.median(raw[later]):.0%}"
    )


if __name__ == "__main__":
    main()
