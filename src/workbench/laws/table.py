"""A table of measurements, read from anywhere and checked before any law sees it.

One row is one trained model: its quality, the size of its data, its seed, what happened to it and what
was measured. Whoever made the table, a study or a spreadsheet, it comes in here and nowhere else.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from jaxtyping import Bool, Float

from workbench.columns import Columns
from workbench.errors import InputError
from workbench.laws.checks import same_everywhere, unit_problem, which_measures
from workbench.laws.direction import Better, falls, known_direction, measurements_first
from workbench.laws.measurement import (
    INPUTS,
    LEAST,
    MOST,
    Measurement,
    cell_of,
    failed_early,
    lost_numbers,
    measurements,
    not_finite,
    out_of_range,
    second_row,
    with_our_names,
)
from workbench.laws.readers import raw_rows
from workbench.laws.selection import alike, rows_where, said_of_copies, said_of_statuses, without_copies
from workbench.laws.statuses import UNFINISHED, how_read, neptune_doubt, status_in
from workbench.laws.units import EXAMPLES, RESPONSE_TOKENS, SizeUnit, unit_of, without_what_follows
from workbench.laws.varying import said_of_seeds, settings_among, surely_set, value_in
from workbench.metrics import OWN, set_and_metric
from workbench.showing import Shown


@dataclass(frozen=True)
class Items:
    """What each row's model did on every evaluation item, by the row's ``line``, and the items' weights."""

    value: Mapping[int, Float[np.ndarray, " items"]]
    weight: Float[np.ndarray, " items"]


@dataclass(frozen=True, repr=False)
class Table(Shown):
    """Checked measurements of one evaluation set."""

    name: str
    rows: tuple[Measurement, ...]
    evaluation: str
    notes: tuple[str, ...] = field(default=())
    """What a reader of any result from this table has to know, such as cells that failed."""
    items: Mapping[str, Items] = field(default_factory=dict)
    """By metric, where the items' outcomes are known; see ``with_items``."""
    measured_here: bool = False
    """Whether the workbench measured the values itself: then they are results, whatever they are, and the
    checks that a stranger's table needs are left out."""
    checked: bool = False
    """Whether it is a part of a table that was checked as a whole: a part may well be the same everywhere."""
    unit: SizeUnit = EXAMPLES
    """What its sizes count."""
    better: Better | None = None
    """Which values of its metrics are better, where their names don't say it."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many rows of the source were left out, by reason."""
    swept: tuple[str, ...] = ()
    """The columns of which only the best of each sweep was kept."""

    def __len__(self) -> int:
        return len(self.rows)

    def columns(self) -> Columns:
        """Return the table as columns, as ``pandas.DataFrame`` and ``polars.DataFrame`` take them."""
        rows = [
            {
                **{name: getattr(row, name) for name in ("quality", "size", "seed", "status", "evaluation")},
                **row.values,
                **row.text,
            }
            for row in self.rows
        ]
        return Columns(rows, measured_here=self.measured_here)

    def _shown(self) -> tuple[str, dict[str, str]]:
        sizes = sorted({row.size for row in self.rows if row.size > 0})
        seeds = {row.seed for row in self.rows if row.seed is not None}
        numbers = dict.fromkeys(n for row in self.rows for n, v in row.values.items() if v is not None)
        grid = f"{len(self.qualities)} qualities, {len(sizes)} sizes, {len(seeds)} seeds"
        facts = {
            "rows": f"{len(self.rows)}, of {grid}",
            "qualities": ", ".join(self.qualities),
            "sizes": f"{sizes[0]:g} to {sizes[-1]:g}" if sizes else "none",
            "numbers": ", ".join(numbers),
        }
        if self.evaluation:
            facts["evaluation"] = self.evaluation
        return f"Table {self.name}", facts | ({"notes": " ".join(self.notes)} if self.notes else {})

    @property
    def qualities(self) -> tuple[str, ...]:
        """Labels of the qualities that were trained, in the table's order."""
        return tuple(dict.fromkeys(row.quality for row in self.rows if row.size > 0))

    def falling(self, metric: str) -> bool:
        """Say whether smaller values of a metric are better, by its name or as ``better`` was told.

        Raises:
            InputError: If neither says it, or they contradict each other.
        """
        if self.measured_here:
            metric = set_and_metric(metric)[1]  # whatever the evaluation set is called
            if metric.startswith(OWN):
                return False
        return falls(metric, self.better, self.name)

    def kind_of(self, metric: str) -> Literal["loss", "accuracy"]:
        """Return which kind of law predicts a metric.

        Raises:
            InputError: If its direction isn't known.
        """
        return "loss" if self.falling(metric) else "accuracy"

    def measured(self, metric: str) -> tuple[Measurement, ...]:
        """Return the finished rows above size 0 that have this metric.

        Raises:
            InputError: If no row has it, its direction isn't known, or its values can't be what that says.
        """
        for row in self.rows:
            if metric in row.not_finite and row.status == "done" and not self.measured_here:
                raise not_finite(f"{self.name}, line {row.line}", metric, row.not_finite[metric])
            if metric in row.text:
                raise InputError(
                    f"{self.name}, line {row.line}: {metric} is {row.text[metric]!r}; expected a number, or "
                    "nothing if missing."
                )
        rows = self._finished(metric)
        if not rows:
            known = sorted({name for r in self.rows for name, v in r.values.items() if v is not None})
            raise InputError(
                f"{self.name}: no finished row has a value for {metric!r}. Columns with numbers: "
                f"{', '.join(known) or 'none'}. {which_measures(self._others_that_differ(metric))}"
                + "".join(f" {note}" for note in self.notes)
            )
        if self.measured_here or self.checked:
            return rows
        if problem := self._unit_problem(metric, rows):
            raise InputError(problem)
        if len(rows) > 2 and len(values := {row.values[metric] for row in rows}) == 1:
            value = values.pop() or 0.0
            raise InputError(same_everywhere(self.name, metric, value, self._others_that_differ(metric)))
        return rows

    def _finished(self, metric: str) -> tuple[Measurement, ...]:
        return tuple(row for row in self.rows if _is_measured(row, metric) and row.size > 0)

    def _unit_problem(self, metric: str, rows: Sequence[Measurement]) -> str | None:
        def cell(row: Measurement) -> tuple[Any, ...]:
            return (*cell_of(row), *(value_in(row, name) for name in self._settings))

        return unit_problem(self.name, metric, rows, falling=self.falling(metric), cell=cell)

    @cached_property
    def _settings(self) -> tuple[str, ...]:
        return settings_among(self.rows, [(row.quality, row.size) for row in self.rows])

    def _others_that_differ(self, metric: str) -> list[str]:
        """Return the other columns that :meth:`measured` would take, once their direction is told."""
        columns = dict.fromkeys(name for row in self.rows for name in row.values)
        lost = {name for row in self.rows if row.status == "done" for name in row.not_finite}
        rows = {n: self._finished(n) for n in columns if n not in (metric, *lost) and not surely_set(n)}
        differ = [name for name, own in rows.items() if len({row.values[name] for row in own}) > 1]
        return measurements_first(
            name
            for name in differ
            if not (known := known_direction(name))
            or (self.better in (None, known) and not self._unit_problem(name, rows[name]))
        )

    def zero_shot(self, metric: str) -> float | None:
        """Return the metric before any training (mean of the size-0 rows), or None if not measured."""
        values = [r.values[metric] for r in self.rows if r.size == 0 and _is_measured(r, metric)]
        return float(np.mean([v for v in values if v is not None])) if values else None

    def column(self, name: str, rows: Sequence[Measurement]) -> Float[np.ndarray, " rows"]:
        """Return a numeric column over ``rows``; ``size`` is one too.

        Raises:
            InputError: If one of the rows lacks it, or no law can take its value; the message names the line.
        """
        if name == "size":
            return np.array([r.size for r in rows], dtype=float)
        for row in rows:
            if row.values.get(name) is None:
                raise InputError(
                    f"{self.name}, line {row.line}: no number in column {name!r}, which this law needs. "
                    f"Fill it in, name the column that has it (--columns {name}=NAME), or choose another "
                    "law, such as --law power."
                )
            value, where = row.values[name] or 0.0, f"{self.name}, line {row.line}"
            if name in INPUTS and name != "share" and not LEAST <= value <= MOST:
                raise InputError(out_of_range(where, name, value))
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


def read_table(
    source: object,
    *,
    columns: Mapping[str, str] | None = None,
    evaluation: str | None = None,
    name: str | None = None,
    measured_here: bool | None = None,
    better: str | None = None,
    where: Mapping[str, str | Sequence[str]] | None = None,
) -> Table:
    """Read and check a table of measurements.

    Args:
        source: Path of a CSV, TSV or JSONL file; a sequence of rows (dicts); a mapping of columns; a data
            frame of pandas, whose NaN is missing, or of polars; or a ``Table``, returned as it is.
        columns: Our name to the table's name, for example ``{"size": "tokens", "loss": "val_loss"}``.
        evaluation: Which evaluation set, where the table has several; a law never mixes two.
        name: What messages call the table; by default the file's name or "table".
        measured_here: Whether the workbench measured the values itself, so that none of them is taken for a
            slip of a spreadsheet; a number that is not finite is then missing, with a note. None asks the
            table: that of a study's results says yes, all others no.
        better: Which values of a metric are better, "lower" or "higher", where its name doesn't say it.
        where: Which rows are kept: those that have the value, or one of the values, in each of these columns.

    Returns:
        The table of one evaluation set.

    Raises:
        InputError: Naming the line and the column, for anything a fit should not be given.
    """
    if isinstance(source, Table):
        return source
    if better not in (None, *get_args(Better)):
        raise InputError(f'better is {better!r}; expected better="lower" or better="higher".')
    if measured_here is None:
        measured_here = isinstance(source, Columns) and source.measured_here
    name = name or (Path(source).name if isinstance(source, str | Path) else "table")
    raw = raw_rows(source, name)
    renamed = with_our_names(raw, columns or {}, name)
    wanted = {key: [own] if isinstance(own, str) else list(own) for key, own in (where or {}).items()}
    kept = rows_where(raw, renamed, wanted, name)
    chosen_rows = [row for row, keep in zip(renamed, kept, strict=True) if keep]
    words = [row.get("status") for row in chosen_rows]
    rows = tuple(measurements(renamed, kept, name))
    unit = unit_of(rows, (columns or {}).get("size", "size"), name)
    if unit == RESPONSE_TOKENS:
        rows = without_what_follows(rows)
    notes = [
        *_said_of_where(wanted, kept),
        *filter(None, [how_read(words), neptune_doubt(words)]),
        *lost_numbers(chosen_rows, rows),
    ]
    if not rows:
        raise InputError(f"{name}: no row is finished. {' '.join(notes)} Add rows of runs that are.")
    left_out = {
        "other rows than --where asks for": len(kept) - sum(kept),
        "not finished": sum(status_in(word, "") == UNFINISHED for word in words),
        "failed before their size was known": failed_early(chosen_rows),
    }
    every = len(rows)
    rows, chosen = _one_evaluation(rows, evaluation, name)
    left_out["of other evaluation sets"] = every - len(rows)
    if not measured_here:
        rows, copies = without_copies(rows)
        left_out["exact copies"] = len(copies)
        notes += [said_of_copies(copies)] if copies else []
        notes += filter(None, [alike(dict.fromkeys(row.quality for row in rows))])
    _refuse_duplicates(rows, name, measured_here)
    return Table(
        name,
        rows,
        chosen,
        (*notes, *said_of_statuses(rows), *([] if measured_here else said_of_seeds(rows))),
        measured_here=measured_here,
        unit=unit,
        better=cast("Better | None", better),
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def _said_of_where(where: Mapping[str, Sequence[str]], kept: Sequence[bool]) -> list[str]:
    if not where:
        return []
    asked = " and ".join(f"{column} {' or '.join(values)}" for column, values in where.items())
    return [f"{sum(kept)} of {len(kept)} rows are kept: those with {asked}."]


def _one_evaluation(
    rows: tuple[Measurement, ...], wanted: str | None, name: str
) -> tuple[tuple[Measurement, ...], str]:
    found = list(dict.fromkeys(row.evaluation for row in rows))
    if wanted is None and len(found) > 1:
        raise InputError(
            f"{name}: {len(found)} evaluation sets ({', '.join(map(repr, found))}). An exchange rate belongs "
            f"to one of them: choose it, as with --evaluation {shlex.quote(found[0])}."
        )
    chosen = found[0] if wanted is None else wanted
    if chosen not in found:
        if not any(found):
            raise InputError(
                f"{name}: no evaluation set {chosen!r}, for no column names one. Leave --evaluation out, or "
                "name the column: --columns evaluation=NAME."
            )
        raise InputError(
            f"{name}: no evaluation set {chosen!r}. There are: {', '.join(map(repr, found))}; choose one of "
            f"them, as with --evaluation {shlex.quote(found[0])}."
        )
    return tuple(row for row in rows if row.evaluation == chosen), chosen


def _refuse_duplicates(rows: Sequence[Measurement], name: str, measured_here: bool) -> None:
    """Refuse two results of one cell: counted twice, a cell would make every interval too short.

    A run that failed is no result: trackers keep it beside the one that was started again.
    """
    settings = () if measured_here else settings_among(rows, [(row.quality, row.size) for row in rows])
    seen: dict[tuple[Any, ...], Measurement] = {}
    for row in rows:
        if row.seed is None or row.status == "failed":
            continue
        key = (*cell_of(row), row.seed, *(value_in(row, name) for name in settings))
        before = seen.setdefault(key, row)
        if before is not row:
            raise InputError(second_row(name, before, row, measured_here=measured_here))


def _is_measured(row: Measurement, metric: str) -> bool:
    return row.status == "done" and row.values.get(metric) is not None
