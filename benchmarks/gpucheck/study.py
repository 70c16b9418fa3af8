"""The `verbs` study on CPU and GPU: the same cells, their losses compared one by one."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpucheck.place import Place
from gpucheck.record import Record
from workbench.studies.grid import STUDIES, Study
from workbench.studies.runner import run

BUDGET = "coffee"
Cell = tuple[str, int, int]
"""Quality, size, seed."""


def study(place: Place, keep: Callable[[Record], None]) -> Record:
    """Run the study twice, in folders that are thrown away, and compare cell by cell."""
    grid = STUDIES["verbs"](BUDGET)
    if place.rehearsal:
        grid = replace(
            grid,
            qualities=grid.qualities[:1],
            sizes=grid.sizes[:1],
            seeds=grid.seeds[:2],
            heldout=24,
            settings={**grid.settings, "steps": 6},
        )
    cores = os.cpu_count() or 1
    workers = place.pick(min(3, cores // 4), 0)
    cpu = replace(grid, precision="float32", device="cpu")
    gpu = replace(grid, device="cuda") if place.cuda else cpu
    how: dict[str, Any] = {"executor": "processes", "workers": workers, "threads": 4} if workers > 1 else {}
    result: Record = {
        "budget": BUDGET,
        "cells": len(grid.cells()),
        "cpu_about": f"{workers} processes of 4 threads" if how else f"{cores} cores",
        "seconds": {},
    }
    slow, result["seconds"]["cpu"] = losses_of(cpu, how)
    keep(result)
    fast, result["seconds"]["gpu"] = losses_of(gpu, {})
    return {**result, **compared(slow, fast)}


def losses_of(wanted: Study, how: Mapping[str, Any]) -> tuple[dict[Cell, float], float]:
    """Run a study and return each cell's held-out loss and the seconds of the whole."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with run(wanted, Path(folder), **how) as store:
            seconds = time.perf_counter() - started
            rows = store.rows()
    return {(row["quality"], row["size"], row["seed"]): row["loss"] for row in rows}, seconds


def compared(slow: Mapping[Cell, float], fast: Mapping[Cell, float]) -> Record:
    """Return how far the losses of the two devices are apart, beside how far those of the seeds are.

    Raises:
        RuntimeError: If the two runs don't have the same cells.
    """
    if slow.keys() != fast.keys():
        raise RuntimeError(f"the two runs have other cells: {sorted(slow.keys() ^ fast.keys())}")
    apart = [abs(slow[cell] - fast[cell]) for cell in slow]
    return {
        "largest": max(apart),
        "median": statistics.median(apart),
        "spread": spread(slow),
        "rows": [
            {"quality": quality, "size": size, "seed": seed, "cpu": loss, "gpu": fast[quality, size, seed]}
            for (quality, size, seed), loss in slow.items()
        ],
    }


def spread(losses: Mapping[Cell, float]) -> float:
    """Return the standard deviation over the seeds of one quality and size: the median over all of these."""
    groups: dict[tuple[str, int], list[float]] = {}
    for (quality, size, _), loss in losses.items():
        groups.setdefault((quality, size), []).append(loss)
    return statistics.median(deviation(values) for values in groups.values())


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of a sample; at least two values are needed."""
    return statistics.stdev(values)
