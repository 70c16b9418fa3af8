"""Ctrl-C and SIGTERM during a run: the first asks it to end in order, the second ends it at once.

In order means: at the next step. Before the first one, while data and base are read and prepared, nobody asks
and nothing can be lost, so there the first signal already ends the run at once.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The keyboard, a scheduler or a shutdown, and a terminal that was closed."""


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Yield the function that says whether the run was asked to stop; a run that trains asks it every step.

    Raises:
        KeyboardInterrupt: At the first signal as long as the function wasn't called, else at the second.
    """
    asked: list[int] = []
    training = ended = False

    def should_stop() -> bool:
        nonlocal training
        training = True
        return bool(asked)

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal ended
        ended = bool(asked) or not training
        asked.append(
            number
        )  # also where the interrupt is lost, as in a destructor: then the first step ends it
        if ended:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield should_stop
    except Exception as error:
        # a library that is interrupted while it loads may raise an error of its own instead
        if ended:
            raise KeyboardInterrupt from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
