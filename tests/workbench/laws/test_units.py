"""What the sizes of a table count, and what follows from a draw of so many tokens."""

import pytest

from workbench.errors import InputError
from workbench.laws import exchange_rate, read_table
from workbench.laws.measurement import cell_of
from workbench.laws.units import ANY_TOKENS, EXAMPLES, RESPONSE_TOKENS


def rows(size_in="tokens", **fixed):
    """A study whose draws of so many tokens have another number of examples for each seed."""
    return [
        {
            "quality": quality,
            "size": size,
            "seed": seed,
            "loss": 1 + 20 * (worth * size) ** -0.5 + 0.003 * (seed - 1),
            "status": "done",
            "size_in": size_in,
            "examples": size // (7 + seed),
            "steps": 40,
            "epochs": 320 / (size // (7 + seed)),
            **fixed,
        }
        for quality, worth in (("clean", 1.0), ("noisy", 0.5))
        for size in (100, 200, 400, 800, 1600)
        for seed in (0, 1, 2)
    ]


@pytest.mark.parametrize("measured_here", [True, False])
def test_seeds_that_drew_other_numbers_of_examples_are_replicates(measured_here):
    table = read_table(rows(), measured_here=measured_here)
    assert table.unit == RESPONSE_TOKENS
    assert len({cell_of(row) for row in table.rows}) == 10
    rate = exchange_rate(table, "loss", reference="clean", other="noisy", bootstraps=100)
    assert not rate.from_residuals
    assert "one clean response token does the work of" in rate.sentence()


def test_what_was_set_still_tells_cells_apart():
    """Steps that are the same everywhere are no draw's: a second study with others stays another one."""
    both = read_table([*rows(), *rows(steps=80)], measured_here=True)
    assert len({cell_of(row) for row in both.rows}) == 20
    one = read_table(rows())
    assert {row.values["steps"] for row in one.rows} == {40.0}


def test_a_column_of_tokens_says_what_it_counts():
    plain = [{name: row[name] for name in ("quality", "size", "seed", "loss")} for row in rows()]
    assert read_table(plain).unit == EXAMPLES
    named = [{**row, "tokens": row["size"]} for row in plain]
    for row in named:
        del row["size"]
    table = read_table(named, columns={"size": "tokens"})
    assert table.unit == ANY_TOKENS
    rate = exchange_rate(table, "loss", reference="clean", other="noisy", bootstraps=100)
    assert "one clean token does the work of" in rate.sentence()


def test_another_unit_is_refused():
    with pytest.raises(InputError, match="size_in is 'bytes'; expected examples or tokens"):
        read_table(rows(size_in="bytes"))
