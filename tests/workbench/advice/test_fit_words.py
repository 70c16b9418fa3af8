"""What ``workbench fit`` says of tables that a hostile reader would try."""

import csv

import numpy as np
import pytest
from following import follows

from workbench.cli import main
from workbench.laws import analyse, read_table

SIZES = (32, 128, 512, 2048)


def rows(sizes=SIZES, seeds=(0, 1), qualities=(("clean", 1.0), ("half", 3.1)), **others):
    """Return losses of a power law in which one clean example is worth 3.1 others."""
    chance = np.random.default_rng(0)
    return [
        {"quality": q, "size": n, "seed": s, "loss": 1 + 5 * (n / rate) ** -0.4 + 0.004 * chance.normal()}
        | {name: value(q, n, s) for name, value in others.items()}
        for q, rate in qualities
        for n in sizes
        for s in seeds
    ]


@pytest.fixture
def fit(tmp_path, capsys):
    """Write a table, fit it and return what is printed; the command has to end with a status."""

    def fit(table: list[dict], *options: object, status: int = 0) -> str:
        path = tmp_path / "runs.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
        assert main(["fit", str(path), "--bootstraps", "40", *map(str, options)]) == status
        said = capsys.readouterr()
        assert status == 0 or not said.out, "nothing is printed of what is refused"
        return said.out if status == 0 else said.err

    return fit


def test_a_law_that_was_asked_for_and_does_not_suit_is_an_error(fit):
    assert "no number in column 'model'" in fit(rows(), "--law", "chinchilla", status=2)
    assert "law 'bounded' is for accuracy" in fit(rows(), "--law", "bounded", status=2)
    assert "unknown quality 'hlaf'. Did you mean 'half'?" in fit(rows(), "--reference", "hlaf", status=2)


def test_a_rate_says_that_it_does_not_rest_on_the_law_that_was_asked_for(fit):
    said = "note: The rate weighs all laws that suit (power, rectified)"
    assert said not in fit(rows())
    assert said in fit(rows(), "--law", "power")
    assert said in fit(rows(), "--law", "power", "--fix", "E=1")


def test_too_few_draws_are_told_and_the_rate_takes_enough(fit):
    few, enough = (fit(rows(), "--bootstraps", count) for count in (1, 40))
    assert "1 bootstraps show no interval of 95%, which needs at least 40" in few
    assert "bootstraps show no interval" not in enough
    assert few[few.index("\nClean:") :] == enough[enough.index("\nClean:") :]


@follows("quality is empty, and other rows have one")
@pytest.mark.parametrize("empty", ["", "  "])
def test_a_quality_that_is_missing_in_some_rows_is_no_quality(fit, empty):
    table = rows()
    table[5]["quality"] = empty
    assert "runs.csv, line 7: quality is empty, and other rows have one." in fit(table, status=2)
    fit([row for row in table if row["quality"].strip()])  # the row left out
    # a row before any training has none
    table[5] |= {"size": 0, "seed": ""}
    fit(table)


@pytest.mark.parametrize(("written", "full"), [("2k", "2000"), ("1.5M", "1500000"), ("7B", "7000000000")])
def test_a_shortened_number_is_told_in_full(fit, written, full):
    table = rows()
    table[4]["size"] = written
    said = fit(table, status=2)
    assert f"line 6: size is '{written}'; expected a number written in full, such as {full}." in said
    table[4]["size"] = full
    fit(table)


@follows("write the models' sizes as numbers")
def test_models_named_by_text_are_to_be_written_as_numbers(fit):
    grid = [
        {"size": n, "model": m, "loss": 1.5 + 300 / full**0.35 + 40 / n**0.4 + 0.001 * np.sin(7 * n)}
        for m, full in (("10M", 1e7), ("70M", 7e7), ("1B", 1e9))
        for n in (1e4, 1e5, 1e6, 1e7)
    ]
    said = fit(grid, status=2)
    assert (
        "write the models' sizes as numbers, such as 7e9, and fit a law that knows it: --law chinchilla"
        in said
    )
    numbers = {"10M": 1e7, "70M": 7e7, "1B": 1e9}
    followed = fit([row | {"model": numbers[row["model"]]} for row in grid], "--law", "chinchilla")
    assert "Hoffmann et al. 2022" in followed


@follows("Make the names of the columns the first line of the file")
def test_a_comment_before_the_header_is_told(tmp_path, capsys):
    path = tmp_path / "runs.csv"
    path.write_text("# my runs\nsize,loss\n1,2\n")
    assert main(["fit", str(path)]) == 2
    assert "line 1: '# my runs' has no ',' in it, and line 2 has 2 fields." in capsys.readouterr().err
    path.write_text("size,loss\n1,2\n2,1.5\n4,1.25\n8,1.2\n")
    assert main(["fit", str(path), "--bootstraps", "40"]) == 0


@follows("There is no column of settings; leave --best-of out")
def test_best_of_a_column_that_tells_cells_apart_says_so(fit):
    said = fit(rows(), "--best-of", "seed", status=2)
    assert "'seed', which tells cells apart and is no setting. There is no column of settings" in said
    fit(rows())


def test_steps_are_not_offered_as_seeds_where_there_are_seeds(fit):
    table = [row | {"step": step} for row in rows() for step in (10, 20)]
    assert "--columns seed=step" not in fit(table, status=2)
    without = [{k: v for k, v in row.items() if k != "seed"} for row in table if row["seed"] == 0]
    assert "--columns seed=step" in fit(without, status=2)


def test_the_column_of_a_model_is_not_taken_for_that_of_examples(fit):
    table = [
        {"N_params": 10**8 + i, "D_tokens": row["size"], "loss": row["loss"]} for i, row in enumerate(rows())
    ]
    assert "if it is 'D_tokens': --columns size=D_tokens" in fit(table, status=2)


def test_settings_that_differ_with_the_quality_or_the_seed_are_told(fit):
    by_quality = rows(lr=lambda q, n, s: {"clean": 1e-4, "half": 1e-3}[q])
    assert "note: 'lr' differs between the qualities, so what it does is counted as theirs." in fit(
        by_quality
    )
    by_seed = rows(lr=lambda q, n, s: (1e-4, 1e-3)[s])
    said = "Seeds of one cell also differ in 'lr', in 8 of 8 cells"
    assert fit(by_seed).count(said) == 1
    assert any(said in note for note in analyse(read_table(by_seed), "loss", bootstraps=40).notes)
    assert "differs between" not in fit(rows(lr=lambda q, n, s: 1e-4))


def test_four_sizes_of_one_run_are_not_told_to_be_fewer_than_three(fit):
    said = fit(rows(seeds=("",)))
    assert "no interval can be given. Train at least 3 seeds a cell, or at least 5 sizes." in said
    assert "needs at least 3" not in said[said.index("One seed") :]
    followed = fit(rows(seeds=("",), sizes=(*SIZES, 8192)))
    assert "with one run a cell: the noise is what the laws leave" in followed


def test_a_prediction_says_how_far_it_reaches_and_whether_its_law_is_believed(fit):
    said = fit(
        rows(), "--law", "power", "--predict", "size=20480", "--predict", "size=8", "--predict", "size=99"
    )
    assert said.count("95% of the law; size is 10 times the largest measured, 2048)") == 2
    assert said.count("95% of the law; size is below the smallest measured, 32)") == 2
    assert said.count("95% of the law)") == 2
    bent = [row | {"loss": 1 + 40 / (30 + row["size"] ** 0.8) + 1e-4 * row["seed"]} for row in rows()]
    said = fit(bent, "--law", "power", "--predict", "size=99")
    assert said.count("the law is not believed, so the truth may well lie outside") == 2
