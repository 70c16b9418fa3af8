"""The tables of a paper, each as CSV for a program and as LaTeX for a page."""

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.laws.claims import rate_in_words
from workbench.laws.in_words import readable
from workbench.views.manuscript.figures import slug
from workbench.views.manuscript.latex import count, escaped, over, tabular
from workbench.views.manuscript.source import COORDINATES, MetricSource, PaperSource
from workbench.views.points import Point, axis_words, digits, points, unit_in
from workbench.views.words import flat


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperTable:
    """A table in both forms, its name and the parts of the record that it was made from."""

    name: str
    reads: tuple[str, ...]
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    """For the CSV: None is an empty field, an infinite rate is "inf": not reached."""
    latex: str

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield both files with their paths in the paper's folder."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerows([self.head, *self.rows])
        yield f"tables/{self.name}.csv", buffer.getvalue().encode()
        yield f"tables/{self.name}.tex", self.latex.encode()


def _measured(part: MetricSource) -> PaperTable:
    lines = points(part.rows, part.metric)
    sizes = sorted({point.size for line in lines.values() for point in line})
    found = {(quality, point.size): point for quality, line in lines.items() for point in line}
    return PaperTable(
        name=f"measured-{slug(part.metric)}",
        reads=(part.metric,),
        head=("quality", "size", "seeds", "mean", "lowest", "highest"),
        rows=[(quality, p.size, p.seeds, p.mean, p.low, p.high) for (quality, _), p in found.items()],
        latex=tabular(
            "r" * (1 + len(lines)),
            [unit_in(part.rows).many, *(escaped(readable(quality)) for quality in lines)],
            [[count(size), *(_point(found.get((quality, size))) for quality in lines)] for size in sizes],
        ),
    )


def _exchange_rates(part: MetricSource) -> PaperTable | None:
    known = [rate for rate in part.rates if rate.rates is not None]
    best = {rate.other: rate.rates for rate in known if rate.rates is not None}
    if not best:
        return None
    sizes = next(iter(best.values())).size
    reference = escaped(readable(part.rates[0].reference))
    return PaperTable(
        name=f"exchange-rates-{slug(part.metric)}",
        reads=(part.metric,),
        head=("reference", "other", "size", "rate", "low", "high", "probability_not_reached"),
        rows=[
            (part.rates[0].reference, other, int(size), *(_known(value) for value in values))
            for other, curve in best.items()
            for size, *values in zip(
                curve.size, curve.median, curve.low, curve.high, curve.not_reached, strict=True
            )
        ],
        latex=tabular(
            "r" * (1 + len(best)),
            [f"{reference} {unit_in(part.rows).many}", *(escaped(readable(other)) for other in best)],
            [
                [count(int(size)), *(_two_lines(rate_in_words(rate, at)) for rate in known)]
                for at, size in enumerate(sizes)
            ],
        ),
    )


def _forecast(part: MetricSource) -> PaperTable | None:
    if part.forecast is None:
        return None
    scores = part.forecast.scores
    return PaperTable(
        name=f"forecast-{slug(part.metric)}",
        reads=(part.metric,),
        head=("form", "baseline", "error", "low", "high", "worst"),
        rows=[(s.name, s.is_baseline, s.error, s.low, s.high, s.worst) for s in scores],
        latex=tabular(
            "lrr",
            ["form", "mean error", r"95\% interval"],
            [
                [escaped(readable(f"({s.name})" if s.is_baseline else s.name))]
                + [escaped(words) for words in (f"{s.error:.1%}", s.interval)]
                for s in scores
            ],
        ),
    )


TABLES: dict[str, Callable[[MetricSource], PaperTable | None]] = {
    "measured": _measured,
    "exchange-rates": _exchange_rates,
    "forecast": _forecast,
}
"""What is tabled of each metric; add one: a function here and a line."""


def tables(record: PaperSource) -> Iterator[PaperTable]:
    """Yield every table of a study."""
    for part in record.parts.values():
        yield from filter(None, (make(part) for make in TABLES.values()))
    yield _cells(record)
    yield _settings(record)


def _cells(record: PaperSource) -> PaperTable:
    metrics = list(record.parts)
    names = [*COORDINATES, *metrics]
    cells = [row for row in record.rows if row["size"] > 0]
    return PaperTable(
        name="cells",
        reads=tuple(metrics),
        head=names,
        rows=[[row.get(name) for name in names] for row in record.rows],
        latex=tabular(
            "lrr" + "r" * len(metrics),
            ["quality", unit_in(cells).many, "seed", *(escaped(axis_words(metric)) for metric in metrics)],
            [
                [escaped(readable(row["quality"])), count(row["size"]), str(row["seed"])]
                + [_metric(row.get(metric)) for metric in metrics]
                for row in cells
            ],
            long=True,
        ),
    )


def _settings(record: PaperSource) -> PaperTable:
    rows = list(flat(record.settings))
    return PaperTable(
        name="settings",
        reads=("settings",),
        head=("setting", "value"),
        rows=rows,
        latex=tabular(
            "lp{0.6\\linewidth}",
            ["setting", "value"],
            [[escaped(one) for one in row] for row in rows],
            long=True,
        ),
    )


def _point(point: Point | None) -> str:
    if point is None:
        return "missing"
    return over(_metric(point.mean), f"{digits(point.low)} to {digits(point.high)}")


def _two_lines(words: str) -> str:
    """Set a rate above its interval: "3.1 (2.4 to 4.0)" in two lines."""
    rate, bracket, interval = words.partition(" (")
    return over(escaped(rate), escaped(interval.rstrip(")"))) if bracket else escaped(words)


def _metric(value: float | None) -> str:
    return "missing" if value is None else digits(value)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
