"""What the options of ``workbench fit`` that hold NAME=VALUE say, or one sentence why they can't be read."""

import math
from collections.abc import Iterable, Mapping, Sequence

from workbench.errors import InputError, unknown_name
from workbench.laws.library import LAWS, Law
from workbench.laws.readers import in_full, number_in


def columns_of(pairs: Iterable[str]) -> dict[str, str]:
    """Read ``--columns``."""
    columns = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise InputError(
                f"--columns {pair!r} can't be read; expected OURS=THEIRS, such as size=tokens if "
                "your column of sizes is called tokens."
            )
        columns[ours] = theirs
    return columns


def where_of(pairs: Iterable[str]) -> dict[str, list[str]]:
    """Read ``--where``: the wanted values by column; several of one column are alternatives."""
    where: dict[str, list[str]] = {}
    for pair in pairs:
        column, equals, value = pair.partition("=")
        if not (column and equals):
            raise InputError(
                f"--where {pair!r} can't be read; expected COLUMN=VALUE, such as split=train if the rows to "
                "keep have train in a column called split."
            )
        where.setdefault(column, []).append(value)
    return where


def numbers_of(option: str, pairs: Iterable[str], example: str) -> dict[str, float]:
    """Read an option's NAME=NUMBER."""
    found = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            value = number_in(text)
        except ValueError:
            value = math.nan
        if not (name and math.isfinite(value)):
            if full := in_full(text):
                raise InputError(f"{option} {pair!r} can't be read; {full}")
            raise InputError(f"{option} {pair!r} can't be read; expected NAME=NUMBER, such as {example}.")
        if name in found:
            raise InputError(f"{option} gives {name!r} twice. Give it once.")
        found[name] = value
    return found


def fixed_of(pairs: Sequence[str], law: str) -> dict[str, float]:
    """Read ``--fix``: constants of one law held at a value inside their limits."""
    fixed = numbers_of("--fix", pairs, "E=1.69")
    if not fixed:
        return {}
    if law == "auto":
        raise InputError(
            "--fix holds a constant of one law, and --law is auto. Name the law, as with --law power."
        )
    own = {p.name: p for p in LAWS[law].parameters}
    for name, value in fixed.items():
        if name not in own:
            raise unknown_name(f"constant of law {law}", name, own, "src/workbench/laws/library.py")
        low, high = own[name].low, own[name].high
        if not low <= value <= high:
            nearest = low if value < low else high
            raise InputError(
                f"--fix {name}={value:g} lies outside the limits of this constant, {low:g} to {high:g}. "
                f"Give a value between them, such as --fix {name}={nearest:g}."
            )
    if len(fixed) == len(own):
        raise InputError(
            f"--fix holds all constants of law {law}, so nothing is left to fit. Leave one of them out."
        )
    return fixed


def delta_of(objective: str | None) -> float | None:
    """Read ``--objective``: Huber's threshold, infinity for squares, None for what suits the table."""
    if objective is None:
        return None
    name, colon, text = objective.partition(":")
    if objective == "squares":
        return math.inf
    try:
        delta = number_in(text) if name == "huber" and colon else math.nan
    except ValueError:
        delta = math.nan
    if not (math.isfinite(delta) and delta > 0):
        raise InputError(
            f"--objective {objective!r} can't be read; expected squares or huber:DELTA with a threshold "
            "above 0, such as --objective huber:1e-3."
        )
    return delta


def asked_inputs(pairs: Sequence[str], law: Law) -> Mapping[str, float]:
    """Read one ``--predict``: a value for each input of the law, and for nothing else."""
    example = " ".join(f"{name}={_example(name)}" for name in law.inputs)
    given = numbers_of("--predict", pairs, example)
    wrong = [name for name in given if name not in law.inputs]
    lacking = [name for name in law.inputs if name not in given]
    if wrong or lacking:
        said = (
            f"gives {', '.join(map(repr, wrong))}, which law {law.name!r} doesn't know"
            if wrong
            else f"lacks {', '.join(map(repr, lacking))}, which law {law.name!r} needs"
        )
        raise InputError(f"--predict {said}. Give its inputs, such as --predict {example}.")
    for name, value in given.items():
        if value < 0 or (value == 0 and name != "share") or (value > 1 and name == "share"):
            raise InputError(
                f"--predict {name}={value:g} is no value that this input can have. Give another, such as "
                f"--predict {example}."
            )
    return given


def _example(name: str) -> str:
    return {"size": "1e6", "model": "7e9", "share": "0.5", "unique": "1e5"}.get(name, "1")
