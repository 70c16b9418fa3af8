"""What a study says to do next: the cells that the next hour should train, and what a budget should buy."""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from workbench.errors import InputError
from workbench.laws import Analysis, ExchangeRate, rate_of
from workbench.laws.claims import break_even_in_words
from workbench.laws.in_words import readable
from workbench.laws.next_cells import Interval, NextCell, Room, expected_after, interval_of, next_batch
from workbench.laws.prices import Prices
from workbench.laws.purchases import BreakEven, Purchase, break_even
from workbench.laws.silence import in_words
from workbench.laws.stopping import RateQuestion, interval_in_words
from workbench.showing import Shown
from workbench.studies.cell_costs import CellCost, minutes_by_size
from workbench.studies.disk.manifest import Manifest
from workbench.studies.disk.store import Store
from workbench.views.buying import purchase_lines, purchases_of

MINUTES = 60.0
"""What is planned where nobody says how long."""
FURTHER = 2
"""A plan may ask for sizes up to so many times the largest one measured."""
CELL_HEADINGS = ("quality", "size", "seeds", "minutes")


@dataclass(frozen=True, kw_only=True, repr=False)
class Advice(Shown):
    """What to do next with a study, for one question: the rate of two qualities at one size.

    Attributes:
        question: Whose rate, and at which size of the reference.
        metric: What it is judged by.
        interval: The rate's interval now.
        minutes: Of training that the cells may take.
        cells: What to train in them, best first; empty where nothing would narrow the interval.
        expected: The interval expected after them; None where they can't tell yet.
        batch: What the cells come to, in a sentence.
        price: Up to what price mending pays, in a sentence.
        break_even: The same as numbers: new examples for whose price one may be mended.
        purchases: What a budget would do, best first; empty without prices.
        notes: What to know about the purchases.
    """

    question: RateQuestion
    metric: str
    interval: Interval
    minutes: float
    cells: tuple[NextCell, ...]
    expected: Interval | None
    batch: str
    price: str
    break_even: BreakEven | None
    purchases: tuple[Purchase, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def now(self) -> str:
        """What is known, in words."""
        return f"Now, {interval_in_words(self.question, self.interval)}, judged by {in_words(self.metric)}."

    def cell_lines(self) -> list[tuple[str, ...]]:
        """Return the cells as lines of a table with ``CELL_HEADINGS``, the most telling first."""
        found: dict[tuple[str, float], list[NextCell]] = {}
        for cell in self.cells:
            found.setdefault((cell.quality, cell.size), []).append(cell)
        return [
            (
                quality,
                f"{size:,.0f}",
                _ranges(sorted(cell.seed for cell in own)),
                f"{sum(cell.minutes for cell in own):.2g}",
            )
            for (quality, size), own in found.items()
        ]

    def purchase_lines(self) -> list[tuple[str, ...]]:
        """Return the purchases as lines of a table with ``PURCHASE_HEADINGS``."""
        return purchase_lines(self.purchases)

    def to_json(self) -> bytes:
        """Return all of it for a program; what isn't known, or open, is null."""
        whole = asdict(self) | {"ends": self.interval.ends}
        return json.dumps(_plain(whole), indent=1, allow_nan=False).encode() + b"\n"

    def _shown(self) -> tuple[str, dict[str, str]]:
        cells = {
            f"train {number}": f"{quality}, {size} {self.question.unit.many}, seeds {seeds}: {minutes} min"
            for number, (quality, size, seeds, minutes) in enumerate(self.cell_lines(), 1)
        }
        bought = {
            f"buy {what}": f"{count} {self.question.unit.many}; gain {gain}"
            + (f"; best with probability {best}" if best else "")
            for what, count, _, _, _, gain, best in self.purchase_lines()
        }
        facts = {"now": self.now, "next": self.batch, **cells, "price": self.price, **bought}
        return "What to do next", facts | {f"note {n}": note for n, note in enumerate(self.notes, 1)}


@dataclass(frozen=True, kw_only=True, slots=True)
class AdvicePart:
    """What a report's page says of it."""

    sentences: tuple[str, ...]
    """What is known, and what to train; or why nothing is planned."""
    cells: tuple[tuple[str, ...], ...] = ()
    price: str | None = None


def advice_part(store: Store, studies: Mapping[str, Analysis]) -> AdvicePart:
    """Return what a report says to do next: what an hour should train, and up to what price mending pays."""
    if why := why_no_advice(store.manifest, store.rows(), studies):
        return AdvicePart(sentences=(f"{why[0].upper()}{why[1:].rstrip('.')}.",))
    found = advise(store, studies)
    return AdvicePart(
        sentences=(found.now, f"In the next hour: {found.batch[0].lower()}{found.batch[1:]}"),
        cells=tuple((readable(quality), *rest) for quality, *rest in found.cell_lines()),
        price=found.price,
    )


def advise(
    store: Store,
    studies: Mapping[str, Analysis],
    *,
    reference: str | None = None,
    other: str | None = None,
    size: int | None = None,
    minutes: float | int = MINUTES,
    prices: Prices | None = None,
) -> Advice:
    """Say what to do next with a study.

    Args:
        store: The study; all its cells have a result.
        studies: Its analyses by metric, the one that tells most first.
        reference: The quality that is replaced; by default the study's first.
        other: The quality that replaces it; by default its last.
        size: Examples of the reference at which the rate counts; by default those of the study's headline.
        minutes: What the next cells may take.
        prices: What is at hand, what may be spent, and what things cost; by default nothing is bought.

    Raises:
        InputError: If nothing can be planned yet, or a choice can't be used.
    """
    if not 0 < minutes < math.inf:
        raise InputError(f"minutes is {minutes:g}; expected a number above 0, such as 60")
    rows = store.rows()
    if why := why_no_advice(store.manifest, rows, studies):
        raise InputError(f"{store.folder}: {why}")
    analysis = next(iter(studies.values()))
    labels = list(analysis.curves)
    reference, other = reference or labels[0], other or labels[-1]
    rate = rate_of(analysis, reference=reference, other=other)
    if reference == other:
        raise InputError(
            f"both qualities are {reference!r}; a plan compares two, such as "
            f"--of {shlex.quote(labels[0])} --by {shlex.quote(labels[-1])}"
        )
    question = RateQuestion(reference, other, _asked_size(analysis, rate, size), unit=analysis.unit)
    interval = interval_of(analysis, reference=reference, other=other, size=question.size)
    if interval is None:
        raise InputError(f"{store.folder}: {rate.sentence()}")
    time = minutes_by_size(rows)
    cells = _cells(store.manifest, rows, analysis, question, interval, time, float(minutes))
    expected = expected_after(interval, cells) if cells else None
    here = rate_of(analysis, reference=reference, other=other, sizes=[question.size])
    purchases, notes = purchases_of(analysis, store.manifest, question, time, prices) if prices else ((), ())
    return Advice(
        question=question,
        metric=analysis.metric,
        interval=interval,
        minutes=float(minutes),
        cells=cells,
        expected=expected,
        batch=_batch(store.manifest, question, interval, cells, expected, time, len(rows)),
        price=break_even_in_words(here, question.size),
        break_even=break_even(analysis, reference=reference, other=other, size=question.size),
        purchases=purchases,
        notes=notes,
    )


def why_no_advice(
    manifest: Manifest, rows: Sequence[Mapping[str, Any]], studies: Mapping[str, Analysis]
) -> str | None:
    """Say why nothing can be planned yet; None where it can."""
    if len(rows) < manifest.study.cells:
        return (
            f"{len(rows)} of {manifest.study.cells} cells have a result, and a plan needs all; the command "
            "that began the study goes on with it"
        )
    analysis = next(iter(studies.values()), None)
    if analysis is None:
        return "nothing was measured, so nothing can be planned"
    if len(analysis.curves) < 2:
        return "the study has one quality, and a plan compares two; run it with a second one: --quality"
    if analysis.from_residuals or max(curve.count.max() for curve in analysis.curves.values()) < 2:
        return (
            "one seed a cell shows no noise, and a plan weighs cells by it; run the study with three: "
            "--seeds 0 1 2"
        )
    if analysis.silent is not None:
        return f"nothing can be planned: {analysis.silent}"
    reference, *_, other = analysis.curves
    rate = rate_of(analysis, reference=reference, other=other)
    return None if rate.claims() else f"nothing can be planned: {rate.sentence()}"


def _asked_size(analysis: Analysis, rate: ExchangeRate, size: int | None) -> int:
    sizes = analysis.curve(rate.reference).sizes
    if size is None:
        claims = rate.claims()
        return int(claims[0].size if claims else sizes[len(sizes) // 2])
    if not sizes[0] <= size <= sizes[-1]:
        raise InputError(
            f"--size {size} lies outside the sizes measured of {rate.reference!r}, {sizes[0]:.0f} to "
            f"{sizes[-1]:.0f}; give one of these or between them: --size {sizes[0]:.0f}"
        )
    return size


def size_range(manifest: Manifest, rows: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Return the smallest and the largest size that a plan may ask for."""
    sizes = [row["size"] for row in rows]
    there_are = manifest.largest_size()
    largest = FURTHER * max(sizes)
    return min(sizes), max(max(sizes), min(largest, there_are)) if there_are else largest


def _cells(
    manifest: Manifest,
    rows: Sequence[Mapping[str, Any]],
    analysis: Analysis,
    question: RateQuestion,
    interval: Interval,
    time: CellCost | None,
    minutes: float,
) -> tuple[NextCell, ...]:
    """Return the cells to train; none where the study is as sure as it was asked to be."""
    if time is None or _sure_enough(manifest, question, interval) is not None:
        return ()
    used: dict[tuple[str, int], set[int]] = {}
    for row in rows:
        used.setdefault((row["quality"], row["size"]), set()).add(row["seed"])
    smallest, largest = size_range(manifest, rows)
    room = Room(
        smallest=smallest,
        largest=largest,
        used=used,
        minutes=lambda _, size: time(size),
        # what a study expects of more cells than it has itself is too much of a guess
        cells=len(rows),
        left=minutes,
        limits=manifest.limits(),
        seeds=tuple(manifest.study.seeds),
    )
    return next_batch(
        analysis, reference=question.reference, other=question.other, size=question.size, room=room
    )


def _sure_enough(manifest: Manifest, question: RateQuestion, interval: Interval) -> float | None:
    """Return the factor that a study which grew was asked for and has reached at that size; else None."""
    last = manifest.growth.decisions[-1] if manifest.growth.decisions else None
    if last is None or last.cells or last.factor is None or last.size != question.size:
        return None
    return last.factor if interval.factor <= last.factor else None


def _batch(
    manifest: Manifest,
    question: RateQuestion,
    interval: Interval,
    cells: Sequence[NextCell],
    expected: Interval | None,
    time: CellCost | None,
    done: int,
) -> str:
    if (asked := _sure_enough(manifest, question, interval)) is not None:
        return (
            f"Nothing to train: the interval spans a factor of {interval.factor:.3g} to each side, and "
            f"{asked:g} was asked for."
        )
    if time is None:
        return "The study did not record how long its cells took, so no time can be planned."
    if not cells:
        return "No cell that may be trained in this time would narrow the interval."
    spent = sum(cell.minutes for cell in cells)
    what = f"{len(cells)} cell{'s' * (len(cells) > 1)}, {spent:.2g} minutes of training"
    if expected is None:
        return f"Train {what}: they should tell where the rate's open end lies."
    more = " More cells than the study has are not foreseen." if len(cells) == done else ""
    return (
        f"Train {what}: the interval should then reach from {expected.low:.2g} to {expected.high:.2g}, "
        f"a factor of {expected.factor:.3g} to each side, where it now spans {interval.factor:.3g}.{more}"
    )


def _ranges(numbers: Sequence[int]) -> str:
    """Return whole numbers such as "3 to 5, 8"."""
    found = []
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        own = [number for _, number in run]
        found.append(f"{own[0]} to {own[-1]}" if len(own) > 2 else ", ".join(map(str, own)))
    return ", ".join(found)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a record
    """Return a value as JSON has it: what isn't known or has no end is null."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
