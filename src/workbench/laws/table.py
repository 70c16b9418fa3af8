"""A table of measurements, read from anywhere and checked before any law sees it.

One row is one trained model: its quality, the size of its data, its seed, what happened to it and what
was measured. Whoever made the table, a study or a spreadsheet, it comes in here and nowhere else.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from workbench.errors import InputError
from workbench.laws.readers import number_in, raw_rows

STATUSES = ("done", "failed", "censored")
SMALLER_IS_BETTER = {"loss": True, "exact_match": False, "choice_accuracy": False}
"""The metrics whose direction is known; another metric's name ending in "loss" is taken as a loss."""
ROLES = ("quality", "size", "seed", "status", "evaluation")
"""Columns with a meaning of their own; every other numeric column is a metric or an input of a law."""
INPUTS = ("model", "unique", "share", "raters", "rank", "steps", "epochs")
"""Columns that tell two cells of one quality, size and seed apart."""
FARTHEST = 50.0
"""Factor between two seeds of one cell from which a loss is taken to be in mixed units, such as percent."""
WHOLE = "all"
"""The quality of every row of a table that has no quality column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One row: a model trained once and evaluated once."""

    quality: str
    size: float
    """Number of examples (or tokens; one unit for the whole table). 0 is the zero-shot row."""
    seed: int | None
    status: str
    evaluation: str
    values: Mapping[str, float | None]
    """Every other numeric column by name: metrics and inputs of laws. None is missing."""
    text: Mapping[str, str] = field(default_factory=dict)
    """Fields that are no numbers."""
    line: int
    """Row of the source, counted as a spreadsheet does: the header is line 1."""


@dataclass(frozen=True)
class Items:
    """What each row's model did on every evaluation item, by the row's ``line``, and the items' weights."""

    value: Mapping[int, Float[np.ndarray, " items"]]
    weight: Float[np.ndarray, " items"]


@dataclass(frozen=True)
class Table:
    """Checked measurements of one evaluation set."""

    name: str
    rows: tuple[Measurement, ...]
    evaluation: str
    notes: tuple[str, ...] = field(default=())
    """What a reader of any result from this table has to know, such as cells that failed."""
    items: Mapping[str, Items] = field(default_factory=dict)
    """By metric, where the items' outcomes are known; see ``with_items``."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def qualities(self) -> tuple[str, ...]:
        """Labels of the qualities that were trained, in the table's order."""
        return tuple(dict.fromkeys(row.quality for row in self.rows if row.size > 0))

    def measured(self, metric: str) -> tuple[Measurement, ...]:
        """Return the finished rows above size 0 that have this metric.

        Raises:
            InputError: If no row has it, or its values can't be what its name says.
        """
        for row in self.rows:
            if metric in row.text:
                raise InputError(
                    f"{self.name}, line {row.line}: {metric} is {row.text[metric]!r}; expected a number, or "
                    "nothing if missing."
                )
        rows = tuple(r for r in self.rows if _is_measured(r, metric) and r.size > 0)
        if not rows:
            known = sorted({name for r in self.rows for name, v in r.values.items() if v is not None})
            raise InputError(
                f"{self.name}: no finished row has a value for {metric!r}. Columns with numbers: "
                f"{', '.join(known) or 'none'}. Name the column that holds the measurement."
            )
        self._check_units(metric, rows)
        if len(rows) > 2 and len({row.values[metric] for row in rows}) == 1:
            raise InputError(
                f"{self.name}: the metric is {rows[0].values[metric]:g} in every cell: there is no effect of "
                f"size or quality in {metric!r}. Check the column."
            )
        return rows

    def zero_shot(self, metric: str) -> float | None:
        """Return the metric before any training (mean of the size-0 rows), or None if not measured."""
        values = [r.values[metric] for r in self.rows if r.size == 0 and _is_measured(r, metric)]
        return float(np.mean([v for v in values if v is not None])) if values else None

    def column(self, name: str, rows: Sequence[Measurement]) -> Float[np.ndarray, " rows"]:
        """Return a numeric column over ``rows``; ``size`` is one too.

        Raises:
            InputError: If one of the rows lacks it; the message names the line.
        """
        if name == "size":
            return np.array([r.size for r in rows], dtype=float)
        for row in rows:
            if row.values.get(name) is None:
                raise InputError(
                    f"{self.name}, line {row.line}: no number in column {name!r}, which this law needs. "
                    "Fill it in, name another column, or choose another law."
                )
        return np.array([r.values[name] for r in rows], dtype=float)

    def where(self, keep: Bool[np.ndarray, " rows"]) -> "Table":
        """Return the table of the rows for which ``keep`` is true."""
        rows = tuple(row for row, kept in zip(self.rows, keep, strict=True) if kept)
        return replace(self, rows=rows)

    def with_items(
        self,
        metric: str,
        outcomes: Sequence[Sequence[float] | None],
        weight: Sequence[float] | None = None,
    ) -> "Table":
        """Return the table with every evaluation item's outcome, so that intervals cover the choice of items.

        Args:
            metric: The column that is the mean of the outcomes.
            outcomes: For each row of the table its outcomes, one number per item in one and the same order;
                None for a row without the metric.
            weight: What each item weighs in the mean, such as its number of tokens; alike by default.

        Raises:
            InputError: If a row's outcomes are missing, differ in number, or don't give the row's metric.
        """
        if len(outcomes) != len(self.rows):
            raise InputError(
                f"{self.name}: {len(outcomes)} lists of item outcomes for {len(self.rows)} rows; give one "
                "per row, None for a row that was not evaluated."
            )
        value = {
            row.line: np.asarray(own, dtype=float)
            for row, own in zip(self.rows, outcomes, strict=True)
            if own is not None
        }
        count = len(next(iter(value.values()))) if value else 0
        weights = np.ones(count) if weight is None else np.asarray(weight, dtype=float)
        for row in self.rows:
            if row.status == "done" and row.values.get(metric) is not None:
                self._check_items(row, metric, value.get(row.line), weights)
        return replace(self, items={**self.items, metric: Items(value, weights)})

    def _check_items(
        self, row: Measurement, metric: str, outcomes: np.ndarray | None, weight: np.ndarray
    ) -> None:
        where, stated = f"{self.name}, line {row.line}", row.values[metric]
        if outcomes is None or len(outcomes) != len(weight):
            found = "no" if outcomes is None else len(outcomes)
            raise InputError(
                f"{where}: {found} item outcomes for {metric!r}, and {len(weight)} were expected; every row "
                "has to be judged on the same items."
            )
        mean = float(outcomes @ weight / weight.sum())
        if stated is not None and not math.isclose(mean, stated, rel_tol=1e-3, abs_tol=1e-6):
            raise InputError(
                f"{where}: the item outcomes average {mean:g}, but {metric} is {stated:g}. Give the items' "
                "weights, such as their tokens, or the outcomes of that metric."
            )

    def _check_units(self, metric: str, rows: Sequence[Measurement]) -> None:
        first: dict[tuple[Any, ...], Measurement] = {}
        for row in rows:
            value = row.values[metric]
            if value is None:
                continue
            if smaller_is_better(metric) and value <= 0:
                raise InputError(
                    f"{self.name}, line {row.line}: {metric} is {value:g}; a loss is above 0. If it is an "
                    "accuracy, "
                    "name its column 'exact_match' or 'choice_accuracy'."
                )
            if not smaller_is_better(metric) and not 0 <= value <= 1:
                raise InputError(
                    f"{self.name}, line {row.line}: {metric} is {value:g}, outside [0, 1]. Write shares, not "
                    "percent, in every row; a measurement that grows worse as it rises has to be called a "
                    "loss."
                )
            other = first.setdefault(_cell(row), row)
            before = other.values[metric] or value
            if smaller_is_better(metric) and max(value / before, before / value) > FARTHEST:
                raise InputError(
                    f"{self.name}, lines {other.line} and {row.line}: {metric} is {before:g} and {value:g} "
                    "in one cell, which no change of seed explains. Use one unit for the whole column."
                )


def smaller_is_better(metric: str) -> bool:
    """Say whether a metric is a loss: known ones by name, others by an ending such as 'eval_loss'."""
    return SMALLER_IS_BETTER.get(metric, metric.endswith(("loss", "perplexity", "error")))


def read_table(
    source: object,
    *,
    columns: Mapping[str, str] | None = None,
    evaluation: str | None = None,
    name: str | None = None,
) -> Table:
    """Read and check a table of measurements.

    Args:
        source: Path of a CSV, TSV or JSONL file; a sequence of rows (dicts); a mapping of columns; anything
            with ``to_dict("list")``, such as a data frame; or a ``Table``, returned as it is.
        columns: Our name to the table's name, for example ``{"size": "tokens", "loss": "val_loss"}``.
        evaluation: Which evaluation set, where the table has several; a law never mixes two.
        name: What messages call the table; by default the file's name or "table".

    Returns:
        The table of one evaluation set.

    Raises:
        InputError: Naming the line and the column, for anything a fit should not be given.
    """
    if isinstance(source, Table):
        return source
    name = name or (Path(source).name if isinstance(source, str | Path) else "table")
    raw = _with_our_names(raw_rows(source, name), columns or {}, name)
    rows = tuple(_measurement(row, name, line) for line, row in enumerate(raw, start=2))
    rows, chosen = _one_evaluation(rows, evaluation, name)
    _refuse_duplicates(rows, name)
    return Table(name, rows, chosen, tuple(_notes(rows)))


def _with_our_names(
    rows: list[dict[str, Any]], columns: Mapping[str, str], name: str
) -> list[dict[str, Any]]:
    if not rows:
        raise InputError(f"{name}: no rows; expected one per trained model.")
    present = list(rows[0])
    for ours, theirs in columns.items():
        if theirs not in present:
            raise InputError(
                f"{name}: no column {theirs!r} for {ours!r}. The columns are: {', '.join(present)}. Name "
                "one of them."
            )
    renamed = {theirs: ours for ours, theirs in columns.items()}
    shadowed = set(columns) - set(renamed)
    out = [
        {renamed.get(key, key): value for key, value in row.items() if key not in shadowed or key in renamed}
        for row in rows
    ]
    if "size" not in out[0]:
        raise InputError(
            f"{name}: no column 'size'. The columns are: {', '.join(present)}. Say which one counts the "
            "examples, "
            "for instance size=tokens."
        )
    return out


def _measurement(row: Mapping[str, Any], name: str, line: int) -> Measurement:
    where = f"{name}, line {line}"
    size = _number(row["size"], "size", where)
    if size is None or size < 0:
        raise InputError(f"{where}: size is {row['size']!r}; expected a count of examples, 0 for zero-shot.")
    status = str(row.get("status") or "done")
    if status not in STATUSES:
        raise InputError(f"{where}: status is {status!r}; expected one of {', '.join(STATUSES)}.")
    share = _number(row.get("share"), "share", where)
    if share is not None and not 0 <= share <= 1:
        raise InputError(
            f"{where}: share is {row['share']}; expected the share left clean, from 0 to 1, not percent."
        )
    seed = _number(row.get("seed"), "seed", where)
    if seed is not None and seed != int(seed):
        raise InputError(f"{where}: seed is {row['seed']!r}; expected a whole number.")
    quality = row.get("quality")
    values = {key: _other(value, key, where) for key, value in row.items() if key not in ROLES}
    return Measurement(
        quality=WHOLE if quality in (None, "") else str(quality),
        size=size,
        seed=None if seed is None else int(seed),
        status=status,
        evaluation=str(row.get("evaluation") or ""),
        values={key: value for key, value in values.items() if not isinstance(value, str)},
        text={key: value for key, value in values.items() if isinstance(value, str)},
        line=line,
    )


def _number(value: object, column: str, where: str) -> float | None:
    """Read a number; empty is missing, NaN and infinity are refused, so that nobody fits them."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = number_in(value)
    except (TypeError, ValueError):
        raise InputError(
            f"{where}: {column} is {value!r}; expected a number, or nothing if missing."
        ) from None
    if not math.isfinite(number):
        raise InputError(
            f"{where}: {column} is {value}; expected a finite number. Leave the field empty and set the "
            "status "
            "to 'failed' if the run diverged."
        )
    return number


def _other(value: object, column: str, where: str) -> float | str | None:
    """Read a column without a fixed role: numbers are kept, other text is not ours to judge."""
    if isinstance(value, str) and value.strip():
        try:
            number_in(value)
        except ValueError:
            return value
    return (
        _number(value, column, where)
        if isinstance(value, str | int | float | np.number | None)
        else str(value)
    )


def _one_evaluation(
    rows: tuple[Measurement, ...], wanted: str | None, name: str
) -> tuple[tuple[Measurement, ...], str]:
    found = list(dict.fromkeys(row.evaluation for row in rows))
    if wanted is None and len(found) > 1:
        raise InputError(
            f"{name}: {len(found)} evaluation sets ({', '.join(found)}). An exchange rate belongs to one of "
            "them: "
            f"choose with evaluation={found[0]!r}."
        )
    chosen = found[0] if wanted is None else wanted
    if chosen not in found:
        raise InputError(f"{name}: no evaluation set {chosen!r}. There are: {', '.join(found)}.")
    return tuple(row for row in rows if row.evaluation == chosen), chosen


def _cell(row: Measurement) -> tuple[Any, ...]:
    """Return what tells a row's cell from others; seeds of one cell share it."""
    return row.quality, row.size, *(row.values.get(name) for name in INPUTS)


def _refuse_duplicates(rows: Sequence[Measurement], name: str) -> None:
    """Refuse two rows for one cell: counted twice, a cell would make every interval too short."""
    seen: dict[tuple[Any, ...], int] = {}
    for row in rows:
        if row.seed is None:
            continue
        key = (*_cell(row), row.seed)
        if key in seen:
            raise InputError(
                f"{name}, lines {seen[key]} and {row.line}: the same cell twice (quality {row.quality!r}, "
                "size "
                f"{row.size:g}, seed {row.seed}). Remove one, or give the second its own seed."
            )
        seen[key] = row.line


def _notes(rows: Sequence[Measurement]) -> Iterator[str]:
    for status, meaning in (
        ("failed", "left out of the means"),
        ("censored", "a law is held below their last value, a curve leaves them out"),
    ):
        cells = [row for row in rows if row.status == status]
        if cells:
            places = sorted({f"{row.quality} at {row.size:g}" for row in cells})
            shown = ", ".join(places[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
            yield f"{len(cells)} of {len(rows)} cells {status} ({meaning}): {shown}."


def _is_measured(row: Measurement, metric: str) -> bool:
    return row.status == "done" and row.values.get(metric) is not None
