"""What a page needs to let people explore a study: numbers once, as JSON; scripts that need no network."""

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import InputError
from workbench.laws import Analysis, Band, ExchangeRate, rate_of
from workbench.laws.claims import never_enough
from workbench.laws.in_words import readable
from workbench.laws.thresholds import TAILS
from workbench.studies.examples import cut_text
from workbench.views.inline import FIGURE_STYLE
from workbench.views.palette import palette_css
from workbench.views.points import TableRow, axis_words, points

MOST_REFERENCE_SIZES = 41
"""Reference sizes at which an exchange rate can be read."""
PAGE_FOLDER = Path(__file__).parent / "widgets"
SCRIPTS = ("common", "exchange", "quality", "page", "report")
"""The page's script is these modules of the widgets' folder, one after the other."""


def page_data(
    rows: Sequence[TableRow], studies: Mapping[str, Analysis], fits: Mapping[str, Mapping[str, Band]]
) -> dict[str, Any]:
    """Return what the report's page shows when it is explored.

    Args:
        rows: The study's table.
        studies: Each metric's analysis.
        fits: Each metric's curves by quality.
    """
    return {
        "metrics": [_metric(rows, study, fits[metric]) for metric, study in studies.items()],
        "pairs": [pair for metric, study in studies.items() for pair in _pairs(study, fits[metric])],
    }


def guess_question(rows: Iterable[TableRow], analysis: Analysis, other: str | None = None) -> dict[str, Any]:
    """Return what ``guess.js`` asks: one quality's measurements beside another's, which people guess first.

    Args:
        rows: The study's table.
        analysis: The analysis of the metric; its first quality is the one that is shown.
        other: The quality to guess; by default the last.

    Raises:
        InputError: If the study has no such quality, or the two have fewer than two sizes in common.
    """
    reference, *others = analysis.curves
    if not others:
        raise InputError("there is one quality, so nothing to guess: add a second to the study")
    other = others[-1] if other is None else other
    analysis.curve(other)
    lines = points(rows, analysis.metric)
    means = [{point.size: point.mean for point in lines[quality]} for quality in (reference, other)]
    sizes = sorted(set(means[0]) & set(means[1]))
    if other == reference or len(sizes) < 2:
        raise InputError(
            f"a line to guess needs another quality than {reference!r} with at least 2 of its sizes; "
            f"{other!r} has {0 if other == reference else len(sizes)}"
        )
    shown, truth = ([own[size] for size in sizes] for own in means)
    low, high = min(shown + truth), max(shown + truth)
    log = analysis.falling and low > 0
    # room on both sides, so that the ends of the axis give nothing away
    room = (high / low) ** 0.4 if log else 0.4 * (high - low)
    ends = (low / room, high * room) if log else (low - room, high + room)
    if not analysis.falling:
        ends = (max(ends[0], 0.0), min(ends[1], max(1.0, high)))
    return {
        "names": [readable(reference), readable(other)],
        "metric": axis_words(analysis.metric),
        "unit": asdict(analysis.unit),
        "sizes": sizes,
        "reference": _plain(shown),
        "truth": _plain(truth),
        "range": _plain(ends),
        "log": log,
    }


def example_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``examples.js`` shows of an example: all its fields, long texts cut."""
    texts = {name: row.get(name) for name in ("before", "other", "reason")}
    score = row.get("score")
    return {
        "prompt": cut_text(row["prompt"]),
        "response": cut_text(row["response"]),
        **{name: None if text is None else cut_text(text) for name, text in texts.items()},
        **({"answer": cut_text(row["answer"])} if "answer" in row else {}),
        "quality": row.get("quality") or "",
        "kind": row.get("kind") or "",
        "score": None if score is None else float(f"{score:.4g}"),
    }


def places(analysis: Analysis, reference: str) -> list[float]:
    """Return the reference sizes at which a rate can be read, equally spaced in the logarithm."""
    size = analysis.curve(reference).size
    return np.geomspace(size[0], size[-1], MOST_REFERENCE_SIZES).tolist()


def exchange_pair(analysis: Analysis, rate: ExchangeRate, reference: Band, other: Band) -> dict[str, Any]:
    """Return what ``exchange.js`` shows of two qualities.

    Raises:
        InputError: If there is no rate, as with one seed.
    """
    best = rate.rates
    if best is None:
        raise InputError(f"no rate can be given: {rate.sentence()}")
    drawn = analysis.curve(rate.reference).predict(best.size)
    low, high = np.quantile(drawn[1:], TAILS, axis=0)
    return {
        "names": [readable(rate.reference), readable(rate.other)],
        "metric": axis_words(rate.metric),
        "falling": analysis.falling,
        "unit": asdict(analysis.unit),
        "reference": _line(reference),
        "other": _line(other),
        "size": _plain(best.size),
        "target": _plain(drawn[0]),
        "targetLow": _plain(low),
        "targetHigh": _plain(high),
        "median": _plain(np.maximum(best.median, rate.smallest / best.size)),
        "low": _plain(np.maximum(best.low, rate.smallest / best.size)),
        "high": _plain(best.high),
        "never": never_enough(rate).tolist(),
        "sentence": [rate.sentence(float(size)) for size in best.size],
    }


def page_style() -> str:
    """Return the style of a page with widgets: the colours, the widgets', then the page's own."""
    texts = [(PAGE_FOLDER / f"{name}.css").read_text(encoding="utf-8") for name in ("style", "page")]
    return "".join((palette_css(system=True), FIGURE_STYLE, *texts))


def script() -> str:
    """Return the page's script, one module that imports nothing."""
    texts = [(PAGE_FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    return "\n".join(texts)


def sha256_source(text: str) -> str:
    """Return how a content security policy names an inline script: nothing else may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def inline_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return JSON that can stand inside a page: no text in it can end the element that holds it."""
    text = json.dumps(value, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _metric(rows: Sequence[TableRow], analysis: Analysis, fits: Mapping[str, Band]) -> dict[str, Any]:
    lines = points(rows, analysis.metric)
    return {
        "name": analysis.metric,
        "title": axis_words(analysis.metric),
        "falling": analysis.falling,
        "unit": asdict(analysis.unit),
        "zeroShot": None if analysis.zero_shot is None else float(analysis.zero_shot),
        "qualities": [
            {
                "name": readable(quality),
                "points": [
                    {"size": p.size, "mean": p.mean, "low": p.low, "high": p.high, "seeds": p.seeds}
                    for p in line
                ],
                "kind": fits[quality].kind,
                "curve": _line(fits[quality]),
            }
            for quality, line in lines.items()
        ],
    }


def _pairs(analysis: Analysis, fits: Mapping[str, Band]) -> list[dict[str, Any]]:
    """Return the pairs of a metric, the most damaged quality first; none without an interval."""
    reference, *others = analysis.curves
    if analysis.noise is None or len(analysis.curve(reference).size) < 2:
        return []
    at = places(analysis, reference)
    rates = [rate_of(analysis, reference=reference, other=other, sizes=at) for other in reversed(others)]
    return [
        exchange_pair(analysis, rate, fits[reference], fits[rate.other])
        for rate in rates
        if rate.rates is not None
    ]


def _line(band: Band) -> dict[str, list[float | None]]:
    low, high = (band.middle if end is None else end for end in (band.low, band.high))
    return {
        "size": _plain(band.size),
        "middle": _plain(band.middle),
        "low": _plain(low),
        "high": _plain(high),
    }


def _plain(values: Sequence[float] | np.ndarray) -> list[float | None]:
    """Return JSON numbers of five digits; None for infinity, 'not reached', and for what isn't known."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]
