"""The scorers: from records, and for some a base, to one number a record.

A scorer says what its number means, which end is taken to be good, and where it comes from. What it costs is
measured when it runs. A number that doesn't exist is None and never 0.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.data.duplicates import near_clusters
from workbench.data.records import Record
from workbench.data.templates import render
from workbench.models.base import Base
from workbench.scoring.closed_choices import margins
from workbench.scoring.model_losses import OnShare, ifd, response_losses, tuned_losses

Score = float | None
GoodEnd = Literal["higher", "lower", "neither"]
RUN_WORDS = 8
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
class RecordScorer:
    """One way to score."""

    score: Callable[[Given], Sequence[Score]]
    about: str
    unit: str
    good: GoodEnd
    """Which end is taken for the better examples; "neither" where that is a question."""
    source: str
    """The paper or the reason it comes from."""
    needs: Literal["records", "base", "evaluation"] = "records"
    version: int = 1
    """Raised when the same input gives other numbers, so that kept ones aren't taken for them."""


def length(given: Given) -> list[Score]:
    """Return the characters of each response."""
    return [float(len(record.response)) for record in given.records]


def response_tokens(given: Given) -> list[Score]:
    """Return the tokens of each response that count in the loss, its end included."""
    base = _base(given)
    examples = (render(given.template, record, base.tokenizer) for record in given.records)
    return [float(len(example.token_ids) - example.prompt_length) for example in examples]


def compressed_ratio(given: Given) -> list[Score]:
    """Return bytes of prompt and response over what zlib makes of them: repetition compresses well."""
    texts = [f"{record.prompt}\n{record.response}".encode() for record in given.records]
    return [len(text) / len(zlib.compress(text, 9)) for text in texts]


def copies(given: Given) -> list[Score]:
    """Return how many records are asked and answered alike, each itself included."""
    counts = Counter((record.asked, record.response) for record in given.records)
    return [float(counts[record.asked, record.response]) for record in given.records]


def near_copies(given: Given) -> list[Score]:
    """Return how many records are asked and answered nearly alike, each itself included."""
    clusters = near_clusters([f"{record.asked}\n{record.response}" for record in given.records])
    counts = Counter(clusters)
    return [float(counts[cluster]) for cluster in clusters]


def overlap_with_evaluation(given: Given) -> list[Score]:
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
    return [tuple(words[place : place + RUN_WORDS]) for place in range(len(words) - RUN_WORDS + 1)]


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


SCORERS: dict[str, RecordScorer] = {
    "length": RecordScorer(
        score=length,
        about="how long the response is",
        unit="characters",
        good="neither",
        source="a control: filters change length, and longer answers please judges",
    ),
    "tokens": RecordScorer(
        score=response_tokens,
        about="how many tokens of the base the response has, its end included",
        unit="tokens",
        good="neither",
        source="a control: what training on the response costs",
        needs="base",
    ),
    "compression": RecordScorer(
        score=compressed_ratio,
        about="how much prompt and response repeat themselves",
        unit="bytes over compressed bytes",
        good="lower",
        source="zlib; a high ratio is boilerplate or repetition",
    ),
    "copies": RecordScorer(
        score=copies,
        about="how often the record occurs, answer included",
        unit="records",
        good="lower",
        source="exact duplicates",
    ),
    "near_copies": RecordScorer(
        score=near_copies,
        about="how often the record occurs, nearly alike ones counted",
        unit="records",
        good="lower",
        source="MinHash, Broder 1997; Lee et al. 2022 (arXiv 2107.06499) for what it brings",
    ),
    "overlap": RecordScorer(
        score=overlap_with_evaluation,
        about=f"which share of its runs of {RUN_WORDS} words stands in the records that judge",
        unit="share",
        good="lower",
        source="contamination as in Brown et al. 2020 (GPT-3), appendix C",
        needs="evaluation",
    ),
    "agreement": RecordScorer(
        score=agreement,
        about="which share of its raters is on the side of the response",
        unit="share",
        good="higher",
        source="the ratings themselves",
    ),
    "loss": RecordScorer(
        score=lambda given: response_losses(_base(given), given.records, given.template, given.tell),
        about="mean loss of the response under the base, its end included",
        unit="nats a token",
        good="neither",
        source="perplexity filtering; low is easy or boilerplate, high is hard or wrong",
        needs="base",
    ),
    "ifd": RecordScorer(
        score=lambda given: ifd(_base(given), given.records, given.template, given.tell),
        about="loss of the response with its prompt over its loss without: how little the prompt helps",
        unit="ratio",
        good="higher",
        source="instruction-following difficulty, Li et al. 2023 (arXiv 2308.12032)",
        needs="base",
    ),
    "tuned_loss": RecordScorer(
        score=lambda given: tuned_losses(_base(given), given.records, given.template, given.tell),
        about="the same loss after two passes of a small adapter over all these records",
        unit="nats a token",
        good="lower",
        source="what few passes leave unlearnt is odd among the rest (Arpit et al. 2017, small-loss trick)",
        needs="base",
    ),
    "confident": RecordScorer(
        score=lambda given: margins(_base(given), given.records, given.template, given.tell),
        about="by how much the given choice is likelier than the best other one, as the other half teaches",
        unit="normalized margin: 0.5 is a tie",
        good="higher",
        source="confident learning, Northcutt et al. 2021 (arXiv 1911.00068), by cleanlab",
        needs="base",
    ),
}
"""Add one: a function and a line here."""
