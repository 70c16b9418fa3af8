"""A class over a shared folder: one file a person, read together while others write, whatever their names."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import classmates
from workbench.classmates import (
    KeptGuess,
    Membership,
    first_guesses,
    join_class,
    keep_guess,
    others_who_guessed,
    own_membership,
    read_guesses,
    right_pairs,
    spread_in_words,
)
from workbench.errors import InputError

NAMES = (
    "Ada",
    "ada b.",
    "Łukasz/..\\ß",
    "..",
    "=1+1",
    "<b>x</b>",
    "名" * 40,
    "名" * 39 + "前",
    "a:b*?",
    "'\"",
)


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """No class, and a folder of one's own."""
    monkeypatch.setenv(classmates.CLASS_FOLDER, "")
    monkeypatch.setenv(classmates.CLASS_NAME, "")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "the class").mkdir()
    return tmp_path / "the class"


ASKED = '{"person": "Eve", "name": "02-rank", "question": "", '


def guess(number=12.0, **changes):
    asked = {"person": "", "name": "02-rank", "question": "Which rank?", "truth": 8.0, "unit": "directions"}
    return KeptGuess(**{**asked, "guess": number, **changes})


def test_without_a_class_guesses_lie_beside_the_notebook(tmp_path):
    keep_guess(guess())
    keep_guess(guess(3.0))
    lines = [json.loads(line) for line in (tmp_path / "runs" / "guesses.jsonl").read_text().splitlines()]
    assert [(one["person"], one["guess"], one["truth"]) for one in lines] == [("", 12.0, 8.0), ("", 3.0, 8.0)]
    assert lines[0]["time"].endswith("+00:00")
    assert others_who_guessed("02-rank") == []


@pytest.mark.parametrize("name", NAMES)
def test_each_name_has_a_file_of_its_own(folder, name):
    for person in NAMES:
        join_class(folder, person)
        keep_guess(guess(float(len(person))))
    own = join_class(folder, name)
    assert own_membership() == own == Membership(folder.resolve(), name)
    assert own.file("guesses", ".jsonl").resolve().parent == (folder / "guesses").resolve()
    assert len(own.file("guesses", ".jsonl").name) < 200
    assert len(list((folder / "guesses").iterdir())) == len(NAMES)
    guesses, problems = read_guesses(folder)
    assert not problems
    assert sorted(one.person for one in guesses) == sorted(NAMES)
    assert {one.person for one in others_who_guessed("02-rank")} == {*NAMES} - {name}


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "a\0b", "\ud800"])
def test_no_name_is_refused(folder, name):
    with pytest.raises(InputError, match="is no name to show in a class; give one of 1 to 40"):
        join_class(folder, name)
    assert own_membership() is None


def test_a_name_is_one_line(folder):
    assert join_class(str(folder), " Ada \n Lovelace ").person == "Ada Lovelace"


def test_a_folder_that_is_gone_is_said_and_not_made_anew(folder):
    with pytest.raises(InputError, match=r"there is no folder .*nowhere for the class"):
        join_class(folder / "nowhere", "Ada")
    join_class(folder, "Ada")
    folder.rmdir()
    with pytest.raises(InputError, match="there is no folder"):
        keep_guess(guess())
    assert not folder.exists(), "a drive that isn't connected is no folder to write into"


def test_what_a_person_guesses_first_counts(folder):
    join_class(folder, "Ada")
    for number in (12.0, 8.0):
        keep_guess(guess(number))
    keep_guess(guess(8.0, name="other"))
    assert [one.guess for one in first_guesses(read_guesses(folder)[0])["02-rank"]] == [12.0]


def test_guesses_at_another_truth_are_left_out(folder):
    for person, truth in (("Ada", 8.0), ("Bob", 8.0), ("Cem", 9.0)):
        join_class(folder, person)
        keep_guess(guess(truth=truth))
    assert [one.person for one in first_guesses(read_guesses(folder)[0])["02-rank"]] == ["Ada", "Bob"]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "null",
        '{"person": "Eve"}',
        '{"person": 1, "name": "02-rank", "question": "", "guess": 1, "truth": 1}',
        ASKED + '"guess": NaN, "truth": 8}',
        ASKED + '"guess": "8", "truth": 8}',
        ASKED + '"guess": true, "truth": 8}',
        ASKED + '"guess": [1], "truth": [1, 2], "sizes": [1, 2]}',
        ASKED + '"guess": ["a", "c"], "truth": {"a": 1, "b": 2}}',
        ASKED + '"guess": [["a"]], "truth": {"a": 1, "b": 2}}',
        ASKED + '"guess": ["a", "b", "a"], "truth": {"a": 1, "b": 2}}',
        ASKED + f'"guess": 1{"0" * 400}, "truth": 8}}',
        "[" * 5000,
    ],
)
def test_a_damaged_line_is_one_sentence_and_the_others_are_read(folder, line):
    for person in ("Ada", "Eve"):
        join_class(folder, person)
        keep_guess(guess())
    file = folder / "guesses" / "Eve.jsonl"
    file.write_text(file.read_text() + line + "\n")
    guesses, problems = read_guesses(folder)
    assert [one.person for one in guesses] == ["Ada", "Eve"]
    assert problems == [f"{file}: line 2 is no guess and left out; all others are shown"]


def test_a_file_that_cannot_be_read_hides_no_other(folder, monkeypatch):
    join_class(folder, "Ada")
    keep_guess(guess())
    (folder / "guesses" / "Zed.jsonl").mkdir()
    (folder / "guesses" / "huge.jsonl").write_bytes(b"\xff" * 2000)
    monkeypatch.setattr(classmates, "LARGEST_FILE", 1000)
    guesses, problems = read_guesses(folder)
    assert [one.person for one in guesses] == ["Ada"]
    assert "Zed.jsonl" in problems[0]
    assert "huge.jsonl has more than 1,000 bytes" in problems[1]


def test_a_line_after_one_that_was_cut(folder):
    file = join_class(folder, "Ada").file("guesses", ".jsonl")
    file.parent.mkdir()
    file.write_text('{"person": "Ada", "na')
    keep_guess(guess())
    assert [one.guess for one in read_guesses(folder)[0]] == [12.0]


def test_pairs_and_distances():
    values = {"a": 3.0, "b": 2.0, "c": 2.0}
    assert right_pairs(["a", "b", "c"], values) == right_pairs(["a", "c", "b"], values) == (3, 3)
    assert right_pairs(["b", "c", "a"], values) == (1, 3)
    assert guess(["b", "c", "a"], truth=values).distance == pytest.approx(2 / 3)
    assert guess([1.0, 3.0], truth=[2.0, 6.0], sizes=(1, 2)).distance == 2
    assert guess(5.0).distance == 3


def test_the_spread_is_said():
    assert spread_in_words([guess(3.0)]) == "the middle of them 3 directions"
    many = [guess(float(n)) for n in (1, 2, 3, 4, 100)]
    assert spread_in_words(many) == "the middle of them 3 directions, half of them from 2 to 4 directions"
    values = {"a": 3.0, "b": 2.0}
    orders = [guess(order, truth=values) for order in (["a", "b"], ["b", "a"], ["a", "b"])]
    assert spread_in_words(orders) == "the middle of them had 1 of 1 pairs right"
    lines = [guess([y, y], truth=[0.5, 0.5], sizes=(1, 2)) for y in (0.5, 0.4, 0.2)]
    assert spread_in_words(lines) == "the middle of them was 0.1 off on average"


WRITE = """
import sys
from workbench.classmates import KeptGuess, join_class, keep_guess
from workbench.lessons.scores import Entry, add_class_entry
own = join_class(sys.argv[1], sys.argv[2])
for number in range(40):
    keep_guess(KeptGuess(person="", name=f"q{number}", question="?", guess=float(number), truth=1.0))
    add_class_entry(own, Entry(name=own.person, rounds=5, regret=number / 100, game="g"))
"""


def test_processes_that_write_at_once_lose_nothing(folder):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(folder), name]) for name in ("Ada", "Bob / 2")
    ]
    while any(writer.poll() is None for writer in writers):
        assert read_guesses(folder)[1] == [], "a file is there in whole at any time"
    assert [writer.returncode for writer in writers] == [0, 0]
    guesses, problems = read_guesses(folder)
    assert not problems
    for person in ("Ada", "Bob / 2"):
        assert [one.guess for one in guesses if one.person == person] == [float(n) for n in range(40)]
        assert len(Membership(folder, person).file("scores", ".csv").read_text().splitlines()) == 41
    assert not list(Path(folder).rglob(".*")), "nothing half written stays"
