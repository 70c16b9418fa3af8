"""A class that shares a folder: who is in it, and what each of them guessed.

A network drive has no locks to rely on. So nobody writes into another's file: there is one file a person,
which is replaced as a whole, and all of them are read together.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from statistics import fmean, median, quantiles
from typing import Any
from urllib.parse import quote

from workbench.errors import InputError
from workbench.files import not_read, write_atomically

CLASS_FOLDER = "WORKBENCH_CLASS"
"""The environment's variable with the class's folder."""
CLASS_NAME = "WORKBENCH_CLASS_NAME"
"""That with the person's name."""
OWN_GUESSES = Path("runs/guesses.jsonl")
"""Where guesses are kept without a class: beside the notebook."""
LONGEST_NAME = 40
LONGEST_FILE_NAME = 120
LARGEST_FILE = 5_000_000
"""Bytes of one person's file; nobody guesses so much."""
FEW = 4
"""From so many guesses on, it is said between which the middle half lies."""


@dataclass(frozen=True, slots=True)
class Membership:
    """One person in one class."""

    folder: Path
    person: str

    def file(self, kind: str, suffix: str) -> Path:
        """Return the file that is this person's alone, such as ``guesses/Ada.jsonl``.

        Raises:
            InputError: If the class's folder is not there, as when its drive isn't connected.
        """
        require_class_folder(self.folder)
        return self.folder / kind / f"{_file_name(self.person)}{suffix}"


def require_class_folder(folder: Path) -> Path:
    """Return the folder of a class.

    Raises:
        InputError: If there is none.
    """
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {folder} for the class; name the folder that the class shares, or make it "
            "first"
        )
    return folder


def join_class(folder: Path | str, name: str) -> Membership:
    """Take part in a class from here on: guesses and scores go into its folder, in a file of your own.

    ``workbench lab --class FOLDER --name NAME`` does so for all notebooks that it opens.

    Args:
        folder: The folder that the class shares, on a network drive or a common machine.
        name: The name to show; everybody needs another one.

    Raises:
        InputError: If there is no such folder, or the name is empty or too long.
    """
    found = Membership(require_class_folder(Path(folder)).resolve(), checked_name(name))
    os.environ[CLASS_FOLDER], os.environ[CLASS_NAME] = str(found.folder), found.person
    return found


def checked_name(name: str) -> str:
    """Return a person's name on one line.

    Raises:
        InputError: If it is empty or too long.
    """
    plain = " ".join(str(name).split())
    if not plain or len(plain) > LONGEST_NAME or not plain.isprintable():
        raise InputError(
            f"{name!r} is no name to show in a class; give one of 1 to {LONGEST_NAME} printable characters"
        )
    return plain


def own_membership() -> Membership | None:
    """Return the class that this process takes part in; None without one."""
    folder, person = os.environ.get(CLASS_FOLDER), os.environ.get(CLASS_NAME)
    return Membership(Path(folder), person) if folder and person else None


def add_line(path: Path, line: str, heading: str = "") -> None:
    """Add a line to a person's own file, which is replaced as a whole.

    Raises:
        InputError: If the file can't be read or written.
    """
    before = heading.encode() + b"\n" if heading else b""
    if path.exists():
        try:
            before = path.read_bytes()
        except OSError as error:
            raise not_read(path, error) from error
    if before and not before.endswith(b"\n"):
        before += b"\n"
    write_atomically(path, before + line.encode() + b"\n")


def lines_of(folder: Path, kind: str, suffix: str) -> Iterator[tuple[Path, list[str] | InputError]]:
    """Return each person's file with its lines, or with why it can't be read."""
    for path in sorted((folder / kind).glob(f"*{suffix}")):
        try:
            if path.stat().st_size > LARGEST_FILE:
                yield path, InputError(f"{path} has more than {LARGEST_FILE:,} bytes; move it away")
            else:
                yield path, path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            yield path, not_read(path, error)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptGuess:
    """A guess that was made before the truth was told.

    A number has a number as guess and truth, a line a list of them, an order a list of items and what each
    item is worth.
    """

    person: str
    """Who guessed; "" where there is no class."""
    name: str
    """The key of the question, the same for all who are asked it."""
    question: str
    guess: Any
    truth: Any
    unit: str = ""
    log: bool = False
    """Whether equal factors are equal ways."""
    sizes: tuple[float | int, ...] = ()
    """At which a line is guessed."""
    time: str = ""
    """When, in UTC."""

    @property
    def distance(self) -> float:
        """How far the guess is from the truth: of a number in its unit, of a line on average.

        Of an order it is the share of the pairs that stand in the wrong order.
        """
        if isinstance(self.truth, Mapping):
            right, pairs = right_pairs(self.guess, self.truth)
            return 1 - right / pairs
        if isinstance(self.truth, Sequence):
            return fmean(abs(one - other) for one, other in zip(self.guess, self.truth, strict=True))
        return abs(float(self.guess) - float(self.truth))


def right_pairs(order: Sequence[str], values: Mapping[str, float | int]) -> tuple[int, int]:
    """Return how many pairs of an order stand right, the larger value first, and how many there are."""
    pairs = [(one, after) for place, one in enumerate(order) for after in order[place + 1 :]]
    return sum(values[one] >= values[after] for one, after in pairs), len(pairs)


def keep_guess(guess: KeptGuess) -> None:
    """Write a guess down: in the class's folder, or without a class beside the notebook.

    Raises:
        InputError: If it can't be written.
    """
    own = own_membership()
    path = own.file("guesses", ".jsonl") if own else OWN_GUESSES
    kept = {
        **asdict(guess),
        "person": own.person if own else "",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    add_line(path, json.dumps(kept, ensure_ascii=False, allow_nan=False))


def read_guesses(folder: Path) -> tuple[list[KeptGuess], list[str]]:
    """Return all guesses of a class, and a sentence for each file that can't be read in whole.

    Raises:
        InputError: If there is no such folder.
    """
    require_class_folder(folder)
    found: list[KeptGuess] = []
    problems: list[str] = []
    for path, lines in lines_of(folder, "guesses", ".jsonl"):
        if isinstance(lines, InputError):
            problems.append(str(lines))
            continue
        guesses = [(number, _read_guess(line)) for number, line in enumerate(lines, start=1) if line.strip()]
        found += [guess for _, guess in guesses if guess]
        problems += bad_lines(path, [number for number, guess in guesses if guess is None], "guess")
    return found, problems


def bad_lines(path: Path, numbers: Sequence[int], what: str) -> list[str]:
    """Return one sentence on the lines of a file that can't be read, or none."""
    if not numbers:
        return []
    which = f"line {numbers[0]} is" if len(numbers) == 1 else f"{len(numbers)} lines from {numbers[0]} on are"
    return [f"{path}: {which} no {what} and left out; all others are shown"]


def first_guesses(guesses: Iterable[KeptGuess]) -> dict[str, list[KeptGuess]]:
    """Return for each question what each person guessed first: later they know the truth.

    Guesses at another truth than most had, as of an earlier version of a notebook, are left out.
    """
    first: dict[str, dict[str, KeptGuess]] = {}
    for guess in sorted(guesses, key=lambda one: one.time):
        first.setdefault(guess.name, {}).setdefault(guess.person, guess)
    return {name: _of_one_truth(list(people.values())) for name, people in sorted(first.items())}


def others_who_guessed(name: str) -> list[KeptGuess]:
    """Return the first guesses of the others in the class, none without a class.

    Raises:
        InputError: If the class's folder is not there.
    """
    own = own_membership()
    if own is None:
        return []
    guesses, _ = read_guesses(own.folder)
    return [one for one in first_guesses(guesses).get(name, []) if one.person != own.person]


def spread_in_words(guesses: Sequence[KeptGuess]) -> str:
    """Say where the middle of some guesses lies, and from ``FEW`` on their middle half."""
    if isinstance(guesses[0].truth, Mapping):
        right = [right_pairs(one.guess, one.truth) for one in guesses]
        return f"the middle of them had {median(own for own, _ in right):.3g} of {right[0][1]} pairs right"
    if isinstance(guesses[0].truth, Sequence):
        return f"the middle of them was {median(one.distance for one in guesses):.3g} off on average"
    numbers, unit = [float(one.guess) for one in guesses], guesses[0].unit
    words = f"the middle of them {with_unit(median(numbers), unit)}"
    if len(numbers) >= FEW:
        low, _, high = quantiles(numbers, n=4, method="inclusive")
        words += f", half of them from {low:,.3g} to {with_unit(high, unit)}"
    return words


def with_unit(value: float | int, unit: str) -> str:
    """Return a number with what it counts: "12 examples", "48%"."""
    return f"{value:,.3g}{unit}" if unit in ("", "%") else f"{value:,.3g} {unit}"


def _of_one_truth(guesses: list[KeptGuess]) -> list[KeptGuess]:
    truths = Counter(json.dumps(one.truth, sort_keys=True) for one in guesses)
    most = truths.most_common(1)[0][0]
    return [one for one in guesses if json.dumps(one.truth, sort_keys=True) == most]


def _read_guess(line: str) -> KeptGuess | None:
    """Return what a line holds; None if it is no guess."""
    try:
        given = json.loads(line)
        known = {field.name for field in fields(KeptGuess)}
        kept = {name: value for name, value in given.items() if name in known}
        guess = KeptGuess(**{**kept, "sizes": tuple(kept.get("sizes", ()))})
        texts = (guess.person, guess.name, guess.question, guess.unit, guess.time)
        sound = all(isinstance(text, str) for text in texts) and _fits(guess)
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
    return guess if sound else None


def _fits(guess: KeptGuess) -> bool:
    """Say whether guess and truth are of one kind."""
    if isinstance(guess.truth, dict):
        items = guess.guess if isinstance(guess.guess, list) else []
        return len(items) > 1 and sorted(items) == sorted(guess.truth) and _numbers(guess.truth.values())
    if isinstance(guess.truth, list):
        lengths = {len(guess.truth), len(guess.guess), len(guess.sizes)}
        return len(lengths) == 1 and _numbers([*guess.truth, *guess.guess, *guess.sizes])
    return _numbers([guess.truth, guess.guess])


def _numbers(values: Iterable[Any]) -> bool:
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in values
    )


def _file_name(person: str) -> str:
    """Return a name that every system takes as a file's, another one for each person."""
    name = quote(person, safe=" ").replace(".", "%2E")
    if len(name) <= LONGEST_FILE_NAME:
        return name
    return f"{name[:LONGEST_FILE_NAME]}-{sha256(person.encode()).hexdigest()[:8]}"
