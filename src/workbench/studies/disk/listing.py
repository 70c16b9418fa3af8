"""Which studies a folder holds and how far each one is."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import InputError
from workbench.studies.disk.lock import is_locked
from workbench.studies.disk.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """One study at a glance."""

    folder: Path
    state: str = ""
    """How its latest run ended, or "running"; "interrupted" too where its process is gone without a word."""
    started: str = ""
    """When it was started, ISO 8601."""
    done: int = 0
    failed: int = 0
    """Cells with a result that is no measurement: failed or censored."""
    planned: int = 0
    seconds: float = 0.0
    """Training and evaluation of its cells so far."""
    rule: str = ""
    """By which it grew, as the command line says it, the latest; empty where every cell was asked for."""
    problem: str | None = None
    """Why it can't be read; None when it can."""


def find_studies(folder: Path) -> list[Summary]:
    """Return the studies in ``folder`` and in the folders directly below it, the newest first.

    A study that can't be read is listed with its problem.

    Raises:
        InputError: If there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {folder}; name the one that has studies, or make a study there: "
            f"workbench run verbs --out {shlex.quote(str(folder / 'verbs'))}"
        )
    found = [path for path in (folder, *sorted(folder.iterdir())) if Store.exists(path)]
    return sorted((_summary(path) for path in found), key=lambda summary: summary.started, reverse=True)


def _summary(folder: Path) -> Summary:
    try:
        with Store.open(folder, read_only=True) as store:
            counts, rows = store.counts(), store.rows()
    except InputError as error:
        return Summary(folder=folder, problem=str(error))
    done = counts.get("done", 0)
    return Summary(
        folder=folder,
        state=_state(folder, store.manifest.outcome),
        started=store.manifest.started or "",
        done=done,
        failed=sum(counts.values()) - done,
        planned=store.manifest.study.cells,
        seconds=sum(row["seconds"] or 0.0 for row in rows),
        rule=next((one.rule for one in store.manifest.growth.decisions[::-1] if one.rule), ""),
    )


def _state(folder: Path, outcome: str | None) -> str:
    said = (outcome or "unknown").partition(":")[0]
    return "interrupted" if said == "running" and not is_locked(folder) else said
