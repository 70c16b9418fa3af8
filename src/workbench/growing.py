"""A study that spends its next minute where it counts: laws choose its cells, ``studies`` trains them.

The rate of the study's first quality against its last is narrowed, at one size, judged by the metric that
speaks when the first cells are done. What a cell costs is counted in operations, not in seconds: then the
choice depends on results alone, and a run that was killed chooses what it would have.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.config import Quality
from workbench.errors import InputError
from workbench.laws import Analysis
from workbench.laws.next_cells import Interval, Room
from workbench.laws.noise import FEWEST_SEEDS
from workbench.laws.silence import in_words
from workbench.laws.stopping import Look, RateQuestion, next_step
from workbench.studies.cell_costs import CellCost, operations_by_size
from workbench.studies.disk.store import Store
from workbench.studies.grid import Place, Study
from workbench.studies.growth import Grower, GrowthDecision
from workbench.studies.identity import Begun
from workbench.views.answers import analysed, by_worth, item_outcomes, records_judging

START_SIZES = 3
ALIKE = CellCost(1.0, 0.0)
"""What cells cost in studies of an early version, which didn't record operations: all the same."""
UNITS = {"s": 1 / 60, "m": 1.0, "h": 60.0}
"""Minutes in each unit of a time."""


def factor_of(until: str) -> float:
    """Return the factor that a text such as "rate:1.3" asks for.

    Raises:
        InputError: If it is another text, or the factor isn't above 1.
    """
    found = re.fullmatch(r"rate:(\d+(?:\.\d+)?)", until.strip())
    factor = float(found[1]) if found else math.nan
    if not 1 < factor < math.inf:
        raise InputError(
            f"--until is {until!r}; expected rate: and a factor above 1, such as --until rate:1.3: the 95% "
            "interval of the rate then reaches at most 1.3 times its middle, and its middle / 1.3"
        )
    return factor


def minutes_of(time: str) -> float:
    """Return the minutes of a text such as "30m", "90s" or "1.5h".

    Raises:
        InputError: If it is another text, or no time.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", time.strip())
    minutes = float(found[1]) * UNITS[found[2]] if found else 0.0
    if minutes <= 0:
        raise InputError(f"--for is {time!r}; expected a number with s, m or h, such as --for 30m")
    return minutes


def growing(
    study: Study,
    folder: Path,
    *,
    until: str | None = None,
    minutes: float | int | None = None,
    at: int | None = None,
) -> tuple[Study, Grower]:
    """Return the grid with which a growing study begins, and the rule by which it grows.

    A new study begins with the size that is asked about and the two below, two seeds, the first quality and
    the last. A folder that holds a study goes on with that one's grid and with what it has grown by.

    Args:
        study: Its smallest and largest size are the range of sizes, its seeds the first ones taken.
        folder: Where it lives.
        until: Such as "rate:1.3"; see :func:`factor_of`.
        minutes: Of training, from now on.
        at: Reference examples at which the rate is asked for; by default the middle of the range.

    Raises:
        InputError: If the rule can't be followed.
    """
    factor = None if until is None else factor_of(until)
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"minutes is {minutes}; expected a number above 0, such as minutes=30")
    if study.variants > 1:
        raise InputError(
            f"a study that grows narrows one rate, and this one has {study.variants} variants; grow a study "
            "of one base and without --vary, or leave --until and --for out"
        )
    if len(study.qualities) < 2:
        raise InputError(
            "a study that grows narrows the rate between two qualities, and this one has one; give two: "
            "--quality clean typo:0.5"
        )
    # a size that only some of the qualities have stands beside the grid
    asked = [*study.sizes, *(place.size for batch in study.grown for place in batch)]
    smallest, largest = min(asked), max(asked)
    # as many doublings above it as below, or one more
    size = smallest * 2 ** int(math.log2(largest / smallest) / 2) if at is None else at
    if not smallest <= size <= largest:
        raise InputError(
            f"--at {size} lies outside the sizes that may be trained, {smallest} to {largest}; give --at "
            f"{smallest}, or widen the range: --sizes {min(smallest, size)} {max(largest, size)}"
        )
    reference, other = study.qualities[0], study.qualities[-1]
    begun = Begun.read(folder)
    if begun:
        held = begun.study
        axes: dict[str, Any] = {"sizes": held.sizes, "seeds": held.seeds}
        axes["qualities"] = tuple(dict.fromkeys((*held.qualities, reference, other)))
    else:
        axes = {"sizes": _start_sizes(size, smallest, largest), "seeds": _two(study.seeds)}
        axes["qualities"] = (reference, other)
    axes["grown"] = ()  # the rule's own cells; those of a folder's study are its own record
    options = [f"--until {until.strip()}"] if until is not None else []
    options += [f"--for {minutes:g}m"] if minutes is not None else []
    options += [f"--at {size}", f"--sizes {smallest} {largest}"]
    rule = NarrowRate(
        rule=" ".join(options),
        reference=reference,
        other=other,
        at=size,
        factor=factor,
        until_minutes=None if minutes is None else minutes + _trained_minutes(folder),
        smallest=smallest,
        largest=largest,
        seeds=study.seeds,
    )
    return replace(study, **axes), rule


def _start_sizes(at: int, smallest: int, largest: int) -> tuple[int, ...]:
    """Return the size that is asked about and those next to it, first those below, for they cost less."""
    around = [at, at // 2, at // 4, 2 * at, 4 * at]
    allowed = dict.fromkeys(size for size in around if smallest <= size <= largest)
    return tuple(sorted(list(allowed)[:START_SIZES]))


def _two(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Return the first two seeds; fewer show no noise, and growth adds more where they tell."""
    return seeds[:FEWEST_SEEDS] if len(seeds) >= FEWEST_SEEDS else (seeds[0], seeds[0] + 1)


def _trained_minutes(folder: Path) -> float:
    if not Store.exists(folder):
        return 0.0
    with Store.open(folder, read_only=True) as store:
        return _minutes(store.rows())


def _minutes(rows: Sequence[Mapping[str, Any]]) -> float:
    return sum(row["seconds"] or 0.0 for row in rows) / 60


@dataclass(frozen=True, kw_only=True)
class NarrowRate:
    """The rule that narrows the rate of two qualities; a ``Grower``."""

    rule: str
    reference: Quality
    other: Quality
    at: int
    factor: float | None
    """The width to reach; None has time alone end the study."""
    until_minutes: float | None
    """Of training, that the study may have had in all; None sets no limit."""
    smallest: int
    largest: int
    seeds: tuple[int, ...]
    """Taken in this order, then those above."""

    def next(self, store: Store, room: int) -> GrowthDecision:
        """Say what is trained next; the arguments are those of ``Grower.next``."""
        rows = store.rows()
        minutes = _minutes(rows)
        decided = [one for one in store.manifest.growth.decisions if one.rule == self.rule]
        metric = next((one.metric for one in decided if one.metric), None)
        try:
            metric, analysis = self._analysis(store, metric)
            for quality in (self.reference, self.other):
                analysis.curve(quality.label)
        except InputError as error:
            return GrowthDecision(
                rule=self.rule,
                size=self.at,
                factor=self.factor,
                metric=metric,
                why=f"ended: {error}",
                after=len(rows),
                minutes=minutes,
            )
        question = RateQuestion(self.reference.label, self.other.label, self.at, self.factor, analysis.unit)
        looks = [
            Look(one.after or 0, Interval.of_ends(one.low, one.high).factor) for one in decided if one.cells
        ]
        step = next_step(question, analysis, self._room(store, rows, room), looks)
        by_label = {quality.label: quality for quality in (self.reference, self.other)}
        ends = step.interval.ends if step.interval else (None, None)
        return GrowthDecision(
            rule=self.rule,
            size=self.at,
            factor=self.factor,
            after=len(rows),
            minutes=minutes,
            metric=metric,
            why=f"{step.why}, judged by {in_words(metric)}",
            cells=tuple(
                Place(quality=by_label[cell.quality], size=round(cell.size), seed=cell.seed)
                for cell in step.cells
            ),
            low=ends[0],
            high=ends[1],
        )

    def _analysis(self, store: Store, metric: str | None) -> tuple[str, Analysis]:
        """Analyse the study as its report does: by the metric chosen before, or the first that speaks."""
        table, data = store.table(), store.manifest.data
        items = item_outcomes(store, table)
        metrics = by_worth(table) if metric is None else [metric]
        if not metrics:
            raise InputError("no cell measured anything")
        found = [
            (one, analysed(table, one, str(store.folder), records_judging(data, one), items.get(one)))
            for one in metrics
        ]
        return next(((one, study) for one, study in found if study.silent is None), found[0])

    def _room(self, store: Store, rows: Sequence[Mapping[str, Any]], cells: int) -> Room:
        used: dict[tuple[str, int], set[int]] = {}
        for row in rows:
            used.setdefault((row["quality"], row["size"]), set()).add(row["seed"])
        price, left = operations_by_size(rows) or ALIKE, math.inf
        if self.until_minutes is not None:
            total = sum(price(row["size"]) for row in rows)
            pace = _minutes(rows) / total if total else 0.0
            left = (self.until_minutes - _minutes(rows)) / pace if pace else 0.0
        return Room(
            smallest=self.smallest,
            largest=min(self.largest, store.manifest.largest_size() or self.largest),
            limits=store.manifest.limits(),
            used=used,
            minutes=lambda _, size: price(size),
            cells=cells,
            left=left,
            seeds=self.seeds,
        )
