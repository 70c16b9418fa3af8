"""Sizes at which training went on after the held-out loss was at its best are named, and no others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.laws.overfit import TrainingCourse, overfit_sizes, said_of_overfit

STEPS = 6


def courses(
    rise: dict[float, float], *, noise: float = 0.01, seed: int = 0, **changes: object
) -> list[TrainingCourse]:
    """Return three seeds a size; the loss falls from 2 to its best, 1, and then rises by so much."""
    rng = np.random.default_rng(seed)
    return [
        TrainingCourse(
            **{
                "quality": "clean",
                "size": float(size),
                "passes": 1600 / size,
                "heldout": (
                    *(np.linspace(2, 1, STEPS) + noise * rng.standard_normal(STEPS)).tolist(),
                    1 + up + noise * float(rng.standard_normal()),
                ),
                "fitted": 0.05,
            }
            | changes
        )
        for size, up in rise.items()
        for _ in range(3)
    ]


def test_the_sizes_that_rose_are_named_with_their_rise():
    found = overfit_sizes(courses({32: 0.3, 64: 0.1, 128: 0.0, 256: -0.2}))
    assert [one.size for one in found] == [32, 64]
    assert [one.passes for one in found] == [50, 25]
    assert [one.rise for one in found] == pytest.approx([0.3, 0.1], abs=0.03)


def test_each_quality_is_looked_at_for_itself():
    both = courses({32: 0.3, 64: 0.0}) + courses({32: 0.0, 64: 0.3}, quality="typo")
    assert [(one.quality, one.size) for one in overfit_sizes(both)] == [("clean", 32), ("typo", 64)]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"passes": 1.0}, id="examples seen once: the data did it"),
        pytest.param({"fitted": 1.5}, id="examples not learned"),
        pytest.param({"heldout": (2.0, 1.0)}, id="still falling"),
        pytest.param({"heldout": (2.0, 2.0)}, id="where it began"),
    ],
)
def test_what_is_no_overfitting_is_not_named(changes):
    assert not overfit_sizes(courses({32: 0.3, 64: 0.3}, **changes))


def test_one_seed_a_cell_tells_no_noise_and_so_nothing():
    assert not overfit_sizes(courses({32: 0.3, 64: 0.3})[::3])


def test_only_the_loss_before_training_and_the_final_one_are_needed():
    rows = courses({32: 0.0, 64: 0.0})
    short = [
        TrainingCourse(
            quality=c.quality, size=c.size, passes=c.passes, heldout=(0.8, c.heldout[-1]), fitted=0.1
        )
        for c in rows
    ]
    assert [one.rise for one in overfit_sizes(short)] == pytest.approx([0.2, 0.2], abs=0.03)


def test_a_course_that_stays_is_named_in_at_most_one_study_of_twenty():
    flat = {float(n): 0.0 for n in (32, 64, 128, 256)}
    named = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        rows = [
            TrainingCourse(
                quality="a",
                size=n,
                passes=50.0,
                heldout=(1.0, 1 + 0.1 * float(rng.standard_normal())),
                fitted=0.1,
            )
            for n in flat
            for _ in range(3)
        ]
        named += bool(overfit_sizes(rows))
    assert 8 <= named <= 24, "5% of 300 are 15"


@settings(max_examples=40, deadline=None)
@given(scale=st.sampled_from([1e-6, 1.0, 1e6]), seed=st.integers(0, 999), up=st.floats(-0.5, 0.5))
def test_the_unit_of_the_loss_changes_nothing(scale, seed, up):
    def in_unit(unit: float) -> list[TrainingCourse]:
        return [
            TrainingCourse(
                quality=c.quality,
                size=c.size,
                passes=c.passes,
                heldout=tuple(unit * v for v in c.heldout),
                fitted=unit * c.fitted,
            )
            for c in courses({32: up, 64: 0.1}, seed=seed)
        ]

    plain, other = overfit_sizes(in_unit(1.0)), overfit_sizes(in_unit(scale))
    assert [one.size for one in plain] == [one.size for one in other]
    assert [scale * one.rise for one in plain] == pytest.approx([one.rise for one in other])


def test_the_sentence_names_them_and_an_option_with_fewer_passes():
    rows = courses({32: 0.3, 64: 0.1, 128: 0.0, 256: -0.2})
    said = said_of_overfit(overfit_sizes(rows), rows)
    assert said is not None
    assert (
        "clean at 32 examples, each seen 50 times (training loss 0.05, held-out loss up by at least 0.3"
        in said
    )
    assert said.endswith("the same study in a new folder with --epochs 6.")
    every = courses({32: 0.3}, passes=2.0)
    assert (said_of_overfit(overfit_sizes(every), every) or "").endswith("--epochs 1.")
    assert said_of_overfit((), rows) is None
