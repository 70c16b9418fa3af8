"""The exchange rate under a slider: equal scores of two qualities, the rate and its band."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import traitlets
from matplotlib.figure import Figure

from workbench.errors import InputError
from workbench.laws.exchange import ExchangeRate, rate_of
from workbench.laws.study import Band, Study, bands
from workbench.views.law_figures import exchange_rate_curve
from workbench.views.points import METRICS, readable
from workbench.views.widgets.view import View, module

PLACES = 41
"""Reference sizes on the slider."""


class Exchange(View):
    """Every quality of a study against one reference; computed once, moved in the page.

    Args:
        studies: What :func:`analyse` returned, one a metric.
        reference: The quality whose examples are replaced; by default the first.

    Raises:
        InputError: If a study has a single quality, or one seed and so no interval.
    """

    _esm = module("exchange")
    pairs: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    pair = traitlets.Int(0).tag(sync=True)
    place = traitlets.Int(PLACES // 2).tag(sync=True)

    def __init__(self, studies: Iterable[Study], reference: str | None = None) -> None:
        self.rates: list[ExchangeRate] = []
        pairs = []
        for study in studies:
            first = reference or next(iter(study.curves))
            drawn = bands(study)
            for other in reversed([quality for quality in study.curves if quality != first]):
                size = study.curve(first).size
                places = np.geomspace(size[0], size[-1], PLACES).tolist()
                rate = rate_of(study, reference=first, other=other, sizes=places)
                self.rates.append(rate)
                pairs.append(_pair(study, rate, drawn[first], drawn[other]))
        if not pairs:
            raise InputError("there is one quality, so nothing to exchange: add a second to the study")
        super().__init__(pairs=pairs)

    def picture(self) -> Figure:
        """Draw the rate of the pair that is shown."""
        return exchange_rate_curve(self.rates[self.pair])

    def words(self) -> str:
        """Return the sentence that is shown."""
        return str(self.pairs[self.pair]["sentence"][self.place])


def _pair(study: Study, rate: ExchangeRate, reference: Band, other: Band) -> dict[str, Any]:
    best = rate.best
    if best is None:
        raise InputError(f"no rate can be given: {rate.sentence()}")
    free = best is rate.model_free
    target = study.curve(rate.reference).predict(best.size, model_free=free)[0]
    return {
        "names": [readable(rate.reference), readable(rate.other)],
        "metric": METRICS.get(rate.metric, readable(rate.metric)),
        "falling": study.falling,
        "reference": _line(reference),
        "other": _line(other),
        "size": _plain(best.size),
        "target": _plain(target),
        "median": _plain(best.median),
        "low": _plain(best.low),
        "high": _plain(best.high),
        "never": _plain(best.not_reached),
        "sentence": [rate.sentence(float(size)) for size in best.size],
    }


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
