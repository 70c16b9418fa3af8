"""One thread a kernel that lets every live widget look at its files four times a second, and sends its beat.

A page doesn't learn that a kernel was started anew: what the old one drew looks alive. So each widget that
needs its kernel hears from it every second, from this thread, which a cell at work doesn't hold up.
"""

import sys
import threading
import time
import traceback
import weakref
from typing import Protocol, runtime_checkable

PERIOD = 0.25
BEAT = 1.0
"""Seconds between two beats; common.js calls a widget lost after more than two of them."""


@runtime_checkable
class Ticking(Protocol):
    """What has something to look at."""

    def tick(self) -> bool:
        """Look, show what is new, and say whether there may be more to come; called from any thread."""


@runtime_checkable
class Beating(Protocol):
    """What tells its page that the kernel is there."""

    def beat(self) -> None:
        """Send the page a word; called from any thread."""


class Ticker(threading.Thread):
    """Calls the widgets; holds them weakly, so that a cell run again leaves none behind."""

    _only: "Ticker | None" = None
    _guard = threading.Lock()

    def __init__(self) -> None:
        super().__init__(daemon=True, name="workbench-ticker")
        self.watched: weakref.WeakSet[Ticking] = weakref.WeakSet()
        self.beating: weakref.WeakSet[Beating] = weakref.WeakSet()
        self._beaten = 0.0

    @classmethod
    def watch(cls, view: Ticking) -> None:
        """Call ``view.tick`` from now on, until it says that nothing more will come."""
        with cls._guard:
            cls._started().watched.add(view)

    @classmethod
    def keep_beating(cls, view: Beating) -> None:
        """Call ``view.beat`` every second from now on, for as long as there is such a widget."""
        with cls._guard:
            cls._started().beating.add(view)

    @classmethod
    def _started(cls) -> "Ticker":
        if cls._only is None or not cls._only.is_alive():
            cls._only = cls()
            cls._only.start()
        return cls._only

    def run(self) -> None:
        """Look in turn, for as long as the kernel lives."""
        while True:
            with self._guard:
                views, hearts = list(self.watched), []
                if time.monotonic() - self._beaten >= BEAT:
                    hearts, self._beaten = list(self.beating), time.monotonic()
            for heart in hearts:
                if not _beaten(heart):
                    with self._guard:
                        self.beating.discard(heart)
            for view in views:
                if not _more(view):
                    with self._guard:
                        self.watched.discard(view)
            del views, hearts
            time.sleep(PERIOD)


def _more(view: Ticking) -> bool:
    try:
        return view.tick()
    except Exception:
        # a widget that fails must not take the others with it
        traceback.print_exc(file=sys.__stderr__)
        return False


def _beaten(view: Beating) -> bool:
    try:
        view.beat()
    except Exception:
        traceback.print_exc(file=sys.__stderr__)
        return False
    return True
