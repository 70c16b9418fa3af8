"""Two trained adapters asked the same thing, and a blind comparison of their answers."""

import json
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import NormalDist
from typing import Literal, Protocol, runtime_checkable

from workbench.adapters.lora import LoraStack
from workbench.adapters.prefix import fresh_stack
from workbench.config import CellConfig
from workbench.data.records import Record
from workbench.data.templates import prompt_ids, stops
from workbench.errors import InputError
from workbench.files import not_written
from workbench.laws.in_words import readable
from workbench.laws.thresholds import TAILS
from workbench.laws.units import SIZE_UNITS
from workbench.models.base import Base
from workbench.models.generation import generate
from workbench.models.loaders import load_base
from workbench.studies.disk.adapters import read_adapter
from workbench.studies.disk.manifest import read_manifest
from workbench.studies.disk.variant_rows import variant_of

Vote = Literal["left", "right", "tie"]
VOTES: tuple[Vote, ...] = ("left", "right", "tie")
LONGEST_ANSWER = 64
"""Tokens after which an answer is cut off."""
CUT = " … (cut off)"
"""What stands behind an answer that didn't end by itself."""


@runtime_checkable
class Answering(Protocol):
    """Whoever can take part in a blind test: two of them, by name."""

    names: tuple[str, str]

    def answer(self, prompt: str) -> tuple[str, str]:
        """Return both answers to a prompt."""


@dataclass(slots=True)
class Speakers:
    """Two cells' adapters over one base, answering together.

    Attributes:
        base: The base.
        stack: The adapters of both cells.
        names: What each is called once the vote is over.
    """

    base: Base
    stack: LoraStack
    names: tuple[str, str]

    def answer(self, prompt: str) -> tuple[str, str]:
        """Return both answers to a prompt, each token the likeliest; ``CUT`` marks one that doesn't end.

        Raises:
            InputError: If the tokenizer has no token for a character of the prompt.
        """
        tokenizer, template = self.base.tokenizer, self.stack.cells[0].template
        ids = prompt_ids(template, Record(id="asked", prompt=prompt, response=""), tokenizer)
        written = generate(
            self.base.decoder,
            [[ids], [ids]],
            stops=stops(template, tokenizer),
            limit=LONGEST_ANSWER,
            adapters=self.stack.adapters(),
        )
        one, two = (
            tokenizer.decode(row[0]) + (CUT if len(row[0]) >= LONGEST_ANSWER else "") for row in written
        )
        return one, two


def speakers(folder: Path | str, first: CellConfig, second: CellConfig) -> Speakers:
    """Load the adapters of two cells of a study.

    Args:
        folder: The study's folder.
        first: A cell of it, see :func:`cell_of`.
        second: Another one.

    Raises:
        InputError: If an adapter is missing or damaged.
    """
    if first.base_sha256 != second.base_sha256:
        raise InputError(
            f"the two cells have different bases, {first.base} and {second.base}, and two adapters answer "
            "over one; choose two cells of one base"
        )
    base = load_base(first.base)
    base.tokenizer.day = read_manifest(folder).study.parsed().day
    stack = fresh_stack([first, second], base.decoder.config, base.decoder)
    for row, cell in enumerate((first, second)):
        stack.load(row, read_adapter(Path(folder), cell.key()))
    return Speakers(base, stack, (_name(first), _name(second)))


def _name(cell: CellConfig) -> str:
    return f"{readable(cell.quality.label)}, {cell.size:,} {SIZE_UNITS[cell.size_in].many}, seed {cell.seed}"


def find_cell(
    folder: Path | str, quality: str, size: int, seed: int = 0, vary: str | None = None
) -> CellConfig:
    """Return one cell of a study by its quality's label, its size and its seed.

    Args:
        folder: The study's.
        quality: The quality's label.
        size: The size.
        seed: The seed.
        vary: Its variant as the table has it, such as "rank 8", where the study has several.

    Raises:
        InputError: If the study has no such cell, or several.
    """
    manifest = read_manifest(folder)
    study, cells = manifest.study.parsed(), list(manifest.planned().values())
    found = [cell for cell in cells if (cell.quality.label, cell.size, cell.seed) == (quality, size, seed)]
    variants = {variant_of(manifest, study, cell)[1]: cell for cell in found}
    if len(variants) > 1 or (variants and vary is not None):
        if vary not in variants:
            asked = f"no variant {vary!r}" if vary else f"{len(variants)} such cells"
            raise InputError(
                f"{folder} has {asked}; give one of its variants: "
                + ", ".join(f"vary={one!r}" for one in variants)
            )
        return variants[vary]
    if found:
        return found[0]
    known = ", ".join(dict.fromkeys(cell.quality.label for cell in cells))
    sizes = ", ".join(map(str, sorted({cell.size for cell in cells})))
    raise InputError(
        f"{folder} has no cell of quality {quality!r}, size {size} and seed {seed}; its qualities are "
        f"{known}, its sizes {sizes}"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question: what both said, who stood on the left, and the vote once it is cast."""

    prompt: str
    left: str
    right: str
    left_is: int
    """Which speaker stood on the left, 0 or 1; nobody is told before the vote."""
    vote: Vote | None = None

    @property
    def winner(self) -> int | None:
        """The speaker that was preferred; None for a tie or before the vote."""
        if self.vote in (None, "tie"):
            return None
        return self.left_is if self.vote == "left" else 1 - self.left_is


class BlindTest:
    """Asks both, hides who is who, counts the votes and keeps them in a file.

    Args:
        speakers: Whoever answers.
        file: Where each vote is added as a line of JSON; None keeps them in memory.
        seed: Decides who stands on which side; None takes another order each time.
    """

    def __init__(self, speakers: Answering, file: Path | None = None, seed: int | None = None) -> None:
        self.speakers, self.file = speakers, file
        self.rounds: list[Question] = []
        self._sides = Random(seed)
        self._guard = threading.Lock()

    def ask(self, prompt: str) -> Question:
        """Ask both; a question whose vote is open is replaced.

        Raises:
            InputError: If the prompt is empty or can't be tokenized.
        """
        if not prompt.strip():
            raise InputError("the question is empty; type one")
        with self._guard:
            said = self.speakers.answer(prompt.strip())
            first = self._sides.randrange(2)
            found = Question(prompt=prompt.strip(), left=said[first], right=said[1 - first], left_is=first)
            self.rounds = [one for one in self.rounds if one.vote] + [found]
            return found

    def vote(self, vote: Vote) -> Question:
        """Cast the vote on the last question and return it, now with its vote.

        Raises:
            InputError: If there is no open question, or the vote isn't one of ``VOTES``, or the
                file can't be written.
        """
        if vote not in VOTES:
            raise InputError(f"{vote!r} is no vote; it is one of {', '.join(VOTES)}")
        if not self.rounds or self.rounds[-1].vote:
            raise InputError("there is no question to vote on; ask one first")
        cast = Question(**{**asdict(self.rounds[-1]), "vote": vote})
        self.rounds[-1] = cast
        if self.file is not None:
            kept = {**asdict(cast), "speakers": self.speakers.names, "time": time.time()}
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                with open(self.file, "a", encoding="utf-8") as file:
                    file.write(json.dumps(kept, ensure_ascii=False) + "\n")
            except OSError as error:
                raise not_written(self.file, error) from error
        return cast

    def tally(self) -> tuple[int, int, int]:
        """Return the votes for the first speaker, for the second, and the ties."""
        won = Counter(one.winner for one in self.rounds if one.vote)
        return won[0], won[1], won[None]


def interval(wins: int, votes: int) -> tuple[float, float]:
    """Return Wilson's interval of the share of votes that one speaker wins, ties left out.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if votes == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(TAILS[1])
    share = wins / votes
    middle = (share + z * z / (2 * votes)) / (1 + z * z / votes)
    half = z / (1 + z * z / votes) * (share * (1 - share) / votes + z * z / (4 * votes**2)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
