"""What is said about filters, against a study whose rates and times are known by hand."""

from dataclasses import replace

import numpy as np
import pytest

from workbench.cli import main
from workbench.config import CellConfig, Quality
from workbench.errors import InputError
from workbench.results import open_study
from workbench.studies.disk.store import ZERO_SHOT, Store
from workbench.training.results import CellResult
from workbench.views.filter_figures import by_seconds
from workbench.views.filters import filter_in_words, priced, trainings_that_pay
from workbench.views.report import write_report

SIZES = (64, 128, 256, 512, 1024)
GOOD, POOR, LIKE = "top:50%@ifd", "bottom:50%@loss", "same-lengths:top:50%@ifd"
WORTH = {"chance": 1.0, GOOD: 2.0, LIKE: 1.0, POOR: 0.5}
"""How many chance examples one of each quality is worth."""
TOKENS = {"chance": 10, GOOD: 20, LIKE: 20, POOR: 10}
"""Of one response."""
EACH = 0.01
"""Seconds of training for an example; a cell takes half a second besides."""


def facts(**changes):
    filters = [
        # 0.005 s for a record, of which every second one is kept: 0.01 s for a kept one, as training it
        {"pool": GOOD, "control": LIKE, "scorer": "ifd", "good": "higher", "seconds": 5.0, "auc": 0.81},
        {"pool": POOR, "scorer": "loss", "good": "neither", "seconds": 2.5, "auc": 0.31},
    ]
    drawn = [{"quality": q, "size": n, "tokens": n * each} for q, each in TOKENS.items() for n in SIZES]
    return {
        "file": "mine.jsonl",
        "records": 1000,
        "keep": 50.0,
        "filters": filters,
        "drawn": drawn,
        **changes,
    }


def write_study(folder, filtering, seconds=True, size_in="examples"):
    manifest = {
        "study": {
            "name": "mine filters",
            "data": "scored.jsonl",
            "base": "classroom",
            "qualities": [Quality(pool=pool).to_dict() for pool in WORTH],
            "sizes": list(SIZES),
            "seeds": [0, 1, 2],
            **({"size_in": size_in} if size_in != "examples" else {}),
        },
        "data": {"name": "scored.jsonl", "heldout_records": 600},
        **({"filtering": filtering} if filtering else {}),
    }
    noise = np.random.default_rng(0)
    found = {ZERO_SHOT: CellResult(cell=None, metrics={"loss": 4.0, "exact_match": 0.0})}
    for pool, worth in WORTH.items():
        for size in SIZES:
            for seed in range(3):
                cell = CellConfig(
                    data="scored.jsonl", base="classroom", quality=Quality(pool=pool), size=size, seed=seed
                )
                if size_in == "tokens":
                    cell = cell.with_(size_in=size_in, drawn=size // 8)
                loss = 0.2 + 6 * (worth * size) ** -0.5 + noise.normal(0, 0.004)
                found[cell.key()] = CellResult(
                    cell=cell, metrics={"loss": loss}, seconds=0.5 + EACH * size if seconds else None
                )
    with Store.create(folder, manifest) as store:
        store.commit(found)
    return folder


@pytest.fixture(scope="module")
def filters(tmp_path_factory):
    return open_study(write_study(tmp_path_factory.mktemp("known") / "study", facts())).filters()


def middle(rate, at):
    return float(rate.rates.median[at])


def test_in_tokens_the_price_is_that_of_a_token(tmp_path):
    told = facts(drawn=[])
    told["filters"] = [{**told["filters"][0], "tokens": 250}, {**told["filters"][1], "tokens": 1000}]
    found = open_study(write_study(tmp_path / "study", told, size_in="tokens")).filters()
    good, poor = found.answers
    # five seconds for 250 kept tokens, each of which takes a hundredth to train on
    assert good.scoring == pytest.approx(0.02)
    assert good.price == pytest.approx(1 + 0.02 / EACH, rel=1e-6)
    assert poor.price == pytest.approx(1 + 0.0025 / EACH, rel=1e-6)
    assert middle(good.rate, good.at) == pytest.approx(0.5, rel=0.1)
    assert good.by_tokens is None, "the rate itself is by tokens"
    assert found.headings[1] == "at chance response tokens"
    assert "training, seconds a response token" in found.headings
    assert all(len(row) == len(found.headings) for row in found.rows)
    assert "chance response tokens, as many kept ones" in found.sentences[0]


def test_rates_and_times_are_those_by_hand(filters):
    good, poor = filters.answers
    at = good.at
    assert middle(good.rate, at) == pytest.approx(0.5, rel=0.1)
    assert good.scoring == pytest.approx(5.0 / 1000 / 0.5)
    assert good.training == pytest.approx(EACH, rel=1e-6), "what every cell takes beside is no training"
    assert good.price == pytest.approx(2.0, rel=1e-6)
    # half as many, each at twice the time: the same
    assert middle(good.with_cost, at) == pytest.approx(1.0, rel=0.1)
    # its responses are twice as long: half as many, as many tokens
    assert middle(good.by_tokens, at) == pytest.approx(1.0, rel=0.1)
    # the control is worth what chance is
    assert middle(good.same_lengths, at) == pytest.approx(0.5, rel=0.1)
    assert poor.same_lengths is None
    assert middle(poor.rate, poor.at) == pytest.approx(2.0, rel=0.1)
    assert poor.price == pytest.approx(1.5, rel=1e-6)
    assert middle(poor.with_cost, poor.at) == pytest.approx(3.0, rel=0.1)


def test_intervals_take_the_price_too(filters):
    good = filters.answers[0]
    for end in ("low", "median", "high", "sure_low", "sure_high"):
        np.testing.assert_allclose(getattr(good.with_cost.rates, end), 2 * getattr(good.rate.rates, end))
    np.testing.assert_array_equal(good.with_cost.rates.not_reached, good.rate.rates.not_reached)
    assert good.with_cost.tried == pytest.approx(2 * good.rate.tried)


def test_what_is_said(filters):
    good, poor = filters.sentences
    assert "Whether it is worth its cost if its picks are trained on once can't be told yet" in good
    assert "scoring pays once the same picks are trained on about 1" in good.replace("about 0.9", "about 1")
    assert "chance is better even where scoring costs nothing" in poor
    cheap = replace(filters.answers[0], scoring=EACH / 10)
    assert filter_in_words(cheap).endswith("Worth its cost, even if its picks are trained on once.")
    dear = replace(filters.answers[0], scoring=EACH * 10)
    assert "Not worth its cost if its picks are trained on once; scoring pays once" in filter_in_words(dear)
    unknown = replace(filters.answers[0], scoring=None)
    assert filter_in_words(unknown).endswith("What scoring takes is not known.")


def test_trainings_that_pay_are_where_both_sides_take_as_long(filters):
    one = replace(filters.answers[0], scoring=0.03)
    rate, size = 0.4, 100
    times = trainings_that_pay(one, rate)
    on_picks = rate * size * (times * one.training + one.scoring)
    assert on_picks == pytest.approx(size * times * one.training)
    assert trainings_that_pay(one, 1.0) == trainings_that_pay(one, 1.3) == float("inf")


def test_the_table_has_a_line_a_filter_and_a_line_a_size(filters):
    assert [row[0] for row in filters.rows] == [GOOD, POOR]
    assert [row[-1] for row in filters.rows] == ["0.81", "0.31"]
    assert [row[0] for row in filters.by_size] == ["64", "128", "256", "512", "1,024"]
    assert all(len(row) == 3 for row in filters.by_size)
    assert "<td" in filters._repr_html_()
    assert GOOD in repr(filters)


def test_the_figure_has_scoring_on_its_axis(filters, tmp_path):
    rows = open_study(write_study(tmp_path / "study", facts())).table().rows
    (axes,) = by_seconds(rows, filters).axes
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    for name, each in (("chance", EACH), (GOOD, 2 * EACH), (POOR, 1.5 * EACH)):
        np.testing.assert_allclose(lines[name].get_xdata(), each * np.array(SIZES), rtol=1e-6)
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert len(dashed) == 2
    np.testing.assert_allclose(dashed[0].get_xdata(), EACH * np.array(SIZES), rtol=1e-6)
    with pytest.raises(InputError, match="recorded no time"):
        by_seconds(rows, replace(filters, answers=()))


def test_a_price_of_one_changes_nothing(filters):
    rate = filters.answers[0].rate
    same = priced(rate, 1.0)
    np.testing.assert_array_equal(same.rates.median, rate.rates.median)
    assert (same.tried, same.smallest) == (rate.tried, rate.smallest)


def test_the_report_has_them_and_makes_them_again(tmp_path, capsys):
    folder = write_study(tmp_path / "study", facts())
    page = write_report(folder).page.read_text()
    assert "Is a filter worth its cost?" in page
    assert "chance is better even where scoring costs nothing" in page
    picture = (folder / "report" / "filters.svg").read_bytes()
    (folder / "report" / "filters.svg").unlink()
    assert write_report(folder).page.read_text() == page
    assert (folder / "report" / "filters.svg").read_bytes() == picture
    assert main(["filters", str(folder)]) == 0
    assert "finds planted damage (AUC)" in capsys.readouterr().out


def test_without_times_nothing_is_said_of_cost(tmp_path):
    filtering = facts()
    for one in filtering["filters"]:
        del one["seconds"]
    folder = write_study(tmp_path / "study", filtering)
    (good, _) = open_study(folder).filters().rows
    assert good[5] == good[7].replace("none", "not known") == "not known"
    assert "What scoring takes is not known." in write_report(folder).page.read_text()
    assert not (folder / "report" / "filters.svg").exists()


def test_another_study_has_nothing_to_say(tmp_path):
    folder = write_study(tmp_path / "study", None)
    assert "Is a filter worth its cost?" not in write_report(folder).page.read_text()
    with pytest.raises(InputError, match="has no answer about filters"):
        open_study(folder).filters()


def test_a_filter_without_a_finished_cell_is_named(tmp_path):
    filtering = facts()
    filtering["filters"].append({"pool": "top:50%@copies", "scorer": "copies", "seconds": 1.0})
    found = open_study(write_study(tmp_path / "study", filtering)).filters()
    assert "of 'top:50%@copies' no cell is finished" in found.notes
    assert [one.name for one in found.answers] == [GOOD, POOR]
