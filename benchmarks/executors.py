"""What an executor costs: one study on each, in seconds, and whether the cells are the same to the bit.

    python benchmarks/executors.py                    24 cells: worker processes against Ray
    python benchmarks/executors.py --budget lunch     the same on the 112 cells of `verbs` at lunch: minutes
    python benchmarks/executors.py --tiny 1000        so many tiny cells on worker processes and on Ray
    python benchmarks/executors.py --cluster 64       a Ray of so many idle-heavy workers on this machine

Prints one line a run: seconds on the clock, seconds of the processors that our own processes took, memory.
The clock's mean little while something else runs on the machine; the processors' hardly change.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from workbench.config import Quality
from workbench.studies import stacks
from workbench.studies.executors import ray_cluster
from workbench.studies.grid import BUDGETS, Study, verbs
from workbench.studies.runner import run

TIMES = ("seconds", "predicted_seconds")
QUALITIES = (Quality(), *(Quality(corruption="other_form", share=share) for share in (0.75, 0.5, 0.25)))
PATIENCE = {"RAY_worker_register_timeout_seconds": "900", "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "600"}
"""So many workers on so few cores take their time to start."""


def study(cells: int, settings: dict) -> Study:
    """Return a study of about so many cells."""
    seeds = tuple(range(max(1, cells // (2 * len(QUALITIES)))))
    few = {"qualities": QUALITIES, "sizes": (64, 128), "seeds": seeds, "heldout": 60, "settings": settings}
    return replace(verbs("coffee"), **few)


class Watch:
    """What this process and its children use: processor time, and the most memory of their own at once."""

    def __init__(self) -> None:
        self.seconds: dict[int, float] = {}
        self.most, self.workers, self.largest = 0, 0, 0

    def look(self, *, memory: bool) -> None:
        """Read the counters of every process that is there now."""
        sizes = []
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                used = process.cpu_times()
                self.seconds[process.pid] = used.user + used.system
                if memory and is_worker(process):
                    sizes.append(process.memory_full_info().uss)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        self.most = max(self.most, sum(sizes))
        self.workers = max(self.workers, len(sizes))
        self.largest = max([self.largest, *sizes])


def is_worker(process: psutil.Process) -> bool:
    command = " ".join(process.cmdline())
    of_ray = command.startswith("ray::") and "Agent" not in command and "Sink" not in command
    return of_ray or "executors.worker" in command


@contextmanager
def watched(every: float) -> Iterator[Watch]:
    """Look now and then, in a thread."""
    watch, over = Watch(), threading.Event()
    before = sum(os.times()[:2])

    def look() -> None:
        while not over.wait(every):
            watch.look(memory=True)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
        watch.seconds[os.getpid()] = sum(os.times()[:2]) - before


def measure(name: str, what: Study, executor: str, workers: int, every: float = 1.0) -> tuple[float, list]:
    """Run a study in a new folder; return the seconds and the measured table."""
    with tempfile.TemporaryDirectory() as folder, watched(every) as watch:
        started = time.perf_counter()
        store = run(what, Path(folder) / "study", executor=executor, workers=workers, threads=1)
        seconds = time.perf_counter() - started
        rows = [{key: value for key, value in row.items() if key not in TIMES} for row in store.rows()]
        lost = len(store.attempts())
        store.close()
    outcome = store.manifest.outcome
    print(
        f"{name}: {len(rows)} cells, {outcome}, {lost} attempts lost, {seconds:.1f} s in all, "
        f"{sum(watch.seconds.values()):.1f} s of the processors; {watch.workers} workers at once with "
        f"{watch.most / 2**20:.0f} MiB of their own, {watch.largest / 2**20:.0f} MiB the largest",
        flush=True,
    )
    return seconds, rows


def wait_for_all(folder: str, count: int) -> None:
    """Import what a worker imports, and wait until so many workers have: then so many live at once."""
    import workbench.studies.executors.worker  # noqa: F401 - for its effect

    Path(folder, str(os.getpid())).touch()
    until = time.monotonic() + 900
    while len(os.listdir(folder)) < count and time.monotonic() < until:
        time.sleep(1.0)


def cluster(count: int) -> None:
    """Run a study of small cells, one a stack, on a Ray whose workers are all there before the first cell."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    stacks.STEP_TOKENS = 1
    wide = study(count, {"steps": 2, "batch_size": 4, "rank": 2})
    with tempfile.TemporaryDirectory() as folder:
        ray_cluster.import_torch_early = lambda: wait_for_all(folder, count)
        measure(f"ray, {count} workers", wide, "ray", count, every=10.0)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", type=int, metavar="CELLS")
    parser.add_argument("--cluster", type=int, metavar="WORKERS")
    parser.add_argument("--budget", choices=BUDGETS)
    parser.add_argument("--executors", nargs="+", default=["processes", "ray"])
    arguments = parser.parse_args()
    load = psutil.getloadavg()[0]
    print(f"{psutil.cpu_count()} cores, load before the start {load:.1f}", flush=True)
    if arguments.tiny:
        tiny = study(arguments.tiny, {"steps": 1, "batch_size": 4, "rank": 2})
        for executor in arguments.executors:
            measure(f"{executor}, tiny cells", tiny, executor, 2)
    elif arguments.cluster:
        cluster(arguments.cluster)
    else:
        usual = study(24, {"steps": 6, "batch_size": 64, "rank": 8})
        if arguments.budget:
            usual = verbs(arguments.budget)
        found = [measure(executor, usual, executor, 2) for executor in arguments.executors]
        print("the same to the bit:", all(table == found[0][1] for _, table in found))
        print("on the clock against the first:", *(f"{seconds / found[0][0]:.3f}" for seconds, _ in found))


if __name__ == "__main__":
    main()
