"""What is asked of a stranger's table before a law sees it: one unit a column, and something that differs.

The workbench's own results need none of it: a rare class whose seeds differ a thousandfold, a loss of
exactly 0 or a metric that is the same in every cell are results there, not slips of a spreadsheet.
"""

import shlex
from collections.abc import Callable, Hashable, Sequence

from workbench.laws.direction import Better, known_direction, measurements_first
from workbench.laws.measurement import LEAST, MOST, Measurement, out_of_range

FARTHEST = 50.0
"""Factor between two seeds of one cell from which a loss is taken to be in mixed units, such as percent."""


def unit_problem(
    name: str,
    metric: str,
    rows: Sequence[Measurement],
    *,
    falling: bool,
    cell: Callable[[Measurement], Hashable],
) -> str | None:
    """Say which values can't be what the metric's name says; None if all of them can.

    Args:
        name: What messages call the table.
        metric: The column.
        rows: Rows that have it.
        falling: Whether smaller values are better.
        cell: What tells a row's cell from others, all but its seed.
    """
    first: dict[Hashable, Measurement] = {}
    for row in rows:
        value = row.values[metric]
        if value is None:
            continue
        if falling and value <= 0:
            return (
                f"{name}, line {row.line}: {metric} is {value:g}; a loss is above 0. If the column NAME is "
                f"an accuracy: {other_way(metric, 'higher')}; else leave the field empty."
            )
        if falling and not LEAST <= value <= MOST:
            return out_of_range(f"{name}, line {row.line}", metric, value)
        if not falling and not 0 <= value <= 1:
            return (
                f"{name}, line {row.line}: {metric} is {value:g}, outside [0, 1]. Write shares, not "
                "percent, in every row; or, if smaller is better in this column NAME: "
                f"{other_way(metric, 'lower')}."
            )
        other = first.setdefault(cell(row), row)
        before = other.values[metric] or value
        if falling and max(value / before, before / value) > FARTHEST:
            return (
                f"{name}, lines {other.line} and {row.line}: {metric} is {before:g} and {value:g} "
                "in one cell, which no change of seed explains. Use one unit for the whole column; if a "
                "run diverged, leave its field empty."
            )
    return None


def other_way(metric: str, better: Better) -> str:
    """Return the options that judge by a metric the other way round; the column stands as NAME."""
    if known_direction(metric) is None:
        return f"--metric NAME --better {better}"
    ours = "loss" if better == "lower" else "accuracy"
    return f"--columns {ours}=NAME --metric {ours}"


def which_measures(columns: Sequence[str]) -> str:
    """Say how to judge by one of the columns that could be a measurement."""
    if not columns:
        return (
            "If one of them, NAME, measures the result: --metric NAME, with --better lower or --better "
            "higher where its name doesn't say it."
        )
    (first, *_) = measurements_first(columns)
    if known_direction(first):
        return f"If one of them measures the result, judge by it: --metric {shlex.quote(first)}."
    return (
        "If one of them measures the result, judge by it and say which values are better: "
        f"--metric {shlex.quote(first)} --better lower, or --better higher."
    )


def same_everywhere(name: str, metric: str, value: float, others: Sequence[str]) -> str:
    """Say of a metric that is the same in every row what to judge by instead.

    Args:
        name: What messages call the table.
        metric: The column.
        value: Its value.
        others: The columns that could be judged by.
    """
    found = measurements_first(others)
    advice = (
        f"Columns that do differ: {', '.join(found)}. {which_measures(found)}"
        if found
        else "No other column that could be a measurement differs; larger sizes, more held-out records or a "
        "finer measurement, such as the loss, would tell."
    )
    return (
        f"{name}: the metric is {value:g} in every cell: no effect of size or quality is visible in "
        f"{metric!r}, and none is ruled out. {advice}"
    )
