"""The raters source: read out of an archive in an archive, safely; labels from k raters."""

import io
import shlex
import tarfile

import pytest
from follows import follows

from workbench.cli import main
from workbench.config import Quality
from workbench.data.sources import raters
from workbench.data.sources.raters import DOMAINS, QUESTION, SENTIMENTS, load
from workbench.data.subsets import draw, rated
from workbench.errors import InputError
from workbench.fetch import cache_path

SCORES = "[2, 1, 0, -1, 3]"
MEAN = "\t1\t"


def packed(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def texts(domain, count=4):
    """Two files of a domain: ``count`` clear texts and one whose mean is 0."""
    rows = [f"{place}{MEAN}{domain} {place}" for place in range(count)]
    scores = [f"{place}{MEAN}0.5\t{'[-1, -2, 0]' if place % 2 else SCORES}" for place in range(count)]
    return {
        "_GroundTruth.txt": [*rows, f"9\t0\t{domain} undecided"],
        "_anonDataRatings.txt": [*scores, "9\t0\t1.0\t[1, -1]"],
    }


def inner(change=None):
    files = {}
    for domain, name in DOMAINS.items():
        for kind, lines in texts(domain).items():
            # one file begins with a byte-order mark, all have Windows lines
            text = "\ufeff" * (domain == "amazon" and kind == "_anonDataRatings.txt") + "\r\n".join(lines)
            files[f"hutto_ICWSM_2014/{name}{kind}"] = text.encode()
    return packed(files | (change or {}))


def archive(path, content):
    path.write_bytes(packed({"vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz": content}))
    return path


def test_every_rater_is_kept(tmp_path):
    dataset = load(2, path=archive(tmp_path / "a.tar.gz", inner()))
    records = {record.id: record for record in dataset.train + dataset.heldout}
    assert len(records) == 16
    assert records["movie-0"].prompt == QUESTION.format(text="movie 0")
    assert records["movie-0"].ratings == (2.0, 1.0, 0.0, -1.0, 3.0)
    assert {record.choices for record in records.values()} == {SENTIMENTS}
    assert (records["nyt-0"].response, records["nyt-1"].response) == (" positive", " negative")
    assert (dataset.name, dataset.template, len(dataset.heldout)) == ("raters", "verbatim", 2)
    assert dataset.notes == ("4 of 20 texts left out: mean score within 0.5 of 0",)


def test_one_domain(tmp_path):
    dataset = load(1, path=archive(tmp_path / "a.tar.gz", inner()), domains=("nyt",))
    assert dataset.name == "raters-nyt"
    assert {record.id.split("-")[0] for record in dataset.train} == {"nyt"}


def test_the_mean_is_that_of_the_ratings_and_not_the_stated_one(tmp_path):
    changed = {"x/tweets_GroundTruth.txt": b"0\t-4\tpraise\n1\t4\tblame", "x/tweets_anonDataRatings.txt": b""}
    scores = b"0\t-4\t0\t[3, 2]\n1\t4\t0\t[-3, -2]"
    changed["x/tweets_anonDataRatings.txt"] = scores
    path = archive(tmp_path / "a.tar.gz", packed(changed))
    dataset = load(1, path=path, domains=("tweets",))
    responses = {record.id: record.response for record in dataset.train + dataset.heldout}
    assert responses == {"tweets-0": " positive", "tweets-1": " negative"}


def test_a_text_at_the_limit_has_a_side(tmp_path):
    """A mean of exactly 0.5 is clear, on either side; one nearer to 0 isn't."""
    scores = ["[1, 0]", "[0, -1]", "[1, 0, 0]", "[0, 0, -1]"]
    changed = {
        "x/tweets_GroundTruth.txt": "\n".join(
            f"{place}\t0\ttext" + str(place) for place in range(4)
        ).encode(),
        "x/tweets_anonDataRatings.txt": "\n".join(f"{n}\t0\t0\t{s}" for n, s in enumerate(scores)).encode(),
    }
    dataset = load(1, path=archive(tmp_path / "a.tar.gz", packed(changed)), domains=("tweets",))
    responses = {record.id: record.response for record in dataset.train + dataset.heldout}
    assert responses == {"tweets-0": " positive", "tweets-1": " negative"}
    assert dataset.notes == ("2 of 4 texts left out: mean score within 0.5 of 0",)


def test_more_raters_than_there_are(tmp_path):
    dataset = load(2, path=archive(tmp_path / "a.tar.gz", inner()))
    with pytest.raises(InputError, match=r"has 3 raters and 2 choices, where 4 raters"):
        draw(dataset, Quality(raters=4), 14, 0)


def wrong(change):
    return lambda path: archive(path, inner(change))


def plain(content):
    return lambda path: path.write_bytes(content)


WRONG = {
    "not-an-archive": (plain(b"hello"), "it can't be unpacked .*; take the source archive"),
    "empty": (plain(b""), "it can't be unpacked"),
    "another-archive": (
        plain(packed({"a/setup.py": b""})),
        "holds no hutto_ICWSM_2014.tar.gz, which a wheel lacks",
    ),
    "inner-broken": (lambda path: archive(path, b"hello"), "it can't be unpacked"),
    "inner-cut": (lambda path: archive(path, inner()[:200]), "it can't be unpacked|holds no"),
    "inner-lacks-a-file": (
        lambda path: archive(path, packed({"a": b"b"})),
        "holds no amazonReviewSnippets_Ground",
    ),
    "columns": (wrong({"x/tweets_GroundTruth.txt": b"1\ttext"}), "tweets_GroundTruth.txt, line 1: 2 columns"),
    "scores": (
        wrong({"x/tweets_anonDataRatings.txt": b"0\t1\t1\t[5]"}),
        r"tweets_anonDataRatings.txt, line 1: ratings '\[5\]' aren't a list of whole numbers",
    ),
    "scores-not-json": (
        wrong({"x/tweets_anonDataRatings.txt": b"0\t1\t1\t__import__('os')"}),
        "aren't a list of",
    ),
    "no-scores": (wrong({"x/tweets_anonDataRatings.txt": b"0\t1\t1\t[]"}), "aren't a list of whole numbers"),
    "no-ratings": (wrong({"x/tweets_GroundTruth.txt": b"77\t1\ttext"}), "line 1: text '77' has no ratings"),
    "not-utf-8": (wrong({"x/tweets_GroundTruth.txt": b"1\t1\t\xe9"}), "its texts aren't UTF-8"),
}


@follows("take the source archive of vaderSentiment 3.3.2, which `workbench fetch raters` gets")
@pytest.mark.parametrize("name", WRONG)
def test_bad_archives(tmp_path, name):
    make, message = WRONG[name]
    path = tmp_path / "bad.tar.gz"
    make(path)
    with pytest.raises(InputError, match=f"(?i){message}") as caught:
        load(2, path=path)
    assert str(path) in str(caught.value)
    command = shlex.split(str(caught.value).split("`")[1])
    if cache_path("raters").is_file():
        assert main(command[1:]) == 0
        assert load(2).heldout


def test_nothing_larger_than_the_real_files_is_read(tmp_path, monkeypatch):
    path = archive(tmp_path / "a.tar.gz", inner())
    monkeypatch.setattr(raters, "MOST_BYTES", 100)
    with pytest.raises(InputError, match=r"hutto_ICWSM_2014.tar.gz claims \d+ bytes; take the"):
        load(2, path=path)


def test_links_are_no_files(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("a/hutto_ICWSM_2014.tar.gz")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(member)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match=r"holds no hutto_ICWSM_2014.tar.gz"):
        load(2, path=path)


def test_without_the_archive(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"could not read .*missing.tar.gz: No such file"):
        load(path=tmp_path / "missing.tar.gz")
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"Run `workbench fetch raters`"):
        load()


def test_real_archive():
    if not cache_path("raters").is_file():
        pytest.skip("the raters' archive was never fetched; `workbench fetch raters` gets it")
    dataset = load(600, domains=("nyt",))
    assert (len(dataset.train), len(dataset.heldout)) == (2370, 600)
    assert dataset.notes == ("2220 of 5190 texts left out: mean score within 0.5 of 0",)

    def agreement(count):
        """Return the share of labels that count raters give as all do: 2,400 of them, error 0.008."""
        same = [
            rated(one, count, seed).response == one.response for one in dataset.heldout for seed in range(4)
        ]
        return sum(same) / len(same)

    # a rater who says 0 has no side: 0.70 of the labels are right outright, the coin adds half of the ties
    assert agreement(1) == pytest.approx(0.837, abs=0.032)
    assert agreement(3) == pytest.approx(0.964, abs=0.016)
