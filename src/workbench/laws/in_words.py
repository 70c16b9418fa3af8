"""Numbers of an answer as people read them; the same ones in terminal, report, notebook and paper macros."""

import math
from typing import Any

MULTIPLES = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
"""Names of large numbers."""
NAMED_FROM = 1e7
"""Sizes from here on are told in millions and more."""
POWERS_FROM = 1e15
"""Sizes from here on are told in powers of ten."""


def number_in_words(value: Any, *, tried: bool = True) -> str:  # noqa: ANN401 - NumPy's and Python's numbers
    """Return a rate, a price or an end of an interval with two digits; what isn't 1 is never told as 1.

    Args:
        value: The number; infinity where no amount tried is enough.
        tried: Whether enough was tried to say so.
    """
    value = float(value)
    if math.isinf(value):
        return "not reached" if tried else "not tried"
    if value >= 100:
        return f"{float(f'{value:.2g}'):,.0f}"
    text = f"{value:.2g}"
    # beside 1 a digit more decides who is better
    return next((t for t in (text, f"{value:.3g}", f"{value:.4g}") if float(t) != 1 or value == 1), text)


def percent_in_words(probability: Any) -> str:  # noqa: ANN401 - NumPy's and Python's numbers
    """Return a probability that resamples have shown, in percent."""
    # resamples never show that something is certain
    return "over 99%" if probability > 0.99 else f"{float(probability):.0%}"


def size_in_words(size: float | int) -> str:
    """Return a number of examples, in whatever unit a table has them, such as 2,048, 0.5 or 30 billion."""
    if size >= POWERS_FROM:
        return f"{size:.3g}"
    if size >= NAMED_FROM:
        unit, name = next((unit, name) for unit, name in MULTIPLES if size >= unit)
        return f"{size / unit:,.4g} {name}"
    # a whole number that came through a logarithm may be off in its last digits
    return f"{size:,.0f}" if size >= 1000 or math.isclose(size, round(size), rel_tol=1e-9) else f"{size:.3g}"


def readable(label: str) -> str:
    """Return a quality's label, or a law's name, as a person would write it."""
    return label.replace("_", " ")
