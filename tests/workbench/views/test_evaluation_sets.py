"""Two evaluation sets in one report: each with its answer, and said first where the answers are opposite."""

import pytest

from workbench.laws import analyse, read_table
from workbench.metrics import is_loss
from workbench.studies.disk.manifest import DataFacts, EvaluationSetFacts
from workbench.views.answers import answers, by_worth, records_judging
from workbench.views.figures import quality_by_size
from workbench.views.points import axis_words, measured

SETS = {"refs": EvaluationSetFacts(records=252, answers={"yes": 200, "no": 52})}


def noise(size: int, seed: int) -> float:
    return 0.004 * ((7 * seed + size // 8) % 5 - 2)


def rows(**metrics):
    """Return a study's table; each metric is a function of (whether clean, size, seed)."""
    given = {name.replace("__", "."): of for name, of in metrics.items()}
    return [
        {"quality": quality, "size": size, "seed": seed, "status": "done"}
        | {name: of(quality == "clean", size, seed) for name, of in given.items()}
        for quality in ("clean", "typo")
        for size in (8, 16, 32, 64, 128)
        for seed in range(4)
    ]


def helped(clean: bool, size: int, seed: int) -> float:
    """Be a loss for which clean examples are worth four of the others."""
    return 1 + 4 / (size * (1.0 if clean else 0.25)) ** 0.5 + noise(size, seed)


def hurt(clean: bool, size: int, seed: int) -> float:
    """Be one for which they are worth a quarter."""
    return helped(not clean, size, seed)


def found(**metrics):
    return answers(rows(**metrics), "study", 600, evals=SETS)


def test_opposite_answers_are_said_first_whichever_set_is_which():
    for one, two in ((helped, hurt), (hurt, helped)):
        told = found(loss=one, refs__loss=two)
        first, held, refs = told.leads
        assert told.sentences == (first, held, refs)
        assert first.startswith("The evaluation sets say the opposite: judged by loss on ")
        for_clean, for_typo = ("600 held-out records", "252 records of 'refs'")[:: 1 if one is helped else -1]
        assert f"judged by loss on {for_clean}, one clean example is worth more than one typo one" in first
        assert f"judged by loss on {for_typo}, it is worth less" in first
        assert held.endswith("Judged by loss on 600 held-out records; intervals of 95%.")
        assert refs.endswith("Judged by loss on 252 records of 'refs'; intervals of 95%.")


def test_sets_that_agree_or_cannot_tell_contradict_nothing():
    told = found(loss=helped, refs__loss=helped)
    assert told.leads == told.sentences
    assert len(told.leads) == 2
    assert "opposite" not in " ".join(told.sentences)
    noisy = found(loss=helped, refs__loss=lambda clean, size, seed: 2 + 40 * noise(size, seed + 3 * clean))
    assert "opposite" not in " ".join(noisy.sentences)


def test_a_metric_of_both_sets_tells_where_what_comes_first_does_not():
    """The sets are judged by two metrics, which agree; by the loss, which both have, they don't."""
    told = found(
        loss=helped,
        refs__loss=hurt,
        refs__exact_match=lambda clean, size, seed: 0.9 - 0.2 * helped(clean, size, seed),
    )
    assert list(told.studies)[:2] == ["loss", "refs.exact_match"]
    assert told.leads[0].startswith("The evaluation sets say the opposite: judged by loss on 600")
    assert len(told.leads) == 3


def test_each_set_has_its_own_rates_curves_and_words():
    told = found(loss=helped, refs__loss=hurt)
    assert [table.metric for table in told.tables] == [
        "held-out loss (nats a token)",
        "loss on refs (nats a token)",
    ]
    assert [study.falling for study in told.studies.values()] == [True, True]
    assert set(told.fits) == {"loss", "refs.loss"}


def test_what_is_silent_is_told_with_the_set_and_its_answers():
    told = found(
        loss=helped,
        refs__loss=helped,
        refs__exact_match=lambda *_: 52 / 252,
        refs__chrf=lambda *_: 0.05,
    )
    said = " ".join(told.silences)
    assert "Exact match on refs is 0.206 in every cell" in said
    assert "That is the share of 'no' (52 of 252 records of 'refs')" in said
    assert "Judge by loss on refs, which does differ." in said
    assert "held-out" not in said


def test_a_share_that_is_small_everywhere_does_not_come_first():
    small = found(loss=helped, bleu=lambda c, n, s: 0.08 - 0.02 * helped(c, n, s), refs__loss=helped)
    assert list(small.studies) == ["loss", "bleu", "refs.loss"]
    assert any(note.startswith("BLEU: It is nowhere above") and "matched" not in note for note in small.notes)


@pytest.mark.parametrize("metric", ["errors.rouge_l", "gain.numeric", "loss.own_no_loss", "accuracy.loss"])
def test_the_direction_is_the_metrics_whatever_the_set_is_called(metric):
    table = rows(**{metric.replace(".", "__"): helped})
    analysis = analyse(read_table(table, name="t", measured_here=True), metric)
    assert analysis.falling == metric.endswith(".loss") == is_loss(metric)
    if metric.startswith(("errors", "accuracy")):  # a table that was written out says no more than its names
        assert read_table(table, name="t").falling(metric) == analysis.falling


def test_words_order_and_counts():
    given = rows(loss=helped, refs__own_kind=hurt, refs__loss=hurt, numeric=helped)
    assert measured(given) == ["loss", "numeric", "refs.loss", "refs.own_kind"]
    assert by_worth(given) == ["numeric", "loss", "refs.own_kind", "refs.loss"]
    assert axis_words("refs.own_kind") == "kind on refs"
    assert axis_words("refs.rouge_l") == "ROUGE-L on refs"
    assert axis_words("refs.choice_accuracy") == "accuracy on refs"
    data = DataFacts(heldout_records=600, evals=SETS)
    assert [records_judging(data, one) for one in ("loss", "refs.loss", "x.loss")] == [600, 252, None]


def test_the_figure_has_a_row_for_each_set():
    figure = quality_by_size(rows(loss=helped, numeric=helped, refs__loss=hurt, refs__bleu=helped))
    boxes = [axes.get_position() for axes in figure.axes]
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "held-out loss (nats a token)",
        "right numbers",
        "loss on refs (nats a token)",
        "BLEU on refs",
    ]
    assert boxes[0].y0 > boxes[2].y1
    assert boxes[0].x1 < boxes[1].x0
    assert len(quality_by_size(rows(loss=helped)).axes) == 1
