"""A constant that ended at a limit of the search is said, and so is an interval that is cut there."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.cli import main
from workbench.laws import analyse, read_table
from workbench.laws.bootstrap import Resamples, bootstrap
from workbench.laws.bounds import bounds_hit, of_resamples
from workbench.laws.checklist import checklist
from workbench.laws.law import Parameter
from workbench.laws.library import LAWS
from workbench.laws.problems import fit_table

SIZES = (32, 64, 128, 256, 512)


def rows(floor: float, qualities: tuple[str, ...] = ("clean", "typo"), noise: float = 0.01) -> list[dict]:
    generator = np.random.default_rng(3)
    return [
        {
            "quality": quality,
            "size": n,
            "seed": k,
            "loss": (floor + (4 + i) * n**-0.3) * math.exp(noise * generator.standard_normal()),
        }
        for i, quality in enumerate(qualities)
        for n in SIZES
        for k in range(3)
    ]


def test_no_floor_is_said_with_the_share_of_resamples_that_have_none():
    analysis = analyse(read_table(rows(0.0)), "loss", law="power", bootstraps=200)
    (note,) = [note for note in analysis.notes if "limit of the search" in note]
    assert note.startswith(
        "Constants of the law power ended at a limit of the search: E at its least value, 0 ("
    )
    for quality in ("clean", "typo"):
        draws = analysis.curve(quality).parts[0].values["E"][1:]
        share = f"{np.mean(draws == 0):.0%}"
        of = f"the fit of {quality} and {share} of its resamples"
        assert (
            of if analysis.constants(quality)["E"] == 0 else f"{share} of the resamples of {quality}"
        ) in note


def test_constants_inside_their_limits_are_not_mentioned():
    analysis = analyse(read_table(rows(2.0, noise=0.001)), "loss", law="power", bootstraps=50)
    assert not any("limit" in note for note in analysis.notes)


def test_the_constants_of_a_law_that_the_data_reject_are_read_by_nobody():
    wavy = [{**row, "loss": row["loss"] + 0.3 * math.sin(2 * math.log(row["size"]))} for row in rows(0.0)]
    analysis = analyse(read_table(wavy), "loss", law="power", bootstraps=50)
    assert not analysis.trusted
    assert not any("limit of the search" in note for note in analysis.notes)


def test_a_law_of_all_qualities_says_it_once():
    table = read_table([{**row, "share": {"clean": 1.0, "typo": 0.5}[row["quality"]]} for row in rows(0.0)])
    analysis = analyse(table, "loss", law="quality_exponent", bootstraps=50)
    (note,) = [note for note in analysis.notes if "limit" in note]
    assert note.count("E at its least value, 0 (the fit and ") == 1
    assert "clean" not in note


@settings(max_examples=40, deadline=None)
@given(low=st.integers(0, 40), high=st.integers(0, 40))
def test_the_share_of_resamples_at_each_limit_is_counted(low, high):
    fit = fit_table(read_table(rows(1.0, ("clean",))), "loss", "power")
    beta = next(p for p in fit.law.shapes if p.name == "beta")
    inside = [0.3] * (100 - low - high)
    values = {"beta": np.array([beta.low] * low + inside + [beta.high] * high)}
    found = {hit.end: hit for hit in bounds_hit(fit, values)}
    assert set(found) == {end for end, n in (("least", low), ("largest", high)) if n > 100 * 0.025}
    for end, n in (("least", low), ("largest", high)):
        if end in found:
            assert found[end].resamples == pytest.approx(n / 100)
            assert not found[end].fitted
    # the end of the interval is the limit exactly where that is said, but for interpolation between two draws
    ends = Resamples(fit, values).interval("beta")
    assert (ends[0] == beta.low) == (low > 3) or low == 3
    assert (ends[1] == beta.high) == (high > 3) or high == 3


def test_a_constant_that_is_held_at_its_limit_was_not_put_there_by_the_search():
    fit = fit_table(read_table(rows(-0.05, ("clean",))), "loss", "power", fixed={"E": 0.0})
    assert not of_resamples(bootstrap(fit, 20))


def test_a_fit_at_a_limit_is_said_without_any_resample():
    fit = fit_table(read_table(rows(-0.05, ("clean",))), "loss", "power")
    (hit,) = bounds_hit(fit, {})
    assert (hit.where, hit.fitted, hit.cuts) == ("E at its least value, 0", True, False)


@pytest.mark.parametrize("scale", ["log", "linear"])
@pytest.mark.parametrize(("value", "where"), [(0.01, "least"), (4.0, "largest"), (0.02, ""), (3.9, "")])
def test_the_limits_of_a_constant(scale, value, where):
    p = Parameter("beta", "exponent", 0.01, 4.0, scale=scale)
    at = np.array([value])
    assert (bool(p.at_least(at)[0]), bool(p.at_largest(at)[0])) == (where == "least", where == "largest")


def test_the_command_and_its_checklist_say_it(tmp_path, capsys):
    path = tmp_path / "table.csv"
    table = rows(-0.05, ("clean",))
    head = list(table[0])
    path.write_text("\n".join([",".join(head), *(",".join(str(r[k]) for k in head) for r in table)]))
    assert main(["fit", str(path), "--law", "power", "--bootstraps", "60"]) == 0
    out = capsys.readouterr().out
    fit = fit_table(read_table(path), "loss", "power")
    draws = bootstrap(fit, 60)
    share = f"{np.mean(draws.values['E'] == 0):.0%} of the bootstraps"
    assert fit.at_bounds == ("E",)
    assert "at a bound: E at its least value, 0; there the value is the bound's, not the data's" in out
    assert f"at a bound in {share}: E at its least value, 0; there their interval is cut" in out
    assert f"bounds hit: E at its least value, 0, and {share}" in out
    assert checklist(read_table(path), "loss", fit, draws).bounds == f"E at its least value, 0, and {share}"


def test_every_law_has_limits_in_order():
    assert all(p.low < p.high for law in LAWS.values() for p in law.parameters)
