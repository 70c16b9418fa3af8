"""Which of two data sets is better: pairs by hand, what noise leaves clear, and the interval of the share."""

import numpy as np
import pytest
from scipy.stats import chi2
from scipy.stats import t as student

from workbench.laws import read_table
from workbench.laws.decisions import pairs_of, share_interval
from workbench.laws.forecast import forecast_sizes
from workbench.laws.library import Law, Parameter

SIZES = (10, 20, 40, 80, 160)


def table(values, wobble=(-0.05, 0.0, 0.05), seeds=True, **more):
    rows = [
        {"quality": q, "size": n, "loss": v + w, **({"seed": k} if seeds else {}), **more.get(q, {})}
        for q, row in values.items()
        for n, v in zip(SIZES, row, strict=False)
        # another order in each cell: nothing is shared by the cells of a seed
        for k, w in enumerate(np.roll(wobble, n + ord(q)))
    ]
    return read_table(rows)


def decided(made, name="last value", **options):
    forecast = forecast_sizes(made, "loss", **{"laws": ["free"], **options})
    return next(score.decisions for score in forecast.scores if score.name == name)


THREE = {"a": (5.0, 4.0, 3.0, 2.0, 1.5), "b": (6.0, 5.0, 4.0, 1.9, 1.501), "c": (9.0, 8.0, 7.0, 6.0, 1.2)}


def test_a_pair_counts_where_its_order_is_clear():
    # at 80 the order is b < a < c, at 160 it is c < a = b: neither clear pair is told right
    found = decided(table(THREE))
    assert (found.accuracy, found.pairs, found.unclear) == (0.0, 2, 1)
    # a and c as before, b told right against both
    found = decided(table({**THREE, "c": (9.0, 8.0, 7.0, 1.0, 1.2)}))
    assert (found.accuracy, found.pairs, found.unclear) == (1.0, 2, 1)


def test_without_seeds_all_pairs_count_and_that_is_said():
    found = decided(table(THREE, wobble=(0.0,)))
    assert (found.accuracy, found.pairs, found.unclear) == (0.0, 3, None)


def test_a_pair_is_decided_once_at_the_largest_size():
    # at 80 a is better, at 160 b is; the order seen, at 40, is that of 160
    values = {"a": (5, 4, 3.5, 2.0, 2.0), "b": (5, 4, 3.0, 2.5, 1.0)}
    found = decided(table(values), hold_out=2)
    assert (found.accuracy, found.pairs) == (1.0, 1)
    # without the cell of b at 160 the pair is decided at 80
    values["b"] = values["b"][:4]
    found = decided(table(values), hold_out=2)
    assert (found.accuracy, found.pairs) == (0.0, 1)


def test_data_sets_are_compared_under_one_model():
    # each mix is better under one of the models; across models the larger one would always be
    rows = [
        {"quality": q, "model": m, "size": n, "seed": k, "loss": level + 10 / n + 0.01 * k}
        for q, m, level in (("a", 1, 5.0), ("b", 1, 6.0), ("a", 9, 2.0), ("b", 9, 1.0), ("c", 99, 0.5))
        for n in SIZES
        for k in range(2)
    ]
    found = decided(read_table(rows))
    assert (found.accuracy, found.pairs, found.unclear) == (1.0, 2, 0)


BLIND = Law(
    name="blind",
    formula="E + B / n",
    source="a test",
    inputs=("size", "share"),
    metric="loss",
    shapes=(),
    coefficients=tuple(Parameter(n, "metric", 0.0, np.inf, scale="linear") for n in "EB"),
    terms=lambda _, x: np.stack([np.ones(len(x["size"])), 1 / x["size"]], axis=-1),
)


def test_a_forecast_that_tells_no_difference_is_a_coin():
    made = table(THREE, a={"share": 1.0}, b={"share": 0.9}, c={"share": 0.5})
    found = decided(made, "blind", laws=[BLIND])
    assert found.accuracy == 0.5


def test_one_quality_has_no_pair():
    assert decided(table({"a": THREE["a"]})) is None


def pair(gap, noise=(-0.1, 0.0, 0.1)):
    """Two qualities of two sizes, three unnamed replicates a cell."""
    rows = [
        {"quality": q, "size": n, "loss": level + w}
        for q, level in (("a", 2.0), ("b", 2.0 + gap))
        for n in (10, 20)
        for w in noise
    ]
    made = read_table(rows)
    return pairs_of(made, "loss", [row for row in made.rows if row.size == 20])


def test_clear_is_what_students_t_calls_so():
    # each cell has a variance of 0.01 by two degrees of freedom, eight in all; their median is lower
    variance = 0.01 * 8 / chi2.ppf(0.5, 8)
    edge = student.ppf(0.975, 8) * np.sqrt(2 * variance / 3)
    assert pair(1.001 * edge).counts.tolist() == [True]
    assert pair(0.999 * edge).counts.tolist() == [False]
    assert pair(-1.001 * edge).order.tolist() == [-1.0]


def test_what_a_seed_does_to_all_cells_does_not_blur_a_pair():
    rows = [
        {"quality": q, "size": n, "seed": k, "loss": level + shared + 1e-3 * np.sin(7 * n + level * 99 + k)}
        for q, level in (("a", 3.0), ("b", 3.3))
        for n in SIZES
        for k, shared in enumerate((-0.4, 0.1, 0.3))
    ]
    made = read_table(rows)
    last = [row for row in made.rows if row.size == 160]
    assert pairs_of(made, "loss", last).counts.tolist() == [True]
    unnamed = read_table([{k: v for k, v in row.items() if k != "seed"} for row in rows])
    assert pairs_of(unnamed, "loss", [r for r in unnamed.rows if r.size == 160]).counts.tolist() == [False]


@pytest.mark.parametrize(("items", "clear"), [(10, False), (400, True)])
def test_few_evaluation_items_leave_a_pair_unclear(items, clear):
    # b is right on one item in ten more, which ten items say by chance
    right = {"a": 0.6, "b": 0.7}
    outcomes, rows = [], []
    for quality, share in right.items():
        for n in (10, 20):
            for k in range(3):
                count = round(share * items)
                outcomes.append([1.0] * count + [0.0] * (items - count))
                # the seeds differ in the last digits alone
                rows.append({"quality": quality, "size": n, "seed": k, "exact_match": count / items})
    made = read_table(rows, measured_here=True).with_items("exact_match", outcomes)
    last = [row for row in made.rows if row.size == 20]
    assert pairs_of(made, "exact_match", last).counts.tolist() == [clear]


def test_the_interval_of_few_decisions_is_wide():
    # all of four right: a chance of p each gives that with p^4
    assert share_interval(1.0, 4) == pytest.approx((0.025**0.25, 1.0))
    assert share_interval(0.0, 4) == pytest.approx((0.0, 1 - 0.025**0.25))
    # three data sets have three pairs, for which three decisions are taken; nine have 36, for which 16 are
    nine = {chr(97 + k): tuple(9 - i + k / 4 for i in range(5)) for k in range(9)}
    for sets, decisions in ((2, 1), (3, 3), (9, 16)):
        found = decided(table(dict(list(nine.items())[:sets])))
        assert (found.accuracy, found.pairs) == (1.0, sets * (sets - 1) // 2)
        assert found.low == pytest.approx(0.025 ** (1 / decisions))


@pytest.mark.parametrize("error", [0.2, 0.6, 1.5, 20.0])
@pytest.mark.parametrize("sets", [3, 5, 9])
def test_the_interval_holds_the_true_share(sets, error):
    rng = np.random.default_rng(sets)
    one, two = np.triu_indices(sets, 1)

    def share(count):
        truth = rng.standard_normal((count, sets))
        told = truth + error * rng.standard_normal((count, sets))
        return np.mean((truth[:, one] > truth[:, two]) == (told[:, one] > told[:, two]), axis=1)

    true = share(50_000).mean()
    decisions = min(len(one), 2 * (sets - 1))
    held = [low <= true <= high for low, high in (share_interval(float(s), decisions) for s in share(400))]
    assert np.mean(held) > 0.93
