"""Laws with error bars: from a table of measurements to curves, an exchange rate and the next purchase."""

from workbench.laws.exchange import ExchangeRate, RateCurve, exchange_rate, rate_of
from workbench.laws.study import Band, Study, analyse, bands, fit_curves
from workbench.laws.table import Table, read_table

__all__ = [
    "Band",
    "ExchangeRate",
    "RateCurve",
    "Study",
    "Table",
    "analyse",
    "bands",
    "exchange_rate",
    "fit_curves",
    "rate_of",
    "read_table",
]
