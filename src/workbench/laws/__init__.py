"""Laws with error bars: from a table of measurements to curves, an exchange rate and the next purchase."""

from workbench.laws.analysis import Analysis, Band, analyse, bands, fit_curves
from workbench.laws.answer import ExchangeRate
from workbench.laws.claims import RateCurve
from workbench.laws.exchange import exchange_rate, rate_of
from workbench.laws.table import Table, read_table

__all__ = [
    "Analysis",
    "Band",
    "ExchangeRate",
    "RateCurve",
    "Table",
    "analyse",
    "bands",
    "exchange_rate",
    "fit_curves",
    "rate_of",
    "read_table",
]
