"""Scores of a file's records: worked out once, kept by content, and written beside what the file says.

A scored file is the file with a column for each scorer. Qualities choose from such columns, see
``workbench.data.pools``.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.data.matching import TOKENS
from workbench.data.places import listed
from workbench.data.records import Record, digest_of
from workbench.data.sources import files
from workbench.data.sources.containers import read_items
from workbench.data.sources.findings import left_out
from workbench.errors import InputError, unknown_name
from workbench.files import cache_folder, write_atomically
from workbench.scoring.scorers import SCORERS, Given, RecordScorer, Score

Function = Callable[[Record], float | int | None]
"""A scorer of the user's own: a record to its number, None where it has none."""
OnScorer = Callable[[str, float], None]
"""Told which scorer is at work, and which share of it is done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """What one scorer said of the records."""

    name: str
    scores: tuple[Score, ...]
    seconds: float
    """What it took, when it was worked out."""
    kept: bool
    """Whether it was worked out at an earlier time."""

    @property
    def known(self) -> list[float]:
        """The numbers, without those that don't exist."""
        return [score for score in self.scores if score is not None]


def score_columns(
    given: Given, scorers: Sequence[str | Function], tell: OnScorer = lambda name, share: None
) -> list[Column]:
    """Score records.

    Args:
        given: What to work from.
        scorers: Keys of :data:`SCORERS`, or functions of a record, whose names the columns get.
        tell: Told how far it is.

    Raises:
        InputError: If a scorer is unknown, needs what isn't given, or says something that is no number.
    """
    found: list[Column] = []
    for one in scorers:
        name = one if isinstance(one, str) else one.__name__
        if any(column.name == name for column in found):
            raise InputError(f"scorer {name!r} is asked for twice; give each once")

        def tell_share(share: float, name: str = name) -> None:
            tell(name, share)

        asked = replace(given, tell=tell_share)
        found.append(_kept(name, asked) if isinstance(one, str) else _own(name, one, given.records))
    return found


def _kept(name: str, given: Given) -> Column:
    """Score records, or take the scores that were kept from when the same was asked."""
    if name not in SCORERS:
        raise unknown_name("scorer", name, SCORERS, "src/workbench/scoring/scorers.py")
    scorer = SCORERS[name]
    _check(name, scorer, given)
    path = cache_folder() / "scores" / f"{_identity(name, scorer, given)}.json"
    if (held := _held(path, len(given.records))) is not None:
        return Column(name=name, scores=tuple(held["scores"]), seconds=held["seconds"], kept=True)
    started = time.monotonic()
    scores = tuple(scorer.score(given))
    seconds = time.monotonic() - started
    write_atomically(path, json.dumps({"scores": scores, "seconds": seconds}).encode())
    return Column(name=name, scores=scores, seconds=seconds, kept=False)


def _check(name: str, scorer: RecordScorer, given: Given) -> None:
    if scorer.needs == "base" and given.base is None:
        raise InputError(f"scorer {name!r} needs a base; give one with --base, such as --base smollm2-135m")
    if scorer.needs == "evaluation" and not given.evaluation:
        raise InputError(
            f"scorer {name!r} compares with the records that judge; give them as a file with --against"
        )


def _identity(name: str, scorer: RecordScorer, given: Given) -> str:
    """Return a hash of all on which the scores rest."""
    content: list[Any] = [name, scorer.version, digest_of(given.records)]
    # what a scorer may read of a record beside its texts; a context decides how some templates ask
    beside = [[one.choices, one.ratings, one.context] for one in given.records]
    content += beside if any(any(each) for each in beside) else []
    if scorer.needs == "base" and given.base is not None:
        base = given.base
        content += [base.sha256, base.text_sha256, base.decoder.precision, given.template]
        content += [base.tokenizer.day.isoformat() if base.tokenizer.day else None]
    if scorer.needs == "evaluation":
        content.append(digest_of(given.evaluation))
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _held(path: Path, count: int) -> dict[str, Any] | None:
    """Return kept scores; None where there are none, or the file is no longer what was written."""
    try:
        held = json.loads(path.read_bytes())
        scores, seconds = held["scores"], held["seconds"]
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None  # whatever is wrong with it, it is only a copy: the scores are worked out again
    sound = isinstance(scores, list) and len(scores) == count and isinstance(seconds, float)
    if not sound or not all(score is None or isinstance(score, int | float) for score in scores):
        return None
    return {"scores": scores, "seconds": seconds}


def _own(name: str, function: Function, records: Sequence[Record]) -> Column:
    started = time.monotonic()
    scores: list[Score] = []
    for record in records:
        said = function(record)
        if said is not None and (isinstance(said, bool) or not isinstance(said, int | float)):
            raise InputError(
                f"{name}() said {said!r} of {record.where}; expected a number, or None where there is none"
            )
        scores.append(None if said is None or not math.isfinite(said) else float(said))
    return Column(name=name, scores=tuple(scores), seconds=time.monotonic() - started, kept=False)


def check_scores(file: Path, records: Sequence[Record], column: Column) -> None:
    """Refuse scores by which nothing can be chosen.

    Raises:
        InputError: If a record has none, or all have the same.
    """
    lacking = [one for one, value in zip(records, column.scores, strict=True) if value is None]
    if lacking:
        raise InputError(
            f"{len(lacking)} of {len(records)} records of {file} have no {column.name!r} "
            f"({listed(one.where for one in lacking)}), so they are neither in nor out; leave those records "
            f"out of the file, or {column.name} out of --scorer"
        )
    if column.name != TOKENS and len(set(column.known)) < 2:
        raise InputError(
            f"{column.name!r} is {column.known[0]:g} for every record of {file}, so there is nothing to "
            f"choose by; leave {column.name} out of --scorer"
        )


def read_records(
    path: Path, how: files.How, *, judging: bool = False
) -> tuple[tuple[Record, ...], str, list[str]]:
    """Return a file's records, the template that suits them, and what was left out.

    Args:
        path: The file.
        how: How it is read.
        judging: Whether it judges another file, for which ``how`` was said.

    Raises:
        InputError: If the file can't be read, or holds what the policies don't leave out.
    """
    found = (files.read_judging if judging else files.read_file)(path, how, prompts_needed=1)
    notes = left_out([found.findings], {"on_empty": how.on_empty, "on_bad": how.on_bad})
    return found.records, found.template, [*found.notes, *notes]


def of_own_rows(path: Path, records: Sequence[Record]) -> bool:
    """Say whether each record of a file has a row of its own there, which is no part of a row.

    Raises:
        InputError: If the file can't be read any more.
    """
    return _of_own_rows(records, {place for place, _ in _rows(path)})


def _of_own_rows(records: Sequence[Record], places: Collection[str]) -> bool:
    held = {record.place for record in records}
    return len(held) == len(records) and held <= set(places)


def _rows(path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """Return a file's rows, each with its place as records have it."""
    return [(f"{path.name}, {item.place}", item.values) for item in read_items(path).items]


def _as_a_row(record: Record, with_context: bool) -> dict[str, Any]:
    """Return a record with the keys of the workbench's own layout, or Alpaca's, and its columns."""
    asked = {"prompt": record.prompt, "response": record.response}
    if with_context:
        asked = {"instruction": record.instruction, "input": record.context, "output": record.response}
    texts = {name: getattr(record, name) for name in ("system", "history", "choices", "alternatives")}
    texts = {name: value for name, value in texts.items() if value}
    return {"id": record.id, **asked, **texts, **record.extra}


def write_scored(path: Path, records: Sequence[Record], columns: Sequence[Column], out: Path) -> None:
    """Write a file's rows with the columns, as JSONL; rows that couldn't be used stay as they are.

    Where a row holds several records, such as a tree of messages, each record becomes a row of its own, with
    the keys of the workbench's own layout, or of Alpaca's where records have a context.

    Raises:
        InputError: If a column is there already, the file has changed, or ``out`` exists or can't be
            written.
    """
    if out.exists():
        raise InputError(f"{out} is there already, and nothing is replaced; give another name with --out")
    write_atomically(out, scored_content(path, records, columns))


def scored_content(
    path: Path, records: Sequence[Record], columns: Sequence[Column], without: Collection[str] = ()
) -> bytes:
    """Return what :func:`write_scored` writes.

    Args:
        path: The file that was read.
        records: Its records that were scored.
        columns: What the scorers said of them.
        without: Places of rows that are left out.

    Raises:
        InputError: If a column is there already, or the file has changed.
    """
    by_place = {record.place: number for number, record in enumerate(records)}
    items = _rows(path)
    whole = _of_own_rows(records, {place for place, _ in items})
    if not whole:
        with_context = any(record.context for record in records)
        items = [(record.place, _as_a_row(record, with_context)) for record in records]
    taken = {key for _, values in items for key in values} & {column.name for column in columns}
    if taken:
        raise InputError(
            f"{path} has a column {sorted(taken)[0]!r} already, which scoring would replace; rename it, or "
            "leave that scorer out"
        )
    lines = []
    for row, (place, values) in enumerate(items):
        if place in without:
            continue
        if (number := by_place.get(place) if whole else row) is not None:
            new = {column.name: column.scores[number] for column in columns}
            values = {**values, **{name: score for name, score in new.items() if score is not None}}
        lines.append(json.dumps(values, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode()
