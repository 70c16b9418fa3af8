"""What an executor costs: one study on each, in seconds, and whether the cells are the same to the bit.

    python benchmarks/executors.py                    24 cells: in this process, worker processes, Ray
    python benchmarks/executors.py --tiny 1000        so many tiny cells on worker processes and on Ray
    python benchmarks/executors.py --cluster 64       a Ray of so many idle-heavy workers on this machine

Prints one line a run. Nothing else should run on the machine.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from workbench.config import Quality
from workbench.studies.grid import Study, verbs
from workbench.studies.runner import run

TIMES = ("seconds", "predicted_seconds")
QUALITIES = (Quality(), *(Quality(corruption="other_form", share=share) for share in (0.75, 0.5, 0.25)))


def study(cells: int, settings: dict) -> Study:
    """Return a study of about so many cells."""
    seeds = tuple(range(max(1, cells // (2 * len(QUALITIES)))))
    few = {"qualities": QUALITIES, "sizes": (64, 128), "seeds": seeds, "heldout": 60, "settings": settings}
    return replace(verbs("coffee"), **few)


def measure(name: str, what: Study, executor: str, workers: int) -> tuple[float, list]:
    """Run a study in a new folder; return the seconds and the measured table."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        store = run(what, Path(folder) / "study", executor=executor, workers=workers, threads=1)
        seconds = time.perf_counter() - started
        rows = [{key: value for key, value in row.items() if key not in TIMES} for row in store.rows()]
        training = sum(row["seconds"] for row in store.rows())
        line = f"{name}: {len(rows)} cells, {store.manifest['outcome']}, {seconds:.1f} s in all"
        print(f"{line}, {training:.1f} s of training, {len(store.attempts())} attempts lost", flush=True)
        store.close()
    return seconds, rows


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", type=int, metavar="CELLS")
    parser.add_argument("--cluster", type=int, metavar="WORKERS")
    parser.add_argument("--executors", nargs="+", default=["in-process", "processes", "ray"])
    arguments = parser.parse_args()
    if arguments.tiny:
        tiny = study(arguments.tiny, {"steps": 1, "batch_size": 4, "rank": 2})
        for executor in arguments.executors:
            measure(f"{executor}, tiny cells", tiny, executor, 2)
    elif arguments.cluster:
        # one cell a stack, so that there is a task for every worker
        wide = study(2 * arguments.cluster, {"steps": 2, "batch_size": 256, "rank": 2})
        measure(f"ray, {arguments.cluster} workers", wide, "ray", arguments.cluster)
    else:
        usual = study(24, {"steps": 6, "batch_size": 64, "rank": 8})
        tables = [measure(executor, usual, executor, 2)[1] for executor in arguments.executors]
        print("the same to the bit:", all(table == tables[0] for table in tables))


if __name__ == "__main__":
    main()
