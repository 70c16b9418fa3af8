"""``workbench fit``: somebody else's table, their column names, every number with its interval."""

import csv

import pytest

from workbench.cli import main
from workbench.laws.simulate import TRUTHS, simulated

NAMES = ["--columns", "quality=mix", "size=n", "seed=run", "share=clean", "loss=val_loss"]


@pytest.fixture
def measured(tmp_path):
    path = tmp_path / "runs.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["mix", "n", "run", "clean", "val_loss"])
        for row in simulated(TRUTHS["noise_floor"], 1).rows:
            writer.writerow([row.quality, row.size, row.seed, row.values["share"], row.values["loss"]])
    return path


def test_it_forecasts_fits_and_answers(measured, capsys):
    assert main(["fit", str(measured), *NAMES, "--bootstraps", "40", "--law", "noise_floor"]) == 0
    out = capsys.readouterr().out
    assert "E + F (1 - share) + B n^-beta" in out
    assert "100% of 5 starts agree" in out
    assert "line through last three" in out
    assert out.count("Judged by loss") == 2
    assert "not reached (probability over 99%)" in out


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("size,loss\n1,2\n2,1\n", [], "needs at least 3 cells; here are 2"),
        ("size,loss\n1,2\n2,2\n4,2\n8,2\n", [], "the metric is 2 in every cell"),
        ("size,loss\n1,2\n2,nan\n", [], "loss is nan; expected a finite number"),
        ("size,loss\n1,2\n-2,1\n", [], "size is '-2'; expected a count"),
        ("size,loss\n1,2\n2,1\n4,1\n", ["--columns", "size"], "expected OURS=THEIRS"),
        ("size,loss\n1,2\n2,1\n4,1\n", ["--law", "pwer"], "Did you mean 'power'"),
        ("size,loss\n1,2\n2,1\n4,1\n", ["--metric", "exact_match"], "no finished row has a value"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(tmp_path, capsys, text, options, message):
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    assert main(["fit", str(path), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_one_seed_gets_no_rate(tmp_path, capsys):
    path = tmp_path / "one.csv"
    rows = [f"{q},{n},0,{k + 3 / n}" for k, q in enumerate(["a", "b"], 1) for n in (1, 2, 4, 8, 16)]
    path.write_text("quality,size,seed,loss\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert main(["fit", str(path), "--bootstraps", "20", "--law", "power"]) == 0
    out = capsys.readouterr().out
    assert "no interval can be given" in out
    assert "times as many" not in out


def test_a_metric_that_is_the_same_everywhere_names_one_that_differs(tmp_path, capsys):
    path = tmp_path / "same.csv"
    rows = [
        f"{quality},{size},{seed},0.0,{size / 64 + seed / 100},{50 + size},{1e-4 * (seed + 1)}"
        for quality in "ab"
        for size in (8, 16, 32)
        for seed in (0, 1)
    ]
    path.write_text(
        "quality,size,seed,exact_match,f1,runtime,lr\n" + "\n".join(rows) + "\n", encoding="utf-8"
    )
    assert main(["fit", str(path), "--metric", "exact_match"]) == 2
    error = capsys.readouterr().err
    assert "no effect of size or quality is visible in 'exact_match', and none is ruled out" in error
    advice = error.split("judge by it: ")[1].rstrip(".\n").split()
    assert advice == ["--metric", "f1"]
    assert main(["fit", str(path), *advice, "--bootstraps", "8"]) == 0
    assert "Judged by f1" in capsys.readouterr().out


def test_without_another_metric_it_says_what_would_tell(tmp_path, capsys):
    path = tmp_path / "same.csv"
    path.write_text("size,loss\n1,2\n2,2\n4,2\n8,2\n", encoding="utf-8")
    assert main(["fit", str(path)]) == 2
    error = capsys.readouterr().err
    assert "larger sizes, more held-out records" in error
    assert "Check the column" not in error


def test_a_law_of_the_family_is_told_with_what_speaks_for_it(measured, capsys):
    assert main(["fit", str(measured), *NAMES, "--bootstraps", "20", "--law", "floor_coefficient"]) == 0
    out = capsys.readouterr().out
    assert "against noise_floor (gamma = 0): p = " in out
    assert "against quality_exponent (F = 0): p = " in out
    assert "decided right" in out
    # three qualities, three pairs, all of them in the same order at every size
    line = next(line for line in out.splitlines() if line.startswith("  (last value)"))
    assert "100% (29% to 100%)" in line
    assert "of 3 clear pairs" in out
