"""The exchange rate on studies shaped as real ones are: few sizes, few seeds, failures, saturation."""

from dataclasses import replace

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.laws import analyse, exchange_rate, fit_curves, read_table
from workbench.laws.simulate import TRUTHS, simulated

SIZES = (32, 128, 512, 2048)


def study(curves, *, seeds=3, spread=0.01, seed=0, metric="loss", zero_shot=None):
    """A study whose true curves are known: rows of quality x size x seed with Gaussian noise."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "quality": q,
            "size": n,
            "seed": s,
            "status": "done",
            metric: curve(n) + spread * rng.standard_normal(),
        }
        for q, curve in curves.items()
        for n in SIZES
        for s in range(seeds)
    ]
    if zero_shot is not None:
        rows.append({"quality": None, "size": 0, "seed": 0, "status": "done", metric: zero_shot})
    return rows


def test_recovers_a_known_rate():
    # with one exponent and one floor, three noisy examples are worth one clean at every size
    rows = study(
        {"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 1 + 3 * (n / 3) ** -0.4}, spread=0.002
    )
    answer = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy")
    rates = answer.rates
    assert np.all((rates.low[:3] <= 3) & (rates.high[:3] >= 3))
    np.testing.assert_allclose(rates.median[:3], 3, rtol=0.05)
    # 2048 clean need 6144 noisy, which nobody tried: nothing is said of what they would do
    assert rates.not_reached[3] > 0.95
    assert np.isinf(rates.median[3])
    assert "one clean example does the work of about 3 noisy ones at 128 clean examples" in answer.sentence(
        128
    )
    assert answer.claims(2048)[0].kind == "unsure"
    assert "At least 4,096 noisy ones would tell" in answer.sentence(2048)


def test_two_equal_qualities_are_called_equal():
    rows = study({"clean": lambda n: 1 + 3 * n**-0.4, "same": lambda n: 1 + 3 * n**-0.4}, spread=0.02, seed=3)
    answer = exchange_rate(read_table(rows), "loss", reference="clean", other="same")
    assert answer.rates.low[1] < 1 < answer.rates.high[1]
    assert "Can't tell yet" in answer.sentence(128)


@pytest.mark.parametrize("metric", ["exact_match", "choice_accuracy"])
def test_saturated_and_bumpy_scores_give_an_answer_with_an_interval(metric):
    scores = {
        "clean": [0.70, 0.90, 0.88, 0.90],
        "noisy": [0.24, 0.33, 0.30, 0.82],
        "flat": [0.5, 0.5, 0.5, 0.5],
    }
    rows = study(
        {q: dict(zip(SIZES, v, strict=True)).get for q, v in scores.items()}, metric=metric, zero_shot=0.0
    )
    table = read_table(rows)
    for other in ("noisy", "flat"):
        answer = exchange_rate(table, metric, reference="clean", other=other)
        assert np.all(answer.rates.low <= answer.rates.high)
        assert answer.claims()
    lost = exchange_rate(table, metric, reference="clean", other="flat")
    assert lost.rates.not_reached.min() > 0.95
    assert lost.claims()[0].kind == "never"


def test_no_better_than_no_training_is_said():
    rows = study({"clean": lambda n: 0.83, "noisy": lambda n: 0.7}, metric="choice_accuracy", zero_shot=0.9)
    answer = exchange_rate(read_table(rows), "choice_accuracy", reference="clean", other="noisy")
    assert "no better than no training" in answer.sentence()


def test_failed_cells_are_named_and_do_no_harm():
    rows = study({"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 1 + 3 * (n / 3) ** -0.4})
    for i in (4, 13, 14):
        rows[i] |= {"status": "failed", "loss": None}
    answer = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy")
    assert any("3 of 24 cells failed" in note and "noisy at 32" in note for note in answer.notes)
    assert np.isfinite(answer.rates.low[:3]).all()


def test_one_run_a_cell_with_few_sizes_gives_no_number():
    rows = study({"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 1 + 4 * n**-0.4}, seeds=1)
    answer = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy")
    assert answer.rates is None
    assert "no interval can be given" in answer.sentence()
    assert not any(
        character.isdigit() for character in answer.sentence().replace("3 seeds", "").replace("5 sizes", "")
    )
    assert fit_curves(read_table(rows), "loss")["clean"].low is None


def test_two_sizes_give_no_rate_and_say_so():
    rows = [
        r
        for r in study({"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 2 + 3 * n**-0.4})
        if r["size"] < 512
    ]
    answer = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy")
    assert answer.rates is None
    assert "'noisy' was measured at 2 sizes" in answer.sentence()
    assert any("needs at least 3" in note for note in answer.notes)


def test_same_seed_same_numbers():
    table = read_table(study({"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 1 + 4 * n**-0.4}))
    one, two = (exchange_rate(table, "loss", reference="clean", other="noisy", seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.rates.median, two.rates.median)


def test_bands_hold_the_true_curve():
    rows = study({"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 1.5 + 4 * n**-0.4}, seed=2)
    band = fit_curves(read_table(rows), "loss")["clean"]
    truth = 1 + 3 * band.size**-0.4
    assert np.mean((band.low <= truth) & (truth <= band.high)) > 0.8
    assert band.kind == "fitted"


def test_unknown_quality_offers_the_nearest():
    table = read_table(study({"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 2.0}))
    with pytest.raises(InputError, match="Did you mean 'clean'"):
        exchange_rate(table, "loss", reference="clea", other="noisy")


def test_where_every_law_misses_the_curve_runs_through_the_measurements_and_says_so():
    # a plateau, a drop and a plateau: no law of the registry comes near
    curves = {
        q: dict(zip(SIZES, (2.0 + k, 1.9 + k, 1.2 + k, 1.19 + k), strict=True)).get
        for k, q in enumerate(("clean", "noisy"))
    }
    analysis = analyse(read_table(study(curves, spread=0.005)), "loss", bootstraps=200, law="power")
    assert analysis.misfit < 1e-4
    assert not analysis.trusted
    assert analysis.probability("power") == 0
    assert any("Every law misses the means" in note for note in analysis.notes)
    assert {band.kind for band in fit_curves(read_table(study(curves, spread=0.005)), "loss").values()} == {
        "interpolated"
    }
    for curve in analysis.curves.values():
        drawn = curve.predict(SIZES)
        np.testing.assert_allclose(drawn[0], curve.mean, atol=0.01)
        np.testing.assert_allclose(np.median(drawn[1:], axis=0), curve.mean, atol=0.01)
        # between the sizes nobody knows how the drop runs
        between = curve.predict([256])[1:, 0]
        assert np.ptp(np.quantile(between, [0.025, 0.975])) > 10 * np.ptp(
            np.quantile(drawn[1:, 1], [0.025, 0.975])
        )


def test_the_floor_of_an_accuracy_is_given_and_no_constant_to_be_found():
    scores = {"clean": lambda n: n / (n + 100), "noisy": lambda n: n / (n + 400)}
    rows = [row for row in study(scores, metric="exact_match", zero_shot=0.0) if row["size"] < 2048]
    analysis = analyse(read_table(rows), "exact_match", bootstraps=50)
    (candidate,) = analysis.candidates
    assert {name: fit.free for name, fit in candidate.fits.items()} == {"clean": 3, "noisy": 3}
    assert all(fit.values["floor"] == 0 for fit in candidate.fits.values())
    # three sizes for three constants leave nothing to disagree
    assert analysis.misfit is None


def test_more_data_that_does_worse_is_reported():
    bump = {32: 2.0, 128: 1.4, 512: 1.7, 2048: 1.2}.get
    table = read_table(study({"clean": lambda n: 1 + 3 * n**-0.4, "noisy": bump}))
    notes = analyse(table, "loss", bootstraps=50).notes
    assert [note for note in notes if "did worse" in note] == [
        "noisy: size 512 did worse than size 128, by more than the noise explains. Laws know no such turn; "
        "where small sizes are seen many times over, that may be overfitting."
    ]


def test_one_run_a_cell_is_answered_from_residuals_where_there_are_enough():
    rng = np.random.default_rng(0)
    rows = [
        {"quality": q, "size": n, "loss": (1 + 3 * (n / w) ** -0.4) * (1 + 0.004 * rng.standard_normal())}
        for q, w in (("clean", 1), ("noisy", 3))
        for n in (2.0 ** np.arange(4, 14)).tolist()
    ]
    analysis = analyse(read_table(rows), "loss")
    assert analysis.from_residuals
    assert any("the noise is read from what the laws leave" in note for note in analysis.notes)
    spread = analysis.noise.spread / [row["loss"] for row in rows]
    assert np.all((spread > 0.002) & (spread < 0.008))
    answer = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy")
    reached = answer.rates.size < 2048
    assert answer.rates.median[reached] == pytest.approx(3, rel=0.05)
    width = answer.rates.high[reached] / answer.rates.low[reached]
    assert np.all((width > 1.03) & (width < 1.3))


def test_model_sizes_are_no_seeds():
    """An N x D grid of two mixes without a seed column: each law has a term for the model."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "quality": mix,
            "size": size,
            "model": model,
            "loss": (1.6 + 400 * model**-0.34 + 500 * (size / worth) ** -0.3)
            * (1 + 0.002 * rng.standard_normal()),
        }
        for mix, worth in (("clean", 1.0), ("noisy", 2.0))
        for model in (2e7, 6e7, 18e7, 54e7)
        for size in (1e8 * 2.0 ** np.arange(7)).tolist()
        # of the smallest model fewer sizes were tried
        if model > 2e7 or size < 4e9
    ]
    analysis = analyse(read_table(rows), "loss")
    assert analysis.models == (2e7, 6e7, 18e7, 54e7)
    assert analysis.law.name == "chinchilla"
    answer = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy", sizes=[8e8])
    assert answer.model == 54e7
    assert answer.rates.low[0] <= 2 <= answer.rates.high[0]
    # taken for seeds, the models gave an interval of a factor 4.6
    assert answer.rates.high[0] / answer.rates.low[0] < 1.5
    small = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy", sizes=[8e8], model=2e7)
    assert small.model == 2e7
    assert (small.tried, answer.tried) == (3.2e9, 6.4e9)
    assert small.rates.low[0] <= 2 <= small.rates.high[0]
    with pytest.raises(InputError, match="no model of 3e\\+07 was measured"):
        exchange_rate(read_table(rows), "loss", reference="clean", other="noisy", model=3e7)


def test_a_crossing_is_named_with_its_interval():
    # steeper but higher: the second is better from 512 on
    rows = study({"clean": lambda n: 1.2 + 2 * n**-0.35, "noisy": lambda n: 1.0 + 4 * n**-0.45}, spread=0.003)
    answer = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy")
    sizes = np.geomspace(32, 2048, 20001)
    apart = 1.2 + 2 * sizes**-0.35 - (1.0 + 4 * sizes**-0.45)
    truth = sizes[np.abs(apart).argmin()]
    assert answer.crossing.low <= truth <= answer.crossing.high
    analysis = analyse(read_table(rows), "loss")
    lead = [analysis.curve(q).predict(sizes)[1:] for q in ("clean", "noisy")]
    places = sizes[(lead[0] < lead[1]).argmin(axis=1)]
    expected = np.quantile(places, [0.025, 0.5, 0.975])
    found = (answer.crossing.low, answer.crossing.size, answer.crossing.high)
    assert found == pytest.approx(expected, rel=0.01)
    assert "Which is better changes at about" in answer.sentence()
    assert "with fewer, one clean example is worth more than one noisy one." in answer.sentence()


def test_alike_at_one_of_several_sizes_is_no_crossing_by_chance():
    # up to 32 examples both have learned nothing: at one of four sizes the noisy ones look better by chance
    plateau = replace(
        TRUTHS["rectified"],
        values={"learned": 200.0**4, "beta": 4.0, "E": 1.0, "B": 200.0**4},
        own={"noisy": {"learned": 500.0**4, "E": 1.05, "B": 0.95 * 500.0**4}},
        sizes=(32.0, 128.0, 512.0, 2048.0),
        spread=0.014,
    )
    answer = exchange_rate(
        simulated(plateau, 100_028, seeds=3), "loss", reference="clean", other="noisy", bootstraps=400
    )
    assert answer.rates.sure_high[0] < 1 < answer.rates.sure_low[1]
    assert answer.crossing is None
