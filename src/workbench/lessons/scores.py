"""The scoreboard of the budget game: a file beside the notebook, or a class's folder with one a person."""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from workbench.classmates import Membership, add_line, bad_lines, lines_of
from workbench.errors import InputError
from workbench.files import not_read


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A line of the scoreboard."""

    name: str
    rounds: int
    regret: float
    """Sum over the rounds."""
    game: str = ""
    """Which game it was, see :meth:`~workbench.lessons.budget.Game.key`: others can't be compared."""


HEADING = ",".join(field.name for field in fields(Entry))


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """Who did how well, the least regret first."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    """A sentence for each file that can't be read in whole."""

    def ranked(self) -> list[tuple[int, Entry]]:
        """Return each entry with its rank; equal regrets share one."""
        regrets = [round(entry.regret, 3) for entry in self.entries]
        return [
            (regrets.index(regret) + 1, entry) for regret, entry in zip(regrets, self.entries, strict=True)
        ]


def add_entry(file: Path, entry: Entry) -> None:
    """Add a line to a scoreboard, a CSV file that is made when there is none.

    Raises:
        InputError: If the file can't be written.
    """
    text = io.StringIO()
    row = (entry.name, entry.rounds, f"{entry.regret:.4f}", entry.game)
    csv.writer(text, lineterminator="").writerow(row)
    add_line(file, text.getvalue(), HEADING)


def scoreboard(file: Path, game: str = "") -> Board:
    """Return the entries of one file.

    Args:
        file: The CSV file; where there is none, there are no entries.
        game: The game that is asked for; "" for all, and entries that don't say their game count always.
    """
    if not file.exists():
        return Board(entries=(), problems=())
    try:
        lines: list[str] | InputError = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        lines = not_read(file, error)
    entries, problems = _read_scores(file, lines, game)
    return _board(entries, problems)


def add_class_entry(own: Membership, entry: Entry) -> None:
    """Add a line to a person's own file in a class.

    Raises:
        InputError: If it can't be written, or the class's folder is not there.
    """
    add_entry(own.file("scores", ".csv"), entry)


def class_board(folder: Path, game: str) -> Board:
    """Return the first game of each person in a class: whoever plays again knows the truth.

    Args:
        folder: The class's.
        game: The game.
    """
    first: dict[str, Entry] = {}
    problems = []
    for path, lines in lines_of(folder, "scores", ".csv"):
        entries, bad = _read_scores(path, lines, game)
        problems += bad
        for entry in entries:
            first.setdefault(entry.name, entry)
    return _board(first.values(), problems)


def _board(entries: Iterable[Entry], problems: Iterable[str]) -> Board:
    return Board(entries=tuple(sorted(entries, key=lambda one: one.regret)), problems=tuple(problems))


def _read_scores(path: Path, lines: list[str] | InputError, game: str) -> tuple[list[Entry], list[str]]:
    """Return the entries of one file, in its order, and what is wrong with it."""
    if isinstance(lines, InputError):
        return [], [str(lines)]
    reader = csv.DictReader(lines)
    found: list[Entry] = []
    bad: list[int] = []
    try:
        for row in reader:
            entry = _entry(row)
            if entry is None:
                bad.append(reader.line_num)
            elif game in ("", entry.game) or not entry.game:
                found.append(entry)
    except csv.Error:
        bad.append(reader.line_num)
    return found, bad_lines(path, bad, "name, rounds and regret")


def _entry(row: Mapping[str, str]) -> Entry | None:
    """Return what a line holds; None if it is damaged."""
    try:
        regret = float(row["regret"])
        entry = Entry(
            name=row["name"][:40], rounds=int(row["rounds"]), regret=regret, game=row.get("game") or ""
        )
    except (KeyError, TypeError, ValueError):
        return None
    return entry if math.isfinite(regret) and regret >= 0 and entry.name else None
