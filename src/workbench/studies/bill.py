"""What a study has cost, by cell and in all, and how well that was predicted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.studies.disk.manifest import ActualCost, Session
from workbench.studies.disk.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class CostLine:
    """One cell, or a whole study. What wasn't recorded or can't be measured is None."""

    name: str
    seconds: float | None
    predicted_seconds: float | None
    flops: float | None
    joules: float | None
    bytes: int | None
    """Of the adapter; for the study, of all its files."""
    money: float | None
    """At the price that was asked for, in its currency."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """How well one finished run was predicted, in seconds of wall time."""

    started: str
    raw: float
    """From the step that was timed before the run, alone."""
    predicted: float
    """Corrected by earlier runs."""
    learned_from: int
    """How many those were."""
    actual: float


@dataclass(frozen=True, slots=True)
class Bill:
    """A study's costs."""

    cells: list[CostLine]
    total: CostLine
    estimates: list[Estimate]
    """Of each finished run, the oldest first."""


def bill(folder: Path, price_per_hour: float | None = None) -> Bill:
    """Return what a study has cost.

    A cell's seconds are its share of its stack's time, its joules its share of all joules by its seconds.
    The total's seconds are wall time of all runs, loading and planning with them.

    Args:
        folder: The study.
        price_per_hour: Of the machine, or of all machines together, in any currency.

    Raises:
        InputError: If the study can't be read or the price is no positive number.
    """
    if price_per_hour is not None and not 0 <= price_per_hour < float("inf"):
        raise InputError(f"the price is {price_per_hour}; it has to be 0 or more, in any currency")
    with Store.open(folder, read_only=True) as store:
        rows, sessions = store.rows(), store.manifest.sessions
    ended = [(session, session.actual) for session in sessions if session.actual]
    wall = _sum([actual.seconds for _, actual in ended])
    joules = _sum([actual.joules for _, actual in ended])
    trained = _sum([row["seconds"] for row in rows])
    each = None if joules is None or not trained else joules / trained
    cells = [_cell(row, each, price_per_hour) for row in rows]
    shared = _sum([actual.shared_flops for _, actual in ended])
    flops = _sum([item.flops for item in cells])
    total = CostLine(
        name="all",
        seconds=wall,
        predicted_seconds=_sum([session.prediction.seconds for session, _ in ended]),
        flops=None if flops is None else flops + (shared or 0.0),
        joules=joules,
        bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        money=_money(wall, price_per_hour),
    )
    estimates = [estimate for session, actual in ended if (estimate := _estimate(session, actual))]
    return Bill(cells, total, estimates)


def _estimate(session: Session, actual: ActualCost) -> Estimate | None:
    """Return how well a run was predicted; None for one that didn't finish or lacks a number."""
    told, taken = session.prediction, actual.seconds
    if session.outcome != "finished" or taken is None or told.raw_seconds is None:
        return None
    if told.seconds is None or told.learned_from is None:
        return None
    return Estimate(
        started=session.started or "not recorded",
        raw=told.raw_seconds,
        predicted=told.seconds,
        learned_from=told.learned_from,
        actual=taken,
    )


def _cell(row: Mapping[str, Any], joules_a_second: float | None, price: float | None) -> CostLine:
    seconds = row["seconds"]
    return CostLine(
        name=f"{row['quality']}, {row['size']}, seed {row['seed']}",
        seconds=seconds,
        predicted_seconds=row.get("predicted_seconds"),
        flops=row.get("flops"),
        joules=None if joules_a_second is None or seconds is None else joules_a_second * seconds,
        bytes=row.get("adapter_bytes"),
        money=_money(seconds, price),
    )


def _money(seconds: float | None, price_per_hour: float | None) -> float | None:
    return None if seconds is None or price_per_hour is None else seconds / 3600 * price_per_hour


def _sum(values: list[float | None]) -> float | None:
    """Add up; None where a part is missing or nothing is there."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
