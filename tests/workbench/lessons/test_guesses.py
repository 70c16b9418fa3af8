"""Predict, then reveal: what is asked, what may be guessed, and that nothing gives the answer away before."""

import re

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.lessons import GuessNumber, GuessOrder
from workbench.lessons.guess_figures import number_line, sorted_bars
from workbench.lessons.library import masters_folder
from workbench.views.palette import COLOURS

NOTEBOOKS = masters_folder()
VERBS = {"be": 31.0, "go": 44.5, "walk": 97.0, "sing": 60.0}


def number(**changes):
    return GuessNumber(
        **{"name": "n", "question": "How many?", "truth": 9.3, "low": 1, "high": 100, **changes}
    )


def drawn(figure):
    """Return the numbers and words that stand in a picture."""
    axes = figure.axes[0]
    bars = [float(bar.get_width()) for bar in axes.patches]
    lines = [float(x) for line in axes.lines for x in np.atleast_1d(line.get_xdata())]
    return bars, lines, " ".join(text.get_text() for text in axes.texts)


@pytest.mark.parametrize("log", [False, True])
def test_a_picture_of_a_number_has_the_truth_only_once_it_is_told(log):
    guess = number(logarithmic=log)
    assert "9.3" not in guess.words()
    assert "not told yet" in guess.words()
    _, lines, words = drawn(guess.picture())
    assert lines == []
    assert words == "no guess yet"
    guess.guess = 24
    assert drawn(guess.picture())[1] == [24]
    guess.told = True
    assert set(drawn(guess.picture())[1]) == {24, 9.3}
    assert guess.words() == "How many? guessed 24; it is 9.3"


def test_others_are_drawn_within_the_line():
    guess = number()
    guess.others = {"guesses": [0.1, 5, 1000], "words": "3 others"}
    assert drawn(guess.picture())[1] == [], "others are told with the truth"
    guess.told = True
    assert {1, 5, 100, 9.3} == set(drawn(guess.picture())[1])


def test_a_picture_of_an_order_has_the_values_only_once_they_are_told():
    guess = GuessOrder("o", "Which is hardest?", VERBS, unit="%")
    bars, _, words = drawn(guess.picture())
    assert set(bars) == {0.0}
    assert words == "not told yet"
    assert not any(str(value)[:2] in guess.words() for value in VERBS.values())
    guess.guess, guess.told, guess.touched = list(VERBS), True, True
    bars, _, words = drawn(guess.picture())
    assert bars == list(VERBS.values())
    assert words.split() == ["31", "44.5", "97", "60"]
    assert guess.words().endswith("in order: walk 97, sing 60, go 44.5, be 31")


def test_the_first_order_is_by_chance_never_right_and_the_same_each_time():
    for seed in range(40):
        truth = {"a": 3, "b": 2, "c": 1} if seed % 2 else {"a": 2, "b": 1}
        first = GuessOrder(str(seed), "?", truth).guess
        assert sorted(first) == sorted(truth)
        assert first != list(truth)
        assert first == GuessOrder(str(seed), "?", truth).guess


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"truth": 7, "low": 0, "high": 40}, 1),
        ({"truth": 7.5, "low": 0, "high": 40}, 0.1),
        ({"truth": 48, "low": 0, "high": 100}, 1),
        ({"truth": 9000, "low": 0, "high": 20000}, 100),
        ({"truth": 9, "low": 1, "high": 1000, "logarithmic": True}, 1),
        ({"truth": 9.5, "low": 1, "high": 1000, "logarithmic": True}, 0.1),
    ],
)
def test_a_line_steps_in_round_numbers(changes, step):
    assert number(**changes).question["step"] == pytest.approx(step)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"truth": 101}, "the truth 101 isn't on the line from 1 to 100"),
        ({"truth": float("nan")}, "the truth nan isn't on the line"),
        ({"low": 100, "high": 1}, "a line from 100 to 1 can't be drawn"),
        ({"low": 0, "logarithmic": True}, "give two numbers, above 0, the lower one as low"),
        ({"high": float("inf")}, "a line from 1 to inf can't be drawn"),
    ],
)
def test_a_number_that_cannot_be_asked_is_refused(changes, says):
    with pytest.raises(InputError, match=says):
        number(**changes)


@pytest.mark.parametrize("truth", [{"a": 1}, {"a": 1, "b": 1}, {str(n): n for n in range(13)}])
def test_an_order_that_cannot_be_asked_is_refused(truth):
    with pytest.raises(InputError, match="can't be sorted: give 2 to 12 that differ"):
        GuessOrder("o", "?", truth)


def test_each_guess_of_the_notebooks_has_a_name_of_its_own():
    asked = re.compile(r'(?:Guess(?:Number|Order)\(\s*|\bname=)"(\d\w*-[\w-]+)"')
    found = {path.stem: asked.findall(path.read_text()) for path in sorted(NOTEBOOKS.glob("*.py"))}
    names = [name for own in found.values() for name in own]
    assert len(names) == len(set(names)) >= 6
    for notebook, own in found.items():
        assert all(notebook.startswith(name.split("-")[0]) for name in own), notebook


def test_the_truth_has_a_colour_of_its_own():
    told = number_line({**number().question}, 24, told=True)
    assert {line.get_color() for line in told.axes[0].lines} == set(COLOURS[:2])
    assert sorted_bars(GuessOrder("o", "?", VERBS).question, list(VERBS), told=True).axes[0].patches
