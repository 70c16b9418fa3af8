"""What a class guessed and scored: shown to each after the truth, collected in a table and pictures."""

import csv
import io
import json
import sys

import pytest

from workbench import classmates
from workbench.classmates import join_class
from workbench.cli import main
from workbench.cli.lab import environment
from workbench.errors import InputError
from workbench.laws import analyse, read_table
from workbench.lessons import BudgetGame, Game, GuessNumber, GuessOrder, class_guesses
from workbench.lessons.scores import Entry, add_class_entry, add_entry, class_board, scoreboard
from workbench.lessons.shipped import VERBS
from workbench.studies.disk.store import Store
from workbench.views.widgets import Guess

ORDER = {"go": 44.5, "walk": 97.0, "be": 31.0}


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv(classmates.CLASS_FOLDER, "")
    monkeypatch.setenv(classmates.CLASS_NAME, "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "class").mkdir()
    return tmp_path / "class"


def number(**changes):
    asked = {"name": "n", "question": "How many?", "truth": 9.3, "low": 1, "high": 100, "unit": "times"}
    return GuessNumber(**{**asked, **changes})


def guess_as(folder, person, value):
    join_class(folder, person)
    view = number()
    view.guess = value
    view.told = True
    return view


def test_after_the_truth_each_sees_what_the_others_guessed(folder):
    assert guess_as(folder, "Ada", 5.0).others == {}
    assert guess_as(folder, "Bob", 20.0).others == {
        "words": "1 other guessed; the middle of them 5 times.",
        "guesses": [5.0],
    }
    last = guess_as(folder, "Cem", 40.0)
    assert last.others["words"] == "2 others guessed; the middle of them 12.5 times."
    last.told = False
    assert last.others == {}, "whoever guesses again sees nothing before"


def test_only_what_was_guessed_before_the_truth_is_kept(folder):
    view = guess_as(folder, "Ada", 5.0)
    view.told = False
    view.guess = 9.3
    view.told = True
    join_class(folder, "Bob")
    without = number()
    without.told = True
    without.told, without.guess = False, 9.3
    without.told = True
    nameless = number(name="")
    nameless.guess = 7.0
    nameless.told = True
    assert [(one.person, one.guess) for one in class_guesses(folder).guesses] == [("Ada", 5.0)]


def test_a_class_that_is_gone_is_said_beside_the_truth(folder):
    join_class(folder, "Ada")
    folder.rmdir()
    view = number()
    view.guess, view.told = 4.0, True
    assert view.others["words"].startswith("Your guess isn't kept: there is no folder")
    assert not folder.exists()


@pytest.fixture(scope="module")
def shipped_rows():
    with Store.open(VERBS, read_only=True) as store:
        return store.table()


@pytest.fixture(scope="module")
def exact(shipped_rows):
    return analyse(read_table(shipped_rows), "exact_match", bootstraps=60)


@pytest.fixture
def guessed(folder, shipped_rows, exact):
    """A class of six that guessed a number, an order and a line."""
    for place, person in enumerate(("Ada", "Bob", "Cem", "Dan", "=Eve()", "Flo")):
        guess_as(folder, person, float(2 * place + 2))
        order = GuessOrder("o", "Which is hardest?", ORDER, unit="%")
        order.guess, order.touched = (list(ORDER) if place else [*ORDER][::-1]), True
        order.told = True
        line = Guess(shipped_rows, exact, name="l")
        line.guess = [0.5 + place / 20] * len(line.guess)
        line.told = True
    return folder


def test_a_class_is_collected_in_a_table_and_pictures(guessed, capsys):
    assert main(["class", str(guessed)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1] == (
        "n: 6 people guessed; the middle of them 7 times, half of them from 4.5 to 9.5 times; it is 9.3 times"
    )
    assert said[2] == (
        "o: 6 people guessed; the middle of them had 2 of 3 pairs right; "
        "the order is walk 97%, go 44.5%, be 31%"
    )
    assert said[0].startswith("l: 6 people guessed; the middle of them was 0.")
    rows = list(csv.DictReader(io.StringIO((guessed / "guesses.csv").read_text())))
    numbers = [row for row in rows if row["name"] == "n"]
    assert [float(row["guess"]) for row in numbers] == [10, 2, 4, 6, 8, 12], "in the order of the files"
    assert numbers[0]["person"] == "'=Eve()", "a spreadsheet computes nothing"
    assert {row["first"] for row in rows} == {"yes"}
    assert json.loads(next(row["guess"] for row in rows if row["name"] == "o")) == list(ORDER)
    pictures = sorted(path.name for path in guessed.glob("*.png"))
    assert pictures == ["guess-01-l.png", "guess-02-n.png", "guess-03-o.png"]


def test_the_pictures_have_the_guesses_and_the_truth(guessed):
    found = class_guesses(guessed)
    dots, half, middle, truth = found.figure("n").axes[0].lines
    assert list(dots.get_xdata()) == [2, 4, 6, 8, 10, 12]
    assert list(dots.get_ydata()) == [1] * 6
    assert list(half.get_xdata()) == [4.5, 9.5]
    assert (middle.get_xdata()[0], truth.get_xdata()[0]) == (7, 9.3)
    *each, middle, truth = found.figure("l").axes[0].lines
    assert len(each) == 6
    assert set(middle.get_ydata()) == {0.625}
    assert max(truth.get_ydata()) > 0.85
    orders = found.figure("o").axes[0]
    assert [text.get_text() for text in orders.get_yticklabels()] == ["walk (97%)", "go (44.5%)", "be (31%)"]
    sizes = [float(dot.get_sizes()[0]) / 260 for dot in orders.collections]
    assert sizes == pytest.approx([0, 1, 0, 5 / 6, 0, 1 / 6, 1 / 6, 0, 5 / 6])
    with pytest.raises(InputError, match="the questions of this class are: l, n, o"):
        found.figure("m")
    assert "Guesses of 6 people" in repr(found)
    assert "=Eve" not in found._repr_html_()


def test_a_class_in_which_nobody_has_guessed(folder, capsys):
    assert main(["class", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("Nobody has guessed yet")
    assert not list(folder.iterdir())


def test_a_damaged_file_is_said_and_the_others_are_shown(guessed, capsys):
    (guessed / "guesses" / "Ada.jsonl").write_text("{}\n")
    assert main(["class", str(guessed), "--output", str(guessed / "out")]) == 0
    said = capsys.readouterr().out
    assert "n: 5 people guessed" in said
    assert "not read: " in said
    assert (guessed / "out" / "guesses.csv").is_file()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--class", "class"), "add --name NAME"),
        (("--name", "Ada"), "add --class FOLDER"),
        (("--class", "nowhere", "--name", "Ada"), "there is no folder nowhere for the class"),
        (("--class", "class", "--name", " "), "is no name to show in a class"),
    ],
)
def test_lab_wants_a_folder_and_a_name(folder, capsys, options, says):
    pytest.importorskip("jupyterlab")
    assert main(["lab", str(folder), *options]) == 2
    assert says in capsys.readouterr().err


def test_lab_tells_its_kernels_of_the_class(folder, monkeypatch):
    pytest.importorskip("jupyterlab")
    given = []
    became = lambda *arguments: sys.exit(given.append(arguments[2]))  # noqa: E731 - as execve, it doesn't return
    monkeypatch.setattr("workbench.cli.lab.os.execve", became)
    with pytest.raises(SystemExit):
        main(["lab", str(folder), "--class", "class", "--name", "Ada"])
    assert (given[0]["WORKBENCH_CLASS"], given[0]["WORKBENCH_CLASS_NAME"]) == (str(folder.resolve()), "Ada")
    assert environment({})["JUPYTER_TOKEN"]


def played(game, shares):
    view = BudgetGame(game)
    for number, share in enumerate(shares):
        view.decision = {"round": number, "share": share}
    return view


def test_the_class_has_one_board_and_the_first_game_counts(folder, exact):
    game = Game(exact, worse="50% other_form", rounds=2)
    best = [game.play(one, 0).best_share for one in game.rounds]
    worst = [0.0 if share > 0.5 else 1.0 for share in best]
    join_class(folder, "Ada <b>")
    view = played(game, worst)
    assert [(rank, name) for rank, name, _ in view.board] == [(1, "Ada <b>")]
    assert float(view.board[0][2]) > 0.02
    join_class(folder, "Bob, 2")
    assert [name for _, name, _ in played(game, best[:1]).board] == ["Ada <b>"], "half a game is none"
    played(game, best)
    view.looked += 1
    assert [(rank, name) for rank, name, _ in view.board] == [(1, "Bob, 2"), (2, "Ada <b>")]
    assert view.board[0][2] == "0.000"
    join_class(folder, "Ada <b>")
    again = played(game, best)
    assert again.board == view.board, "whoever plays again knows the truth"
    other = Game(exact, worse="50% other_form", rounds=2, seed=1)
    assert BudgetGame(other).board == [], "another game has another board"
    (folder / "scores" / "Cem.csv").write_text("name,rounds,regret,game\nCem,2,lots,\nCem,2,nan,\n")
    view.looked += 1
    assert len(view.board) == 2
    assert view.board_problem.endswith(
        "Cem.csv: 2 lines from 2 on are no name, rounds and regret and left out; all others are shown."
    )


def test_equal_regrets_share_a_rank(tmp_path, folder):
    file = tmp_path / "board.csv"
    for name, regret in (("a", 0.2), ("b", 0.1), ("c", 0.1001), ("d", 0.3)):
        add_entry(file, Entry(name=name, rounds=5, regret=regret, game="g"))
    assert [(rank, one.name) for rank, one in scoreboard(file, "g").ranked()] == [
        (1, "b"),
        (1, "c"),
        (3, "a"),
        (4, "d"),
    ]
    assert scoreboard(file, "another").entries == ()
    own = join_class(folder, "z")
    add_class_entry(own, Entry(name="z", rounds=5, regret=0.5, game="g"))
    assert [one.name for one in class_board(folder, "g").entries] == ["z"]
