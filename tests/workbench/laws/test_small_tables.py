"""Small tables of counted shares, where seeds cancel and cells agree: an answer or one sentence."""

import re
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from workbench.cli import main
from workbench.errors import InputError
from workbench.laws import analyse, rate_of, read_table
from workbench.laws.forecast import forecast_sizes

RECORDS = 16
NO_WORD = re.compile(r"\b(nan|NaN|inf|None|Traceback)\b")
CANCELLING = [[16, 16, 16, 16], [14, 16, 12, 10]]
"""By quality, the right answers of two seeds at each of two sizes; the seeds' effects sum to 0."""


@st.composite
def counts(draw):
    """Return right answers by quality, each with as many sizes x seeds."""
    cells = draw(st.sampled_from([(2, 2), (3, 2), (2, 3), (3, 1)]))
    few = draw(st.integers(0, RECORDS))
    right = st.integers(few, RECORDS)
    return [
        draw(st.lists(right, min_size=cells[0] * cells[1], max_size=cells[0] * cells[1]))
        for _ in range(draw(st.integers(1, 3)))
    ], cells


def table_of(found, seeds):
    return [
        {"quality": label, "size": 8 * 2 ** (i // seeds), "seed": i % seeds, "exact_match": right / RECORDS}
        for label, cells in zip("abc", found, strict=False)
        for i, right in enumerate(cells)
    ]


SMALL = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@SMALL
@example((CANCELLING, (2, 2)))
@given(counts())
@pytest.mark.parametrize("measured_here", [True, False])
def test_a_study_of_few_records_has_an_answer_or_a_reason(measured_here, drawn):
    found, (_, seeds) = drawn
    rows = table_of(found, seeds)
    same = len({row["exact_match"] for row in rows}) == 1 and len(rows) > 2
    table = read_table(rows, measured_here=measured_here)
    if same and not measured_here:
        with pytest.raises(InputError, match="in every cell"):
            analyse(table, "exact_match")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        analysis = analyse(table, "exact_match", bootstraps=40)
        reference, *others = analysis.curves
        said = [rate_of(analysis, reference=reference, other=other).sentence() for other in others]
    assert (analysis.noise is None) == (analysis.silent is not None)
    assert not [words for words in [*said, *analysis.notes] if NO_WORD.search(words)]


@settings(SMALL, max_examples=10)
@example((CANCELLING, (2, 2)))
@example(([[16, 15, 15, 14]], (4, 1)))
@given(counts())
def test_fit_ends_with_an_answer_or_one_sentence(tmp_path_factory, capsys, drawn):
    found, (_, seeds) = drawn
    path = tmp_path_factory.mktemp("fit") / "small.csv"
    rows = table_of(found, seeds)
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    status = main(["fit", str(path), "--metric", "exact_match", "--bootstraps", "4"])
    out, error = capsys.readouterr()
    assert status in (0, 2)
    assert (len(error.strip().splitlines()) == 1) == (status == 2)
    assert not NO_WORD.search(out + error), out + error


def test_seeds_that_agree_but_for_rounding_tell_no_noise():
    shares = {8: 0.1, 16: 0.7, 32: 0.9}
    assert np.mean([0.1] * 3) != 0.1, "the mean of three equal shares is not always the share"
    rows = [{"size": n, "seed": seed, "exact_match": shares[n]} for n in shares for seed in range(3)]
    analysis = analyse(read_table(rows, measured_here=True), "exact_match")
    assert analysis.silent is not None
    assert "agree to the last digit" in analysis.silent


def test_cells_that_failed_may_leave_one_replicate():
    rows = [
        {"quality": quality, "size": size, "seed": 0, "loss": 2 / size + (quality == "b")}
        for quality in "ab"
        for size in (8, 16, 32)
    ]
    analysis = analyse(read_table([*rows, rows[0] | {"seed": 1, "loss": 0.3}]), "loss")
    assert analysis.noise is not None
    assert analysis.noise.freedom == 1


OWN = [
    {"quality": quality, "size": size, "seed": seed, "loss": loss, "exact_match": 0.0}
    for quality, losses in {"a": (0.0, 1e-6), "b": (1e-3, 1.0)}.items()
    for size in (8, 16)
    for seed, loss in enumerate(losses)
]


def test_what_a_stranger_is_asked_about_is_a_result_of_our_own():
    with pytest.raises(InputError, match="a loss is above 0"):
        read_table(OWN).measured("loss")
    with pytest.raises(InputError, match="which no change of seed explains"):
        read_table(OWN[4:]).measured("loss")
    with pytest.raises(InputError, match="the metric is 0 in every cell"):
        read_table(OWN).measured("exact_match")
    table = read_table(OWN, measured_here=True)
    assert len(table.measured("loss")) == len(table.measured("exact_match")) == len(OWN)
    with pytest.raises(InputError, match="the metric is 0 in every cell"):
        read_table(OWN).where(np.arange(len(OWN)) < 4).measured("exact_match")


def test_our_own_numbers_that_are_not_finite_are_missing_with_a_note():
    rows = [OWN[0] | {"loss": float("nan")}, *OWN[1:]]
    with pytest.raises(InputError, match="line 2: loss is nan"):
        read_table(rows).measured("loss")
    table = read_table(rows, measured_here=True)
    assert len(table.measured("loss")) == len(OWN) - 1
    assert table.notes == ("Not a finite number and so missing: loss of 1 rows.",)


def test_a_part_of_a_table_may_be_the_same_everywhere():
    rows = [
        {"quality": q, "share": s, "size": n, "seed": d, "exact_match": 1.0 if n == 64 else n / 64 + d / 50}
        for q, s in (("a", 1.0), ("b", 0.5), ("c", 0.2))
        for n in (4, 8, 16, 32, 64)
        for d in (0, 1)
    ]
    forecast = forecast_sizes(read_table(rows), "exact_match")
    assert forecast.chosen.error > 0


def test_a_loss_of_0_has_no_relative_error():
    rows = [{"size": n, "seed": d, "loss": max(0.0, 8 / n - 1)} for n in (1, 2, 4, 8, 16) for d in (0, 1)]
    with pytest.raises(InputError, match="loss is 0 in a cell"):
        forecast_sizes(read_table(rows, measured_here=True), "loss")
