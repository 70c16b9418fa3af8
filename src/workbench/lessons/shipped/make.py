"""Make a study that is shipped from a whole one: ``python -m workbench.lessons.shipped.make STUDY NAME``.

NAME is "verbs", or "filters" for the comparison of filters.
"""

import json
import shutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from workbench.config import CellConfig
from workbench.lessons.shipped import FILTERS, TALKERS, VERBS
from workbench.studies.disk.adapters import CONFIG, adapter_folder
from workbench.studies.disk.store import ZERO_SHOT, Store
from workbench.training.results import CellResult
from workbench.views.points import METRICS

KEPT = ("train_loss",)
"""Curves that are kept of every cell."""
MADE_ANEW = ("format", "sessions", "subsets")
"""Parts of the manifest that are written anew, or say nothing without the large parts."""


SHIPPED = {"verbs": (VERBS, TALKERS), "filters": (FILTERS, ())}
"""Each study's folder, and the cells of which all is kept: quality, size, seed."""


def make(source: Path, target: Path, talking: Collection[tuple[str, int, int]] = TALKERS) -> int:
    """Write the shipped form of a finished study over ``target`` and return its bytes.

    Args:
        source: The whole study.
        target: Where the small one is written; what is there goes.
        talking: Cells whose adapters and curves are kept: quality, size, seed.
    """
    with Store.open(source, read_only=True) as whole:
        zero_shot = whole.zero_shot()
        manifest = {name: value for name, value in whole.manifest.to_json().items() if name not in MADE_ANEW}
        cells = whole.manifest.planned()
        talkers = {key for key, cell in cells.items() if _names(cell) in talking}
        made = whole.made()
        results = {}
        for row in whole.rows():
            curves = whole.curves(row["key"])
            kept = curves if row["key"] in talkers else {name: curves[name] for name in KEPT}
            results[row["key"]] = _result(row, cells[row["key"]], kept)
    shutil.rmtree(target, ignore_errors=True)
    with Store.create(target, manifest) as small:
        small.commit({ZERO_SHOT: CellResult(cell=None, metrics=zero_shot)})
        for how in {json.dumps(how): how for how in made.values()}.values():  # stack by stack, to be replayed
            small.commit({key: results[key] for key in how["stack"]}, made=how)
    for key in talkers:
        shutil.copytree(adapter_folder(source, key), adapter_folder(target, key))
        config = adapter_folder(target, key) / CONFIG
        values = json.loads(config.read_bytes())
        values["base_model_name_or_path"] = manifest["base"]["name"]  # not a folder of this machine
        config.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def _names(cell: CellConfig) -> tuple[str, int, int]:
    return cell.quality.label, cell.size, cell.seed


def _result(row: Mapping[str, Any], cell: CellConfig, curves: dict[str, list[float]]) -> CellResult:
    metrics = {name: row[name] for name in METRICS if name in row}
    return CellResult(
        cell=cell,
        metrics=metrics,
        curves=curves,
        status=row["status"],
        failure=row["failure"],
        seconds=row["seconds"],
    )


if __name__ == "__main__":
    folder, talking = SHIPPED[sys.argv[2]]
    size = make(Path(sys.argv[1]), folder, talking)
    print(f"{folder}: {size / 1e6:.2f} MB")
