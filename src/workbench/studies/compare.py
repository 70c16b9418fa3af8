"""Where two results, or two studies, differ: to the bit, and at which step first."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.studies.disk.manifest import Manifest
from workbench.studies.disk.store import Store
from workbench.studies.paired import PairedDifference, paired_differences

MADE_OF = ("study", "data", "base", "arithmetic", "code_sha256", "versions", "hardware")
"""Parts of the manifest that say how the numbers were made."""


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """The first place where two results of one cell differ."""

    key: str
    where: str
    """A curve or a metric."""
    step: int | None
    """Of a curve, counted from 1; None for a metric."""
    first: float | str | None
    second: float | str | None

    def __str__(self) -> str:
        """Describe the difference in a line."""
        place = self.where if self.step is None else f"{self.where} at step {self.step}"
        return f"{self.key}: {place}: {self.first!r} against {self.second!r}"


@dataclass(frozen=True, slots=True)
class CellNumbers:
    """What a cell measured, as both a store and a training give it."""

    status: str
    metrics: Mapping[str, float | None]
    curves: Mapping[str, Sequence[float]]


def first_difference(key: str, first: CellNumbers, second: CellNumbers) -> FirstDifference | None:
    """Return the first difference of two outcomes, or None where every bit is the same.

    Curves come first, in the order in which they are made: a metric only repeats what a step has begun.
    """
    order = ["train_loss", "gradient_norm", *sorted({*first.curves, *second.curves})]
    for name in dict.fromkeys(order):
        one, two = first.curves.get(name, ()), second.curves.get(name, ())
        for step, (a, b) in enumerate(zip(one, two, strict=False), start=1):
            if not _same(a, b):
                return FirstDifference(key, name, step, a, b)
        if len(one) != len(two):
            return FirstDifference(key, f"length of {name}", None, float(len(one)), float(len(two)))
    for name in sorted({*first.metrics, *second.metrics}):
        old, new = first.metrics.get(name), second.metrics.get(name)
        same = old is new if old is None or new is None else _same(old, new)
        if not same:
            return FirstDifference(key, name, None, old, new)
    if first.status != second.status:
        return FirstDifference(key, "status", None, first.status, second.status)
    return None


def _same(a: float, b: float) -> bool:
    return struct.pack("<d", a) == struct.pack("<d", b)


def outcomes(store: Store) -> dict[str, CellNumbers]:
    """Return what each cell of a study measured, by key; the zero-shot line is one of them.

    Raises:
        InputError: If the study holds cells of several settings.
    """
    store.lead()
    return {
        key: CellNumbers(status, metrics, store.curves(key)) for key, status, metrics in store.measurements()
    }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two studies side by side."""

    made_differently: dict[str, tuple[Any, Any]]
    """Parts of the manifests that differ, by dotted name."""
    only_first: list[str]
    only_second: list[str]
    """Cells that only one of them has."""
    identical: list[str]
    different: list[FirstDifference]
    paired: list[PairedDifference]
    """Where no cell is in both: each metric at the same quality, size and seed, as where settings differ."""


def compare(first: Path, second: Path) -> Comparison:
    """Compare two studies: how they were made, and cell by cell.

    Raises:
        InputError: If one of them can't be read.
    """
    with Store.open(first, read_only=True) as a, Store.open(second, read_only=True) as b:
        one, two = outcomes(a), outcomes(b)
        # every fact of these parts, those of newer versions too
        tables = a.rows(), b.rows()
        made = {name: (x, y) for name, x, y in _pairs("", _made(a.manifest), _made(b.manifest)) if x != y}
    found = {key: first_difference(key, one[key], two[key]) for key in one if key in two}
    metrics = list(dict.fromkeys(name for cell in one.values() for name in cell.metrics))
    apart = not {row["key"] for row in tables[0]} & {row["key"] for row in tables[1]}
    return Comparison(
        made_differently=made,
        only_first=[key for key in one if key not in two],
        only_second=[key for key in two if key not in one],
        identical=[key for key, difference in found.items() if difference is None],
        different=[difference for difference in found.values() if difference],
        paired=paired_differences(*tables, metrics) if apart else [],
    )


def _made(manifest: Manifest) -> dict[str, Any]:
    return {part: manifest.written.get(part) for part in MADE_OF}


def _pairs(name: str, first: Any, second: Any) -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401 - JSON values
    if isinstance(first, dict) and isinstance(second, dict):
        for key in {**first, **second}:
            yield from _pairs(f"{name}.{key}".lstrip("."), first.get(key), second.get(key))
    else:
        yield name, first, second
