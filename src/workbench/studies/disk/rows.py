"""What a row of the store's table is, how it is written, and how a curve lies in it: 8-byte numbers."""

import dataclasses
import hashlib
import json
import math
import sqlite3
import time
from array import array
from collections.abc import Iterable, Mapping, Sequence
from sys import byteorder
from typing import Any

from workbench.config import CellConfig
from workbench.training.results import CellResult

FIELDS = tuple(
    field.name
    for field in dataclasses.fields(CellConfig)
    if field.name not in ("quality", "size_in", "drawn")
)


def pack_curve(points: Sequence[float]) -> bytes:
    """Return a curve's bytes."""
    values = array("d", points)
    if byteorder == "big":
        values.byteswap()
    return values.tobytes()


def unpack_curve(points: bytes) -> list[float]:
    """Undo :func:`pack_curve`."""
    values = array("d", points)
    if byteorder == "big":
        values.byteswap()
    return values.tolist()


def digest(
    key: str,
    config: str,
    status: str,
    metrics: str,
    failure: str | None,
    curves: Iterable[tuple[str, bytes]],
) -> str:
    """Return the SHA-256 of what a cell measured; its times and costs, which never repeat, are left out."""
    sha256 = hashlib.sha256(json.dumps([key, config, status, metrics, failure]).encode())
    for name, points in sorted(curves):
        sha256.update(json.dumps([name, len(points)]).encode() + points)
    return sha256.hexdigest()


def table_row(
    key: str,
    cell: CellConfig,
    metrics: str,
    status: str,
    failure: str | None,
    seconds: float | None,
    costs: str,
) -> dict[str, Any]:
    """Return a cell as a row: its configuration, its metrics, its status, its costs."""
    # to_dict() would copy deeply, which for 10,000 cells takes seconds
    fields = {name: getattr(cell, name) for name in FIELDS} | {"targets": ",".join(cell.targets)}
    return {
        "key": key,
        "quality": cell.quality.label,
        "corruption": cell.quality.corruption,
        "share": None if cell.quality.pool else cell.quality.share,
        "raters": cell.quality.raters,
        **({"pool": cell.quality.pool} if cell.quality.pool else {}),
        **fields,
        **({"size_in": cell.size_in, "examples": cell.examples} if cell.size_in != "examples" else {}),
        "steps": cell.total_steps,
        "epochs": cell.passes,
        "evaluation": "heldout",
        **metrics_of(metrics),
        "status": status,
        "failure": failure,
        "seconds": seconds,
        **metrics_of(costs),
    }


def metrics_of(text: str) -> dict[str, Any]:
    """Read a JSON object of finite numbers and nulls.

    Raises:
        ValueError: If it is anything else.
    """
    values = json.loads(text)
    for name, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if value is not None and not number:
            raise ValueError(f"{name[:40]} is {str(value)[:40]!r}, expected a number or null")
    return values


def made_of(values: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a file says
    """Check how a cell was made.

    Raises:
        ValueError: If it doesn't say so.
    """
    stack, threads = values["stack"], values["threads"]
    if not (isinstance(threads, int) and 1 <= threads <= 1024 and all(isinstance(key, str) for key in stack)):
        raise ValueError("how a cell was made can't be read")
    return values


def place(row: Mapping[str, Any], pools: Sequence[str]) -> tuple[Any, ...]:
    """Return what rows are ordered by: quality, best first, then size and seed.

    Args:
        row: A cell's row.
        pools: The study's pools in the order in which they were asked for: nobody knows which is best.
    """
    raters = row["raters"] if row["raters"] is not None else float("inf")
    pool = row.get("pool") or ""
    return (
        pools.index(pool) if pool in pools else -1,
        pool,
        row["corruption"] != "none",
        row["corruption"],
        -(row["share"] or 0.0),
        -raters,
        row["size"],
        row["seed"],
        row["key"],
    )


def delete(database: sqlite3.Connection, keys: Iterable[str]) -> None:
    """Delete cells and their curves; the caller holds the transaction."""
    for key in keys:
        database.execute("DELETE FROM curve WHERE cell = (SELECT id FROM cell WHERE key = ?)", (key,))
        database.execute("DELETE FROM cell WHERE key = ?", (key,))


def insert(
    database: sqlite3.Connection,
    key: str,
    result: CellResult,
    costs: Mapping[str, Any],
    made: Mapping[str, Any],
) -> bool:
    """Store a cell unless its key is there already, and say whether it was new."""
    config = json.dumps(result.cell.to_dict() if result.cell else {}, sort_keys=True)
    metrics = json.dumps(result.metrics, sort_keys=True, allow_nan=False)
    curves = [(name, pack_curve(points)) for name, points in result.curves.items()]
    cursor = database.execute(
        "INSERT INTO cell(key, config, status, metrics, failure, seconds, costs, made, sha256, committed) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(key) DO NOTHING",
        (
            key,
            config,
            result.status,
            metrics,
            result.failure,
            result.seconds,
            json.dumps(costs, sort_keys=True, allow_nan=False),
            json.dumps(made, sort_keys=True),
            digest(key, config, result.status, metrics, result.failure, curves),
            time.time(),
        ),
    )
    if cursor.rowcount != 1:
        return False
    database.executemany(
        "INSERT INTO curve(cell, name, points) VALUES(?, ?, ?)",
        [(cursor.lastrowid, name, points) for name, points in curves],
    )
    return True
