"""Checking and scoring never raise, whatever a learner's function does."""

import sys
import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from workbench.lessons import exercises
from workbench.lessons.exercise_list import EXERCISES
from workbench.lessons.exercises import Exercise, check, score
from workbench.lessons.hard_exercises import HARD_EXERCISES

EVERY = {**EXERCISES, **HARD_EXERCISES}


@pytest.fixture(autouse=True)
def fresh():
    exercises.VERDICTS.clear()


def double(x):
    return 2 * x


ON_A_MATRIX = [(torch.arange(6.0).view(2, 3),)]


def says(attempt, *, on=ON_A_MATRIX, truth=double, hint="", mistakes=(), **options):
    exercise = Exercise(truth, lambda: on, hint, mistakes)
    verdict = check("one", attempt, exercise=exercise, **options)
    assert exercises.VERDICTS["one"] is verdict
    assert repr(verdict) == verdict.words
    assert repr(score()).startswith(f"score: {int(verdict.correct)} of 1")
    return verdict.words


@pytest.mark.parametrize(
    "attempt",
    [double, lambda x: x + x, lambda x: (2 * x).tolist(), lambda x: 2 * x.numpy(), lambda x: (2 * x).half()],
)
def test_right_in_any_clothes(attempt):
    assert says(attempt) == "correct"


def test_a_gradient_doesnt_matter():
    assert says(lambda x: (2 * x).requires_grad_()) == "correct"


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda x: None, "it returns nothing; does the line with the result begin with `return`?"),
        (lambda x: ..., "nothing is filled in"),
        (lambda x: (2 * x).T, "its shape is 3 x 2, expected 2 x 3"),
        (lambda x: 1.0, "its shape is a single number, expected 2 x 3"),
        (lambda x: 2 * x + 1, "it is off by 1, where the largest value is 10"),
        (lambda x: torch.where(x > 4, torch.nan, 2 * x), "1 of 6 values are not a number"),
        (lambda x: torch.where(x > 4, -torch.inf, 2 * x), "1 of 6 values are infinite and shouldn't be"),
        (lambda x: "walked", "it returns a str, where numbers are expected"),
        (lambda x: [[1, 2], [3]], "it returns a list, where numbers are expected"),
        (lambda x: (_ for _ in x), "it returns a generator, where numbers are expected"),
        (lambda x: x.no_such, "it raises AttributeError: 'Tensor' object has no attribute 'no_such'"),
        (lambda: 1, "it raises TypeError"),
        (lambda x: sys.exit("bye"), "it raises SystemExit: bye"),
        (lambda x: 1 / 0, "it raises ZeroDivisionError: division by zero; call it in a cell of your own"),
        (5, "it is not a function any more"),
    ],
)
def test_wrong_in_a_sentence(attempt, words):
    assert says(attempt).startswith(f"not yet: {words}")


def test_a_hint_comes_with_what_is_wrong_but_not_with_nothing():
    assert says(lambda x: x + 1, hint="Twice.").endswith("Twice.")
    for nothing_to_hint_at in (lambda x: None, lambda x: ..., lambda x: x.no_such, lambda x: "walked"):
        assert "Twice" not in says(nothing_to_hint_at, hint="Twice.")


def test_a_number_written_down_is_no_formula():
    on = [(torch.ones(2),), (torch.zeros(2),)]
    assert says(lambda x: torch.full((2,), 2.0), on=on).startswith(
        "not yet: right for 1 of 2 cases, then it is"
    )


def test_infinity_is_a_number_where_it_is_right():
    on = [(np.array([1.0, np.inf]),)]
    assert says(double, on=on) == "correct"
    assert "infinite" in says(lambda x: -2 * x, on=on)


def test_a_loop_that_doesnt_end_is_ended():
    def forever(x):
        while True:
            pass

    said = says(forever, seconds=0.3, hint="Twice.")
    assert said.endswith("still running after 0.3 seconds; is there a loop that doesn't end?")
    deadline = time.monotonic() + 60
    while any(isinstance(one, exercises.Attempt) for one in threading.enumerate()):
        assert time.monotonic() < deadline, "the loop goes on"
        time.sleep(0.05)


def test_arguments_stay_as_they_were():
    x = torch.ones(3)
    assert says(lambda x: x.mul_(2), on=[(x,)]) == "correct"
    assert x.tolist() == [1, 1, 1]


class Rude(Exception):
    """An error that can't even say what it is."""

    def __str__(self):
        raise RuntimeError("no")


class Unreadable:
    """An object that raises when it is looked at."""

    def __getattr__(self, name):
        raise Rude

    __array__ = __len__ = __float__ = __iter__ = __eq__ = __repr__ = lambda self, *_: 1 / 0


def rude(x):
    raise Rude


@pytest.mark.parametrize("attempt", [rude, lambda x: Unreadable(), lambda x: [Unreadable()]])
def test_rude_things(attempt):
    assert says(attempt).startswith("not yet: it ")


def test_a_notebook_whose_variables_were_lost():
    words = says(double, on=[(None,)])
    assert words.startswith("not yet: it raises TypeError")
    assert "could not be run" in says(double, truth=rude)


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.floats() | st.none() | st.text(max_size=2), max_size=4),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, max_dims=3, max_side=3)),
    st.sampled_from([Unreadable, object(), print, int, ..., torch.empty(0), torch.tensor(1j), np.ma.masked]),
)
errors = st.sampled_from(
    [Rude, ValueError, KeyboardInterrupt, SystemExit, MemoryError, RecursionError, GeneratorExit]
)


@settings(max_examples=150, deadline=None)
@given(returned=anything, right=arrays.arrays(np.float64, arrays.array_shapes(max_side=3)))
def test_no_result_makes_it_raise(returned, right):
    # made here, as Hypothesis itself looks at what it draws
    exercise = Exercise(lambda: right, lambda: [()])
    verdict = check("any", lambda: Unreadable() if returned is Unreadable else returned, exercise=exercise)
    assert verdict.words
    assert score().total == 1


@given(error=errors, text=st.text(max_size=300))
@settings(max_examples=40, deadline=None)
def test_no_error_makes_it_raise(error, text):
    def attempt():
        raise error(text)

    verdict = check("any", attempt, exercise=Exercise(lambda: 1, lambda: [()]))
    assert not verdict.correct
    assert "\n" not in verdict.words


def test_the_score_counts_each_exercise_once():
    doubled = Exercise(double, lambda: [(1,)])
    check("one", double, exercise=doubled)
    check("two", rude, exercise=doubled)
    assert (score().correct, score().total) == (1, 2)
    check("two", double, exercise=doubled)
    assert repr(score()) == "score: 2 of 2\n  one: correct\n  two: correct"


# ------------------------------------------------------------------------------------- common mistakes


@pytest.mark.parametrize("name", EVERY)
def test_the_right_function_is_right(name):
    assert check(name, EVERY[name].truth).correct


MISTAKES = [(name, place) for name, one in EVERY.items() for place in range(len(one.mistakes))]


@pytest.mark.parametrize(("name", "place"), MISTAKES)
def test_each_common_mistake_gets_its_own_hint(name, place):
    wrong, hint = EVERY[name].mistakes[place]
    verdict = check(name, wrong)
    assert not verdict.correct
    assert verdict.words.endswith(f". {hint}"), verdict.words


def test_there_are_enough_mistakes_to_be_of_use():
    assert all(len(one.mistakes) >= 4 and one.hint for one in EVERY.values())
    assert len({id(wrong) for one in EVERY.values() for wrong, _ in one.mistakes}) == len(MISTAKES)


def test_hard_exercises_are_counted_apart():
    for name in ("gradients", "best_scale", "layer"):
        check(name, EVERY[name].truth)
    check("merged", rude)
    check("rate_interval", lambda n, enough: ...)
    assert (score().correct, score().total) == (1, 2)
    assert repr(score()).startswith("score: 1 of 2, and 2 of 3 hard\n")


def test_a_standard_error_without_one_cell_at_a_time_is_that_of_a_mean():
    values = np.random.default_rng(3).normal(size=30)
    left_out = np.array([np.delete(values, place).mean() for place in range(30)])
    assert EVERY["standard_error"].truth(left_out) == pytest.approx(values.std(ddof=1) / np.sqrt(30))


def test_no_other_scale_has_a_smaller_squared_error():
    for w, q in EVERY["best_scale"].cases():
        best = EVERY["best_scale"].truth(w, q)
        errors = [((w - factor * best[:, None] * q) ** 2).sum(-1) for factor in (0.99, 1.0, 1.01)]
        assert (errors[1] < errors[0]).all()
        assert (errors[1] < errors[2]).all()


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda x: (x @ x).T, "The numbers are right, with rows and columns exchanged."),
        (lambda x: -(x @ x), "Only the sign is wrong."),
        (lambda x: 3 * (x @ x), "Every value is 3 times the right one."),
        (lambda x: 3 * (x @ x) + 1, "Square it."),
        (lambda x: 0 * x, "Square it."),
        (lambda x: x * x, "Rows by columns."),
    ],
)
def test_what_can_be_told_of_any_result_is_told(attempt, words):
    on = [(torch.tensor([[1.0, 2.0], [0.0, 3.0]]),)]
    mistakes = [(lambda x: x.no_such, "never"), (lambda x: x * x, "Rows by columns.")]
    said = says(attempt, on=on, truth=lambda x: x @ x, hint="Square it.", mistakes=mistakes)
    assert said.endswith(f". {words}")


def test_an_exercise_that_is_not_there_is_no_error():
    assert "could not be run (KeyError: 'sums')" in check("sums", double).words


class Shell:
    """What IPython remembers of the cell that ran last."""

    def __init__(self, before=None, within=None):
        self.last_execution_result = self
        self.error_before_exec, self.error_in_exec = before, within


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        (Shell(before=SyntaxError("invalid syntax")), "not yet: the cell that ran last ended in SyntaxError"),
        (
            Shell(within=NameError("w")),
            "not yet: the cell that ran last ended in NameError: w; mend it and run",
        ),
        (Shell(), "correct"),
        (None, "correct"),
    ],
)
def test_an_earlier_function_is_not_judged_for_a_cell_that_failed(monkeypatch, shell, words):
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    assert says(double).startswith(words)


def test_a_badge_says_it_and_nothing_in_it_is_run():
    right = check("one", double, exercise=Exercise(double, lambda: [(1,)]))
    assert "\u2713 correct</b><span></span>" in right._repr_html_()
    wrong = check(
        "one", lambda x: {}["<img src=x onerror=alert(1)>"], exercise=Exercise(double, lambda: [(1,)])
    )
    assert "\u2717 not yet</b><span>it raises KeyError" in wrong._repr_html_()
    assert "<img" not in wrong._repr_html_()
    for colour, _ in exercises.BADGES.values():
        assert contrast(colour, "#ffffff") > 4.5


def contrast(one, other):
    """Return the ratio of two colours' luminances (WCAG 2.1)."""
    lights = []
    for colour in (one, other):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)
