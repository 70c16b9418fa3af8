"""One thread a kernel that lets every live widget look at its files four times a second."""

import sys
import threading
import time
import traceback
import weakref
from typing import Protocol, runtime_checkable

PERIOD = 0.25


@runtime_checkable
class Ticking(Protocol):
    """What has something to look at."""

    def tick(self) -> bool:
        """Look, show what is new, and say whether there may be more to come; called from any thread."""


class Ticker(threading.Thread):
    """Calls the widgets; holds them weakly, so that a cell run again leaves none behind."""

    _only: "Ticker | None" = None
    _guard = threading.Lock()

    def __init__(self) -> None:
        super().__init__(daemon=True, name="workbench-ticker")
        self.watched: weakref.WeakSet[Ticking] = weakref.WeakSet()

    @classmethod
    def watch(cls, view: Ticking) -> None:
        """Call ``view.tick`` from now on, until it says that nothing more will come."""
        with cls._guard:
            if cls._only is None or not cls._only.is_alive():
                cls._only = cls()
                cls._only.start()
            cls._only.watched.add(view)

    def run(self) -> None:
        """Look in turn, for as long as the kernel lives."""
        while True:
            with self._guard:
                views = list(self.watched)
            for view in views:
                if not _more(view):
                    with self._guard:
                        self.watched.discard(view)
            del views
            time.sleep(PERIOD)


def _more(view: Ticking) -> bool:
    try:
        return view.tick()
    except Exception:
        # a widget that fails must not take the others with it
        traceback.print_exc(file=sys.__stderr__)
        return False
