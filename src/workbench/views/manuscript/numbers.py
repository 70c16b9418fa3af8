"""Every number that a paper may quote, as a LaTeX macro of its own, so that no result is typed by hand."""

import math
from collections.abc import Iterator

from workbench.errors import InputError
from workbench.laws import ExchangeRate
from workbench.laws.claims import quality_in_words
from workbench.laws.forecast import ForecastScore
from workbench.laws.in_words import number_in_words, percent_in_words, readable
from workbench.laws.problems import misfit
from workbench.laws.thresholds import LEVEL, TWICE
from workbench.views.manuscript.latex import count, escaped, macro_name, spelled
from workbench.views.manuscript.source import MetricSource, PaperSource
from workbench.views.points import axis_words, digits, points

Macro = tuple[str, str]
"""A name, without the study's before it, and what it stands for, as LaTeX."""
HEAD = f"""\
% Written by `workbench paper`: \\input this in the preamble; a space after a macro is written as {{}}.
% Of what was measured, Lowest and Highest are the range over the seeds; of rates and errors, Low and High
% are the ends of the {100 * LEVEL:.0f}\\% interval.
"""


def numbers_tex(record: PaperSource) -> bytes:
    """Return ``numbers.tex``.

    Raises:
        InputError: If two numbers come to one name.
    """
    sections = {"the study": list(_facts(record))}
    notes = {axis_words(metric): [why] for metric, why in record.left_out.items()}
    for metric, part in record.parts.items():
        sections[axis_words(metric)] = [*_measured(part), *_rates(part), *_laws(part)]
        notes[axis_words(metric)] = [*filter(None, [part.analysis.silent]), *part.notes]
    lines, seen = [HEAD], set[str]()
    for title in {**sections, **notes}:
        lines.append(f"\n% {title}\n")
        lines += [f"% {' '.join(note.split())}\n" for note in notes.get(title, ())]
        macros = sections.get(title, [])
        for name, value in macros:
            if name in seen:
                raise InputError(
                    f"two numbers of the study come to the macro \\{record.name}{name}: the names of two "
                    "qualities have the same letters and digits. Compare them in two studies."
                )
            seen.add(name)
            lines.append(f"\\newcommand{{\\{record.name}{name}}}{{{value}}}\n")
    return "".join(lines).encode()


def _facts(record: PaperSource) -> Iterator[Macro]:
    cells = [row for row in record.rows if row["size"] > 0]
    for name, column in (("Qualities", "quality"), ("Sizes", "size"), ("Seeds", "seed")):
        yield name, count(len({row[column] for row in cells}))
    yield "SmallestSize", count(min(row["size"] for row in cells))
    yield "LargestSize", count(max(row["size"] for row in cells))
    yield "CellsPlanned", count(record.manifest.study.cells or len(cells))
    yield "CellsDone", count(sum(row["status"] == "done" for row in cells))
    for name, column in (("Rank", "rank"), ("Steps", "steps")):
        values = {row[column] for row in cells}
        if len(values) == 1:
            yield name, count(values.pop())
    data, base = record.manifest.data, record.manifest.base
    for name, number in (("TrainRecords", data.train_records), ("HeldoutRecords", data.heldout_records)):
        if number is not None:
            yield name, count(number)
    for name, words in (("DataName", data.name), ("BaseName", base.name)):
        yield name, escaped(words or "not recorded")


def _measured(part: MetricSource) -> Iterator[Macro]:
    metric = macro_name(part.metric)
    zero_shot = part.analysis.zero_shot
    if zero_shot is not None:
        yield f"{metric}ZeroShot", digits(zero_shot)
    for quality, line in points(part.rows, part.metric).items():
        for point in line:
            name = f"{metric}{macro_name(quality)}At{spelled(point.size)}"
            yield name, digits(point.mean)
            yield f"{name}Lowest", digits(point.low)
            yield f"{name}Highest", digits(point.high)


def _rates(part: MetricSource) -> Iterator[Macro]:
    metric = macro_name(part.metric)
    for rate in part.rates:
        yield f"Answer{metric}{macro_name(rate.other)}", escaped(_quoted_sentence(rate))
        assert rate.rates is not None, "a part holds rates with an interval"
        curve = rate.rates
        for at, size in enumerate(curve.size):
            if math.isnan(curve.median[at]):
                continue
            name = f"Rate{metric}{macro_name(rate.other)}At{spelled(int(size))}"
            tried = bool(rate.tried >= TWICE * size)
            yield name, number_in_words(curve.median[at], tried=tried)
            yield f"{name}Low", number_in_words(curve.low[at], tried=tried)
            yield f"{name}High", number_in_words(curve.high[at], tried=tried)
            yield f"{name}NotReached", escaped(percent_in_words(curve.not_reached[at]))


def _quoted_sentence(rate: ExchangeRate) -> str:
    """Return the answer, character for character, with LaTeX's own mark where a name's quotes open."""
    words = rate.sentence()
    for quality in (rate.reference, rate.other):
        name = quality_in_words(quality)
        if name.startswith("'"):
            words = words.replace(name, f"`{name[1:]}")
    return words


def _laws(part: MetricSource) -> Iterator[Macro]:
    metric = macro_name(part.metric)
    if part.analysis.misfit is not None:
        yield f"CurveMisfit{metric}", _probability(part.analysis.misfit)
    if part.joint_fit is not None:
        yield f"JointLaw{metric}", escaped(readable(part.joint_fit.law.name))
        doubt = misfit(part.joint_fit)
        if doubt is not None:
            yield f"JointLawMisfit{metric}", _probability(doubt)
    if part.forecast is not None:
        yield f"Forecast{metric}HeldOut", escaped(part.forecast.held_out)
        yield f"Forecast{metric}Verdict", escaped(part.forecast.verdict())
        baseline = next(score for score in part.forecast.scores if score.is_baseline)
        yield from _score(f"Forecast{metric}Baseline", baseline)
        if part.forecast.chosen_law is not None:
            yield from _score(f"Forecast{metric}Law", part.forecast.chosen_law)


def _score(name: str, score: ForecastScore) -> Iterator[Macro]:
    yield name, escaped(readable(score.name))
    yield f"{name}Error", escaped(f"{score.error:.1%}")
    if score.low is not None and score.high is not None:
        yield f"{name}ErrorLow", escaped(f"{score.low:.1%}")
        yield f"{name}ErrorHigh", escaped(f"{score.high:.1%}")


def _probability(value: float) -> str:
    """Return a probability of two digits, a small one as a power of ten."""
    if value >= 0.001:
        return f"{value:.2g}"
    digits, _, power = f"{value:.0e}".partition("e")
    return rf"\ensuremath{{{digits}\times10^{{{int(power)}}}}}"
