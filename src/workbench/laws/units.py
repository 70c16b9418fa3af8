"""What the sizes of a table count, in words: examples, or tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbench.errors import InputError
from workbench.laws.direction import word_set, words_of
from workbench.laws.measurement import Measurement

COLUMN = "size_in"
"""The column in which a study's table says what its sizes count."""
OF_TOKENS = word_set("token tokens")
"""Words of columns that count tokens."""
OF_A_DRAW = ("examples", "steps", "epochs")
"""Columns that, where sizes count tokens, may follow from which examples a seed drew: then they tell no cell
from another."""


@dataclass(frozen=True, slots=True)
class SizeUnit:
    """What a size counts, as it stands in a sentence."""

    one: str
    many: str
    axis: str
    """The title of an axis of sizes."""


EXAMPLES = SizeUnit("example", "examples", "training examples")
ANY_TOKENS = SizeUnit("token", "tokens", "tokens")
RESPONSE_TOKENS = SizeUnit("response token", "response tokens", "response tokens")
SIZE_UNITS = {"examples": EXAMPLES, "tokens": RESPONSE_TOKENS}
"""By what a study's sizes are in; see ``config.SIZES_IN``."""


def unit_of(rows: Sequence[Measurement], column: str, name: str) -> SizeUnit:
    """Return what the sizes of a table count.

    Args:
        rows: The rows.
        column: The table's own name of the sizes.
        name: What messages call the table.

    Raises:
        InputError: If rows count different things, or what isn't known.
    """
    given = dict.fromkeys(row.text.get(COLUMN, "") for row in rows if row.size > 0)
    if not any(given):
        return ANY_TOKENS if OF_TOKENS.intersection(words_of(column)) else EXAMPLES
    if unknown := next((one for one in given if one not in ("", *SIZE_UNITS)), None):
        raise InputError(f"{name}: {COLUMN} is {unknown!r}; expected {' or '.join(SIZE_UNITS)}.")
    units = {SIZE_UNITS[one or "examples"] for one in given}
    if len(units) > 1:
        raise InputError(
            f"{name}: some sizes count examples and some tokens, and no curve can hold both. Keep those of "
            f"one kind: --where {COLUMN}=tokens."
        )
    return units.pop()


def without_what_follows(rows: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Return rows of sizes in tokens without the numbers that follow from which examples were drawn."""
    vary = {name for name in OF_A_DRAW if _differs_by_seed(rows, name)}
    return tuple(
        replace(row, values={name: value for name, value in row.values.items() if name not in vary})
        for row in rows
    )


def _differs_by_seed(rows: Sequence[Measurement], name: str) -> bool:
    """Say whether the seeds of some quality and size have other values; what was set is the same for all."""
    found: dict[tuple[str, float], dict[int | None, set[float | None]]] = {}
    for row in rows:
        if row.size > 0:
            seeds = found.setdefault((row.quality, row.size), {})
            seeds.setdefault(row.seed, set()).add(row.values.get(name))
    return any(
        values != other for seeds in found.values() for values in seeds.values() for other in seeds.values()
    )
