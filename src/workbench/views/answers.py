"""The answer of a study in words and numbers, as a report shows it: laws applied to the study's table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.errors import InputError
from workbench.laws import (
    Analysis,
    Band,
    ExchangeRate,
    analyse,
    bands,
    rate_of,
    read_table,
    silence,
)
from workbench.laws.claims import rate_in_words
from workbench.studies.disk.manifest import Manifest
from workbench.studies.disk.store import ZERO_SHOT, Store
from workbench.views.overfitting import overfitting_note
from workbench.views.points import METRICS, TableRow, is_number, measured, readable

ITEMS = {"loss": "item_loss", "exact_match": "item_exact", "choice_accuracy": "item_chosen"}
"""The curve that holds each held-out record's outcome, by metric."""
NOT_KEPT = (
    "the study is of an earlier version, which did not keep what each held-out record weighs, so the "
    "intervals leave out the choice of those records; run it again in a new folder to have it"
)
FEW_RIGHT = 0.1
"""A share of right answers that no cell reaches says little: the loss comes first then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RateTable:
    """Exchange rates judged by one metric: a row a size of the reference, a column a quality."""

    metric: str
    reference: str
    others: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """Each size with what every other quality's examples are worth there, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What a study says: sentences, exchange rates, curves for the figure, and what to know about them."""

    sentences: tuple[str, ...]
    """One a quality, the most damaged first, judged by the metric that users care most about."""
    silences: tuple[str, ...]
    """Why a metric says nothing and what to judge by instead; of which quality nothing is said."""
    tables: tuple[RateTable, ...]
    fits: Mapping[str, Mapping[str, Band]]
    studies: Mapping[str, Analysis]
    """Each metric's analysis, the one that tells most first."""
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemOutcomes:
    """Each held-out record's outcome for each row of the table, and what the record weighs in the metric."""

    rows: tuple[Sequence[float] | None, ...]
    weight: Sequence[float] | None = None


def check_finished(folder: Path | str, manifest: Manifest, table: Sequence[TableRow]) -> None:
    """Refuse a study that has nothing to tell yet; one of which all planned cells failed has.

    Raises:
        InputError: If it hasn't.
    """
    cells = [row for row in table if row["size"] > 0]
    ended = bool(cells) and len(cells) >= manifest.study.cells
    if not ended and not any(row["status"] == "done" for row in cells):
        raise InputError(
            f"{folder} has no finished cell yet; the command that began the study goes on with it"
        )


def item_outcomes(store: Store, rows: Sequence[TableRow]) -> dict[str, ItemOutcomes]:
    """Read from a study's store what a bootstrap over its held-out records needs, by metric.

    A metric is left out where a row that has it lacks the outcomes, as in the shipped study. A loss weighs
    records by their tokens; without those, in studies of earlier versions, it is left out too.
    """
    zero = store.curves(ZERO_SHOT)
    curves = [store.curves(row["key"]) if row.get("key") else zero for row in rows]
    found = {}
    for metric, name in ITEMS.items():
        weight = zero.get("item_tokens") if metric == "loss" else None
        needed = [own for row, own in zip(rows, curves, strict=True) if row.get(metric) is not None]
        whole = bool(needed) and all(name in own for own in needed)
        if whole and not (metric == "loss" and weight is None):
            found[metric] = ItemOutcomes(rows=tuple(own.get(name) for own in curves), weight=weight)
    return found


def answers_of(store: Store, table: Sequence[TableRow]) -> Answers:
    """Return what a study says so far.

    Args:
        store: The study.
        table: What its ``table()`` returned.

    Raises:
        InputError: If a record can't be understood.
    """
    manifest = store.manifest
    found = answers(
        table,
        name=str(store.folder),
        heldout=manifest.data.heldout_records,
        items=item_outcomes(store, table),
        heldout_answers=manifest.data.heldout_answers,
        planned_qualities=len(manifest.study.qualities),
    )
    overfitting = overfitting_note(store, table)
    return replace(found, notes=(*found.notes, overfitting)) if overfitting else found


def answers(
    rows: Sequence[TableRow],
    name: str,
    heldout: int | None,
    items: Mapping[str, ItemOutcomes] | None = None,
    *,
    heldout_answers: Mapping[str, int] | None = None,
    planned_qualities: int = 1,
) -> Answers:
    """Compare every quality of the table with the first one, the best.

    Each metric speaks or is silent for itself; what is silent, and why, stands among the notes.

    Args:
        rows: The study's table, with its zero-shot row.
        name: What messages call the table.
        heldout: Records behind each accuracy, None if not known.
        items: Outcomes of those records by metric, so that the intervals cover their choice.
        heldout_answers: How many of those records have each answer, where there are few different ones.
        planned_qualities: How many the study will have, where some have no row yet.
    """
    studies, refused = {}, {}
    for metric in by_worth(rows):
        try:
            studies[metric] = analysed(rows, metric, name, heldout, (items or {}).get(metric))
        except InputError as error:
            refused[metric] = str(error)
    studies = dict(
        sorted(studies.items(), key=lambda f: (f[1].silent is not None, len(set(_values(f[0], rows))) == 1))
    )
    rates = {metric: rates_of(study) for metric, study in studies.items()}
    notes: dict[str, None] = {}
    for metric in studies:
        own = _notes(metric, studies, rows)
        notes |= dict.fromkeys(f"{METRICS[metric]}: {note}" for note in own)
        if items and metric not in items:
            notes[f"{METRICS[metric]}: {NOT_KEPT}"] = None
    return Answers(
        sentences=_sentences(rates, studies, refused, rows, planned_qualities),
        silences=(
            *_silences(rates, studies, rows, heldout_answers or {}),
            *(f"{METRICS[metric]}: {why}" for metric, why in refused.items() if studies),
        ),
        tables=tuple(
            _rate_table(metric, found)
            for metric, found in rates.items()
            if found and studies[metric].silent is None
        ),
        fits={metric: bands(study) for metric, study in studies.items()},
        studies=studies,
        notes=tuple(notes),
    )


def _sentences(
    rates: Mapping[str, Sequence[ExchangeRate]],
    studies: Mapping[str, Analysis],
    refused: Mapping[str, str],
    rows: Sequence[TableRow],
    planned_qualities: int,
) -> tuple[str, ...]:
    """Return the answer by the first metric that has one, or why none has."""
    cells = [row for row in rows if row["size"] > 0]
    failures = [_failure(row) for row in cells if row["status"] != "done"]
    metric = next((name for name, own in rates.items() if own), None)
    if metric is not None:
        found = rates[metric]
        silent = studies[metric].silent
        tell = silence.WOULD_TELL.get(silent, silence.MORE_OF_ALL) if silent else ""
        return tuple(rate.sentence() + tell for rate in reversed(found))
    if refused:
        return (f"There is no answer: {next(iter(refused.values()))}",)
    if not studies:
        return (silence.nothing_measured(len(cells), len(failures), next(iter(failures), None)),)
    if max(planned_qualities, len({row["quality"] for row in cells})) > 1:
        (finished,) = next(iter(studies.values())).curves
        return (silence.only_one_finished(finished, len(failures), next(iter(failures), None)),)
    return (silence.ONE_QUALITY,)


def _failure(row: TableRow) -> str:
    cell = f"{row['quality']!r}, {row['size']} examples, seed {row['seed']}"
    return f"{cell}, {row['failure']}" if row.get("failure") else cell


def _silences(
    rates: Mapping[str, Sequence[ExchangeRate]],
    studies: Mapping[str, Analysis],
    rows: Sequence[TableRow],
    counts: Mapping[str, int],
) -> Iterator[str]:
    """Yield why a metric is silent, and what to judge by instead, where the answer hasn't said so itself."""
    every = list(dict.fromkeys(row["quality"] for row in rows if row["size"] > 0))
    for metric, (reference, *others) in ((metric, study.curves) for metric, study in studies.items()):
        if others and (lost := [quality for quality in every if quality not in studies[metric].curves]):
            yield silence.without_cells(lost, metric, reference if every[0] in lost else None)
    said = next((studies[metric].silent for metric, found in rates.items() if found), silence.ONE_SEED)
    judge = next((metric for metric, study in studies.items() if study.silent is None), None)
    for metric, study in studies.items():
        if study.silent is None or study.silent == said:
            continue
        value = _values(metric, rows)[0]
        if study.silent == silence.same_in_every_cell(metric, value):
            parts = [study.silent, *silence.why_constant(metric, value, counts)]
        else:
            parts = [f"{silence.sentence_case(METRICS[metric])}: {study.silent}"]
        yield " ".join([*parts, silence.judge_by(judge)] if judge else parts)


def _notes(metric: str, studies: Mapping[str, Analysis], rows: Sequence[TableRow]) -> Iterator[str]:
    """Yield what to know about a metric besides its silence."""
    study = studies[metric]
    first = next(iter(studies))
    if metric != first and study.silent is None and not _tells(metric, rows):
        yield silence.rarely_matched(max(_values(metric, rows)), first)
    yield from (note for note in study.notes if note != study.silent)


def analysed(
    rows: Sequence[TableRow], metric: str, name: str, heldout: int | None, items: ItemOutcomes | None
) -> Analysis:
    """Analyse one metric of a study's table; the arguments are those of :func:`answers`."""
    judged = f"{heldout:,} held-out records" if heldout else "held-out records"
    table = read_table([{**row, "evaluation": judged} for row in rows], name=name, measured_here=True)
    if items is not None:
        table = table.with_items(metric, items.rows, items.weight)
    return analyse(table, metric, items=None if items or _is_loss(metric) else heldout)


def rates_of(analysis: Analysis) -> list[ExchangeRate]:
    """Return what every other quality's examples are worth against the first one's, in the study's order."""
    reference, *others = analysis.curves
    return [rate_of(analysis, reference=reference, other=other) for other in others]


def by_worth(rows: Sequence[TableRow]) -> list[str]:
    """Return the metrics that were measured, the one that tells most first.

    That is the last share of right answers; then the loss, and behind it what doesn't tell.
    """
    metrics = measured([row for row in rows if row["size"] > 0 and row["status"] == "done"])[::-1]
    return sorted(metrics, key=lambda metric: not _tells(metric, rows))


def _tells(metric: str, rows: Sequence[TableRow]) -> bool:
    """Say whether a metric can carry the headline: long free answers are never matched to the letter."""
    return _is_loss(metric) or max(_values(metric, rows)) >= FEW_RIGHT


def _values(metric: str, rows: Sequence[TableRow]) -> list[float]:
    """Return what the finished cells measured."""
    found = (row.get(metric) for row in rows if row["size"] > 0 and row["status"] == "done")
    return [value for value in found if is_number(value)]


def _is_loss(metric: str) -> bool:
    """Say whether a metric is a loss, whose noise doesn't come from counting items."""
    return metric.endswith("loss")


def _rate_table(metric: str, rates: Sequence[ExchangeRate]) -> RateTable:
    curves = [rate.rates for rate in rates if rate.rates is not None]
    sizes = [] if not curves else [int(size) for size in curves[0].size]
    return RateTable(
        metric=METRICS[metric],
        reference=readable(rates[0].reference),
        others=tuple(readable(rate.other) for rate in rates),
        rows=tuple((size, tuple(rate_in_words(rate, at) for rate in rates)) for at, size in enumerate(sizes)),
    )
