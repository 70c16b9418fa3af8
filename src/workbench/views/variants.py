"""What a study of several variants says: each one's answer, how they differ, what a larger base is worth.

Every word of an answer is made in ``laws``; here it is only decided what is asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from workbench.errors import InputError
from workbench.laws import ExchangeRate, read_table
from workbench.laws.model_size import SizeExchange, size_exchange
from workbench.laws.variants import rates_apart, under_in_words
from workbench.metrics import is_loss, on_set, set_and_metric
from workbench.studies.disk.manifest import Manifest
from workbench.studies.disk.store import Store
from workbench.studies.disk.variant_rows import variant_of, zero_shot_key
from workbench.views.answers import Answers, answers_of, rates_of, records_judging
from workbench.views.explore import page_data
from workbench.views.points import TableRow, axis_words, measured


def study_answers(store: Store, table: Sequence[TableRow]) -> Answers:
    """Return what a study says so far, whether it has one variant or several.

    Args:
        store: The study.
        table: What its ``table()`` returned.

    Raises:
        InputError: If a record can't be understood.
    """
    if store.manifest.study.variants == 1:
        return answers_of(store, table)
    manifest = store.manifest
    found = {}
    for label, rows in by_variant(table).items():
        lead = next(row for row in rows if row["size"] > 0)
        bare = zero_shot_key(manifest, lead["base_sha256"], lead["precision"])
        found[label] = answers_of(store, rows, _under(store, lead), bare)
    return _together(found, store, table)


def by_variant(table: Sequence[TableRow]) -> dict[str, list[TableRow]]:
    """Return the rows of each variant that has a cell, by its label, in the table's order."""
    found: dict[str, list[TableRow]] = {}
    for row in table:
        found.setdefault(row["vary"], []).append(row)
    return {label: rows for label, rows in found.items() if any(row["size"] > 0 for row in rows)}


def with_variant(rows: Sequence[TableRow]) -> list[TableRow]:
    """Return rows whose qualities say their variant too, where there are several; for a list of cells."""
    return [{**row, "quality": f"{row['vary']}: {row['quality']}"} if "vary" in row else row for row in rows]


def explored(table: Sequence[TableRow], found: Answers) -> dict[str, Any]:
    """Return what the report's page shows when it is explored: of several variants, the charts of each."""
    if not found.variants:
        return page_data(table, found.studies, found.fits)
    rows = by_variant(table)
    told: dict[str, list[Any]] = {"metrics": [], "pairs": []}
    for label, one in found.variants.items():
        own = page_data(rows[label], one.studies, one.fits)
        for metric in own["metrics"]:
            told["metrics"].append(
                {**metric, **{key: f"{metric[key]}; {label}" for key in ("name", "title")}}
            )
        told["pairs"] += [{**pair, "metric": f"{pair['metric']}; {label}"} for pair in own["pairs"]]
    return told


def refuse_several(manifest: Manifest, what: str) -> None:
    """Refuse what speaks of one base and one set of settings.

    Args:
        manifest: The study's.
        what: What it is, such as "planning the next cells".

    Raises:
        InputError: If the study has several variants.
    """
    if manifest.study.variants > 1:
        study = manifest.study.parsed()
        ways = ["with one --base"] * bool(study.further_bases) + ["without --vary"] * bool(study.vary)
        raise InputError(
            f"{what} is for a study of one base and one set of settings, and this one has "
            f"{manifest.study.variants} variants; run the one that you mean by itself, {' and '.join(ways)}"
        )


def _under(store: Store, row: TableRow) -> str:
    """Return under what a variant's cells were trained, in words."""
    manifest = store.manifest
    study = manifest.study.parsed()
    cell = store.configurations()[row["key"]]
    base = manifest.base_of(cell.base_sha256)
    one_base = variant_of(manifest, replace(study, further_bases=()), cell)[1]
    settings = one_base.split(", ") if one_base else []
    if not study.further_bases:
        return under_in_words(settings)
    return under_in_words(settings, base.label or cell.base, base.parameters)


def _together(found: Mapping[str, Answers], store: Store, table: Sequence[TableRow]) -> Answers:
    """Return the answer of the whole study."""
    manifest = store.manifest
    apart = tuple(_apart(found))
    worth, why_not = [], []
    if manifest.study.parsed().further_bases:
        for metric in filter(is_loss, measured(table)):
            try:
                worth.append(base_worth(store, table, metric).sentence())
            except InputError as error:
                why_not.append(f"What a larger base is worth in clean data, by {axis_words(metric)}: {error}")
    sentences = [sentence for one in found.values() for sentence in one.sentences]
    said = (*apart, *worth, *sentences)
    return Answers(
        headline=said[0],
        sentences=said,
        leads=(*apart, *worth, *(one.leads[0] for one in found.values())),
        silences=tuple(
            dict.fromkeys(
                [*why_not, *(f"{label}: {why}" for label, one in found.items() for why in one.silences)]
            )
        ),
        tables=tuple(
            replace(rates, metric=f"{rates.metric}; {label}")
            for label, one in found.items()
            for rates in one.tables
        ),
        fits={},
        studies={},
        notes=tuple(f"{label}: {note}" for label, one in found.items() for note in one.notes),
        variants=found,
    )


def _apart(found: Mapping[str, Answers]) -> Iterator[str]:
    """Yield how each pair's rate differs between variants, judged by the metric that tells most."""
    first = next(iter(found.values()))
    metric = next((one for one, study in first.studies.items() if study.silent is None), None)
    if metric is None:
        return
    pairs: dict[tuple[str, str], dict[str, ExchangeRate]] = {}
    for label, one in found.items():
        for rate in rates_of(one.studies[metric]) if metric in one.studies else ():
            pairs.setdefault((rate.reference, rate.other), {})[label] = rate
    # the most damaged first, as in the answer of a study of one variant
    for rates in reversed(pairs.values()):
        if told := rates_apart(rates):
            yield told.sentence()


def base_worth(store: Store, table: Sequence[TableRow], metric: str) -> SizeExchange:
    """Return what a larger base is worth in clean data, of a study that varies nothing but its bases.

    Args:
        store: The study.
        table: What its ``table()`` returned.
        metric: One of its losses.

    Raises:
        InputError: If settings vary too, the bases' losses can't be compared, or there is no answer; the
            message says why.
    """
    manifest = store.manifest
    if manifest.study.parsed().vary:
        raise InputError("settings vary too, and one law can't tell them from bases; vary the bases alone")
    # what each record weighs in the loss: its tokens, as the base's own tokenizer cuts it
    tokens = on_set(set_and_metric(metric)[0], "item_tokens")
    if len({tuple(store.curves(key).get(tokens, ())) for key in store.zero_shots()}) > 1:
        raise InputError(
            "the bases cut the held-out records into different tokens, so their losses, in nats a token, "
            "can't be compared; take bases of one tokenizer"
        )
    judging = records_judging(manifest.data, metric)
    judged = f"{judging:,} held-out records" if judging else "held-out records"
    rows = [{**row, "evaluation": judged} for row in table if row["size"] > 0]
    return size_exchange(read_table(rows, name=str(store.folder), measured_here=True), metric)
