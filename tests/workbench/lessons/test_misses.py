"""How far a law misses, for a class."""

import numpy as np
import pytest

import workbench as wb
from workbench.lessons.misses import chance_in_words, squared_errors


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (None, "this can't be said"),
        (0.31, "yes, in 31% of such studies"),
        (0.05, "yes, in 5% of such studies"),
        (0.0026, "about once in 400 such studies"),
        (4e-14, "less than once in a million such studies"),
    ],
)
def test_a_probability_is_said_in_words(probability, words):
    assert chance_in_words(probability) == words


def test_squared_errors_are_one_where_the_law_is_right_and_large_where_it_is_not():
    generator = np.random.default_rng(0)
    rows = [
        {"quality": f"{share:.0%}", "share": share, "size": n, "seed": seed, "loss": value}
        for share in (1.0, 0.9, 0.75, 0.5)
        for n in (32, 64, 128, 256, 512, 1024)
        for seed in range(6)
        for value in [0.3 + 0.4 * (1 - share) + 2 * n**-0.5 + 0.01 * generator.standard_normal()]
    ]
    right = squared_errors(wb.fit_table(wb.read_table(rows), "loss", "noise_floor"))
    assert 0.4 < right < 1.8
    for row in rows:  # a step that no power law has
        row["loss"] -= 0.1 * (row["share"] == 0.5 and row["size"] > 200)
    assert squared_errors(wb.fit_table(wb.read_table(rows), "loss", "noise_floor")) > 10
