"""The best of a sweep: of rows that differ only in a setting, such as the learning rate, the best is kept."""

from collections.abc import Sequence
from dataclasses import replace

from workbench.errors import InputError
from workbench.laws.measurement import INPUTS, ROLES, Measurement
from workbench.laws.selection import or_leave_out
from workbench.laws.table import Table
from workbench.laws.varying import said_of_seeds, settings_among, value_in


def best_of(table: Table, columns: Sequence[str], metric: str) -> Table:
    """Keep, of rows that differ only in some columns, the best one: the minimum of a sweep.

    Args:
        table: A checked table.
        columns: The columns that were swept, such as the learning rate.
        metric: What is judged by.

    Raises:
        InputError: If there is no such column, or it is the metric.
    """
    known = list(dict.fromkeys(name for row in table.rows for name in (*row.values, *row.text)))
    for column in columns:
        if column not in known or column == metric:
            others = [name for name in known if name != metric]
            wrong = "which isn't there"
            if column == metric:
                wrong = "which is the metric itself"
            elif column in ROLES:
                wrong = "which tells cells apart and is no setting"
            if not others:
                raise InputError(
                    f"{table.name}: --best-of asks for {column!r}, {wrong}. There is no column of settings; "
                    "leave --best-of out."
                )
            raise InputError(
                f"{table.name}: --best-of asks for {column!r}, {wrong}. The columns are: "
                f"{', '.join(others)}. {or_leave_out(column, others, '--best-of')}"
            )
    rows = list(table.measured(metric))
    plain = [(row.quality, row.size) for row in rows]
    rest = [name for name in dict.fromkeys((*settings_among(rows, plain), *INPUTS)) if name not in columns]
    sweeps: dict[object, list[Measurement]] = {}
    for row in rows:
        key = (row.quality, row.size, row.seed, *(value_in(row, name) for name in rest))
        sweeps.setdefault(key, []).append(row)
    lowest = table.falling(metric)
    best = {
        min(own, key=lambda row: (row.values[metric] or 0.0) * (1 if lowest else -1)).line
        for own in sweeps.values()
    }
    measured = {row.line for row in rows}
    kept = tuple(row for row in table.rows if row.line not in measured or row.line in best)
    names = " and ".join(columns)
    dropped, most = len(table.rows) - len(kept), max(map(len, sweeps.values()))
    said = (
        f"Of rows that differ only in {names} the best was kept: {dropped} rows were left out, of sweeps of "
        f"up to {most}. The best of several is a little better than its setting is on average."
        if dropped
        else f"No two rows differ only in {names}, so --best-of left none out."
    )
    left_out = {**table.left_out, f"not the best of its sweep over {names}": dropped}
    # what was said of the seeds may hold of rows that are gone
    before = set(said_of_seeds(table.rows))
    notes = (*(note for note in table.notes if note not in before), *said_of_seeds(kept), said)
    return replace(table, rows=kept, notes=notes, left_out=left_out, swept=tuple(columns))
