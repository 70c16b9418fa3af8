"""Quantities as people say them."""


def seconds_in_words(seconds: float | int) -> str:
    """Return a duration such as "42 s", "7.5 min" or "3.2 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def bytes_in_words(count: float | int) -> str:
    """Return an amount of memory such as "350 MiB" or "1.5 GiB"."""
    return f"{count / 2**20:.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"
