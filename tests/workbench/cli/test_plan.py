"""``workbench plan``: what it says, that its command trains those cells, and what it buys."""

import argparse
import json
import math
import re
import shlex
from dataclasses import replace

import pytest
from planned_studies import RECORDS, answer_once, loss, planned, write_planned  # noqa: F401 - a fixture

import workbench as wb
from workbench.cli import main
from workbench.cli.run import add_parser, chosen_study
from workbench.config import Quality
from workbench.growing import growing, minutes_of
from workbench.laws.next_cells import interval_of
from workbench.studies.command import growing_command
from workbench.studies.disk.store import Store
from workbench.studies.identity import Begun
from workbench.views.advice import advise
from workbench.views.buying import PURCHASE_HEADINGS

NOISY = "50% other_form"
HALF = Quality(corruption="typo", share=0.5)
SHOP = ["--have", f"{NOISY}=1024", "--budget", "100", "--price-new", f"{NOISY}=0.05", "--price-clean", "0.4"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_planned(tmp_path_factory.mktemp("runs") / "study", planned())


@pytest.fixture
def said(capsys):
    """Run a command that has to succeed and return what it says."""

    def said(*arguments):
        capsys.readouterr()
        assert main(list(map(str, arguments))) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return said


def command_in(text):
    """Return the command that a plan offers, as a shell would take it apart."""
    (line,) = [line for line in text.splitlines() if line.startswith("  workbench run ")]
    return shlex.split(line)[1:]


def test_it_says_what_is_known_what_to_train_and_what_that_should_bring(study, said):
    text = said("plan", study)
    advice = wb.open_study(study).plan()
    assert text.startswith("Now, matching 512 clean examples takes 2.")
    assert advice.batch in text
    assert "it pays to turn a '50% other form' example into a clean one while that costs less than" in text
    assert sum(cell.minutes for cell in advice.cells) <= 60
    rows = [line.split("  ") for line in text.splitlines() if line.startswith("  clean")]
    assert rows
    assert advice.expected.factor < advice.interval.factor
    found = re.search(r"should then reach from (\S+) to (\S+), a factor of (\S+) to each side", text)
    low, high, factor = map(float, found.groups())
    assert (low, high) == (
        pytest.approx(advice.expected.low, rel=0.05),
        pytest.approx(advice.expected.high, rel=0.05),
    )
    assert factor == pytest.approx(math.sqrt(advice.expected.high / advice.expected.low), rel=0.01)


def test_the_same_study_gives_the_same_plan(study, said):
    assert said("plan", study, *SHOP) == said("plan", study, *SHOP)


def test_it_plans_no_more_than_the_time_there_is(study):
    for minutes in (0.2, 1.0, 2.0):
        advice = wb.open_study(study).plan(minutes=minutes)
        assert 0 < sum(cell.minutes for cell in advice.cells) <= minutes
    none = wb.open_study(study).plan(minutes=0.01)
    assert none.cells == ()
    assert none.batch == "No cell that may be trained in this time would narrow the interval."


def test_other_sizes_and_qualities_may_be_asked_for(study, said):
    assert "matching 128 clean examples takes" in said("plan", study, "--size", "128")
    back = said("plan", study, "--of", NOISY, "--by", "clean", "--size", "512")
    assert "turning '50% other form' examples into clean ones" not in back
    assert "turning clean examples into '50% other form' ones gains nothing" in back
    assert command_in(back)[command_in(back).index("--quality") + 1 :][:2] == ["other_form:0.5", "clean"]


def test_its_first_cells_are_those_that_its_command_trains_first(study, said):
    """By the rule that the command builds from its own options, over the same results."""
    advice = wb.open_study(study).plan()
    command = command_in(said("plan", study))
    assert command[:4] == ["run", "verbs", "--out", str(study)]
    assert command[command.index("--sizes") + 1 :][:2] == ["32", str(RECORDS)]
    _, rule = growing(replace(planned(), sizes=(32, RECORDS)), study, minutes=60, at=advice.question.size)
    with Store.open(study, read_only=True) as store:
        decision = rule.next(store, 100)
    assert decision.cells
    first = [(place.quality.label, place.size, place.seed) for place in decision.cells]
    assert first == [(cell.quality, int(cell.size), cell.seed) for cell in advice.cells[: len(first)]]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as-it-comes"),
        pytest.param(
            {"settings": {"rank": 2, "targets": ("q_proj", "v_proj"), "learning_rate": 0.004}}, id="cell"
        ),
        pytest.param({"settings": {"steps": None, "epochs": 0.5}}, id="epochs"),
        pytest.param(
            {"settings": {"schedule": "trunk", "steps": None, "epochs": 1.0, "warmup_steps": 10}}, id="trunk"
        ),
        pytest.param({"seeds": (7, 3), "heldout": 40, "adapted_layers": 1}, id="study"),
        pytest.param({"qualities": (Quality(), HALF, replace(HALF, share=1 / 3))}, id="qualities"),
        pytest.param({"base": "another base.gguf"}, id="a-place-with-a-space"),
    ],
)
def test_its_command_is_read_as_the_study_it_goes_on_with(tmp_path, said, changes):
    folder = write_planned(tmp_path / "a study", planned(**changes))
    begun = Begun.read(folder)
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    arguments = parser.parse_args(command_in(said("plan", folder, "--minutes", "7.5")))
    chosen = chosen_study(arguments)
    assert begun.differences(begun.settled(chosen)) == []
    start, rule = growing(chosen, arguments.out, minutes=minutes_of(arguments.minutes), at=arguments.at)
    assert (start.base, start.heldout, start.seeds) == (
        begun.study.base,
        begun.study.heldout,
        begun.study.seeds,
    )
    assert (start.sizes, start.qualities) == (begun.study.sizes, begun.study.qualities)
    question = wb.open_study(folder).plan().question
    assert (rule.reference.label, rule.other.label) == (question.reference, question.other)
    assert arguments.minutes == "7.5m"


def test_what_the_command_line_cannot_say_is_said_in_python(tmp_path, said):
    decayed = planned(settings={"weight_decay": 0.1})
    text = said("plan", write_planned(tmp_path / "study", decayed))
    assert "There is no command that trains them: `workbench run` has no options for its weight_decay" in text
    said_so = re.search(r"in Python, wb\.run\((.*)\)\.$", text, re.MULTILINE)[1]
    assert said_so == f"wb.open_study('{tmp_path}/study').study, '{tmp_path}/study', minutes=60"


def test_nothing_is_added_to_the_study_of_the_package():
    begun = Begun.read(wb.shipped_study().folder)
    command, why = growing_command(begun, begun.study.qualities[:2], (32, 64), ["--for", "1m"])
    assert command is None
    assert why.endswith("copy its folder first")


def test_prices_give_purchases(study, said):
    text = said("plan", study, *SHOP)
    advice = wb.open_study(study).plan(
        prices=wb.Prices(have=(NOISY, 1024), budget=100, new={NOISY: 0.05}, clean=0.4)
    )
    for heading in PURCHASE_HEADINGS:
        assert heading in text
    (line,) = [line for line in text.splitlines() if line.startswith(f"  new {NOISY} examples")]
    assert re.split(r"\s{2,}", line.strip())[1:4] == ["2,000", "3,024", "100"]
    new = next(one for one in advice.purchases if one.name == f"new {NOISY} examples")
    assert f"{new.gain:.3g} ({new.low:.3g} to {new.high:.3g})" in line
    assert "3,024 examples are more than the 2,048 measured; there the gain is the law's forecast" in text
    assert "Mending a share of the examples is taken to move the metric by that share of the way" in text


def test_hours_come_from_the_study_s_own_cells(study):
    """Cells of 6 seconds each; an example more makes one longer, as the operations say."""
    prices = wb.Prices(have=(NOISY, 1000), budget=100, new={NOISY: 0.1}, per_hour=60)
    (new,) = wb.open_study(study).plan(prices=prices).purchases
    sizes = [32, 128, 512, 2048]
    operations = [1e12 + 1e9 * size for size in sizes]
    minutes = 0.1 * 4 / sum(operations) * (1e12 + 1e9 * new.examples)
    assert new.hours == pytest.approx(minutes / 60)
    assert 0.1 * new.counts[0] + 60 * new.hours == pytest.approx(100)


def test_a_scorer_and_a_cleaner_that_errs_are_counted(study, said):
    text = said("plan", study, *SHOP, "--price-score", "0.1", "--cleaner-right", "0.9")
    assert "each example is looked at for 0.1, and the 50% of them that are wrong are mended for 0.4" in text
    (line,) = [line for line in text.splitlines() if line.startswith(f"  cleaning {NOISY}")]
    assert re.split(r"\s{2,}", line.strip())[1] == f"{math.floor(100 / (0.1 + 0.5 * 0.4)):,}"


def test_a_program_can_read_it(study, said, tmp_path):
    file = tmp_path / "plan.json"
    assert f"plan: {file}" in said("plan", study, *SHOP, "--out", file)
    read = json.loads(file.read_text(encoding="utf-8"))
    advice = wb.open_study(study).plan()
    assert read["question"]["size"] == 512
    assert [cell["seed"] for cell in read["cells"]] == [cell.seed for cell in advice.cells]
    assert read["interval"]["low"] == pytest.approx(advice.interval.low)
    assert read["break_even"]["middle"] == pytest.approx(advice.interval.middle - 1)
    assert {one["best"] is None for one in read["purchases"]} == {False}
    assert "NaN" not in file.read_text(encoding="utf-8")


def test_a_rate_beyond_what_was_tried_asks_for_a_larger_size(tmp_path):
    far = write_planned(
        tmp_path / "study",
        planned(sizes=(32, 64, 128)),
        value=lambda cell: loss(cell) + (cell.quality.share < 1),
    )
    advice = wb.open_study(far).plan(size=128)
    assert advice.expected is None
    assert {cell.size for cell in advice.cells} == {256}
    assert advice.batch.endswith("they should tell where the rate's open end lies.")
    assert json.loads(advice.to_json())["cells"][0]["narrowing"] is None


def test_a_study_that_is_as_sure_as_was_asked_has_nothing_to_train(tmp_path):
    wide = write_planned(tmp_path / "wide", planned())
    factor = wb.open_study(wide).plan().interval.factor

    def grown(name, asked, size=512):
        decision = {"rule": "--until", "size": size, "factor": asked, "why": "reached", "cells": 0}
        return wb.open_study(
            write_planned(tmp_path / name, planned(), growth={"decisions": [decision]})
        ).plan()

    sure = grown("sure", factor * 1.1)
    assert sure.cells == ()
    assert sure.batch.startswith(
        f"Nothing to train: the interval spans a factor of {factor:.3g} to each side"
    )
    assert grown("unsure", factor * 0.9).cells
    assert grown("elsewhere", factor * 1.1, 128).cells


def test_without_times_cells_are_not_planned_and_money_still_is(tmp_path):
    untimed = wb.open_study(write_planned(tmp_path / "study", planned(), seconds=None))
    prices = wb.Prices(have=(NOISY, 1024), budget=100, new={NOISY: 0.05})
    advice = untimed.plan(prices=prices)
    assert advice.cells == ()
    assert advice.batch.startswith("The study did not record how long its cells took")
    assert advice.purchases[0].hours == 0


def test_the_interval_is_that_of_the_answer(study):
    results = wb.open_study(study)
    advice = results.plan(size=128)
    found = interval_of(results.analysis(), reference="clean", other=NOISY, size=128)
    assert advice.interval == found
    with Store.open(study, read_only=True) as store:
        assert advise(store, results.answers().studies, size=128) == advice


def test_it_shows_itself(study):
    advice = wb.open_study(study).plan(prices=wb.Prices(have=(NOISY, 99), budget=10, clean=1.0))
    assert "What to do next" in advice._repr_html_()
    assert f"buy cleaning {NOISY} examples: 10 examples; gain" in repr(advice)
