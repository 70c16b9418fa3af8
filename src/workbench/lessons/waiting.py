"""Progress in a notebook's cell whose work takes seconds: a bar with the time left, then a sentence."""

import html
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.training.loop import Frozen, train
from workbench.views.widgets.view import in_kernel

BETWEEN = 0.2
"""Least seconds between two pictures of the bar."""


@contextmanager
def working(words: str) -> Iterator[Callable[[float], None]]:
    """Show a bar under a notebook's cell; outside a notebook, show nothing.

    Args:
        words: What is done, such as "training two adapters".

    Yields:
        A function that is told which share of the work is done, from 0 to 1.
    """
    if not in_kernel():
        yield lambda share: None
        return
    from IPython.display import display

    begun = shown = time.monotonic()
    place = display(bar(words, 0.0, None), raw=True, display_id=True)

    def tell(share: float) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown > BETWEEN and share > 0:
            shown = now
            place.update(bar(words, share, (now - begun) * (1 - share) / share), raw=True)

    try:
        yield tell
    except BaseException:
        place.update(_line(words + ": stopped"), raw=True)
        raise
    place.update(_line(f"{words}: done"), raw=True)


def bar(words: str, share: float, left: float | None) -> dict[str, str]:
    """Return what a notebook shows of work that goes on.

    Args:
        words: What is done.
        share: How much of it, from 0 to 1.
        left: Seconds that the rest takes; None where that isn't known yet.
    """
    said = f"{words}: {share:.0%}" + ("" if left is None else f", about {max(1, round(left))} s left")
    label = html.escape(words, quote=True)
    shown = f'<progress max="1" value="{share:.3f}" aria-label="{label}"></progress> {html.escape(said)}'
    return {"text/html": f"<div>{shown}</div>", "text/plain": said}


def _line(words: str) -> dict[str, str]:
    return {"text/html": f'<div role="status">{html.escape(words)}</div>', "text/plain": words}


def train_shown(
    words: str, frozen: Frozen, cells: Sequence[CellConfig], draws: Sequence[Sequence[int]]
) -> LoraStack:
    """Train the cells of one stack under a bar, and return their adapters.

    Args:
        words: What is trained, for the bar.
        frozen: The shared base and examples.
        cells: Cells that adapt the same layers.
        draws: For each cell, its training examples as places in the pool.
    """
    steps = max(cell.total_steps for cell in cells)
    with working(words) as tell:
        stack, _ = train(frozen, cells, draws, on_step=lambda state: tell(state.step / steps))
    return stack
