"""Ctrl-C and SIGTERM during a run: the first asks it to end in order, the second ends it at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The keyboard, a scheduler or a shutdown, and a terminal that was closed."""


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Yield the function that says whether the run was asked to stop.

    Raises:
        KeyboardInterrupt: At the second signal.
    """
    asked: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
