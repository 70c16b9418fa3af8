"""Sentiment of short texts, with the score of every person who rated them.

The source archive of the package ``vaderSentiment`` (MIT) holds another archive with 23,703 sentences from
four places, each rated from -4 to 4 by 15 to 99 people. How many of them give a label is a quality with a
price: k raters x N texts is what a budget buys.

Source: Hutto and Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media
Text", ICWSM 2014. The sentences are other people's text: they are fetched, never shipped.
"""

import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workbench.data.heldout import hold_out
from workbench.data.records import Dataset, Record
from workbench.errors import InputError
from workbench.fetch import FETCHABLE, cached
from workbench.files import not_read

DOMAINS = {
    "movie": "movieReviewSnippets",
    "amazon": "amazonReviewSnippets",
    "tweets": "tweets",
    "nyt": "nytEditorialSnippets",
}
"""Where the texts come from, by the beginning of their files' names."""

SENTIMENTS = (" negative", " positive")
QUESTION = "Text: {text}\nSentiment:"
"""The answer follows the colon, with its space. On 240 held-out texts SmolLM2-135M-Instruct chose right for
85% asked so, and for 76% asked through its chat template, in three times as many tokens."""

DOMAIN_FILES = ("_GroundTruth.txt", "_anonDataRatings.txt")
"""The two files of a domain: id, mean, text; and id, mean, deviation, list of ratings."""
CLEAR = 0.5
"""Texts whose mean score is nearer to 0 than this have no side that a label could be right about."""
SCALE = {score: float(score) for score in range(-4, 5)}
INNER = "hutto_ICWSM_2014.tar.gz"
MOST_BYTES = 16_000_000
"""Bytes that one file of the archive may have; the real ones have 3 million at most."""


def load(
    heldout: int | None = None, *, domains: Sequence[str] = tuple(DOMAINS), path: Path | None = None
) -> Dataset:
    """Return one record for each clearly rated text; the response is the side of all its raters' mean.

    Args:
        heldout: Texts to hold out; None for 600. They are judged against all their raters.
        domains: Keys of :data:`DOMAINS`.
        path: The source archive; None takes the one that was fetched.

    Raises:
        InputError: If the archive was never fetched, isn't the right one, or is damaged.
    """
    archive = path or cached("raters")
    files = _members(archive, [DOMAINS[domain] + kind for domain in domains for kind in DOMAIN_FILES])
    rated = [record for domain in domains for record in _records(domain, files, archive)]
    clear = [record for record in rated if abs(_mean(record.ratings)) >= CLEAR]
    name = "raters" if len(domains) == len(DOMAINS) else f"raters-{'-'.join(domains)}"
    train, held = hold_out(clear, heldout, name)
    return Dataset(
        name=name,
        train=train,
        heldout=held,
        template="verbatim",
        licence=FETCHABLE["raters"].licence,
        origin=f"texts with all ratings ({', '.join(domains)}), from vaderSentiment 3.3.2's source archive",
        notes=(f"{len(rated) - len(clear)} of {len(rated)} texts left out: mean score within {CLEAR} of 0",),
    )


def _mean(ratings: Sequence[float]) -> float:
    return sum(ratings) / len(ratings)


def _records(domain: str, files: Mapping[str, str], archive: Path) -> list[Record]:
    """Join a domain's two files by id.

    The mean is taken from the ratings: for 199 tweets the two files state different means, and only the
    ratings file's agrees with the ratings.
    """
    texts, ratings = (DOMAINS[domain] + kind for kind in DOMAIN_FILES)
    scores = {}
    for place, fields in _rows(archive, ratings, files[ratings], 4):
        scores[fields[0]] = _scores(fields[3], place)
    records = []
    for place, (name, _, text) in _rows(archive, texts, files[texts], 3):
        if name not in scores:
            raise _wrong(place, f"text {name!r} has no ratings")
        records.append(_record(f"{domain}-{name}", text.strip(), scores[name]))
    return records


def _record(name: str, text: str, ratings: tuple[float, ...]) -> Record:
    return Record(
        id=name,
        prompt=QUESTION.format(text=text),
        response=SENTIMENTS[_mean(ratings) > 0],
        choices=SENTIMENTS,
        ratings=ratings,
    )


def _rows(archive: Path, name: str, text: str, columns: int) -> Iterator[tuple[str, list[str]]]:
    """Yield each line's place, for messages, and its fields."""
    # not splitlines(): a text may hold the rarer line separators that it splits at
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        fields = line.rstrip("\r").split("\t")
        place = f"{archive}, {name}, line {number}"
        if len(fields) != columns:
            raise _wrong(place, f"{len(fields)} columns instead of {columns}")
        yield place, fields


def _scores(text: str, place: str) -> tuple[float, ...]:
    try:
        scores = json.loads(text)
    except ValueError:
        scores = None
    if not isinstance(scores, list) or not scores or not all(score in SCALE for score in scores):
        raise _wrong(place, f"ratings {text[:60]!r} aren't a list of whole numbers from -4 to 4")
    return tuple(SCALE[score] for score in scores)


def _wrong(place: str | Path, what: str) -> InputError:
    return InputError(
        f"{place}: {what}; take the source archive of vaderSentiment 3.3.2, which `workbench fetch raters` "
        "gets"
    )


def _members(archive: Path, names: Sequence[str]) -> dict[str, str]:
    """Read text files out of the archive inside the archive, in memory: nothing is unpacked to disk."""
    try:
        outer = archive.read_bytes()
    except OSError as error:
        raise not_read(archive, error) from error
    inner = _read(archive, {INNER}, outer)[INNER]
    files = _read(archive, set(names), inner)
    try:
        return {name: data.decode("utf-8-sig") for name, data in files.items()}
    except UnicodeDecodeError as error:
        raise _wrong(archive, f"its texts aren't UTF-8 ({error})") from error


def _read(archive: Path, names: set[str], data: bytes) -> dict[str, bytes]:
    """Return the contents of the members with these names, whatever folders they are in."""
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
            for member in tar:
                name = member.name.rsplit("/", 1)[-1]
                if name not in names or not member.isfile():
                    continue
                if member.size > MOST_BYTES:
                    raise _wrong(archive, f"{name} claims {member.size} bytes")
                content = tar.extractfile(member)
                assert content is not None, "a regular file has contents"
                found[name] = content.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise _wrong(archive, f"it can't be unpacked ({error})") from error
    if missing := names - found.keys():
        raise _wrong(archive, f"it holds no {', '.join(sorted(missing))}, which a wheel lacks")
    return found
