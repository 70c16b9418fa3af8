"""``workbench fit`` for tables as people have them: tracker exports, sweeps, splits, published ladders."""

import csv
import math
import re
from pathlib import Path

import numpy as np
import pytest

from workbench.cli import main
from workbench.laws import analyse, read_table
from workbench.laws.bootstrap import bootstrap
from workbench.laws.problems import fit_table

SHARED = Path(__file__).parents[4] / "shared" / "oracles"
SIZES = (100, 200, 400, 800, 1600)
FEW = ("--bootstraps", "12")


@pytest.fixture
def fit(tmp_path, capsys):
    """Write a table, fit it and return what is printed; the command has to end with a status."""

    def fit(rows: list[dict], *options: str, status: int = 0) -> str:
        path = tmp_path / "runs.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        capsys.readouterr()
        assert main(["fit", str(path), *FEW, *map(str, options)]) == status
        said = capsys.readouterr()
        return said.out if status == 0 else said.err

    return fit


def runs(size: str, quality: str, rate: str, loss: str, **others: object) -> list[dict]:
    """Return a sweep over learning rates in a tracker's words, of which 3e-4 is the best."""
    return [
        {
            **{name: value(i) if callable(value) else value for name, value in others.items()},
            quality: q,
            size: n,
            rate: lr,
            loss: 1 + b * n**-0.4 + abs(math.log(lr / 3e-4)) / 9 + 0.002 * math.sin(7 * i),
        }
        for i, (q, b, n, lr) in enumerate(
            (q, b, n, lr) for q, b in (("clean", 3), ("noisy", 5)) for n in SIZES for lr in (1e-4, 3e-4, 1e-3)
        )
    ]


WANDB = runs(
    "n_examples",
    "mix",
    "learning_rate",
    "eval/loss",
    Name=lambda i: f"run-{i}",
    State="finished",
    Notes="",
    User="me",
    Created=lambda i: f"2026-01-01T00:00:{i:02}",
    Runtime=lambda i: 60 + i,
    Sweep="s1",
    **{"train/grad_norm": lambda i: "NaN" if i % 2 else 0.5, "_step": 400, "gpu": lambda i: "AB"[i % 2]},
)
MLFLOW = runs(
    "params.size",
    "params.mix",
    "params.lr",
    "metrics.loss",
    **{
        "Start Time": lambda i: f"2026-01-01 00:00:{i:02}",
        "Duration": lambda i: f"{i}s",
        "Run ID": lambda i: f"{i:032x}",
        "Status": "FINISHED",
        "metrics.acc": lambda i: "Infinity" if i == 4 else 0.5,
        "tags.mlflow.user": "me",
    },
)
NEPTUNE = runs(
    "parameters/size",
    "parameters/mix",
    "parameters/lr",
    "metrics/eval/nll",
    **{"sys/id": lambda i: f"AB-{i}", "sys/running_time": lambda i: i, "monitoring/gpu": lambda i: f"nan{i}"},
)
CLEARML = runs(
    "General/size",
    "General/mix",
    "General/lr",
    "loss.validation",
    NAME=lambda i: f"t{i}",
    STATUS=lambda i: ("Completed", "Published")[i % 2],
    GROUP="g",
)
TRACKERS = {
    "W&B": (WANDB, ("n_examples", "mix", "learning_rate", "eval/loss")),
    "MLflow": (MLFLOW, ("params.size", "params.mix", "params.lr", "metrics.loss")),
    "Neptune": (NEPTUNE, ("parameters/size", "parameters/mix", "parameters/lr", "metrics/eval/nll")),
    "ClearML": (CLEARML, ("General/size", "General/mix", "General/lr", "loss.validation")),
}


@pytest.mark.parametrize(("tracker", "named"), [*zip(TRACKERS, ["by --metric", "as loss"] * 2, strict=True)])
def test_a_trackers_export(fit, tracker, named):
    rows, (size, quality, rate, loss) = TRACKERS[tracker]
    columns = ["--columns", f"size={size}", f"quality={quality}"]
    columns += [f"loss={loss}"] if named == "as loss" else ["--metric", loss]
    message = fit(rows, *columns, status=2)
    assert f"differ in '{rate}' (0.0001 and 0.0003), so they are no replicates" in message
    said = fit(rows, *columns, "--best-of", rate, "--law", "power")
    assert "10 measurements of" in said
    assert f"learning rate: the best of each sweep over {rate}" in said
    assert f"20 not the best of its sweep over {rate}" in said
    one = fit(rows, *columns, "--where", f"{rate}=3e-4", "--law", "power")
    assert "10 of 30 rows are kept" in one
    assert re.findall("objective .*", one) == re.findall("objective .*", said), "3e-4 is the best everywhere"


def test_the_size_is_asked_for_by_a_column_that_counts_examples(fit):
    message = fit(WANDB, status=2)
    assert message.endswith("if it is 'n_examples': --columns size=n_examples.\n")


def test_predictions_are_those_of_python(fit, tmp_path):
    rows = [
        {"model": m, "size": n, "loss": 1 + 200 * m**-0.4 + 3 * n**-0.4 + 0.002 * math.sin(n + m)}
        for m in (1e6, 4e6, 16e6)
        for n in SIZES
    ]
    said = fit(
        rows,
        "--law",
        "chinchilla",
        "--predict",
        "model=7e7",
        "size=6,400",
        "--predict",
        "model=4e6",
        "size=400",
    )
    found = re.findall(r"predicted loss at (.*?): (\S+) \((\S+) to (\S+), 95% of the law(.*)\)", said)
    law = fit_table(read_table(tmp_path / "runs.csv"), "loss", "chinchilla")
    drawn = bootstrap(law, 12, seed=0)
    for (where, *numbers, far), (model, size) in zip(found, [(7e7, 6400.0), (4e6, 400.0)], strict=True):
        at = {"model": np.array([model]), "size": np.array([size])}
        wanted = [law.predict(at)[0], *(end[0] for end in drawn.band(at))]
        assert [float(number) for number in numbers] == pytest.approx(wanted, rel=1e-6)
        assert where == f"model {model:g}, size {size:g}"
        assert bool(far) == (size > 1600)


def number_after(words: str, said: str) -> float:
    """Return the number behind some words."""
    found = re.search(rf"{words}(\d\S*)", said)
    assert found, words
    return float(found[1])


@pytest.fixture(scope="module")
def ladder():
    """Cerebras-GPT (Dey et al. 2023): seven models at 20 tokens a parameter, the last of 13B."""
    if not (SHARED / "README.md").exists():
        pytest.skip(f"the ladder isn't beside the repository; see {SHARED / 'README.md'}")
    text = (SHARED / "README.md").read_text(encoding="utf-8")
    found = re.search(r"FLOPs ([\d.e ]+); loss ([\d. ]+);", text)
    assert found, "the README has the seven models in one line"
    flops, loss = ([float(number) for number in part.split()] for part in found.groups())
    return [{"flops": f, "loss": value} for f, value in zip(flops, loss, strict=True)]


def test_a_published_ladder(fit, ladder):
    assert len(ladder) == 7
    said = fit(
        *(ladder, "--columns", "size=flops", "--law", "power", "--fix", "E=0.5066", "--objective", "squares"),
        *("--predict", "size=2.3e22"),
    )
    beta, scale = (number_after(rf"  {name} +", said) for name in ("beta", "B"))
    # the refit with the constant held: exponent 0.07359, (f / 6.02e22) ** -0.07359
    assert beta == pytest.approx(0.07359, abs=2e-5)
    assert scale ** (1 / beta) == pytest.approx(6.02e22, rel=0.02)
    predicted = number_after(r"predicted loss at size 2.3e\+22: ", said)
    assert predicted == pytest.approx(0.5066 + (2.3e22 / 6.02e22) ** -0.07359, abs=2e-4)
    assert predicted == pytest.approx(1.572, rel=0.0066), "13B is within the published 0.66%"
    assert "constants: beta, B fitted; E = 0.5066 held" in said


@pytest.mark.slow
def test_chinchilla_by_the_command(fit):
    path = SHARED / "chinchilla_epoch" / "svg_extracted_data.csv"
    if not path.exists():
        pytest.skip(f"{path.name} isn't beside the repository; see tests/oracles/README.md")
    with open(path, newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: -float(row["loss"]))[5:]
    rows = [{**row, "tokens": float(row["Training FLOP"]) / 6 / float(row["Model Size"])} for row in rows]
    said = fit(
        *(rows, "--columns", "size=tokens", "model=Model Size", "--law", "chinchilla"),
        *(
            "--objective",
            "huber:1e-3",
            "--hold-out",
            "999",
            "--bootstraps",
            "2",
            "--predict",
            "model=70e9",
            "size=1.4e12",
        ),
    )
    assert "objective 0.00101827402" in said
    published = 1.81724 + 477.84 * 70e9**-0.347313 + 2143.86 * 1.4e12**-0.367183
    assert number_after("predicted loss .*?: ", said) == pytest.approx(published, abs=2e-5)
    assert "Huber's loss of the log residual, threshold 0.001, summed over points" in said
    assert "parameters counted: not said" in said


def test_the_number_of_items_reaches_the_rate(fit, tmp_path):
    rows = [
        {"quality": q, "size": n, "seed": s, "acc": round(0.97 - a / n + s / 9000, 6)}
        for q, a in (("a", 10), ("b", 11))
        for n in SIZES
        for s in (0, 1)
    ]
    quick = ("--metric", "acc", "--law", "free", "--hold-out", "99")
    said = {items: fit(rows, *quick, *items) for items in ((), ("--items", "100"))}
    bare, counted = (text[text.index("P(not reached)") :] for text in said.values())
    assert bare != counted
    table = read_table(tmp_path / "runs.csv")
    noise = [analyse(table, "acc", bootstraps=40, items=items).noise for items in (None, 100)]
    mean = np.mean([row["acc"] for row in rows])
    assert noise[1].spread.min() == pytest.approx(math.sqrt(mean * (1 - mean) / 100))  # type: ignore[union-attr]
    assert noise[0].spread.max() < 0.002  # type: ignore[union-attr]


def test_the_objective_and_the_constants_reach_the_forecast_too(fit):
    rows = [{"size": n, "loss": 1 + 3 * n**-0.4 + 0.01 * math.sin(n)} for n in SIZES]
    free = fit(rows, "--law", "power")
    held = fit(rows, "--law", "power", "--fix", "E=1", "B=3")
    robust = fit(rows, "--law", "power", "--objective", "huber:1e-3")
    errors = [re.findall(r"  power +(\S+)", said)[0] for said in (free, held, robust)]
    assert len(set(errors)) == 3
    assert f"held-out error: {errors[1]}" in held


def test_a_grid_without_another_law_is_refused_before_anything_is_printed(fit, capsys):
    rows = [{"size": n, "lr": lr, "loss": 1 + 3 / n + lr} for n in SIZES for lr in (0.1, 0.2)]
    assert fit(rows, status=2).count("no replicates") == 1
    assert capsys.readouterr().out == ""


def test_rates_that_cannot_be_told_leave_the_laws_standing(fit):
    rows = [
        {
            "quality": q,
            "model": m,
            "size": n,
            "loss": 1 + 200 * m**-0.4 + b * n**-0.4 + 0.002 * math.sin(n + m),
        }
        for q, b in (("a", 3), ("b", 5))
        for m in (1e6, 4e6, 16e6)
        for n in SIZES
    ]
    said = fit(rows)
    assert "a: E + A N^-alpha + B D^-beta" in said
    assert "power: can't tell rows apart that differ in 'model'" in said
