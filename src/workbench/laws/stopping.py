"""Goes on or stops: the rule by which a study grows, one look at its interval at a time.

Looking often finds an interval that is short by chance sooner or later, and a study that stops there is too
sure. So the width has to be reached in two looks in a row, the second with cells that the first hadn't seen;
`python benchmarks/laws/planning.py` counts how often the interval at the stop holds the truth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbench.laws.analysis import Analysis
from workbench.laws.claims import quality_in_words
from workbench.laws.next_cells import Interval, NextCell, Room, interval_of, next_batch
from workbench.laws.units import EXAMPLES, SizeUnit

LOOKS = 2
"""Looks in a row that have to find the interval short enough."""
SHARE = 6
"""A batch is at most one cell for so many that are done: the rule is asked often while it knows little."""
MORE_CELLS = 1.5
"""A study whose cells have become so many times as many, and its interval no shorter, ends."""
SHORTER = 0.98
"""An interval has become shorter where its factor's logarithm is at most this share of what it was."""


@dataclass(frozen=True, slots=True)
class RateQuestion:
    """Whose rate is asked for, at which size, and the factor to reach; None: as narrow as time allows."""

    reference: str
    other: str
    size: int
    factor: float | int | None = None
    unit: SizeUnit = EXAMPLES
    """What sizes count."""


@dataclass(frozen=True, slots=True)
class Look:
    """An earlier look: how many cells were done, and the interval's factor, infinity where it was open."""

    cells: int
    factor: float


@dataclass(frozen=True, slots=True)
class Step:
    """What a look at the study came to: the interval, and the cells to train next; without any, the end."""

    interval: Interval | None
    cells: tuple[NextCell, ...]
    why: str


def next_step(question: RateQuestion, analysis: Analysis, room: Room, looks: Sequence[Look] = ()) -> Step:
    """Say which cells a study trains next, or that it ends, and why.

    Args:
        question: What the study is to answer.
        analysis: The study so far.
        room: What may be trained.
        looks: The earlier looks that chose cells, the oldest first.

    Raises:
        InputError: If a quality is not in the study.
    """
    reference, other, size = question.reference, question.other, float(question.size)
    now = interval_of(analysis, reference=reference, other=other, size=size)
    if now is None:
        reason = (
            analysis.silent or f"no {reference!r} was measured around {question.size:,} {analysis.unit.many}"
        )
        return Step(None, (), f"ended: there is no interval to narrow: {reason}")
    done = sum(len(seeds) for seeds in room.used.values())
    every = [*looks, Look(done, now.factor)]
    said, goal = interval_in_words(question, now), question.factor
    if goal is not None and len(every) >= LOOKS and max(look.factor for look in every[-LOOKS:]) <= goal:
        return Step(now, (), f"reached: {said}; at most {goal:g} was asked for")
    if _stalled(every):
        return Step(
            now, (), f"{_short_of(goal, now)}: {MORE_CELLS:g} times the cells narrow it no more; {said}"
        )
    # once the width is reached, a look with a few more cells decides
    most = 2 if goal is not None and now.factor <= goal else max(2, done // SHARE)
    few = replace(room, cells=max(1, min(room.cells, most)))

    def chosen(within: Room) -> tuple[NextCell, ...]:
        return next_batch(analysis, reference=reference, other=other, size=size, room=within, factor=goal)

    if math.isinf(now.low) and analysis.curve(other).size[-1] >= room.most(other):
        return Step(now, (), f"answered, up to {room.most(other):,} {analysis.unit.many}: {said}")
    if cells := chosen(few):
        return Step(now, cells, said)
    late = math.isfinite(few.left) and chosen(replace(few, left=math.inf))
    reason = "the time is up" if late else "nothing that may be trained would narrow it"
    return Step(now, (), f"{_short_of(goal, now)}: {reason}; {said}")


def interval_in_words(question: RateQuestion, interval: Interval) -> str:
    """Return the interval as a line says it."""
    reference, other = quality_in_words(question.reference), quality_in_words(question.other)
    many = question.unit.many
    if math.isinf(interval.low):
        return f"no amount of {other} {many} tried is enough for {question.size:,} {reference} ones"
    if math.isinf(interval.middle):
        least = f"; if any is, at least {interval.low:.2g} times as many" if interval.low > 0 else ""
        return (
            f"whether any amount of {other} {many} is enough for {question.size:,} {reference} ones "
            f"can't be told yet{least}"
        )
    if interval.middle <= 0:
        known = 0 < interval.high < math.inf
        most = f"; if more are needed, at most {interval.high:.2g} times as many" if known else ""
        sure = "are" if interval.high <= 0 else "may be"
        return (
            f"the fewest {other} {many} tried {sure} enough for {question.size:,} {reference} ones{most}; "
            "smaller sizes would tell"
        )
    low = "no lower end" if interval.low <= 0 else f"{interval.low:.2g}"
    high = "not reached" if math.isinf(interval.high) else f"{interval.high:.2g}"
    finite = math.isfinite(interval.factor)
    spans = f"a factor of {interval.factor:.3g} to each side" if finite else "one end is open"
    return (
        f"matching {question.size:,} {reference} {many} takes {interval.middle:.2g} times as many {other} "
        f"ones ({low} to {high}, {spans})"
    )


def _short_of(goal: float | None, now: Interval) -> str:
    """Return how an end without the width that was asked for is told."""
    if goal is None:
        return "ended"
    if math.isinf(now.factor):
        return f"not reached, for an interval within a factor of {goal:g} needs two ends"
    return (
        f"not reached: the factor is {now.factor:.3g}, {now.factor / goal:.2g} times the {goal:g} asked for"
    )


def _stalled(looks: Sequence[Look]) -> bool:
    """Say whether many more cells have left the interval as it was: what is left isn't the seeds' noise."""
    early = [look.factor for look in looks if look.cells * MORE_CELLS <= looks[-1].cells]
    late = [look.factor for look in looks if look.cells * MORE_CELLS > looks[-1].cells]
    before = min(early, default=math.inf)
    return math.isfinite(before) and math.log(min(late)) > SHORTER * math.log(before)
