"""Confident learning: cleanlab's numbers from probabilities that no record has had a hand in itself."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from workbench.data.chance import number
from workbench.data.records import Record
from workbench.data.sources import load_dataset
from workbench.data.templates import render
from workbench.errors import InputError
from workbench.models.loaders import load_base
from workbench.scoring import closed_choices
from workbench.scoring.closed_choices import choice_probabilities, halves, margins
from workbench.scoring.model_losses import response_losses
from workbench.scoring.scored import score_columns
from workbench.scoring.scorers import Given

cleanlab = pytest.importorskip("cleanlab", reason="no cleanlab: pip install -e '.[confident]'")


@pytest.fixture(scope="module")
def classroom():
    return load_base("classroom", "float32")


@pytest.fixture(scope="module")
def flipped():
    """Verbs with their forms as choices; for a quarter of them a wrong one is given."""
    records = []
    for verb in load_dataset("verbs").train[:160]:
        choices = tuple(sorted({verb.response, *verb.alternatives}))[: 2 + len(verb.id) % 2]
        if verb.response in choices and len(choices) > 1:
            flip = number(0, "flip", verb.id) < 0.25
            wrong = next(choice for choice in choices if choice != verb.response)
            given = {"response": wrong, "spoiled": "flip"} if flip else {}
            records.append(replace(verb, choices=choices, **given))
    return tuple(records)


def quiet(share):
    """Nobody listens."""


@pytest.fixture(scope="module")
def probabilities(classroom, flipped):
    return choice_probabilities(classroom, flipped, "verbs", quiet)


@pytest.fixture(scope="module")
def scores(classroom, flipped):
    return margins(classroom, flipped, "verbs", quiet)


def test_probabilities_come_to_one(probabilities, flipped):
    assert [len(row) for row in probabilities] == [len(one.choices) for one in flipped]
    assert {len(row) for row in probabilities} == {2, 3}
    for row in probabilities:
        assert (row >= 0).all()
        assert row.sum() == pytest.approx(1)


def test_a_choice_is_as_likely_as_its_whole_text(classroom, monkeypatch):
    """Without an adapter: the losses of the choices, one text at a time, their ends included."""
    monkeypatch.setattr(closed_choices, "train", lambda *given, **named: (None, None))
    records = tuple(
        Record(id=str(n), prompt=prompt, response="walked", choices=("walked", "walking", "w"))
        for n, prompt in enumerate(("walk", "go", "sing", "be"))
    )
    for record, row in zip(records, choice_probabilities(classroom, records, "verbs", quiet), strict=True):
        totals = []
        for choice in record.choices:
            one = replace(record, response=choice)
            (mean,) = response_losses(classroom, [one], "verbs", quiet)
            example = render("verbs", one, classroom.tokenizer)
            totals.append(mean * (len(example.token_ids) - example.prompt_length))
        likelihoods = np.exp(-np.array(totals))
        assert row == pytest.approx(likelihoods / likelihoods.sum(), rel=1e-4)


def test_margins_are_those_of_cleanlab_and_of_the_formula(scores, probabilities, flipped):
    for count in (2, 3):
        places = [place for place, one in enumerate(flipped) if len(one.choices) == count]
        labels = np.array([flipped[place].choices.index(flipped[place].response) for place in places])
        rows = np.array([probabilities[place] for place in places])
        theirs = cleanlab.rank.get_normalized_margin_for_each_label(labels, rows)
        assert [scores[place] for place in places] == pytest.approx(theirs.tolist(), abs=1e-9)
    for score, row, one in zip(scores, probabilities, flipped, strict=True):
        own = one.choices.index(one.response)
        assert score == pytest.approx((row[own] - np.delete(row, own).max() + 1) / 2, abs=1e-9)


def test_planted_flips_stand_lower_than_what_is_right(scores, flipped):
    wrong = [score for score, one in zip(scores, flipped, strict=True) if one.spoiled]
    right = [score for score, one in zip(scores, flipped, strict=True) if not one.spoiled]
    assert len(wrong) > 20
    above = sum((a < b) + 0.5 * (a == b) for a in wrong for b in right)
    assert above / len(wrong) / len(right) > 0.65


def test_no_record_has_a_hand_in_its_own_probabilities(classroom, flipped, probabilities):
    fold = halves(flipped)
    place = fold.index(0)
    one = flipped[place]
    other = next(choice for choice in one.choices if choice != one.response)
    turned = (*flipped[:place], replace(one, response=other), *flipped[place + 1 :])
    again = choice_probabilities(classroom, turned, "verbs", quiet)
    for number_of_half, own, was, now in zip(fold, flipped, probabilities, again, strict=True):
        if number_of_half == 0:
            assert now.tolist() == was.tolist(), own.id
    assert any((was != now).any() for own, was, now in zip(fold, probabilities, again, strict=True) if own)


def test_halves_are_of_questions_whatever_the_order(flipped):
    fold = halves(flipped)
    assert abs(fold.count(0) - fold.count(1)) <= 1
    assert halves((*flipped[1:], flipped[0])) == [*fold[1:], fold[0]]
    assert halves((*flipped[1:6], flipped[0], *flipped[6:])) == [*fold[1:6], fold[0], *fold[6:]]
    twice = (*flipped[:7], *(replace(one, id=f"again {one.id}") for one in flipped[:7]))
    assert halves(twice)[:7] == halves(twice)[7:]


def test_the_order_of_a_file_decides_nothing(classroom, flipped, scores):
    turned = margins(classroom, flipped[::-1], "verbs", quiet)
    assert turned[::-1] == pytest.approx(scores, rel=1e-4)


def test_what_has_no_choice_has_no_margin(classroom, flipped, monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    closed = flipped[:12]
    open_one = replace(closed[0], id="open", choices=())
    odd = replace(closed[0], id="odd", response="no such form")
    single = replace(closed[0], id="single", choices=(closed[0].response,))
    given = Given(records=(open_one, *closed, odd, single), base=classroom, template="verbs")
    (column,) = score_columns(given, ["confident"])
    assert (column.scores[0], *column.scores[-2:]) == (None, None, None)
    assert all(score is not None for score in column.scores[1:-2])
    # other choices are other margins, though all is asked and answered alike
    fewer = tuple(replace(one, choices=tuple(sorted(one.choices, reverse=True))) for one in closed)
    (turned,) = score_columns(replace(given, records=(open_one, *fewer, odd, single)), ["confident"])
    assert not turned.kept
    # one question alone leaves nothing to learn from
    for records in ((closed[0],), (closed[0], replace(closed[0], id="copy")), (open_one,), ()):
        assert margins(classroom, records, "verbs", quiet) == [None] * len(records)


def test_without_cleanlab_the_scorer_says_how_to_get_it(classroom, flipped, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    with pytest.raises(InputError, match=r"needs cleanlab, which isn't installed; run .*pip"):
        margins(classroom, flipped[:4], "verbs", quiet)


@pytest.mark.slow
def test_planted_flips_of_raters_stand_lower(smollm2):
    """Real judgements of paraphrases and the like, a quarter of them turned round."""
    data = load_dataset("raters")

    def flip(record):
        other = next(choice for choice in record.choices if choice != record.response)
        return replace(record, response=other, spoiled="flip")

    records = tuple(flip(one) if number(0, "flip", one.id) < 0.25 else one for one in data.train[:160])
    found = margins(smollm2, records, data.template, quiet)
    wrong, right = (
        [score for score, one in zip(found, records, strict=True) if bool(one.spoiled) == flipped]
        for flipped in (True, False)
    )
    above = sum((a < b) + 0.5 * (a == b) for a in wrong for b in right)
    area = above / len(wrong) / len(right)
    print(f"area {area:.3f} of {len(wrong)} and {len(right)}")
    assert area > 0.6


def test_a_record_of_the_user_has_choices(classroom):
    records = tuple(
        Record(id=str(n), prompt=f"say {n}", response="no" if n % 5 == 0 else "yes", choices=("no", "yes"))
        for n in range(20)
    )
    found = margins(classroom, records, "plain", quiet)
    minority, majority = ([found[n] for n in range(20) if (n % 5 == 0) == odd] for odd in (True, False))
    assert max(minority) < min(majority), "what the others say is likelier"
