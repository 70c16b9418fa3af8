"""Two outcomes of one cell are the same to the bit, or their first difference is named."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workbench.studies.compare import CellNumbers, FirstDifference, first_difference

SAME = CellNumbers(
    "done",
    {"loss": 0.5, "exact_match": None},
    {"item_loss": [0.1, 0.9], "train_loss": [3.0, 2.0, 1.0], "gradient_norm": [1.0, 1.0, 1.0]},
)


def changed(**parts) -> CellNumbers:
    values = {name: parts.get(name, getattr(SAME, name)) for name in ("status", "metrics", "curves")}
    return CellNumbers(**values)


def curve(name: str, points: list[float]) -> CellNumbers:
    return changed(curves={**SAME.curves, name: points})


JUST_ABOVE = math.nextafter(2.0, 3.0)
DIFFERENCES = {
    "the last bit of a step": (curve("train_loss", [3.0, JUST_ABOVE, 1.0]), "train_loss", 2, 2.0, JUST_ABOVE),
    "the first step": (curve("train_loss", [4.0, 2.0, 1.0]), "train_loss", 1, 3.0, 4.0),
    "another curve": (curve("item_loss", [0.1, 0.8]), "item_loss", 2, 0.9, 0.8),
    "not a number any more": (curve("train_loss", [3.0, math.nan, 1.0]), "train_loss", 2, 2.0, math.nan),
    "a sign of zero": (changed(metrics={"loss": 0.5, "exact_match": -0.0}), "exact_match", None, None, -0.0),
    "shorter": (curve("train_loss", [3.0, 2.0]), "length of train_loss", None, 3.0, 2.0),
    "longer": (curve("train_loss", [3.0, 2.0, 1.0, 1.0]), "length of train_loss", None, 3.0, 4.0),
    "a curve more": (curve("item_exact", [1.0]), "length of item_exact", None, 0.0, 1.0),
    "a metric": (changed(metrics={"loss": 0.25, "exact_match": None}), "loss", None, 0.5, 0.25),
    "a metric that is missing": (
        changed(metrics={"loss": None, "exact_match": None}),
        "loss",
        None,
        0.5,
        None,
    ),
    "the status": (changed(status="failed"), "status", None, "done", "failed"),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_first_difference_is_named(name):
    other, where, step, first, second = DIFFERENCES[name]
    assert str(first_difference("k", SAME, other)) == str(FirstDifference("k", where, step, first, second))
    assert str(first_difference("k", other, SAME)) == str(FirstDifference("k", where, step, second, first))


def test_a_training_curve_comes_before_what_follows_from_it():
    other = CellNumbers(
        "failed", {"loss": 9.0}, {**SAME.curves, "item_loss": [9.0, 9.0], "train_loss": [3.0, 2.0, 9.0]}
    )
    assert str(first_difference("k", SAME, other)) == "k: train_loss at step 3: 1.0 against 9.0"


@given(points=st.lists(st.floats(), max_size=5), metric=st.none() | st.floats(allow_nan=False))
@example(points=[1.0, math.nan], metric=None)
def test_what_is_equal_to_the_bit_is_the_same(points, metric):
    """Not a number is itself, too."""
    one, two = (CellNumbers("done", {"loss": metric}, {"train_loss": list(points)}) for _ in range(2))
    assert first_difference("k", one, two) is None
