"""How fast a large study is read: 10,000 cells with two curves of 200 steps each.

    python benchmarks/store.py FOLDER

Writes the study in FOLDER, reads it as an analysis would, and prints one JSON object.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from workbench.config import CellConfig, Quality
from workbench.studies.disk.store import Store
from workbench.training.results import CellResult

CELLS, STEPS, TOGETHER = 10_000, 200, 100


def cells() -> Iterator[CellConfig]:
    """Yield cells of 5 qualities, 10 sizes and 200 seeds."""
    for index in range(CELLS):
        share = 1 - index % 5 * 0.1
        quality = Quality(corruption="typo", share=share) if share < 1 else Quality()
        size = 2 ** (index // 5 % 10 + 3)
        yield CellConfig(data="d", base="b", size=size, seed=index // 50, quality=quality)


def write(folder: Path) -> float:
    """Write the study; return the seconds."""
    curve = list(np.linspace(3.0, 1.0, STEPS) + 1e-3 * np.random.default_rng(0).standard_normal(STEPS))
    curves = {"train_loss": curve, "gradient_norm": curve}
    results = [
        (
            cell.key(),
            CellResult(cell=cell, metrics={"loss": 1.0 + cell.size / 1e4}, curves=curves),
        )
        for cell in cells()
    ]
    costs = {key: {"flops": 1e9} for key, _ in results}
    started = time.perf_counter()
    with Store.create(folder, {"name": "large"}) as store:
        for first in range(0, CELLS, TOGETHER):
            store.commit(dict(results[first : first + TOGETHER]), costs)
    return time.perf_counter() - started


def group(folder: Path) -> tuple[int, int]:
    """Average the loss curves of each quality and size; return how many cells and groups there are."""
    with Store.open(folder, read_only=True) as store:
        rows = store.rows()
        keys, losses = store.curve_arrays("train_loss")
    place = {key: index for index, key in enumerate(keys)}
    groups: dict[tuple[str, int], list[int]] = {}
    for row in rows:
        groups.setdefault((row["quality"], row["size"]), []).append(place[row["key"]])
    means = {name: losses[members].mean(axis=0) for name, members in groups.items()}
    return len(rows), len(means)


def main() -> None:
    """Write, read and print."""
    folder = Path(sys.argv[1])
    written = write(folder)
    clock, processor = time.perf_counter(), time.process_time()
    found, groups = group(folder)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    started = time.perf_counter()
    with Store.open(folder, read_only=True) as store:
        store.check_whole()
    told = {
        "cells": found,
        "steps": STEPS,
        "groups": groups,
        "written, seconds": round(written, 2),
        "loaded and grouped, seconds": round(clock, 2),
        "loaded and grouped, processor seconds": round(processor, 2),
        "every hash checked, seconds": round(time.perf_counter() - started, 2),
        "cells.sqlite, bytes": (folder / "cells.sqlite").stat().st_size,
        "load of the machine": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
