"""Advice to a class, and to who writes guesses."""

import os
import re
import sys

import pytest
from following import between, follows, told

from workbench import classmates
from workbench.classmates import LARGEST_FILE, join_class, read_guesses
from workbench.cli import lab, main
from workbench.laws import analyse, read_table
from workbench.lessons import Game, GuessNumber, GuessOrder, class_guesses
from workbench.lessons.shipped import VERBS
from workbench.studies.disk.store import Store


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    monkeypatch.setenv(classmates.CLASS_FOLDER, "")
    monkeypatch.setenv(classmates.CLASS_NAME, "")
    monkeypatch.chdir(tmp_path)


@follows(
    "name the folder that the class shares, or make it", "add {missing}", "is no name to show in a class"
)
def test_joining_a_class(tmp_path, monkeypatch, refused):
    pytest.importorskip("jupyterlab")
    monkeypatch.setattr(lab.os, "execve", lambda *arguments: sys.exit(0))
    joining = ["lab", str(tmp_path), "--class", "class"]
    option, _ = between(refused(*joining), "add ").split()
    joining += [option, " "]
    message = refused(*joining)
    assert "or make it first" in message
    os.mkdir(between(message, "no folder ", " for"))
    assert "1 to 40 printable characters" in refused(*joining)
    with pytest.raises(SystemExit):
        main([*joining[:-1], "Ada"])


@follows("bytes; move it away")
def test_a_file_that_is_too_large(tmp_path):
    (tmp_path / "guesses").mkdir()
    (tmp_path / "guesses" / "Ada.jsonl").write_bytes(b"\n" * (LARGEST_FILE + 1))
    (message,) = read_guesses(tmp_path)[1]
    os.rename(message.split()[0], tmp_path / "away")
    assert read_guesses(tmp_path)[1] == []


@follows("give two numbers{above} the lower one as low", "choose low and high around it", "that differ")
def test_a_guess_that_cannot_be_asked():
    def ask(truth, low, high):
        return GuessNumber("n", "?", truth, low=low, high=high)

    assert "the lower one as low" in told(ask, 5, 9, 1)
    assert "around it" in told(ask, 5, 6, 9)
    assert ask(5, 1, 9).question["truth"] == 5
    most = int(re.findall("to ([0-9]+) that differ", told(GuessOrder, "o", "?", {"a": 1.0}))[0])
    assert len(GuessOrder("o", "?", {str(n): float(n) for n in range(most)}).guess) == most


@follows("tips the decision; choose others")
def test_a_decision_that_no_price_tips():
    with Store.open(VERBS, read_only=True) as store:
        exact = analyse(read_table(store.table()), "exact_match", bootstraps=60)
    game = Game(exact, worse="50% other_form")
    assert "choose others" in told(game.tipping_price, 2048, 64)
    assert game.tipping_price(64, 64) > 1


@follows("the questions of this class are")
def test_a_question_that_nobody_guessed_at(tmp_path):
    join_class(tmp_path, "Ada")
    view = GuessNumber("02-rank", "?", 5, low=1, high=9)
    view.guess, view.told = 4.0, True
    message = told(class_guesses(tmp_path).figure, "2-rank")
    assert class_guesses(tmp_path).figure(between(message, "class are: "))
