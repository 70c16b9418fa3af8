"""Rows that differ in a setting are no replicates; copies are none either; a sweep has a best row."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.laws import analyse, read_table
from workbench.laws.forecast import forecast_sizes
from workbench.laws.problems import fit_each, fit_table
from workbench.laws.sweep import best_of
from workbench.laws.varying import OtherSettings

SIZES = (16, 32, 64, 128, 256)


def loss(size: float, k: int = 0) -> float:
    return round(1 + 3 * size**-0.4 + 0.0037 * k * math.sin(size + 3 * k), 6)


def grid(**columns: tuple) -> list[dict]:
    """Return a row for every size and combination of the columns' values, no two with one loss."""
    return [
        {"size": n, **dict(zip(columns, values, strict=True)), "loss": loss(n, k)}
        for n in SIZES
        for k, values in enumerate(itertools.product(*columns.values()))
    ]


SETTINGS = {
    "model": (1e6, 4e6),
    "learning_rate": (1e-4, 3e-4),
    "lr": (1e-4, 3e-4),
    "config.optimizer": ("adam", "sgd"),
    "params.batch_size": (8, 16),
    "hparams/width": (64, 128),
    "variant": ("one", "two"),
    "fold": (1, 2),
    "steps": (10, 20),
}


@pytest.mark.parametrize("column", SETTINGS)
def test_a_setting_is_named_before_anything_is_fitted(column):
    table = read_table(grid(**{column: SETTINGS[column]}))
    # what an analysis knows as an input of laws is none of these
    acts = [
        lambda: fit_table(table, "loss", "power"),
        *([] if column == "model" else [lambda: analyse(table, "loss")]),
    ]
    for act in acts:
        with pytest.raises(OtherSettings, match=f"lines 2 and 3: two rows .* differ in '{column}'") as raised:
            act()
        assert raised.value.columns == (column,)
    kept = read_table(grid(**{column: SETTINGS[column]}), where={column: str(SETTINGS[column][1])})
    assert [row.values["loss"] for row in kept.rows] == [loss(n, 1) for n in SIZES]
    fit_table(kept, "loss", "power")


@pytest.mark.parametrize(
    "noise",
    [
        {"eval/acc": (0.5, 0.25)},
        {"train/grad_norm": (1.0, 2.0)},
        {"runtime": (10, 20)},
        {"host": ("a", "b")},
        {"metrics.judged": (0.5, 0.25)},
        {"system/gpu_0": (1, 2)},
    ],
    ids=str,
)
def test_what_was_measured_or_kept_as_books_makes_replicates(noise):
    fit = fit_table(read_table(grid(**noise)), "loss", "power")
    assert fit.problem.replicates is not None
    assert fit.problem.replicates.count.tolist() == [2] * len(SIZES)


def test_names_and_numbers_that_never_recur_make_replicates():
    rows = [
        {**row, "Name": f"run-{i}", "judged": i / 7, "_timestamp": 1e9 + i}
        for i, row in enumerate(grid(gpu=(1, 2)))
    ]
    fit = fit_table(read_table(rows), "loss", "power")
    assert fit.problem.replicates is not None


def test_an_input_of_the_law_is_data_and_no_replicate():
    models = (1e6, 4e6, 16e6)
    rows = [{**row, "loss": row["loss"] + 200 * row["model"] ** -0.4} for row in grid(model=models)]
    fit = fit_table(read_table(rows), "loss", "chinchilla")
    assert fit.problem.replicates is None
    assert len(fit.problem.y) == 15
    with pytest.raises(OtherSettings):
        fit_table(read_table(rows), "loss", "power")


@pytest.mark.parametrize("seeds", [(0, 1, 2), (None,)], ids=["seeds", "no seeds"])
def test_a_grid_of_models_has_a_forecast(seeds):
    """Baselines go on along each model: the last value of a model is its own."""
    rows = [
        {"quality": q, "model": m, "size": n, "loss": loss(n, s or 0) + 200 * m**-0.4 + (q == "b")}
        | ({} if s is None else {"seed": s})
        for q in "ab"
        for m in (1e6, 4e6, 16e6)
        for n in SIZES
        for s in seeds
    ]
    found = {score.name: score for score in forecast_sizes(read_table(rows), "loss").scores}
    later = [row for row in rows if row["size"] == 256]

    def of(row: dict, size: int) -> float:
        """Return the mean of a row's own quality and model at a size."""
        keys = ("quality", "model")
        own = [r["loss"] for r in rows if r["size"] == size and all(r[k] == row[k] for k in keys)]
        return float(np.mean(own))

    wanted = np.mean([abs(of(row, 128) - row["loss"]) / row["loss"] for row in later])
    assert found["last value"].error == pytest.approx(wanted)
    assert found["chinchilla"].error < found["last value"].error
    assert "power" not in found


def test_models_are_no_seeds_even_where_each_has_its_own_number():
    rows = [{**row, "seed": k % 2} for k, row in enumerate(grid(model=(1e6, 4e6)))]
    with pytest.raises(OtherSettings, match="with seeds 0 and 1 differ in 'model'"):
        fit_table(read_table(rows), "loss", "power")


def test_seeds_that_each_have_a_setting_of_their_own_are_replicates():
    rows = [{**row, "lr": 1e-4 * (row["seed"] + 1)} for row in grid(seed=(0, 1))]
    fit = fit_table(read_table(rows), "loss", "power")
    assert fit.problem.replicates is not None
    assert fit.problem.replicates.paired


NOTE = "what is read as noise holds the effect of that setting too"


def said(rows: list[dict], **options: object) -> list[str]:
    return [note for note in read_table(rows, **options).notes if NOTE in note]


@pytest.mark.parametrize("column", [name for name in SETTINGS if name not in ("model", "fold")])
def test_a_setting_that_varies_along_with_the_seeds_is_named(column):
    one, two = SETTINGS[column]
    rows = [{**row, column: (one, two, one)[row["seed"]]} for row in grid(seed=(0, 1, 2))]
    (note,) = said(rows)
    values = " and ".join(v if isinstance(v, str) else f"{v:.12g}" for v in (one, two))
    assert note.startswith(
        f"Seeds of one cell also differ in {column!r}, in 5 of 5 cells (lines 2 and 3: {values})"
    )
    analysis = analyse(read_table(rows), "loss", bootstraps=40)
    assert note in analysis.notes
    # the advice works: seeds that share the setting are read without the note
    assert not said(rows, where={column: str(one)})


def test_one_cell_is_enough_and_the_others_are_counted():
    rows = [
        {**row, "lr": 2e-4 if (row["size"], row["seed"]) == (64, 1) else 1e-4} for row in grid(seed=(0, 1))
    ]
    (note,) = said(rows)
    assert "in 1 of 5 cells (lines 6 and 7: 0.0001 and 0.0002)" in note


@pytest.mark.parametrize(
    "settings_of",
    [
        lambda row: {"lr": 1e-4 * row["size"]},
        lambda row: {"lr": 1e-4},
        lambda row: {"data_seed": row["seed"] + 7},
        lambda row: {"run": f"run-{row['seed']}"},
        lambda row: {"gpu": row["seed"], "eval/acc": 0.5 + row["seed"] / 8},
    ],
    ids=["with the size", "one for all", "another seed", "a name", "books and measurements"],
)
def test_what_is_no_setting_of_a_seed_is_not_named(settings_of):
    assert not said([{**row, **settings_of(row)} for row in grid(seed=(0, 1))])


def test_a_setting_that_is_crossed_with_the_seeds_is_refused_and_not_noted():
    rows = grid(learning_rate=(1e-4, 3e-4), seed=(0, 1))
    # each seed begins with another of the rates
    assert not said(sorted(rows, key=lambda row: (row["seed"], row["learning_rate"] * (1 - 2 * row["seed"]))))


def test_runs_that_did_not_finish_say_nothing_of_the_noise():
    rows = [{**row, "status": "done"} for row in grid(seed=(0,))]
    lost = [{**row, "seed": 1, "lr": 1.0, "status": "failed"} for row in rows]
    assert not said([{**row, "lr": 0.1} for row in rows] + lost)


def test_a_sweep_with_seeds_is_no_cell_twice():
    rows = grid(learning_rate=(1e-4, 3e-4), seed=(0, 1))
    with pytest.raises(OtherSettings, match=r"differ in 'learning_rate' \(0.0001 and 0.0003\)"):
        fit_table(read_table(rows), "loss", "power")
    best = best_of(read_table(rows), ["learning_rate"], "loss")
    assert len(best) == 2 * len(SIZES)
    for row in best.rows:
        own = [r["loss"] for r in rows if (r["size"], r["seed"]) == (row.size, row.seed)]
        assert row.values["loss"] == min(own)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_best_of_a_sweep_is_its_minimum(data):
    """Against the definition, for a loss and an accuracy, with a second setting that is no part of it."""
    metric = data.draw(st.sampled_from(["loss", "acc"]))
    value = st.floats(0.01, 0.99)
    rows = [
        {"size": n, "width": w, "lr": lr, metric: data.draw(value)}
        for n in (1, 2)
        for w in (8, 16)
        for lr in data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True))
    ]
    if len({row[metric] for row in rows}) < 2:
        return
    best = best_of(read_table(rows), ["lr"], metric)
    pick = min if metric == "loss" else max
    wanted = {
        (n, w): pick(row[metric] for row in rows if (row["size"], row["width"]) == (n, w))
        for n in (1, 2)
        for w in (8, 16)
    }
    assert {(row.size, row.values["width"]): row.values[metric] for row in best.rows} == wanted
    dropped = len(rows) - 4
    assert sum(best.left_out.values()) == dropped
    assert (f"{dropped} rows were left out" in best.notes[-1]) == (dropped > 0)


def test_rows_that_failed_or_stopped_stay_in_a_sweep():
    rows = [{**row, "status": "done"} for row in grid(lr=(1, 2))]
    table = best_of(
        read_table([*rows, {**rows[0], "lr": 3, "loss": None, "status": "failed"}]), ["lr"], "loss"
    )
    assert [row.status for row in table.rows] == ["done"] * len(SIZES) + ["failed"]


def test_exact_copies_count_once():
    rows = grid(gpu=(1,))
    once = fit_table(read_table(rows), "loss", "power")
    table = read_table([*rows, *rows])
    assert len(table) == len(rows)
    assert (
        "5 rows equal earlier ones in every column and are not counted again (lines 7, 8, 9, 10 and 1 more)"
        in (table.notes[0])
    )
    again = fit_table(table, "loss", "power")
    assert again.values == once.values
    assert again.problem.replicates is None
    assert len(read_table([*rows, {**rows[0], "loss": 1.9}])) == 6
    with pytest.raises(InputError, match="the same cell twice"):
        read_table([{**row, "seed": 0} for row in [*rows, *rows]])


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("Noisy", "noisy"), "'Noisy' and 'noisy'"),
        (("noisy", "noisy "), "'noisy' and 'noisy '"),
        (("0.5", "0.50", ".5"), "'0.5' and '0.50' and '.5'"),
        (("a  b", "A b", "c"), "'a  b' and 'A b'"),
        (("a", "b"), None),
    ],
)
def test_labels_that_differ_in_their_writing_alone_are_named(labels, said):
    notes = read_table([{"quality": q, "size": 1, "loss": 1 + i} for i, q in enumerate(labels)]).notes
    assert notes == () if said is None else said in notes[0]


ROWS = [
    {"split": split, "lr": lr, "size": n, "val": loss(n) + (split == "test") + float(lr)}
    for split in ("train", "test")
    for lr in ("1e-3", "3e-4")
    for n in SIZES
]


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"split": "train"}, 10),
        ({"split": ["train", "test"]}, 20),
        ({"split": "train", "lr": "0.001"}, 5),
        ({"size": "32"}, 4),
        ({"val": "9"}, "Its values are"),
        ({"splt": "train"}, "Did you mean 'split'"),
        ({"split": "Train"}, "as with --where split=train"),
        ({"loss": str(ROWS[0]["val"])}, 1),
    ],
)
def test_where_keeps_the_rows_that_have_the_values(where, kept):
    names = {"loss": "val"}
    if isinstance(kept, str):
        with pytest.raises(InputError, match=kept):
            read_table(ROWS, columns=names, where=where)
        return
    table = read_table(ROWS, columns=names, where=where)
    assert len(table) == kept
    assert f"{kept} of 20 rows are kept" in table.notes[0]
    assert table.left_out.get("other rows than --where asks for", 0) == 20 - kept
    lines = {row.line for row in table.rows}
    assert all(
        ROWS[line - 2]["val"] == row.values["loss"]
        for line, row in zip(sorted(lines), table.rows, strict=True)
    )


def test_rows_that_are_not_kept_may_hold_anything():
    rows = [*ROWS, {"split": "odd", "lr": "x", "size": "many", "val": "?"}]
    assert len(read_table(rows, columns={"loss": "val"}, where={"split": "train"})) == 10
    with pytest.raises(InputError, match="line 22: size is 'many'"):
        read_table(rows, columns={"loss": "val"})


def test_a_number_that_nobody_asked_for_may_be_missing():
    rows = [
        {**row, "other": "nan" if i == 2 else 1.0, "third": float("inf")}
        for i, row in enumerate(grid(gpu=(1,)))
    ]
    table = read_table(rows)
    assert "Not a finite number and so missing: third of 5 rows, other of 1 rows." in table.notes
    assert [row.values["other"] for row in table.rows].count(None) == 1
    fit_each(table, "loss", "power")
    with pytest.raises(InputError, match="line 4: other is nan; expected a finite number"):
        read_table(rows, better="lower").measured("other")
    assert table.columns()["other"].count(None) == 1
