"""What a study says about filters: what scorers keep against chance, without and with the cost of scoring.

The rate of a filter against chance is the study's own exchange rate: how many of the records that it keeps do
the work of one drawn by chance. Keeping one record means scoring several, which takes time in which chance
records could have been trained on. With that time the same rate is one of computing time: how many seconds of
scoring and training do the work of one second of training on chance.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench.data.matching import CHANCE
from workbench.laws import Analysis, ExchangeRate, rate_of
from workbench.laws.claims import claims_of, rate_in_words
from workbench.laws.in_words import number_in_words, size_in_words
from workbench.laws.units import EXAMPLES, SizeUnit
from workbench.showing import Shown, padded, rows_html
from workbench.studies.cell_costs import minutes_by_size
from workbench.studies.disk.filtering_facts import FilterFacts, FilteringFacts
from workbench.studies.disk.store import Store
from workbench.views.answers import analysed, item_outcomes, records_judging
from workbench.views.points import TableRow, axis_words, unit_in

BY_TOKENS = "by response tokens"
"""The heading of a column that a study has whose sizes count examples."""


def headings_of(unit: SizeUnit) -> tuple[str, ...]:
    """Return the headings of the table, a line a filter."""
    return (
        "filter",
        f"at chance {unit.many}",
        "kept ones for one of chance",
        *((BY_TOKENS,) if unit == EXAMPLES else ()),
        "against the same lengths",
        "scoring, seconds for one kept",
        f"training, seconds {'an' if unit == EXAMPLES else 'a'} {unit.one}",
        "seconds for one second of chance",
        "finds planted damage (AUC)",
    )


GUESSING = 0.5
ENDS = ("median", "low", "high", "sure_low", "sure_high")
"""What a rate is at each size, and its intervals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterAnswer:
    """What a study says about one filter."""

    facts: FilterFacts
    rate: ExchangeRate
    """Of what it keeps, against chance."""
    by_tokens: ExchangeRate | None
    """The same with sizes in response tokens; None where there is none."""
    same_lengths: ExchangeRate | None
    """Against chance with the same lengths of responses."""
    scoring: float | None
    """Seconds of scoring for each example, or response token, that is kept."""
    training: float | None
    """Seconds of training for each of them, all passes counted."""

    @property
    def name(self) -> str:
        """The filter's quality."""
        return self.facts.pool

    @property
    def price(self) -> float | None:
        """What a kept record costs, scoring and training, in units of training on one of chance."""
        if self.scoring is None or not self.training:
            return None
        return 1 + self.scoring / self.training

    @property
    def with_cost(self) -> ExchangeRate | None:
        """The rate against chance in computing time: scoring counts like training."""
        return None if self.price is None else priced(self.rate, self.price)

    @property
    def at(self) -> int | None:
        """Place of the reference size at which the answer tells most; None where there is no rate."""
        found = claims_of(self.rate, None)
        if not found or self.rate.rates is None:
            return None
        return int(np.abs(np.log(self.rate.rates.size / found[0].size)).argmin())


def priced(rate: ExchangeRate, price: float) -> ExchangeRate:
    """Return a rate with every example of the other quality counted ``price`` times."""
    rates = rate.rates
    if rates is not None:
        rates = replace(rates, **{name: getattr(rates, name) * price for name in ENDS})
    return replace(rate, rates=rates, smallest=rate.smallest * price, tried=rate.tried * price, crossing=None)


@dataclass(frozen=True, kw_only=True, repr=False)
class Filters(Shown):
    """The part of an answer that is about filters."""

    metric: str
    facts: FilteringFacts
    answers: tuple[FilterAnswer, ...]
    rows: tuple[tuple[str, ...], ...]
    """The table, a line a filter."""
    headings: tuple[str, ...]
    sentences: tuple[str, ...]
    by_size: tuple[tuple[str, ...], ...]
    """The rates with the cost of scoring, a line a size; the headings are the filters' names."""
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the table and the sentences, for a terminal."""
        table = padded([self.headings, *self.rows])
        return [*table, *self.sentences, *(f"note: {note}" for note in self.notes)]

    def _shown(self) -> tuple[str, Mapping[str, str]]:
        said = dict(zip([one.name for one in self.answers], self.sentences, strict=True))
        return f"Filters of {self.facts.file}", said | {"judged by": axis_words(self.metric)}

    def _repr_html_(self) -> str:
        return rows_html(self.headings, self.rows, " ".join([*self.sentences, *self.notes]))


def filters_of(store: Store, table: Sequence[TableRow], studies: Mapping[str, Analysis]) -> Filters | None:
    """Return what a study says about filters; None where it isn't about them, or has no answer yet.

    Args:
        store: The study.
        table: What its ``table()`` returned.
        studies: Each metric's analysis, the one that tells most first.
    """
    facts = store.manifest.filtering
    speaking = [
        metric for metric, study in studies.items() if study.silent is None and CHANCE in study.curves
    ]
    if not facts.filters or not speaking:
        return None
    metric = speaking[0]
    analysis = studies[metric]
    in_tokens = _in_tokens(store, table, metric, facts)
    cost = minutes_by_size([row for row in table if row["size"] > 0])
    training = None if cost is None else 60 * cost.each
    answers = tuple(
        FilterAnswer(
            facts=one,
            rate=rate_of(analysis, reference=CHANCE, other=one.pool),
            by_tokens=_rate(in_tokens, CHANCE, one.pool),
            same_lengths=_rate(analysis, one.control, one.pool),
            scoring=_scoring(one, facts),
            training=training or None,
        )
        for one in facts.filters
        if one.pool in analysis.curves
    )
    lost = [one.pool for one in facts.filters if one.pool not in analysis.curves]
    return Filters(
        metric=metric,
        facts=facts,
        answers=answers,
        rows=tuple(tuple(_row(one)) for one in answers),
        headings=headings_of(analysis.unit),
        sentences=tuple(filter_in_words(one) for one in answers),
        by_size=tuple(_by_size(answers)),
        notes=tuple(_notes(facts, metric, lost)),
    )


def _scoring(one: FilterFacts, facts: FilteringFacts) -> float | None:
    """Return the seconds of scoring for each example, or response token, that is kept."""
    if one.seconds is None or not facts.records or not facts.keep:
        return None
    if one.tokens:
        return one.seconds / one.tokens
    return one.seconds / facts.records / (facts.keep / 100)


def _rate(analysis: Analysis | None, reference: str | None, other: str) -> ExchangeRate | None:
    if analysis is None or reference is None or not {reference, other} <= set(analysis.curves):
        return None
    return rate_of(analysis, reference=reference, other=other)


def _in_tokens(
    store: Store, table: Sequence[TableRow], metric: str, facts: FilteringFacts
) -> Analysis | None:
    """Analyse the same cells with sizes in response tokens, as many as their draws have on average."""
    if unit_in(table) != EXAMPLES:
        return None
    tokens = {(one.quality, one.size): round(one.tokens) for one in facts.drawn}
    items = item_outcomes(store, table).get(metric)
    if not all((row["quality"], row["size"]) in tokens for row in table if row["size"] > 0):
        return None
    rows = [{**row, "size": tokens[row["quality"], row["size"]]} if row["size"] > 0 else row for row in table]
    found = analysed(rows, metric, str(store.folder), records_judging(store.manifest.data, metric), items)
    return None if found.silent else found


def _row(one: FilterAnswer) -> Iterator[str]:
    at = one.at
    rates = one.rate.rates
    yield one.name
    yield "none" if at is None or rates is None else size_in_words(float(rates.size[at]))
    yield _said(one.rate, at)
    if one.rate.unit == EXAMPLES:
        yield _said(one.by_tokens, at)
    yield _said(one.same_lengths, at)
    yield "not known" if one.scoring is None else number_in_words(one.scoring)
    yield "not known" if one.training is None else number_in_words(one.training)
    yield _said(one.with_cost, at)
    yield "not known" if one.facts.auc is None else f"{one.facts.auc:.2f}"


def _by_size(answers: Sequence[FilterAnswer]) -> Iterator[tuple[str, ...]]:
    """Yield what each filter is worth with the cost of scoring, at every number of chance examples."""
    sizes = next((one.rate.rates.size for one in answers if one.rate.rates is not None), np.array([]))
    for at, size in enumerate(sizes):
        yield size_in_words(float(size)), *(_said(one.with_cost, at) for one in answers)


def _said(rate: ExchangeRate | None, at: int | None) -> str:
    if rate is None or rate.rates is None or at is None or at >= len(rate.rates.size):
        return "none"
    return rate_in_words(rate, at)


def filter_in_words(one: FilterAnswer) -> str:
    """Say whether a filter is worth its cost, at the size that tells most, and from when on scoring pays."""
    at, net = one.at, one.with_cost
    name = repr(one.name)
    if at is None or one.rate.rates is None:
        return f"{name}: {one.rate.headline()}"
    n = size_in_words(float(one.rate.rates.size[at]))
    free = rate_in_words(one.rate, at)
    n = f"{n} chance {one.rate.unit.many}"
    told = f"{name}: at {n}, as many kept ones as do the work of one of them: {free}."
    if net is None or net.rates is None or one.price is None:
        return f"{told} What scoring takes is not known."
    told += (
        f" Scoring makes a kept one cost {number_in_words(one.price)} times as much time as one of chance. "
        f"Seconds that do the work of one second of chance: {rate_in_words(net, at)}. "
    )
    rates = one.rate.rates
    if rates.sure_low[at] > 1:
        return f"{told}Not worth anything: chance is better even where scoring costs nothing."
    if net.rates.sure_high[at] < 1:
        return f"{told}Worth its cost, even if its picks are trained on once."
    once = "if its picks are trained on once"
    verdict = (
        f"Not worth its cost {once}"
        if net.rates.sure_low[at] > 1
        else f"Whether it is worth its cost {once} can't be told yet"
    )
    return f"{told}{verdict}; {_trainings(one, at)}."


def trainings_that_pay(one: FilterAnswer, rate: float) -> float:
    """Return how often the same picks have to be trained on until scoring them has paid.

    Of ``k`` trainings on chance, with ``n`` examples each, the picks take ``rate`` times the time, and their
    scoring once: rate * n * (k * training + scoring) = n * k * training. Infinity where picks are worth no
    more than chance.
    """
    assert one.price is not None, "who asks knows what scoring takes"
    return rate * (one.price - 1) / (1 - rate) if rate < 1 else float("inf")


def _trainings(one: FilterAnswer, at: int) -> str:
    rates = one.rate.rates
    assert rates is not None, "who asks has a rate"
    low, middle, high = (
        trainings_that_pay(one, float(end[at])) for end in (rates.low, rates.median, rates.high)
    )
    if not np.isfinite(middle):
        return "as far as can be told, no number of trainings on the same picks makes scoring pay"
    most = f"{number_in_words(high)} times" if np.isfinite(high) else "never"
    return (
        f"scoring pays once the same picks are trained on about {number_in_words(middle)} times "
        f"({number_in_words(low)} times to {most})"
    )


def _notes(facts: FilteringFacts, metric: str, lost: Sequence[str]) -> Iterator[str]:
    yield (
        f"{facts.records:,} records were scored, and each filter keeps {facts.keep:g}% of those to train on; "
        f"judged by {axis_words(metric)}. A number below 1 speaks for the filter."
    )
    yield (
        "Cells train beside each other, which makes each cheaper than a training alone: beside a dearer "
        "training, scoring weighs less. Both times are taken as they were measured."
    )
    if facts.damaged is not None:
        yield (
            f"Damage ({facts.corruption}) was planted in {facts.damaged:,} of "
            f"{facts.damaged + (facts.undamaged or 0):,} records, which were scored again: the AUC is the "
            "probability that a spoiled one is farther from what is kept than one as it was; "
            f"{GUESSING:g} is guessing."
        )
    for name in lost:
        yield f"of {name!r} no cell is finished"
