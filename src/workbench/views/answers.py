"""The answer of a study in words and numbers, as a report shows it: laws applied to the study's table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
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
from workbench.laws.answer import opposite
from workbench.laws.claims import rate_in_words
from workbench.laws.in_words import readable
from workbench.metrics import HELDOUT, is_loss, on_set, set_and_metric
from workbench.studies.disk.manifest import DataFacts, EvaluationSetFacts, Manifest
from workbench.studies.disk.store import ZERO_SHOT, Store
from workbench.views.overfitting import overfitting_note
from workbench.views.points import TableRow, axis_words, is_number, measured, unit_in

ITEMS = {"loss": "item_loss", "exact_match": "item_exact", "choice_accuracy": "item_chosen"}
"""The curve that holds each record's outcome, by metric; another metric's is called as it is."""
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

    headline: str
    """One line to say aloud; the first of ``sentences`` begins with it."""
    sentences: tuple[str, ...]
    """First where evaluation sets say the opposite; then for each set one a quality, the most damaged first,
    judged by the metric that users care most about."""
    leads: tuple[str, ...]
    """Of these, all that say the opposite, and the first one of each set."""
    silences: tuple[str, ...]
    """Why a metric says nothing and what to judge by instead; of which quality nothing is said."""
    tables: tuple[RateTable, ...]
    fits: Mapping[str, Mapping[str, Band]]
    studies: Mapping[str, Analysis]
    """Each metric's analysis, the one that tells most first."""
    notes: tuple[str, ...]
    variants: Mapping[str, "Answers"] = field(default_factory=dict)
    """Of a study of several bases or settings: what each says, by its label. Then the tables and sentences
    are those of all, and ``fits`` and ``studies`` are empty."""

    @property
    def details(self) -> str:
        """What the first sentence says after the headline; may be empty."""
        return self.sentences[0].removeprefix(self.headline).strip()


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


def item_outcomes(store: Store, rows: Sequence[TableRow], bare: str = ZERO_SHOT) -> dict[str, ItemOutcomes]:
    """Read from a study's store what a bootstrap over its held-out records needs, by metric.

    A metric is left out where a row that has it lacks the outcomes, as in the shipped study. A loss weighs
    records by their tokens; without those, in studies of earlier versions, it is left out too. ``bare`` is
    the key of these rows' base without an adapter.
    """
    zero = store.curves(bare)
    curves = [store.curves(row["key"]) if row.get("key") else zero for row in rows]
    found = {}
    for metric in measured(rows):
        of_set, bare = set_and_metric(metric)
        name = on_set(of_set, ITEMS.get(bare, f"item_{bare}"))
        weight = zero.get(on_set(of_set, "item_tokens")) if is_loss(metric) else None
        needed = [own for row, own in zip(rows, curves, strict=True) if row.get(metric) is not None]
        whole = bool(needed) and all(name in own for own in needed)
        if whole and not (is_loss(metric) and weight is None):
            found[metric] = ItemOutcomes(rows=tuple(own.get(name) for own in curves), weight=weight)
    return found


def answers_of(store: Store, table: Sequence[TableRow], under: str = "", bare: str = ZERO_SHOT) -> Answers:
    """Return what a study of one base and settings says so far, or one variant of a study of several.

    Args:
        store: The study.
        table: What its ``table()`` returned, or the variant's rows of it.
        under: What sentences say of the variant; see ``laws.variants``.
        bare: Key of the variant's base without an adapter.

    Raises:
        InputError: If a record can't be understood.
    """
    manifest = store.manifest
    found = answers(
        table,
        name=str(store.folder),
        heldout=manifest.data.heldout_records,
        items=item_outcomes(store, table, bare),
        heldout_answers=manifest.data.heldout_answers,
        evals=manifest.data.evals,
        planned_qualities=len(manifest.study.qualities),
        under=under,
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
    evals: Mapping[str, EvaluationSetFacts] | None = None,
    planned_qualities: int = 1,
    under: str = "",
) -> Answers:
    """Compare every quality of the table with the first one, the best.

    Each metric speaks or is silent for itself; what is silent, and why, stands among the notes.

    Args:
        rows: The study's table, with its zero-shot row.
        name: What messages call the table.
        heldout: Records behind each accuracy, None if not known.
        items: Outcomes of those records by metric, so that the intervals cover their choice.
        heldout_answers: How many of those records have each answer, where there are few different ones.
        evals: What is known of further evaluation sets, by their names.
        planned_qualities: How many the study will have, where some have no row yet.
        under: Under what all of it was measured; see ``laws.variants``.
    """
    studies, refused = {}, {}
    data = DataFacts(heldout_records=heldout, heldout_answers=heldout_answers, evals=evals or {})
    for metric in by_worth(rows):
        judging = records_judging(data, metric)
        try:
            found = analysed(rows, metric, name, judging, (items or {}).get(metric))
            studies[metric] = replace(found, under=under)
        except InputError as error:
            refused[metric] = str(error)
    studies = dict(
        sorted(studies.items(), key=lambda f: (f[1].silent is not None, len(set(_values(f[0], rows))) == 1))
    )
    rates = {metric: rates_of(study) for metric, study in studies.items()}
    notes: dict[str, None] = {}
    for metric in studies:
        own = _notes(metric, studies, rows)
        notes |= dict.fromkeys(f"{axis_words(metric)}: {note}" for note in own)
        if items and metric not in items:
            notes[f"{axis_words(metric)}: {NOT_KEPT}"] = None
    opposite = _opposites(rates)
    sets = _sentences(rates, studies, refused, rows, planned_qualities)
    first = next(iter(_first_of_sets(rates).values()), None)
    return Answers(
        headline=opposite[0] if opposite else rates[first][-1].headline() if first else sets[0][0],
        sentences=(*opposite, *(sentence for own in sets for sentence in own)),
        leads=(*opposite, *(own[0] for own in sets)),
        silences=(
            *_silences(rates, studies, rows, data),
            *(f"{axis_words(metric)}: {why}" for metric, why in refused.items() if studies),
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
) -> list[tuple[str, ...]]:
    """Return each evaluation set's answer by its first metric that has one, or why none has."""
    cells = [row for row in rows if row["size"] > 0]
    failures = [_failure(row) for row in cells if row["status"] != "done"]
    told = []
    for metric in _first_of_sets(rates).values():
        silent = studies[metric].silent
        tell = silence.WOULD_TELL.get(silent, silence.MORE_OF_ALL) if silent else ""
        told.append(tuple(rate.sentence() + tell for rate in reversed(rates[metric])))
    return told or [(_why_none(studies, refused, cells, failures, planned_qualities),)]


def _first_of_sets(rates: Mapping[str, Sequence[ExchangeRate]]) -> dict[str, str]:
    """Return the metric by which each evaluation set answers."""
    found: dict[str, str] = {}
    for metric, own in rates.items():
        if own:
            found.setdefault(set_and_metric(metric)[0], metric)
    return found


def _opposites(rates: Mapping[str, Sequence[ExchangeRate]]) -> tuple[str, ...]:
    """Say where two evaluation sets say the opposite, by what they answer by or by a metric of both."""
    first = _first_of_sets(rates)
    told: list[str] = []
    for one, two in combinations(first, 2):
        shared = [(on_set(one, set_and_metric(m)[1]), m) for m in rates if set_and_metric(m)[0] == two]
        pairs = [(first[one], first[two]), *((a, b) for a, b in shared if a in rates)]
        by_other: dict[str, str] = {}
        for a, b in pairs:
            for left, right in zip(rates[a], rates[b], strict=False):
                if left.other == right.other and (said := opposite(left, right)):
                    by_other.setdefault(left.other, said)
        told += by_other.values()
    return tuple(told)


def _why_none(
    studies: Mapping[str, Analysis],
    refused: Mapping[str, str],
    cells: Sequence[TableRow],
    failures: Sequence[str],
    planned_qualities: int,
) -> str:
    if refused:
        return f"There is no answer: {next(iter(refused.values()))}"
    if not studies:
        return silence.nothing_measured(len(cells), len(failures), next(iter(failures), None))
    if max(planned_qualities, len({row["quality"] for row in cells})) > 1:
        (finished,) = next(iter(studies.values())).curves
        return silence.only_one_finished(finished, len(failures), next(iter(failures), None))
    return silence.ONE_QUALITY


def _failure(row: TableRow) -> str:
    cell = f"{row['quality']!r}, {row['size']} {unit_in([row]).many}, seed {row['seed']}"
    return f"{cell}, {row['failure']}" if row.get("failure") else cell


def _silences(
    rates: Mapping[str, Sequence[ExchangeRate]],
    studies: Mapping[str, Analysis],
    rows: Sequence[TableRow],
    data: DataFacts,
) -> Iterator[str]:
    """Yield why a metric is silent, and what to judge by instead, where the answer hasn't said so itself."""
    every = list(dict.fromkeys(row["quality"] for row in rows if row["size"] > 0))
    for metric, (reference, *others) in ((metric, study.curves) for metric, study in studies.items()):
        if others and (lost := [quality for quality in every if quality not in studies[metric].curves]):
            yield silence.without_cells(lost, metric, reference if every[0] in lost else None)
    said = next((studies[metric].silent for metric, found in rates.items() if found), silence.ONE_SEED)
    speak = [metric for metric, study in studies.items() if study.silent is None]
    for metric, study in studies.items():
        if study.silent is None or study.silent == said:
            continue
        value, of_set = _values(metric, rows)[0], set_and_metric(metric)[0]
        counts = _answer_counts(data, of_set)
        judge = next((one for one in speak if set_and_metric(one)[0] == of_set), next(iter(speak), None))
        if study.silent == silence.same_in_every_cell(metric, value):
            parts = [study.silent, *silence.why_constant(metric, value, counts)]
        else:
            parts = [f"{silence.sentence_case(axis_words(metric))}: {study.silent}"]
        yield " ".join([*parts, silence.judge_by(judge)] if judge else parts)


def _notes(metric: str, studies: Mapping[str, Analysis], rows: Sequence[TableRow]) -> Iterator[str]:
    """Yield what to know about a metric besides its silence."""
    study = studies[metric]
    of_set = set_and_metric(metric)[0]
    first = next(one for one in studies if set_and_metric(one)[0] == of_set)
    if metric != first and study.silent is None and not _tells(metric, rows):
        yield silence.rarely_matched(metric, max(_values(metric, rows)), first)
    yield from (note for note in study.notes if note != study.silent)


def analysed(
    rows: Sequence[TableRow], metric: str, name: str, judging: int | None, items: ItemOutcomes | None
) -> Analysis:
    """Analyse one metric of a study's table.

    Args:
        rows: The table.
        metric: One of its metrics.
        name: What messages call the table.
        judging: How many records the metric is measured on, None if not known.
        items: The outcomes of these.
    """
    of_set = set_and_metric(metric)[0]
    judged = "held-out records" if of_set == HELDOUT else f"records of {of_set!r}"
    judged = f"{judging:,} {judged}" if judging else judged
    table = read_table([{**row, "evaluation": judged} for row in rows], name=name, measured_here=True)
    if items is not None:
        table = table.with_items(metric, items.rows, items.weight)
    return analyse(table, metric, items=None if items or is_loss(metric) else judging)


def records_judging(data: DataFacts, metric: str) -> int | None:
    """Return how many records a metric is measured on; None where an earlier version didn't record it."""
    name = set_and_metric(metric)[0]
    if name == HELDOUT:
        return data.heldout_records
    return data.evals[name].records if name in data.evals else None


def _answer_counts(data: DataFacts, of_set: str) -> Mapping[str, int]:
    if of_set == HELDOUT:
        return data.heldout_answers or {}
    return (data.evals[of_set].answers if of_set in data.evals else None) or {}


def rates_of(analysis: Analysis) -> list[ExchangeRate]:
    """Return what every other quality's examples are worth against the first one's, in the study's order."""
    reference, *others = analysis.curves
    return [rate_of(analysis, reference=reference, other=other) for other in others]


def by_worth(rows: Sequence[TableRow]) -> list[str]:
    """Return the metrics that were measured, the one that tells most first.

    That is the last share of right answers; then the loss, and behind it what doesn't tell. So it goes on for
    each further evaluation set.
    """
    sets: dict[str, list[str]] = {}
    for metric in measured([row for row in rows if row["size"] > 0 and row["status"] == "done"]):
        sets.setdefault(set_and_metric(metric)[0], []).insert(0, metric)
    return [one for own in sets.values() for one in sorted(own, key=lambda metric: not _tells(metric, rows))]


def _tells(metric: str, rows: Sequence[TableRow]) -> bool:
    """Say whether a metric can carry the headline: long free answers are never matched to the letter."""
    return is_loss(metric) or max(_values(metric, rows)) >= FEW_RIGHT


def _values(metric: str, rows: Sequence[TableRow]) -> list[float]:
    """Return what the finished cells measured."""
    found = (row.get(metric) for row in rows if row["size"] > 0 and row["status"] == "done")
    return [value for value in found if is_number(value)]


def _rate_table(metric: str, rates: Sequence[ExchangeRate]) -> RateTable:
    curves = [rate.rates for rate in rates if rate.rates is not None]
    sizes = [] if not curves else [int(size) for size in curves[0].size]
    return RateTable(
        metric=axis_words(metric),
        reference=readable(rates[0].reference),
        others=tuple(readable(rate.other) for rate in rates),
        rows=tuple((size, tuple(rate_in_words(rate, at) for rate in rates)) for at, size in enumerate(sizes)),
    )
