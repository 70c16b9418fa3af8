"""A study that trains beside a notebook: start it, watch it. Loads no torch, so a first cell is quick."""

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.studies.background import BackgroundRun
from workbench.studies.grid import Study

if TYPE_CHECKING:
    from workbench.views.widgets import LiveStudy


def start(study: Study, folder: Path | str, say: int = 0) -> BackgroundRun:
    """Train what is missing of a study in a process of its own, and return at once.

    A notebook may be reloaded, its kernel restarted: the same call attaches to the process that runs, or goes
    on where one was stopped. Its ``wait()`` blocks, its ``stop()`` ends it in order; :func:`watch` shows it,
    and :func:`open_study` reads what it has measured so far.

    Args:
        study: What :func:`workbench.study` described.
        folder: Where the study lives; made when it doesn't exist, continued when it does.
        say: On how many held-out prompts the largest model of each quality is asked while it trains, for
            :func:`watch` to show. It changes no result and takes less than 5% of the training time.

    Raises:
        InputError: If the folder trains another study at this moment, or can't be written, or ``say`` is
            below 0 or above 40.
    """
    return BackgroundRun.start(study, folder, say)


def watch(run: BackgroundRun | Path | str) -> "LiveStudy":
    """Return a widget that shows a background run: loss curves, how far it is, a button that stops it.

    Args:
        run: What :func:`start` returned, or the study's folder.

    Raises:
        InputError: If the notebook's packages aren't installed.
    """
    from workbench.views.widgets import LiveStudy

    return LiveStudy(run)
