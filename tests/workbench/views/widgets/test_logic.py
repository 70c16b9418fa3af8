"""The widgets' own logic, without a browser: traits in, traits out."""

import math
from collections import Counter

import numpy as np
import pytest

from workbench.config import Quality
from workbench.data.records import Dataset, Record
from workbench.data.subsets import draw
from workbench.errors import InputError
from workbench.laws import analyse, read_table
from workbench.laws.bootstrap import bootstrap
from workbench.laws.formula import tree_of
from workbench.laws.library import LAWS
from workbench.laws.problems import fit_each, fit_table
from workbench.lessons.budget import Game, GameRound
from workbench.lessons.scores import scoreboard
from workbench.lessons.shipped import TALKERS, VERBS
from workbench.lessons.talk import BlindTest, find_cell, interval, speakers
from workbench.lessons.widgets import BudgetGame, Chat
from workbench.studies.disk.store import Store
from workbench.views.cell_map import thinned
from workbench.views.widgets import Examples, Exchange, GridMap, Guess, LawExplorer


@pytest.fixture(scope="module")
def shipped_rows():
    with Store.open(VERBS, read_only=True) as store:
        return store.table()


@pytest.fixture(scope="module")
def shipped(shipped_rows):
    return read_table(shipped_rows)


@pytest.fixture(scope="module")
def analysed(shipped):
    return analyse(shipped, "exact_match", bootstraps=60, items=600)


@pytest.mark.parametrize("count", [0, 1, 119, 120, 121, 5000])
def test_thinning_keeps_the_ends_and_the_order(count):
    points = [(i, float(i)) for i in range(count)]
    kept = thinned(points, 120)
    assert len(kept) <= 121
    assert kept[:1] == points[:1]
    assert kept[-1:] == points[-1:]
    assert kept == sorted(set(kept))


def test_grid_map_opens_a_cell_and_changes_its_metric(check_shown):
    view = GridMap(VERBS)
    assert view.metric == "exact_match"
    assert len(view.grid["cells"]) == len(view.grid["qualities"]) * len(view.grid["sizes"])
    assert all(cell["done"] == cell["planned"] for cell in view.grid["cells"])
    with Store.open(VERBS, read_only=True) as store:
        rows = store.rows()
    first = view.grid["cells"][0]
    same = [
        r["exact_match"] for r in rows if (r["quality"], r["size"]) == (rows[0]["quality"], first["size"])
    ]
    assert first["mean"] == pytest.approx(sum(same) / len(same))
    view.chosen = [1, 2]
    assert view.detail["title"] == f"{view.grid['qualities'][1]}, {view.grid['sizes'][2]} examples"
    assert len(view.detail["rows"]) == len(view.detail["curves"]) == first["planned"]
    view.metric = "loss"
    assert view.grid["better"] == "low"
    check_shown(view)


def test_grid_map_of_a_study_that_has_only_begun(tmp_path):
    view = GridMap(tmp_path / "nothing-yet")
    assert view.grid["cells"] == []
    assert view.picture() is not None


def test_law_explorer_sends_each_resample_once(shipped, check_shown):
    resamples = bootstrap(fit_table(shipped, "loss", "quality_exponent"), 20, workers=1)
    view = LawExplorer(resamples)
    assert {len(values) for values in view.fit["resamples"].values()} == {21}
    assert view.fit["resamples"]["beta"][0] == pytest.approx(resamples.fit.values["beta"])
    assert view.fit["shares"][1] == 1.0
    assert view.fit["formula"] == tree_of(LAWS["quality_exponent"].formula)
    assert (view.fit["level"], view.fit["tails"]) == ("95%", pytest.approx([0.025, 0.975]))
    check_shown(view)


def test_law_explorer_refuses_what_the_page_cannot_compute(shipped):
    resamples = bootstrap(fit_table(shipped, "loss", "quality_exponent"), 5, workers=1)
    with pytest.raises(InputError, match="at least 20"):
        LawExplorer(resamples)
    resamples = bootstrap(fit_each(shipped, "loss", "power")["clean"], 5, workers=1)
    with pytest.raises(InputError, match="Known: coefficient_exponent, floor_coefficient"):
        LawExplorer(resamples)


def test_exchange_tells_the_rates_of_the_laws(analysed, check_shown):
    view = Exchange([analysed])
    view.pair = 0
    assert view.pairs[0]["names"] == ["clean", "50% other form"]
    best = view.rates[0].rates
    expected = [float(f"{value:.5g}") if math.isfinite(value) else None for value in best.median]
    assert view.pairs[0]["median"] == expected
    assert None in expected
    assert view.words() == view.rates[0].sentence(best.size[20])
    check_shown(view)


def test_exchange_opens_where_there_is_a_price(analysed):
    view = Exchange([analysed])
    assert view.pairs[view.pair]["names"][1] == "25% other form", "half-spoiled ones are never enough"
    assert "does the work of" in view.words()


def test_a_study_of_one_quality_has_nothing_to_exchange(shipped):
    rows = [row.quality == "clean" for row in shipped.rows]
    alone = analyse(shipped.where(np.array(rows)), "exact_match", bootstraps=40, items=600)
    with pytest.raises(InputError, match="one quality"):
        Exchange([alone])


def test_examples_carry_markup_as_it_is_written(check_shown):
    script = "<script>alert(1)</script>"
    view = Examples(
        [{"prompt": script, "response": "x" * 700, "before": "<b>y</b>", "kind": "typo", "score": 0.5}]
    )
    assert view.rows[0]["prompt"] == script
    assert len(view.rows[0]["response"]) < 610
    check_shown(view)


def test_examples_drawn_show_what_changed():
    train = tuple(Record(id=str(i), prompt=f"p{i}", response=f"answer {i}") for i in range(40))
    data = Dataset(name="d", train=train, heldout=(), template="plain", licence="MIT", origin="here")
    view = Examples.drawn(data, Quality(corruption="typo", share=0.5), 30)
    changed = [row for row in view.rows if row["before"] is not None]
    assert 5 < len(changed) < 25
    assert all(row["before"] != row["response"] and row["kind"] == "typo" for row in changed)
    assert {row["kind"] for row in view.rows} == {"typo", "as it was"}


def chosen_from(count=40):
    """Records of two kinds with a score, of which two answer each question."""
    train = tuple(
        Record(
            id=f"{kind}{n}",
            prompt=f"question {n}",
            response=f"{kind} {n}",
            extra={"kind": kind, "ifd": n / count},
        )
        for n in range(count)
        for kind in ("wiki", "forum")
    )
    return Dataset(name="d", train=train, heldout=(), template="plain", licence="MIT", origin="here")


def test_examples_chosen_show_what_is_in_and_out_and_why(check_shown):
    data = chosen_from()
    wiki, high = Quality(pool="kind=wiki"), Quality(pool="ifd>=0.5")
    view = Examples.chosen(data, [Quality(), wiki, high])
    assert (view.words(), view.score, view.total) == ("160 examples", "ifd", 160)
    of_wiki = [row for row in view.rows if row["quality"] == "kind=wiki"]
    assert {(row["kind"], row["reason"]) for row in of_wiki} == {
        ("in", "kind is wiki"),
        ("out", "kind is forum"),
    }
    assert all(row["score"] == int(row["prompt"].split()[1]) / 40 for row in of_wiki)
    assert {row["other"] for row in of_wiki} == {row["response"] for row in of_wiki}
    of_high = [row for row in view.rows if row["quality"] == "ifd>=0.5"]
    assert all((row["score"] >= 0.5) == (row["kind"] == "in") for row in of_high)
    assert all(row["other"] is None for row in of_high), "both answers to a question have one score"
    check_shown(view)


def test_examples_drawn_from_a_pool_say_why():
    data, wiki = chosen_from(), Quality(pool="kind=wiki")
    view = Examples.drawn(data, wiki, 10, seed=2)
    assert [row["response"] for row in view.rows] == [one.response for one in draw(data, wiki, 10, 2)]
    assert {row["kind"] for row in view.rows} == {"in"}
    assert view.rows[0]["other"] == view.rows[0]["response"].replace("wiki", "forum")


def test_of_many_records_some_of_each_side_are_shown(monkeypatch):
    monkeypatch.setattr("workbench.views.widgets.examples.MOST", 20)
    view = Examples.chosen(chosen_from(), [Quality(pool="kind=wiki"), Quality(pool="ifd>=0.9")])
    counts = Counter((row["quality"], row["kind"]) for row in view.rows)
    assert set(counts.values()) == {5}
    assert len(counts) == 4
    assert view.words() == "20 of 160 examples"


def test_qualities_that_choose_nothing_have_nothing_to_show():
    with pytest.raises(
        InputError, match="none of these chooses records: clean, 50% typo; give a quality with"
    ):
        Examples.chosen(chosen_from(), [Quality(), Quality(corruption="typo", share=0.5)])


def test_a_missing_score_is_no_zero_in_the_picture():
    rows = [{"prompt": "p", "response": "r", "kind": "in", "score": score} for score in (2.0, 2.0, None)]
    bars = Examples(rows, score="ifd").picture().axes[0].patches
    assert sum(bar.get_height() for bar in bars) == 2
    assert min(bar.get_x() for bar in bars if bar.get_height()) > 1


def test_the_game_pays_what_the_curves_say(analysed):
    game = Game(analysed, worse="50% other_form", rounds=3)
    given = GameRound(examples=64, coins=64, clean_price=1.0)
    assert game.buys(given, 1) == (64, 64)
    assert game.buys(given, 0) == (128, 0)
    clean = analysed.curve("clean").predict([64.0])[0, 0]
    assert game.score(given, 1) == pytest.approx(clean)
    outcome = game.play(given, 0.0)
    assert outcome.best_score == max(outcome.curve) >= outcome.score
    assert outcome.regret == pytest.approx(outcome.best_score - outcome.score)
    assert game.play(given, outcome.best_share).regret == pytest.approx(0)
    with pytest.raises(InputError, match="0 to 1"):
        game.play(given, 1.5)


def test_the_price_at_which_it_tips_is_where_both_purchases_give_the_same(analysed):
    game = Game(analysed, worse="50% other_form")
    price = game.tipping_price(64, 64)
    given = GameRound(examples=64, coins=64, clean_price=price)
    assert game.score(given, 1) == pytest.approx(game.score(given, 0), abs=1e-3)
    for factor, best in ((0.8, 1.0), (1.25, 0.0)):
        assert game.play(GameRound(examples=64, coins=64, clean_price=factor * price), 0).best_share == best
    with pytest.raises(InputError, match=r"no price from 0\.01 to 100 tips the decision"):
        game.tipping_price(2048, 64)


def test_a_round_is_played_once_and_the_scoreboard_kept(analysed, tmp_path, check_shown):
    file = tmp_path / "board.csv"
    assert scoreboard(file).entries == ()
    view = BudgetGame(Game(analysed, worse="50% other_form", rounds=2), file)
    view.entered = {"number": 1, "name": "early"}
    assert not file.exists()
    view.decision = {"round": 0, "share": 0.5}
    view.decision = {"round": 0, "share": 1.0}
    assert len(view.outcomes) == 1
    view.decision = {"round": 1, "share": 0.5}
    view.entered = {"number": 2, "name": "  "}
    assert "name" in view.problem
    view.entered = {"number": 3, "name": "<i>Ada</i>, 1"}
    assert [name for _, name, _ in view.board] == ["<i>Ada</i>, 1"]
    check_shown(view)
    view.again += 1
    assert (view.outcomes, view.place, len(view.board)) == ([], 0, 1)
    view.decision = {"round": 0, "share": 1.0}
    assert len(view.outcomes) == 1
    view.again += 1
    for number in (0, 1):
        view.decision = {"round": number, "share": 0.5}
    file.write_text("name,rounds,regret\nx,two,0\nold,2,0.5\n")
    view.looked += 1
    assert view.board == [[1, "old", "0.500"]]
    assert (
        view.board_problem
        == f"{file}: line 2 is no name, rounds and regret and left out; all others are shown."
    )


class Parrot:
    """Speaks for two without a model."""

    names = ("one", "two")

    def answer(self, prompt):
        if prompt == "bad":
            raise InputError("no token for it")
        return f"<b>one</b> {prompt}", f"two {prompt}"


def test_a_blind_test_hides_who_is_who_and_counts(tmp_path, check_shown):
    view = Chat(BlindTest(Parrot(), tmp_path / "votes.jsonl", seed=3))
    sides = set()
    for number in range(20):
        view.question = {"number": number, "prompt": "hi"}
        assert not {"one", "two"} & set(view.shown) - {"prompt"}
        assert view.history == [] or len(view.history) == number
        sides.add(view.shown["left"])
        better = "left" if view.shown["left"].startswith("<b>one") else "right"
        view.ballot = {"number": number, "vote": better}
    assert len(sides) == 2
    assert view.test.tally() == (20, 0, 0)
    assert len((tmp_path / "votes.jsonl").read_text().splitlines()) == 20
    view.ballot = {"number": 99, "vote": "left"}
    assert "no question" in view.shown["problem"]
    view.question = {"number": 100, "prompt": "bad"}
    assert view.shown["problem"] == "no token for it"
    view.question = {"number": 101, "prompt": " "}
    assert "empty" in view.shown["problem"]
    check_shown(view)


def test_wilsons_interval():
    low, high = interval(8, 10)
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert interval(0, 0) == (0.0, 1.0)


def test_the_shipped_adapters_answer():
    both = speakers(VERBS, *(find_cell(VERBS, *cell) for cell in TALKERS))
    assert both.answer("walk")[0] == "walked"
    view = Chat(BlindTest(both), suggestions=["stop"])
    view.question = {"number": 1, "prompt": "walk"}
    assert view.shown["note"] == ""
    view.question = {"number": 2, "prompt": "hello how are you today"}
    cut = [view.shown[side].endswith(" … (cut off)") for side in ("left", "right")]
    assert any(cut)
    assert ("Both answers" if all(cut) else "One answer") in view.shown["note"]
    assert "one kind of question, such as 'stop'" in view.shown["note"]
    with pytest.raises(InputError, match="has no cell"):
        find_cell(VERBS, "clean", 33)


def test_a_guess_begins_on_the_line_that_is_shown_and_knows_the_truth(shipped_rows, analysed, check_shown):
    guess = Guess(shipped_rows, analysed)
    question = guess.question
    assert question["names"] == ["clean", "50% other form"]
    assert guess.guess == question["reference"]
    own = [
        row["exact_match"] for row in shipped_rows if (row["quality"], row["size"]) == ("50% other_form", 64)
    ]
    assert question["truth"][question["sizes"].index(64)] == pytest.approx(np.mean(own), rel=1e-4)
    assert question["range"][0] < min(question["truth"]) - 0.05, "the axis gives the answer away"
    assert question["range"][1] <= 1
    check_shown(guess)
    assert "not told yet" in guess.words()
    guess.guess, guess.told = [0.5] * len(question["sizes"]), True
    check_shown(guess)
    assert "guessed 0.5, 0.5" in guess.words()


def test_what_cannot_be_guessed_is_refused(shipped_rows, analysed):
    for other, says in (("clean", "needs another quality than 'clean'"), ("celan", "Did you mean 'clean'")):
        with pytest.raises(InputError, match=says):
            Guess(shipped_rows, analysed, other)
    one = [row for row in shipped_rows if row["quality"] == "clean" or row["size"] == 32]
    with pytest.raises(InputError, match=r"at least 2 of its sizes; '50% other_form' has 1"):
        Guess(one, analysed)


def test_a_loss_is_guessed_on_a_logarithm(shipped_rows, shipped):
    question = Guess(shipped_rows, analyse(shipped, "loss", bootstraps=60), "25% other_form").question
    assert question["log"]
    assert 0 < question["range"][0] < min(question["reference"])
