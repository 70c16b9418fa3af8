"""Advice of the laws of quality, and of forecasts that have nothing to start from."""

import pytest
from following import FEW, between, follows, options_in

from workbench.laws.library import LAWS

COLUMNS = {"size": (4, 8, 16, 32), "model": (10, 20, 40), "unique": (2, 4, 8), "share": (0, 0.5, 1)}
OF_SHARES = [name for name, law in LAWS.items() if "share" in law.inputs and name != "noise_floor"]


@follows("a share of 0 means no effective data")
@pytest.mark.parametrize("law", OF_SHARES)
def test_a_share_of_0(write, refused, fits, law):
    names = LAWS[law].inputs
    rows = [()]
    for name in names:
        rows = [(*row, value) for row in rows for value in COLUMNS[name]]
    rows = [(*row, sum(1 / (1 + value) for value in row)) for row in rows]
    path = write(",".join([*names, "loss"]), *rows)
    message = refused("fit", path, "--law", law, *FEW)
    assert f"law {law!r}" in message
    if "or take another law" in message:
        fits(path, *options_in(message), *FEW)
    some = [row for row in rows if row[names.index("share")]]
    fits(write(",".join([*names, "loss"]), *some), "--law", law, *FEW)


@pytest.mark.parametrize("law", OF_SHARES)
def test_a_column_that_is_lacking_is_named(write, refused, law):
    path = write("size,loss", *[(n, 1 + 1 / n) for n in (1, 2, 4, 8)])
    message = refused("fit", path, "--law", law)
    assert "no number in column '" in message
    assert "\n" not in message


@follows("Add smaller sizes of the same quality and model")
def test_nothing_to_forecast_from(write, followed):
    alone = [(f"mix {n}", n, 1 + 1 / n) for n in (8, 16, 32, 64)]
    said = followed("fit", write("quality,size,loss", *alone), *FEW)
    assert "Add smaller sizes" in between(said, "No forecast: ", "\n")
    smaller = [("mix 64", n, 1 + 1 / n) for n in (4, 12)]
    assert "Forecast of" in followed("fit", write("quality,size,loss", *alone, *smaller), *FEW)
