"""Which columns of a table are settings, so that rows which differ in them are no replicates.

Rows of one quality and size are replicates, whose spread is the noise, only where nothing but the seed
differs. A table seldom says which of its columns were set and which were measured. Its names tell most of
it; of the others a text that recurs was set, and so was a number that takes the same values in many cells.
"""

import re
import shlex
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence

from workbench.errors import InputError
from workbench.laws.direction import known_direction, word_set, words_of
from workbench.laws.library import LAWS
from workbench.laws.measurement import INPUTS, WHOLE, Measurement

SETTINGS = word_set(
    "model models params parameters lr batch bs depth width layers heads dropout decay warmup "
    "optimizer optim scheduler schedule temperature context tokenizer dropout momentum adapter lora"
)
"""Words of settings that change a result."""
SETTING_PHRASES = ("learning rate", "step size", "weight decay", "hidden size", "sequence length")
CONFIGURED = ("config", "params", "parameters", "hparams", "hyperparameters", "args", "general")
"""How trackers begin the names of settings: W&B, MLflow, Neptune, TensorBoard and ClearML."""
MEASURED = (
    "metrics",
    "summary",
    "train",
    "eval",
    "test",
    "val",
    "valid",
    "validation",
    "system",
    "perf",
    "sys",
    "monitoring",
)
"""How they begin the names of what was measured."""
BOOKKEEPING = word_set(
    "host hostname node gpu gpus device machine user username created updated started ended finished "
    "start end date time timestamp runtime duration elapsed second seconds minutes hours memory mem "
    "url uri link id uuid commit sha hash git tags tag notes description path dir directory file "
    "filename output checkpoint ckpt logdir pid version cost flops throughput speed"
)
"""Words of columns that tell when and where something ran, and change no result."""
MODEL_WORDS = word_set("model models params parameters size width depth layers n")
"""Words of columns that may hold the size of a model."""
OF_QUALITY = ("share", "raters", "unique", "epochs", "steps")
"""Settings that may well differ between qualities, or between sizes."""
PREFIX = re.compile(r"(\s*[^./:\s][^./:]*)[./:](.+)", re.DOTALL)
"""A tracker's prefix and the name behind it."""
SEED_WORDS = word_set(
    "seed seeds run runs trial trials rep reps replicate replicates replica repeat fold name group"
)
"""Words of columns that number or name the replicates."""
MOST_NAMED = 3
"""Columns that a message names."""


class OtherSettings(InputError):
    """Rows that would be taken for replicates differ in settings.

    Attributes:
        columns: The settings.
    """

    def __init__(self, message: str, columns: Sequence[str]) -> None:
        super().__init__(message)
        self.columns = tuple(columns)


def value_in(row: Measurement, column: str) -> float | str | None:
    """Return a column's value of one row, a number or a text; None where it is missing."""
    number = row.values.get(column)
    return row.text.get(column) if number is None else number


def surely_set(column: str) -> bool:
    """Say whether a column's name alone says that it is a setting which changes the result."""
    if column in INPUTS:
        return True
    prefix, rest = _prefix(column)
    if prefix in MEASURED or known_direction(column):
        return False
    words = words_of(rest)
    if BOOKKEEPING.intersection(words) or "seed" in words:
        return False
    joined = " ".join(words)
    return bool(SETTINGS.intersection(words)) or any(phrase in joined for phrase in SETTING_PHRASES)


def settings_among(rows: Sequence[Measurement], keys: Sequence[Hashable]) -> tuple[str, ...]:
    """Return the columns that are settings: by their names, or because their values recur as those of a grid.

    Args:
        rows: The rows.
        keys: The cell of each row: its quality and size, and what else is known to tell cells apart.
    """
    columns = dict.fromkeys(name for row in rows for name in (*row.values, *row.text))
    cells: dict[Hashable, list[Measurement]] = {}
    for key, row in zip(keys, rows, strict=True):
        cells.setdefault(key, []).append(row)
    several = [own for own in cells.values() if len(own) > 1]
    return tuple(name for name in columns if surely_set(name) or _recurs(name, rows, several))


def refuse_other_settings(
    table: str, rows: Sequence[Measurement], keys: Sequence[Hashable], *, metric: str, falling: bool
) -> None:
    """Refuse rows of one cell that differ in a setting, so that nobody takes them for replicates.

    Rows with seeds of their own may differ in settings, but for the size of the model.

    Raises:
        OtherSettings: Naming the column, and what to do.
    """
    cells: dict[Hashable, list[Measurement]] = {}
    for key, row in zip(keys, rows, strict=True):
        cells.setdefault(key, []).append(row)
    several = {key: own for key, own in cells.items() if len(own) > 1}
    if not several:
        return
    columns = [name for name in settings_among(rows, keys) if name != metric]
    for own in several.values():
        by_seed: dict[int | None, list[Measurement]] = {}
        for row in own:
            by_seed.setdefault(row.seed, []).append(row)
        for group, among in [*((same, columns) for same in by_seed.values()), (own, ["model"])]:
            if found := {name: pair for name in among if (pair := _two_values(group, name))}:
                raise OtherSettings(_no_replicates(table, found, rows, falling=falling), list(found))


def settings_that_vary(rows: Sequence[Measurement]) -> Iterator[str]:
    """Yield which settings differ between the qualities: what they do is counted as the qualities' own."""
    columns = dict.fromkeys(name for row in rows for name in (*row.values, *row.text))
    for name in columns:
        if name in OF_QUALITY or not surely_set(name):
            continue
        by_quality: dict[str, set[float | str | None]] = {}
        for row in rows:
            by_quality.setdefault(row.quality, set()).add(value_in(row, name))
        fixed = all(len(own) == 1 for own in by_quality.values())
        if fixed and len(set().union(*by_quality.values())) > 1:
            yield (
                f"{name!r} differs between the qualities, so what it does is counted as theirs. Rows that "
                "differ in the quality alone would tell them apart."
            )


def said_of_seeds(rows: Sequence[Measurement]) -> Iterator[str]:
    """Yield which settings vary along with the seeds of a cell: the noise then holds their effect too."""
    cells: dict[Hashable, list[Measurement]] = {}
    done = [row for row in rows if row.status == "done" and row.size > 0 and row.seed is not None]
    known = sorted({name for law in LAWS.values() for name in law.inputs} - {"size"})
    keys = [(row.quality, row.size, *(row.values.get(name) for name in known)) for row in done]
    for key, row in zip(keys, done, strict=True):
        cells.setdefault(key, []).append(row)
    for column in settings_among(done, keys):
        if column in known or SEED_WORDS.intersection(words_of(column)):
            continue
        along = [pair for own in cells.values() if (pair := _along_seeds(own, column))]
        if along:
            (one, two), *_ = along
            several = sum(len({row.seed for row in own}) > 1 for own in cells.values())
            values = " and ".join(_shown(value_in(row, column)) for row in (one, two))
            yield (
                f"Seeds of one cell also differ in {column!r}, in {len(along)} of {several} cells (lines "
                f"{one.line} and {two.line}: {values}), so what is read as noise holds the effect of that "
                "setting too. Seeds that share it would tell the noise alone."
            )


def _along_seeds(rows: Sequence[Measurement], column: str) -> tuple[Measurement, Measurement] | None:
    """Return two rows of a cell that differ in a column, where each seed has one value of its own."""
    by_seed: dict[int | None, list[Measurement]] = {}
    for row in rows:
        by_seed.setdefault(row.seed, []).append(row)
    if any(_two_values(own, column) for own in by_seed.values()):
        return None
    return _two_values([own[0] for own in by_seed.values()], column)


def _prefix(column: str) -> tuple[str, str]:
    """Return what a tracker puts before a name, in lower case, and the name."""
    if (found := PREFIX.fullmatch(column)) is None:
        return "", column
    return found[1].strip().lower(), found[2]


def _recurs(column: str, rows: Sequence[Measurement], several: Sequence[Sequence[Measurement]]) -> bool:
    """Say whether a column's values are those of a design: texts that recur, numbers that cells share."""
    prefix, rest = _prefix(column)
    if prefix in MEASURED or known_direction(column) or BOOKKEEPING.intersection(words_of(rest)):
        return False
    every = [value for row in rows if (value := value_in(row, column)) is not None]
    if prefix in CONFIGURED or any(isinstance(value, str) for value in every):
        return 2 * len(set(every)) <= len(every)
    sets = Counter(
        frozenset(values)
        for own in several
        if len(values := {value_in(row, column) for row in own} - {None}) > 1
    )
    most = max(sets.values(), default=0)
    return most >= 2 and 2 * most >= sum(sets.values())


def _two_values(rows: Sequence[Measurement], column: str) -> tuple[Measurement, Measurement] | None:
    """Return two rows that differ in a column."""
    known = [row for row in rows if value_in(row, column) is not None]
    other = (row for row in known if value_in(row, column) != value_in(known[0], column))
    return None if (found := next(other, None)) is None else (known[0], found)


def _no_replicates(
    table: str,
    found: Mapping[str, tuple[Measurement, Measurement]],
    rows: Sequence[Measurement],
    *,
    falling: bool,
) -> str:
    """Say in which columns two rows of one cell differ, and what to do."""
    names = sorted(found, key=lambda name: "seed" not in words_of(name))
    one, two = found[names[0]]
    same = "that no seed tells apart" if one.seed is None else f"and seed {one.seed}"
    by_seed = same if one.seed == two.seed else f"with seeds {one.seed} and {two.seed}"
    shown = ", ".join(
        f"{name!r} ({_shown(value_in(a, name))} and {_shown(value_in(b, name))})"
        for name in names[:MOST_NAMED]
        for a, b in [found[name]]
    )
    of = "" if two.quality == WHOLE else f"quality {two.quality!r} and "
    return (
        f"{table}, lines {one.line} and {two.line}: two rows of {of}size {two.size:g} {by_seed} differ in "
        f"{shown}, so they are no replicates. {'; or '.join(_ways_out(names[0], rows, falling=falling))}."
    )


def _ways_out(column: str, rows: Sequence[Measurement], *, falling: bool) -> Iterator[str]:
    """Yield what to do about a column that varies and is no seed."""
    values = [value for row in rows if (value := value_in(row, column)) is not None]
    numbers = [value for value in values if isinstance(value, float)]
    whole = len(numbers) == len(values) and all(value == round(value) >= 0 for value in numbers)
    most = _shown(Counter(values).most_common(1)[0][0])
    numbered = f"if it numbers replicates, say so: --columns {shlex.quote(f'seed={column}')}"
    if whole and "seed" in words_of(column):
        yield numbered[0].upper() + numbered[1:]
        return
    yield f"Keep the rows of one value: --where {shlex.quote(f'{column}={most}')}"
    yield f"keep the best row of each sweep over it: --best-of {shlex.quote(column)}"
    if column == "model" and falling:
        full = "" if len(numbers) == len(values) else "write the models' sizes as numbers, such as 7e9, and "
        yield f"{full}fit a law that knows it: --law chinchilla"
    elif column not in INPUTS:
        sized = any("model" in row.values for row in rows) or not MODEL_WORDS.intersection(words_of(column))
        if len(numbers) == len(values) and min(numbers) > 0 and falling and not sized:
            named = shlex.quote(f"model={column}")
            yield f"if it is a model's size, fit a law that knows it: --columns {named} --law chinchilla"
        if whole and not surely_set(column) and all(row.seed is None for row in rows):
            yield numbered
    if rows[0].quality == WHOLE:
        yield f"compare its values as qualities: --columns {shlex.quote(f'quality={column}')}"


def _shown(value: float | str | None) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"
