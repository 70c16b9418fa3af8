"""The scorers: from records, and for some a base, to one number a record.

A scorer says what its number means, which end is taken to be good, and where it comes from. What it costs is
measured when it runs. A number that doesn't exist is None and never 0.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.data.records import Record
from workbench.models.base import Base
from workbench.scoring.model_losses import ifd, response_losses, tuned_losses

Score = float | None
Better = Literal["higher", "lower", "neither"]
OnShare = Callable[[float], None]
"""Told which share of the work is done."""
WORDS = 8
"""Words in a row that two texts must share to overlap: GPT-3's appendix C takes 8 to 13."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What scorers work from."""

    records: tuple[Record, ...]
    base: Base | None = None
    template: str = "plain"
    """Key of ``TEMPLATES``: how the base is asked."""
    evaluation: tuple[Record, ...] = ()
    """Records that judge, for overlap with them."""
    tell: OnShare = lambda share: None


@dataclass(frozen=True, kw_only=True, slots=True)
class Scorer:
    """One way to score."""

    score: Callable[[Given], Sequence[Score]]
    about: str
    unit: str
    better: Better
    """Which end is taken for the better examples; "neither" where that is a question."""
    source: str
    """The paper or the reason it comes from."""
    needs: Literal["records", "base", "evaluation"] = "records"
    version: int = 1
    """Raised when the same input gives other numbers, so that kept ones aren't taken for them."""


def length(given: Given) -> list[Score]:
    """Return the characters of each response."""
    return [float(len(record.response)) for record in given.records]


def compression(given: Given) -> list[Score]:
    """Return bytes of prompt and response over what zlib makes of them: repetition compresses well."""
    texts = [f"{record.prompt}\n{record.response}".encode() for record in given.records]
    return [len(text) / len(zlib.compress(text, 9)) for text in texts]


def copies(given: Given) -> list[Score]:
    """Return how many records are asked and answered alike, each itself included."""
    counts = Counter((record.asked, record.response) for record in given.records)
    return [float(counts[record.asked, record.response]) for record in given.records]


def overlap(given: Given) -> list[Score]:
    """Return the share of a record's runs of words that stand in the records that judge.

    A record of fewer words than a run has no such share.
    """
    known = {run for record in given.evaluation for run in _runs(record)}
    shares: list[Score] = []
    for record in given.records:
        runs = _runs(record)
        shares.append(sum(run in known for run in runs) / len(runs) if runs else None)
    return shares


def _runs(record: Record) -> list[tuple[str, ...]]:
    words = f"{record.asked} {record.response}".lower().split()
    return [tuple(words[place : place + WORDS]) for place in range(len(words) - WORDS + 1)]


def agreement(given: Given) -> list[Score]:
    """Return the share of a record's raters who are on the side of its response; ties count half."""
    shares: list[Score] = []
    for record in given.records:
        if not record.ratings or record.response not in record.choices or len(record.choices) != 2:
            shares.append(None)
            continue
        side = 1.0 if record.choices.index(record.response) else -1.0
        with_it = sum(1.0 if rating * side > 0 else 0.5 if rating == 0 else 0.0 for rating in record.ratings)
        shares.append(with_it / len(record.ratings))
    return shares


def _base(given: Given) -> Base:
    assert given.base is not None, "who asks for this scorer gives a base"
    return given.base


SCORERS: dict[str, Scorer] = {
    "length": Scorer(
        score=length,
        about="how long the response is",
        unit="characters",
        better="neither",
        source="a control: filters change length, and longer answers please judges",
    ),
    "compression": Scorer(
        score=compression,
        about="how much prompt and response repeat themselves",
        unit="bytes over compressed bytes",
        better="lower",
        source="zlib; a high ratio is boilerplate or repetition",
    ),
    "copies": Scorer(
        score=copies,
        about="how often the record occurs, answer included",
        unit="records",
        better="lower",
        source="exact duplicates",
    ),
    "overlap": Scorer(
        score=overlap,
        about=f"which share of its runs of {WORDS} words stands in the records that judge",
        unit="share",
        better="lower",
        source="contamination as in Brown et al. 2020 (GPT-3), appendix C",
        needs="evaluation",
    ),
    "agreement": Scorer(
        score=agreement,
        about="which share of its raters is on the side of the response",
        unit="share",
        better="higher",
        source="the ratings themselves",
    ),
    "loss": Scorer(
        score=lambda given: response_losses(_base(given), given.records, given.template, given.tell),
        about="mean loss of the response under the base, its end included",
        unit="nats a token",
        better="neither",
        source="perplexity filtering; low is easy or boilerplate, high is hard or wrong",
        needs="base",
    ),
    "ifd": Scorer(
        score=lambda given: ifd(_base(given), given.records, given.template, given.tell),
        about="loss of the response with its prompt over its loss without: how little the prompt helps",
        unit="ratio",
        better="higher",
        source="instruction-following difficulty, Li et al. 2023 (arXiv 2308.12032)",
        needs="base",
    ),
    "tuned_loss": Scorer(
        score=lambda given: tuned_losses(_base(given), given.records, given.template, given.tell),
        about="the same loss after two passes of a small adapter over all these records",
        unit="nats a token",
        better="lower",
        source="what few passes leave unlearnt is odd among the rest (Arpit et al. 2017, small-loss trick)",
        needs="base",
    ),
}
"""Add one: a function and a line here."""
