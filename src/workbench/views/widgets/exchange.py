"""The exchange rate under a slider: equal scores of two qualities, the rate and its band."""

from collections.abc import Iterable
from typing import Any

import traitlets
from matplotlib.figure import Figure

from workbench.errors import InputError
from workbench.laws.analysis import Analysis, bands
from workbench.laws.claims import RateCurve
from workbench.laws.exchange import ExchangeRate, rate_of
from workbench.views.explore import MOST_REFERENCE_SIZES, exchange_pair, places
from workbench.views.law_figures import exchange_rate_curve
from workbench.views.widgets.view import View, module


class Exchange(View):
    """Every quality of a study against one reference; computed once, moved in the page.

    It opens with the pair whose rate is told from 1 at the most sizes: where no amount is enough, or all
    might be worth the same, there is nothing to slide along.

    Args:
        studies: What :func:`analyse` returned, one a metric; one that gives no rate is left out, see
            ``left_out``.
        reference: The quality whose examples are replaced; by default the first.

    Raises:
        InputError: If no study gives a rate: with a single quality, with one seed and so no interval, or with
            a metric that is the same everywhere.
    """

    _esm = module("exchange")
    pairs: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    pair = traitlets.Int(0).tag(sync=True)
    place = traitlets.Int(MOST_REFERENCE_SIZES // 2).tag(sync=True)

    def __init__(self, studies: Iterable[Analysis], reference: str | None = None) -> None:
        self.rates: list[ExchangeRate] = []
        self.left_out: dict[str, str] = {}
        """Why a metric is not shown."""
        pairs = []
        for study in studies:
            if study.silent:
                self.left_out[study.metric] = study.silent
                continue
            first = reference or next(iter(study.curves))
            drawn = bands(study)
            for other in reversed([quality for quality in study.curves if quality != first]):
                rate = rate_of(study, reference=first, other=other, sizes=places(study, first))
                if rate.rates is None:
                    self.left_out[f"{study.metric}, {other}"] = rate.sentence()
                    continue
                self.rates.append(rate)
                pairs.append(exchange_pair(study, rate, drawn[first], drawn[other]))
        if not pairs and self.left_out:
            raise InputError(f"no rate can be given: {' '.join(self.left_out.values())}")
        if not pairs:
            raise InputError("there is one quality, so nothing to exchange: add a second to the study")
        told = [_told(rate.rates) for rate in self.rates if rate.rates is not None]
        super().__init__(pairs=pairs, pair=told.index(max(told)))

    def picture(self) -> Figure:
        """Draw the rate of the pair that is shown."""
        return exchange_rate_curve(self.rates[self.pair])

    def words(self) -> str:
        """Return the sentence that is shown."""
        return str(self.pairs[self.pair]["sentence"][self.place])


def _told(rates: RateCurve) -> int:
    """Return at how many sizes a rate is more likely reached than not, and its interval is clear of 1."""
    clear = (rates.low > 1) | (rates.high < 1)
    return int((clear & (rates.not_reached < 0.5)).sum())
