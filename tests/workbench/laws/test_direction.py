"""Which values of a metric are better: its name says it, the user says it, or nothing is answered."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.laws import analyse, rate_of, read_table
from workbench.laws.direction import HIGHER, LOWER, known_direction
from workbench.laws.problems import fit_table

LOWER_NAMES = (
    "loss val_loss eval/loss val/loss/x loss_c4_val eval_loss valLoss valloss CrossEntropyLoss "
    "cross_entropy crossEntropy nll NLL ce wer WER(%) wordErrorRate cer bpb bits_per_byte bitsPerByte ppl "
    "val_ppl perplexity eval.perplexity error error_rate top1_err mse rmse metrics.loss metrics/eval_nll "
    "final_test_CE loss2 log_loss logLoss negative_log_likelihood"
)
HIGHER_NAMES = (
    "accuracy acc val_acc valacc testAcc acc@1 acc1 top5_acc acc_norm,none exact_match EM em f1 F1 "
    "F1Score macro_f1 bleu BLEU sacrebleu rouge1 rougeL rouge_l pass@1 win_rate choice_accuracy "
    "metrics.accuracy eval/exact_match auroc precision recall"
)
UNKNOWN_NAMES = (
    "score reward mmlu judged entropy grad_norm lr size tokens _step runtime loss_f1 acc_loss neg_loss "
    "loss_reduction accuracy_drop loss_scale acc_stderr,none log_likelihood R2 lossless matched format "
    "performance balance success_count time_to_loss loss_ratio"
)


@pytest.mark.parametrize("name", LOWER_NAMES.split())
def test_names_of_which_smaller_is_better(name):
    assert known_direction(name) == "lower"


@pytest.mark.parametrize("name", HIGHER_NAMES.split())
def test_names_of_which_larger_is_better(name):
    assert known_direction(name) == "higher"


@pytest.mark.parametrize("name", UNKNOWN_NAMES.split())
def test_names_that_do_not_say_it(name):
    assert known_direction(name) is None


NEUTRAL = st.sampled_from(["val", "eval", "c4", "en", "x", "final", "metrics", "heldout", "pile", "mean"])
MARK = st.sampled_from([".", "/", "_", "-", " ", ":"])


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(LOWER | HIGHER)),
    st.lists(NEUTRAL, max_size=2),
    st.lists(NEUTRAL, max_size=2),
    MARK,
)
def test_a_known_word_is_found_wherever_it_stands(word, before, after, mark):
    name = mark.join([*before, word, *after])
    wanted = "lower" if word in LOWER else "higher"
    assert known_direction(name) == known_direction(name.upper()) == wanted
    assert known_direction(mark.join([name, "loss", "accuracy"])) is None


ROWS = [
    {
        "quality": q,
        "size": n,
        "seed": s,
        "judged": round((0.9 if q == "a" else 1.1) * n**-0.3 / 2 + s / 500, 6),
    }
    for q in "ab"
    for n in (16, 32, 64, 128, 256)
    for s in range(3)
]


def test_an_unknown_direction_is_refused_wherever_it_matters():
    table = read_table(ROWS)
    for act in (table.measured, table.falling, table.kind_of, lambda metric: analyse(table, metric)):
        with pytest.raises(
            InputError, match="'judged' doesn't say whether smaller or larger values are better"
        ):
            act("judged")
    with pytest.raises(InputError, match="--better lower or --better higher"):
        fit_table(table, "judged", "power")


def test_bits_per_byte_are_not_an_accuracy():
    """The issue's inverted answer: b needs more than a, whatever the metric below 1 is called."""
    for name in ("bits_per_byte", "val/loss/x", "judged"):
        rows = [{**row, name: row["judged"]} for row in ROWS]
        if name != "judged":
            rows = [{key: value for key, value in row.items() if key != "judged"} for row in rows]
        table = read_table(rows, better="lower")
        rates = rate_of(analyse(table, name, bootstraps=50), reference="a", other="b", sizes=[64])
        assert rates.rates is not None
        # (1.1 / 0.9) ** (1 / 0.3)
        assert rates.rates.median[0] == pytest.approx(1.952, rel=0.15)


def test_what_is_told_turns_the_answer():
    low, high = (read_table(ROWS, better=better) for better in ("lower", "higher"))
    assert low.falling("judged") is True
    assert high.falling("judged") is False
    assert (low.kind_of("judged"), high.kind_of("judged")) == ("loss", "accuracy")
    assert (analyse(low, "judged").falling, analyse(high, "judged").falling) == (True, False)
    assert low.where(np.ones(len(ROWS), dtype=bool)).falling("judged") is True


def test_a_name_and_the_user_that_contradict_each_other_are_refused():
    table = read_table([{"size": n, "loss": 1 / n, "acc": 1 - 1 / n} for n in (2, 4, 8)], better="higher")
    assert table.falling("acc") is False
    with pytest.raises(InputError, match="by its name 'loss' is a metric of which smaller values are better"):
        table.measured("loss")


@pytest.mark.parametrize(
    ("metric", "better", "value", "message"),
    [
        ("acc", None, 4.2, r"acc is 4.2, outside \[0, 1\].*--columns loss=NAME --metric loss"),
        ("judged", "higher", 4.2, r"judged is 4.2, outside \[0, 1\].*--metric NAME --better lower"),
        ("judged", "lower", -0.1, "judged is -0.1; a loss is above 0.*--metric NAME --better higher"),
        ("nll", None, 0.0, "nll is 0; a loss is above 0.*--columns accuracy=NAME --metric accuracy"),
    ],
)
def test_values_that_contradict_the_direction_are_refused(metric, better, value, message):
    rows = [{"size": 2, metric: 0.5}, {"size": 4, metric: value}]
    with pytest.raises(InputError, match=message):
        read_table(rows, better=better).measured(metric)
