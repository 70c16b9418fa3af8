"""Metrics of texts: equal to the packages that define them, on real texts, and to values by hand."""

import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from workbench.data.records import Record
from workbench.errors import InputError
from workbench.training import text_metrics
from workbench.training.text_metrics import (
    BUILT_IN,
    TEXT_METRICS,
    check_metrics,
    final_number,
    own_metric,
    scored,
)

REAL = Path(__file__).resolve().parents[4] / "shared" / "real"


def record(reference: str) -> Record:
    return Record(id="1", prompt="asked", response=reference, place="mine.jsonl, line 1")


def real(name: str) -> Path:
    if not (REAL / name).exists():
        pytest.skip(f"{name} isn't beside the checkout, in shared/real; it may not be copied into it")
    return REAL / name


@pytest.fixture(scope="module")
def pairs():
    """Answers of two models to the same questions."""
    answers = []
    for name in ("001", "003"):
        found = json.loads(real(f"alpacaeval805_text_davinci_{name}.json").read_text())
        answers.append({one["instruction"]: one["output"] for one in found if one["output"].strip()})
    pairs = [(answers[0][asked], right) for asked, right in answers[1].items() if asked in answers[0]]
    assert len(pairs) > 700
    return pairs[:300]


def test_texts_by_hand():
    """Where nothing is beside the checkout: two words stem alike, one response is shorter than four words."""
    said, right = "the cat sits", "the cat on the mat sat"
    assert scored("rouge_l", said, record(right)) == pytest.approx(2 * 2 / (3 + 6))
    assert scored("rouge_l", "cats", record("cat")) == 0.0
    for text in (said, "cat", "the cat on a mat"):
        by_chrf = sacrebleu.sentence_chrf(text, [right]).score / 100
        assert scored("chrf", text, record(right)) == pytest.approx(by_chrf, abs=1e-12)
        by_bleu = sacrebleu.sentence_bleu(text, [right]).score / 100
        assert scored("bleu", text, record(right)) == pytest.approx(by_bleu, abs=1e-12)
    assert scored("numeric", "it is 3", record("3.0")) == 1.0


def test_rouge_l_is_that_of_rouge_score(pairs):
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    for said, right in pairs:
        assert scored("rouge_l", said, record(right)) == scorer.score(right, said)["rougeL"].fmeasure
    assert scored("rouge_l", "the cat sat", record("the cat on the mat sat")) == pytest.approx(
        2 * 3 / (3 + 6)
    )


def test_bleu_and_chrf_are_those_of_sacrebleu(pairs):
    for said, right in pairs:
        assert scored("chrf", said, record(right)) == pytest.approx(
            sacrebleu.sentence_chrf(said, [right]).score / 100, abs=1e-12
        )
        assert scored("bleu", said, record(right)) == pytest.approx(
            sacrebleu.sentence_bleu(said, [right]).score / 100, abs=1e-12
        )


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_reference_itself_is_worth_1_and_nothing_0(name):
    reference = "A robe takes 3 bolts in all. #### 3"
    assert scored(name, reference, record(reference)) == pytest.approx(1.0)
    assert scored(name, "", record(reference)) == 0.0
    assert TEXT_METRICS[name].answerable(reference)


@pytest.mark.parametrize("name", BUILT_IN)
@given(said=st.text(), right=st.text(min_size=1))
def test_whatever_is_said_is_worth_from_0_to_1(name, said, right):
    assert 0.0 <= scored(name, said, record(right)) <= 1.0


@pytest.mark.parametrize(
    ("said", "right", "worth"),
    [
        ("The Cat!", "a cat", 1.0),
        ("cat and dog", "the dog", 2 * 1 / (3 + 1)),
        ("to be or to", "to be to", 2 * 3 / (4 + 3)),
        ("the", "the", 1.0),
        ("the", "cat", 0.0),
        ("cat", "?", 0.0),
    ],
)
def test_token_f1_by_hand(said, right, worth):
    assert scored("token_f1", said, record(right)) == pytest.approx(worth)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#### 42", "42"),
        ("so 6 * 7 = 42.\n#### 42\nI hope 1 of you is glad", "42"),
        ("It costs $1,234.50 in all.", "1234.5"),
        ("the answer is 5.", "5"),
        ("from 10-5 on", "5"),
        ("it is -5 degrees", "-5"),
        ("it is - 5 degrees", "-5"),
        ("it is −5 degrees", "-5"),
        ("$-5", "-5"),
        ("-$5", "-5"),
        ("1, 2, 3", "3"),
        ("1,2,3", "3"),
        ("1,000,000", "1000000"),
        ("12,34", "34"),
        ("about .5", "0.5"),
        ("3.0", "3"),
        ("2e3", "2000"),
        ("50%", "50"),
        ("no number 7 #### none", "7"),
        ("none", None),
        ("", None),
    ],
)
def test_final_numbers_by_hand(text, number):
    assert final_number(text) == (None if number is None else Decimal(number))


def test_every_answer_of_gsm8k_has_its_own_number():
    """The file ends each answer with ``#### `` and the number; what it divides by commas is one number."""
    lines = real("gsm8k_test.jsonl").read_text().splitlines()
    answers = [json.loads(line)["answer"] for line in lines]
    assert len(answers) == 1319
    for answer in answers:
        number = answer.rsplit("#### ", 1)[1]
        assert final_number(answer) == Decimal(number.replace(",", ""))
        assert scored("numeric", f"The answer is {number}.", record(answer)) == 1.0
        assert (
            scored("numeric", f"The answer is {Decimal(number.replace(',', '')) + 1}", record(answer)) == 0.0
        )


def test_references_that_cannot_be_judged():
    assert not TEXT_METRICS["numeric"].answerable("no idea")
    assert not TEXT_METRICS["rouge_l"].answerable("да")
    assert TEXT_METRICS["chrf"].answerable("да")


def test_names():
    assert check_metrics(("rouge_l", "numeric")) == ("rouge_l", "numeric")
    with pytest.raises(InputError, match=r"unknown metric 'rouge'. Did you mean 'rouge_l'\? Known: bleu"):
        check_metrics(("rouge",))
    with pytest.raises(InputError, match="'bleu' is given twice"):
        check_metrics(("bleu", "chrf", "bleu"))
    with pytest.raises(InputError, match=r"'own_kindness' is a function of .*metrics=\[kindness\]"):
        check_metrics(("own_kindness",))
    assert check_metrics(("own_kindness",), known_here=False) == ("own_kindness",)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (
            lambda said, right, record: 2.0,
            "gave 2.0 for mine.jsonl, line 1; it has to give a number from 0",
        ),
        (lambda said, right, record: float("nan"), "gave nan for mine.jsonl, line 1"),
        (lambda said, right, record: None, "failed on mine.jsonl, line 1: TypeError"),
        (lambda said, right, record: 1 / 0, "failed on mine.jsonl, line 1: ZeroDivisionError"),
    ],
)
def test_a_function_of_ones_own_is_held_to_its_word(monkeypatch, function, says):
    monkeypatch.setattr(text_metrics, "TEXT_METRICS", dict(TEXT_METRICS))
    with pytest.raises(InputError, match="has no plain name"):
        own_metric(function)
    function.__name__ = "mine"
    assert own_metric(function) == "own_mine"
    with pytest.raises(InputError, match=says):
        scored("own_mine", "said", record("right"))


@pytest.mark.parametrize(
    ("name", "module"), [("rouge_l", "rouge_score"), ("bleu", "sacrebleu"), ("chrf", "sacrebleu")]
)
def test_a_package_that_is_not_there_is_named_with_the_command(monkeypatch, name, module):
    for one in [*sys.modules]:
        if one.split(".")[0] == module:
            monkeypatch.setitem(sys.modules, one, None)
    text_metrics._rouge.cache_clear()
    text_metrics._sacrebleu.cache_clear()
    with pytest.raises(InputError, match=rf"the metric {name} needs .* isn't installed; run .*pip install"):
        scored(name, "a", record("a"))
