"""What a plan refuses, each in a sentence, and that the advice in it works."""

import re
import shlex
from dataclasses import replace

import pytest
from following import between, told
from follows import follows
from planned_studies import answer_once, loss, planned, write_planned  # noqa: F401 - a fixture

import workbench as wb
from workbench.config import Quality
from workbench.errors import InputError
from workbench.laws import analyse
from workbench.laws.prices import Prices, offers_of
from workbench.laws.purchases import Offer, Purse, TrainingTime, plan_purchases
from workbench.laws.simulate import TRUTHS, simulated
from workbench.views.variants import study_answers

NOISY = "50% other_form"
HAVE = ("--have", f"{NOISY}=1024")
BUDGET = (*HAVE, "--budget", "100")
SHOP = (*BUDGET, "--price-clean", "0.4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_planned(tmp_path_factory.mktemp("runs") / "study", planned())


def test_no_study_and_no_such_quality_are_told(folder, refused, followed, tmp_path):
    assert "none" in refused("plan", tmp_path / "none")
    for option in ("--of", "--by"):
        message = refused("plan", folder, option, "50% otherform")
        followed(
            "plan",
            folder,
            *(("--of", "clean", "--by") if option == "--by" else ("--by", "clean", "--of")),
            between(message, "Did you mean '", "'"),
        )
    message = refused("plan", folder, *("--have", "nosy=9", "--budget", "1", "--price-clean", "1"))
    assert message.startswith("unknown quality 'nosy'")
    message = refused("plan", folder, *BUDGET, "--price-new", "cleann=9")
    followed("plan", folder, *BUDGET, "--price-new", between(message, "Did you mean '", "'") + "=9")


@follows("both qualities are")
def test_one_quality_alone_is_no_question(folder, refused, followed):
    message = refused("plan", folder, "--of", NOISY)
    followed("plan", folder, *shlex.split(between(message, "such as ")))


@follows("lies outside the sizes measured of")
@pytest.mark.parametrize("size", [0, -5, 31, 2049])
def test_a_size_that_was_not_measured(folder, refused, followed, size):
    message = refused("plan", folder, "--size", size)
    assert message.startswith(f"--size {size} lies outside the sizes measured of 'clean', 32 to 2048;")
    followed("plan", folder, *shlex.split(between(message, "between them: ")))


@follows("minutes is {minutes}; expected a number above 0")
@pytest.mark.parametrize("minutes", ["0", "-3", "nan", "inf"])
def test_minutes(folder, refused, followed, minutes):
    message = refused("plan", folder, f"--minutes={minutes}")
    followed("plan", folder, "--minutes", between(message, "such as "))


@follows("is for a plan of what to buy, which needs")
@pytest.mark.parametrize(
    "option", ["--have=noisy=1", "--hours=1", "--price-new=a=1", "--price-score=1", "--price-per-hour=2"]
)
def test_prices_without_a_budget(folder, refused, followed, option):
    message = refused("plan", folder, option)
    assert message.startswith(option.partition("=")[0])
    followed("plan", folder, *shlex.split(between(message, "a price: ")))


@follows("needs the examples at hand; add them, such as", "buys nothing without a price; give at least one")
def test_a_budget_without_examples_or_prices(folder, refused, followed):
    message = refused("plan", folder, "--budget", "100", "--price-clean", "0.4")
    have = shlex.split(between(message, "such as "))
    followed("plan", folder, "--budget", "100", "--price-clean", "0.4", *have)
    message = refused("plan", folder, *BUDGET)
    followed("plan", folder, *BUDGET, *shlex.split(between(message, "such as ")))


@follows("expected a quality and a number, such as", "expected a whole number of examples, such as")
@pytest.mark.parametrize("text", ["noisy", "=5", "noisy=", "noisy=many", "noisy=nan", "noisy=1.5"])
def test_what_is_at_hand(folder, refused, followed, text):
    message = refused("plan", folder, "--have", text, "--budget", "100", "--price-clean", "1")
    have = shlex.split(between(message, "such as "))
    followed("plan", folder, *have, "--budget", "100", "--price-clean", "1")
    if text != "noisy=1.5":
        message = refused("plan", folder, *BUDGET, "--price-new", text)
        followed("plan", folder, *BUDGET, *shlex.split(between(message, "such as ")))


@follows(
    "{option} is {value}; it has to be 0 or more",
    "--hours is {self.hours}; it has to be above 0",
    "--cleaner-right is {self.right}; it is a probability",
    "--have is {self.have[1]}; a plan needs at least 1",
)
@pytest.mark.parametrize(
    ("option", "wrong", "right"),
    [
        ("--budget", "-1", "0"),
        ("--price-clean", "-0.1", "0"),
        ("--price-clean", "nan", "0"),
        ("--price-score", "-1", "0"),
        ("--price-per-hour", "-2", "0"),
        ("--price-new", f"{NOISY}=-1", f"{NOISY}=1"),
        ("--hours", "0", "0.5"),
        ("--cleaner-right", "1.5", "1"),
        ("--cleaner-right", "-0.1", "0"),
        ("--have", f"{NOISY}=0", f"{NOISY}=1024"),
        ("--have", f"{NOISY}=-3", f"{NOISY}=1024"),
    ],
)
def test_negative_prices_and_other_numbers_that_cannot_be(folder, refused, followed, option, wrong, right):
    message = refused("plan", folder, *SHOP, f"{option}={wrong}")
    assert message.startswith(option), message
    followed("plan", folder, *SHOP, f"{option}={right}")


@follows("is for cleaning, and no price of that is given; add", "and a budget buys any number of them; give")
def test_prices_that_need_another(folder, refused, followed):
    new = (*BUDGET, "--price-new", f"{NOISY}=1")
    for option in ("--price-score=0.1", "--cleaner-right=0.5"):
        message = refused("plan", folder, *new, option)
        followed("plan", folder, *new, option, *shlex.split(between(message, "; add ")))
    message = refused("plan", folder, *BUDGET, "--price-new", f"{NOISY}=0")
    assert "give a price above 0" in message
    followed("plan", folder, *BUDGET, "--price-new", f"{NOISY}=1")


@follows("at hand into", "--price-rater needs a study that measured more raters")
def test_offers_that_lead_nowhere(folder, refused, followed):
    clean = ("--have", "clean=1024", "--budget", "100", "--price-new", "clean=1")
    assert refused("plan", folder, *clean, "--price-clean", "1").endswith("leave it out")
    followed("plan", folder, *clean)
    assert "these say how many they have: none. Leave it out" in refused(
        "plan", folder, *SHOP, "--price-rater", 1
    )
    followed("plan", folder, *SHOP)
    rated = {f"{n} raters": Quality(raters=n) for n in (2, 3)}
    rater = Prices(have=("3 raters", 10), budget=1, rater=0.1)
    assert "'2 raters', '3 raters'" in told(offers_of, rater, rated, "3 raters")
    offers_of(replace(rater, have=("2 raters", 10)), rated, "3 raters")


@follows("which costs more than the budget of", ", and the limit is {budget.hours}; give at least")
def test_a_budget_that_does_not_pay_for_training(folder, refused, followed):
    for option, price in (("--budget", "1e6"), ("--hours", "0")):
        short = (*HAVE, "--price-clean", "0.4", "--price-per-hour", price)
        little = ("--budget", "10") if option == "--budget" else ("--budget", "10", "--hours", "1e-6")
        message = refused("plan", folder, *short, *little)
        enough = [*little[:-1], between(message, "give at least ")]
        followed("plan", folder, *short, *enough)


@follows("are fewer than were measured of", "nothing is for sale: give what")
def test_too_few_at_hand_and_nothing_to_buy(folder, refused, followed):
    message = refused("plan", folder, "--have", f"{NOISY}=8", "--budget", "1", "--price-clean", "1")
    least = between(message, "Give at least ", ",")
    followed("plan", folder, "--have", f"{NOISY}={least}", "--budget", "1", "--price-clean", "1")
    analysis = analyse(simulated(TRUTHS["power"], 0), "loss", bootstraps=40)
    options = {"quality": "noisy", "size": 64, "budget": Purse(money=1)}
    told(plan_purchases, analysis, [], **options)
    plan_purchases(analysis, [Offer(name="new", quality="noisy", price=1)], **options)


@follows("so hours can't be counted; leave out")
def test_hours_of_a_study_that_recorded_none(tmp_path, refused, followed):
    untimed = write_planned(tmp_path / "study", planned(), seconds=None)
    for option in ("--price-per-hour", "--hours"):
        assert f"leave out {'--price-per-hour and --hours'}" in refused("plan", untimed, *SHOP, option, "2")
    followed("plan", untimed, *SHOP)


def test_no_law_to_trust_is_told_with_what_would_tell(tmp_path, refused, followed):
    """Nothing is read beyond what was measured, and no cap stands for it."""

    def bent(cell):
        return loss(cell) + 0.4 * (cell.size in (128, 512, 2048))

    lost = write_planned(tmp_path / "study", planned(sizes=(32, 64, 128, 256, 512, 1024, 2048)), value=bent)
    assert not wb.open_study(lost).analysis().trusted
    beyond = ("--have", f"{NOISY}=2048", "--budget", "100", "--price-new", f"{NOISY}=0.1")
    message = refused("plan", lost, *beyond)
    assert re.match(
        r"nothing can be said of 3,048 '50% other_form' examples, for up to 2,048 were measured and no law "
        r"is trusted beyond; cells of 3,048 would tell\.",
        message,
    )
    both = followed("plan", lost, *beyond, "--price-clean", "0.4")
    assert "can't be told" in both
    assert "Which is best can't be told: nothing can be said of 3,048" in both
    followed("plan", lost, "--have", f"{NOISY}=1024", *beyond[2:])


def test_an_unfinished_study_is_told_to_go_on(tmp_path, refused, followed):
    half = write_planned(tmp_path / "half", planned(), done=10)
    assert refused("plan", half).endswith(
        "10 of 24 cells have a result, and a plan needs all; the command that began the study goes on with it"
    )
    assert "0 of 24 cells have a result" in refused(
        "plan", write_planned(tmp_path / "none", planned(), done=0)
    )
    followed("plan", write_planned(tmp_path / "whole", planned(), done=24))


def test_one_seed_is_told_to_become_three(tmp_path, refused, followed):
    message = refused("plan", write_planned(tmp_path / "one", planned(seeds=(0,))))
    seeds = tuple(map(int, between(message, "--seeds ").split()))
    followed("plan", write_planned(tmp_path / "three", planned(seeds=seeds)))


def test_one_quality_is_told_to_become_two(tmp_path, refused):
    one = write_planned(tmp_path / "one", planned(qualities=(Quality(),)))
    assert "the study has one quality, and a plan compares two; run it with a second one" in refused(
        "plan", one
    )


def test_a_metric_that_says_nothing_plans_nothing(tmp_path, refused):
    flat = write_planned(tmp_path / "flat", planned(), value=lambda cell: 2.0)
    assert "nothing can be planned: Loss is 2 in every cell" in refused("plan", flat)


@pytest.mark.parametrize("hours", [0.0, -1.0])
def test_training_takes_time_that_a_limit_can_cut(hours):
    with pytest.raises(InputError, match="above 0"):
        Purse(money=1, hours=hours)
    assert TrainingTime(fixed=30, each=1).hours(30) == 1.0


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A study that was small, with settings that are nobody's defaults."""
    folder = tmp_path_factory.mktemp("small") / "a study"
    described = wb.study(
        "verbs",
        qualities=["clean", "other_form:0.5"],
        sizes=[8, 16, 32, 64],
        seeds=[3, 1],
        heldout=40,
        steps=6,
        rank=2,
        batch_size=4,
        learning_rate=0.004,
        targets=["q_proj", "v_proj"],
    )
    wb.run(described, folder)
    return folder


@pytest.mark.slow
def test_its_command_works_when_it_is_typed(small, followed, monkeypatch):
    monkeypatch.setattr("workbench.results.study_answers", study_answers)  # this study does change
    results = wb.open_study(small)
    before = results.manifest.study.cells
    advice = results.plan(minutes=0.02)
    text = followed("plan", small, "--minutes", "0.02")
    command = shlex.split(between(text, "  workbench ", "\n"))
    assert command[command.index("--rank") + 1] == "2"
    assert command[command.index("--targets") + 1 :][:2] == ["q_proj", "v_proj"]
    assert "the end" in followed(*command)
    after = wb.open_study(small).manifest.study
    assert after.cells > before
    first = [(Quality(**one["quality"]).label, one["size"], one["seed"]) for one in after.grown[0]]
    assert first == [(cell.quality, int(cell.size), cell.seed) for cell in advice.cells[: len(first)]]
