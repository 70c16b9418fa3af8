"""Metrics of a generated text: how good a written response is, beside the reference, from 0 to 1.

All are means over records, of a number for each: BLEU and chrF are of sentences, too, and not of a corpus, so
that intervals can cover the choice of records. sacrebleu counts to 100; here all count to 1.
"""

import hashlib
import inspect
import math
import re
import string
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from workbench.data.records import Record
from workbench.errors import InputError, how_to_install, unknown_name
from workbench.metrics import OWN

TextScore = Callable[[str, str, Record], float]
"""(response as it was generated, reference, record) -> a number from 0 to 1, higher is better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextMetric:
    """How a generated response is scored."""

    score: TextScore
    words: str
    """What it is called on an axis."""
    about: str
    """What its number is."""
    source: str
    answerable: Callable[[str], bool] = lambda reference: True
    """Whether a reference has what the metric compares."""
    needs: str = "answer"
    """What that is, in words behind "no"."""
    sha256: str | None = None
    """Of a user's own function: the hash of its text alone; None where that can't be read."""


@cache
def _rouge() -> Any:  # noqa: ANN401 - the package has no types
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise _missing("rouge_l", "rouge-score") from error
    return RougeScorer(["rougeL"])


@cache
def _sacrebleu(metric: str) -> Any:  # noqa: ANN401 - one of two classes
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError as error:
        raise _missing(metric, "sacrebleu") from error
    return CHRF() if metric == "chrf" else BLEU(effective_order=True)


def _missing(metric: str, package: str) -> InputError:
    return InputError(
        f"the metric {metric} needs {package}, which isn't installed; run {how_to_install('metrics')}"
    )


def rouge_l(response: str, reference: str, record: Record) -> float:
    """Return the F-measure of the longest common subsequence of words."""
    return float(_rouge().score(reference, response)["rougeL"].fmeasure)


def chrf(response: str, reference: str, record: Record) -> float:
    """Return chrF2: the F-score of character n-grams up to 6, recall counted twice."""
    return _sacrebleu("chrf").sentence_score(response, [reference]).score / 100


def bleu(response: str, reference: str, record: Record) -> float:
    """Return the BLEU of one response: n-grams up to 4, or as long as the response is; smoothed."""
    # rounding may lead a hair above 100
    return min(1.0, _sacrebleu("bleu").sentence_score(response, [reference]).score / 100)


def token_f1(response: str, reference: str, record: Record) -> float:
    """Return the F-measure of the words that both have, without case, punctuation and articles."""
    said, right = _normalized(response), _normalized(reference)
    if not said or not right:
        return float(said == right)
    common = sum((Counter(said) & Counter(right)).values())
    return 2 * common / (len(said) + len(right))


def _normalized(text: str) -> list[str]:
    """Return a text's words as the evaluation of SQuAD compares them."""
    bare = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


FINAL_NUMBER = re.compile(
    r"(?<![\w.])-?\s?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,3}(?!\d))?"
    r"|(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"
)
"""A number with commas between thousands; a minus behind a word or a number is a hyphen."""
FINAL_MARK = "####"
"""Before the final number of a GSM8K solution."""


def final_number(text: str) -> Decimal | None:
    """Return the number behind the last ``####``, or else the last number of a text; None without one."""
    before, mark, behind = text.replace("$", "").replace("\N{MINUS SIGN}", "-").rpartition(FINAL_MARK)
    marked = FINAL_NUMBER.findall(behind) if mark else []
    found = marked[:1] or FINAL_NUMBER.findall(f"{before} {behind}")[-1:]
    return Decimal(re.sub(r"[,\s]", "", found[0])) if found else None


def numeric(response: str, reference: str, record: Record) -> float:
    """Say whether the final number of the response is that of the reference."""
    said = final_number(response)
    return float(said is not None and said == final_number(reference))


TEXT_METRICS: dict[str, TextMetric] = {
    "rouge_l": TextMetric(
        score=rouge_l,
        words="ROUGE-L",
        about="the F-measure of the longest common subsequence of words, without stemming",
        source="Lin 2004; the package rouge-score, which knows the letters a to z and digits alone",
        answerable=lambda reference: re.search("[a-z0-9]", reference.lower()) is not None,
        needs="letter from a to z and no digit",
    ),
    "chrf": TextMetric(
        score=chrf,
        words="chrF",
        about="the F-score of character n-grams up to 6, recall counted twice (chrF2), of each response",
        source="Popović 2015; the package sacrebleu, its number divided by 100",
    ),
    "bleu": TextMetric(
        score=bleu,
        words="BLEU",
        about="BLEU of each response (effective order, exponential smoothing), not of the corpus",
        source="Papineni et al. 2002, Post 2018; the package sacrebleu, its number divided by 100",
    ),
    "token_f1": TextMetric(
        score=token_f1,
        words="token F1",
        about="the F-measure of shared words, without case, punctuation and articles",
        source="Rajpurkar et al. 2016, the evaluation of SQuAD 1.1",
    ),
    "numeric": TextMetric(
        score=numeric,
        words="right numbers",
        about="whether the final number, behind `####` or else the last, is the reference's",
        source="Cobbe et al. 2021, GSM8K",
        answerable=lambda reference: final_number(reference) is not None,
        needs="number",
    ),
}
"""Metrics of generated texts by name; a user's own functions join them as ``own_NAME``."""
BUILT_IN = tuple(TEXT_METRICS)


def own_metric(function: TextScore) -> str:
    """Take a user's function among the metrics, for as long as this process lives, and return its name there.

    Args:
        function: Called with the response as it was generated, the reference and the record; returns a number
            from 0 to 1, higher is better.

    Raises:
        InputError: If it has no plain name.
    """
    name = getattr(function, "__name__", "")
    if not re.fullmatch(r"[A-Za-z]\w*", name):
        raise InputError(
            f"the metric {function!r} has no plain name to call its numbers by; define it as "
            "def NAME(response, reference, record) and give that"
        )
    TEXT_METRICS[OWN + name] = TextMetric(
        score=function,
        words=own_words(OWN + name),
        about="a function of your own",
        source="yours",
        sha256=_hash_of(function),
    )
    return OWN + name


def _hash_of(function: TextScore) -> str | None:
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return None  # written in C, or typed in where nothing keeps it: the notes of a study say so
    return hashlib.sha256(text.encode()).hexdigest()


def own_hashes(names: Iterable[str]) -> dict[str, str | None]:
    """Return the hash of each metric among these that is a user's own function and known in this process."""
    return {
        name: TEXT_METRICS[name].sha256 for name in names if name in TEXT_METRICS and name not in BUILT_IN
    }


def own_words(name: str) -> str:
    """Return what a user's own metric is called on an axis."""
    return name.removeprefix(OWN).replace("_", " ")


def check_metrics(names: tuple[str, ...], *, known_here: bool = True) -> tuple[str, ...]:
    """Return names of metrics as they are.

    Args:
        names: What is asked for.
        known_here: Whether a user's own function has to be known in this process.

    Raises:
        InputError: If one is unknown or given twice.
    """
    for name in names:
        own = name.startswith(OWN)
        if own and known_here and name not in TEXT_METRICS:
            raise InputError(
                f"the metric {name!r} is a function of somebody's own, which this process doesn't have; give "
                f"it again from Python, metrics=[{name.removeprefix(OWN)}], and train in that process"
            )
        if not own and name not in BUILT_IN:
            raise unknown_name("metric", name, BUILT_IN, "src/workbench/training/text_metrics.py")
        if names.count(name) > 1:
            raise InputError(f"the metric {name!r} is given twice; give it once")
    return names


def scored(name: str, response: str, record: Record) -> float:
    """Return what a response is worth by a metric.

    Raises:
        InputError: If a package is missing, or a user's own function fails or gives no number from 0 to 1.
    """
    if not name.startswith(OWN):
        return TEXT_METRICS[name].score(response, record.response, record)
    own = name.removeprefix(OWN)
    try:
        value = float(TEXT_METRICS[name].score(response, record.response, record))
    except Exception as error:
        raise InputError(
            f"the metric {own!r} failed on {record.where}: {type(error).__name__}: {error}; mend the function"
        ) from error
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise InputError(
            f"the metric {own!r} gave {value!r} for {record.where}; it has to give a number from 0 to 1"
        )
    return value
