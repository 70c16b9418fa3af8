"""What the comparison with PEFT says: tolerances from the data, the bound beside each row, no early end."""

import json
import math
import subprocess
import sys
from types import SimpleNamespace

import against_peft
import pytest
import speed_page
from against_peft import CONTESTANTS, agreements, lines_of, run_all, table_of, verdict, work
from processor import in_words, processor

SPEEDS = {"float32": 100.0, "bfloat16": 200.0, "int8": 400.0}
EXACT = [2.5, 2.25, 2.0]
GROUPED = "PEFT bfloat16, length-grouped"


def one_run(losses, seconds=10.0):
    return {
        "losses": losses,
        "seconds": [seconds / 2, seconds / 2],
        "processor_seconds": 2 * seconds,
        "loading": 1.0,
        "peak_bytes": 2e9,
    }


def runs(**moved):
    """One run for each contestant: PEFT's bfloat16 strays by 0.065 nats, the others as told."""
    away = {
        "PEFT bfloat16": 0.065,
        GROUPED: 0.5,
        **{name.replace("_", " "): by for name, by in moved.items()},
    }
    return {name: [one_run([*EXACT[:2], EXACT[2] + away.get(name, 0.0)])] for name in CONTESTANTS}


def test_the_tolerance_is_what_bfloat16_changes_in_peft_itself():
    found = agreements(runs(ours_bfloat16=0.064, ours_int8=0.066, ours_float32=0.0064))
    assert found["ours bfloat16"]["allowed"] == pytest.approx(0.065)
    assert found["ours bfloat16"]["agrees"] is True
    assert found["ours int8"]["agrees"] is False
    assert found["ours float32"]["allowed"] == pytest.approx(0.0065)
    assert found["ours float32"]["agrees"] is True
    assert agreements(runs(ours_float32=0.0066))["ours float32"]["agrees"] is False


def test_the_yardstick_and_other_batches_are_not_judged():
    found = agreements(runs())
    assert found["PEFT bfloat16"] == {"distance": pytest.approx(0.065), "allowed": None, "agrees": None}
    assert found[GROUPED] == {"distance": None, "allowed": None, "agrees": None}
    without = {name: each for name, each in runs().items() if name != "PEFT bfloat16"}
    assert agreements(without)["ours bfloat16"]["agrees"] is None
    assert verdict(agreements(without)["ours bfloat16"]) == "0.0000 nats, not judged"


def test_a_loss_that_is_no_number_disagrees():
    broken = runs()
    broken["ours int8"] = [one_run([math.nan, *EXACT[1:]])]
    assert agreements(broken)["ours int8"]["agrees"] is False


def test_a_disagreement_and_a_failure_are_rows():
    measured = runs(ours_int8=1.0)
    measured["ours float32"] = []
    works = dict.fromkeys(CONTESTANTS, (400, 500e9))
    table = table_of(measured, {"ours float32": "failed: no memory"}, SPEEDS, works)
    lines = {line[:30].strip(): line for line in lines_of(table)}
    assert set(lines) == {"", *CONTESTANTS}
    assert "DISAGREES" in lines["ours int8"]
    assert lines["ours float32"].endswith("failed: no memory")


def test_the_share_of_the_bound_is_least_time_over_time():
    table = table_of(runs(), {}, SPEEDS, dict.fromkeys(CONTESTANTS, (400, 500e9)))
    assert table["ours float32"]["least_seconds"] == pytest.approx(5.0)
    shares = {name: row["share_of_bound"] for name, row in table.items()}
    assert shares["ours float32"] == pytest.approx(0.5)
    assert shares["ours bfloat16"] == shares["PEFT bfloat16"] == pytest.approx(0.25)
    assert shares["ours int8"] == pytest.approx(0.125)
    assert table["ours float32"]["labelled_tokens_per_second"] == pytest.approx(40.0)
    assert "50%" in lines_of(table)[1]


def test_the_work_counts_shared_beginnings_once_a_step():
    config = SimpleNamespace(linear_shape=lambda leaf: (2, 3), layers=5, vocabulary=7, width=11)
    items = [([1, 2, 3, 4], 2), ([1, 2, 5, 6, 7], 3)] * 8
    labels, flops = work(items, 2, False, config)
    # a step: 4 examples of each kind, whose first two tokens are the same
    tokens, marked = 2 + 4 * 2 + 4 * 3, 4 * 2 + 4 * 2
    assert labels == 2 * marked
    assert flops == 2 * (4 * tokens * 5 * 7 * 6 + 4 * marked * 7 * 11)


def test_what_fails_or_takes_too_long_ends_nothing(monkeypatch):
    def run(command, timeout, **_):
        name = command[command.index("--measure") + 1]
        if name == "ours int8":
            return SimpleNamespace(returncode=1, stdout="", stderr="Traceback\nInputError: no int8 here")
        if name == "PEFT float32":
            raise subprocess.TimeoutExpired(command, timeout)
        return SimpleNamespace(returncode=0, stdout=json.dumps(one_run(EXACT)), stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(against_peft, "product_speeds", lambda repeats: dict(SPEEDS))
    made, failures, speeds = run_all(list(CONTESTANTS), [], 3, rounds=2, minutes=5)
    assert {name: len(each) for name, each in made.items()} == {
        **dict.fromkeys(CONTESTANTS, 2),
        "ours int8": 0,
        "PEFT float32": 0,
    }
    assert failures == {
        "ours int8": "failed: InputError: no int8 here",
        "PEFT float32": "stopped: the time was up",
    }
    assert speeds == SPEEDS
    made, failures, _ = run_all(list(CONTESTANTS), [], 3, rounds=2, minutes=1e-9)
    assert not any(made.values())
    assert not failures


def test_the_page_shows_what_disagrees_and_what_failed():
    measured = runs(ours_int8=1.0)
    measured[GROUPED] = []
    table = table_of(measured, {}, SPEEDS, dict.fromkeys(CONTESTANTS, (400, 500e9)))
    page = speed_page.one_cell({"about": "2 examples", "labels": 400, "table": table})
    (row,) = (line for line in page.splitlines() if line.startswith("| ours int8"))
    assert "12%" in row
    assert "DISAGREES" in row
    assert f"| {GROUPED} | not run: the time was up |" in page


def test_instructions_are_named_from_the_flags():
    text = (
        "processor : 0\nmodel name : Some CPU 7\nflags : fpu avx2 fma avx512f avx512_vnni avx512_bf16 "
        "amx_tile amx_bf16 amx_int8\n\nprocessor : 1\nmodel name : Another\nflags : fpu\n"
    )
    assert processor(text) == {
        "processor": "Some CPU 7",
        "instructions": ["avx2", "fma", "avx512", "vnni", "bf16", "amx bf16", "amx int8"],
    }
    assert processor("model name: Old\nflags: avx2 avx512f\n")["instructions"] == ["avx2", "avx512"]
    assert processor("")["instructions"]
    words = in_words({**processor(text), "threads": 2, "cores": 4, "load": 1.25, "torch": "2"})
    assert words.startswith(
        "Some CPU 7 (avx2, fma, avx512, vnni, bf16, amx bf16, amx int8), 2 of 4 cores, load 1.2"
    )


def test_the_quick_form_is_smaller():
    shown = subprocess.run(
        [sys.executable, against_peft.__file__, "--help"], capture_output=True, text=True, check=True
    )
    assert "--quick" in shown.stdout
    assert against_peft.QUICK["minutes"] < 10
