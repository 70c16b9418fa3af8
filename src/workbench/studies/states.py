"""The words for how far something is, each list once. They lie on disk as they are written here.

A run's manifest and its sessions say an outcome, ``job/events.jsonl`` a phase, ``job/state.json`` the name
of a job's state, a cell's row a status, a failed attempt what became of it, a worker's frame an event's kind.
"""

from collections.abc import Mapping
from typing import Literal

Ending = Literal["finished", "stopped", "incomplete"]
"""How a run ends in order: nothing is missing; it was asked to stop; cells failed for a reason outside of
themselves, and another run tries them again."""

Outcome = Literal[Ending, "running", "interrupted", "refused"]
"""What a manifest and each session say: "running" until the end, also of a run that was killed; "interrupted"
by an error or Ctrl-C; "refused" for input that can't be used, with the sentence behind a colon."""

Phase = Literal["loading", "predicting", "training", "done", "stopped", "incomplete"]
"""Where a run is, as its progress tells; the last three are its end."""

LAST_PHASE: Mapping[Ending, Phase] = {"finished": "done", "stopped": "stopped", "incomplete": "incomplete"}
"""The phase that tells each end."""

JobName = Literal[Ending, "new", "starting", "running", "failed", "lost"]
"""How far a job in the background is: "new" before its first start, "failed" with an error, "lost" when its
process ended without a word; its run's end otherwise."""

ACTIVE: tuple[JobName, ...] = ("starting", "running")
"""The states in which a job's process is at work."""

CellStatus = Literal["done", "failed", "censored"]
"""What became of a cell in a table. Training gives the first two alone (``training.results.Status``); a
censored run, of which only a bound is known, comes from tables of others, and the format has room for it."""

EventKind = Literal["started", "step", "note", "result", "error", "full", "lost", "refused"]
"""What an executor tells of a task: the first three while it goes on, one of the others last."""

GOING_ON: tuple[EventKind, ...] = ("started", "step", "note")
"""The kinds that aren't a task's last."""

AttemptOutcome = Literal["note", "error", "lost", "damaged"]
"""What is written down of an attempt that gave no result: the kind of its event, or "damaged" for a stored
cell that didn't match its hash."""
