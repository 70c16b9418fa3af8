"""One line that tells how far a long command is; where the output is a file, plain lines now and then."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

LINE_SECONDS = 15.0
"""Where the output is a file, a line that would change all the time is written this often."""


class LiveLine:
    """One line that says what is at work; where the output is a file, a plain line now and then."""

    def __init__(self, console: Console, bars: Progress) -> None:
        self._console, self._bars = console, bars
        self._task: TaskID = bars.add_task("", total=None)
        self._written = -math.inf

    def update(self, text: str, share: float | None = None, *, at_once: bool = False) -> None:
        """Show what is at work and, where known, which share of all is done.

        Args:
            text: What is at work.
            share: From 0 to 1.
            at_once: Whether a file gets it too, however short ago the last line was.
        """
        self._bars.update(self._task, description=text, total=None if share is None else 1.0)
        if share is not None:
            self._bars.update(self._task, completed=share)
        due = at_once or time.monotonic() >= self._written + LINE_SECONDS
        if due and not self._console.is_terminal:
            self.say(text)
            self._written = time.monotonic()

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def live_line() -> Iterator[LiveLine]:
    """Yield a line on the error output that tells how far something is."""
    console = Console(stderr=True)
    columns = (
        BarColumn(20),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, refresh_per_second=4) as bars:
        yield LiveLine(console, bars)
