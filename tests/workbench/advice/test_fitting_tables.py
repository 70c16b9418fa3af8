"""Advice about tables as others keep them: unknown metrics, sweeps, splits, copies, and their options."""

import re
import shlex

import pytest
from following import between, follows, options_in, told

from workbench.laws import read_table

SIZES = (1, 2, 4, 8, 16)
SWEEP = [(n, lr, round(1 / n + 0.5 + lr, 4)) for n in SIZES for lr in (0.1, 0.2)]


@follows("Say it: --better lower or --better higher", "--metric NAME --better {better}")
@pytest.mark.parametrize(("better", "value"), [("lower", 1.5), ("higher", -0.5)])
def test_a_metric_of_unknown_direction(write, refused, fits, better, value):
    path = write("size,judged", *[(n, 0.9 - 0.8 / n) for n in SIZES])
    message = refused("fit", path, "--metric", "judged")
    options = re.findall(r"--better \w+", message)
    assert options == ["--better lower", "--better higher"]
    for option in options:
        fits(path, "--metric", "judged", *option.split())
    # what its values contradict is refused, with the other way round as the way out
    other = "higher" if better == "lower" else "lower"
    path = write(
        "size,judged", *[(n, (0.9 - 0.8 / n) * (1 if n > 1 else 0) + (n == 1) * value) for n in SIZES]
    )
    message = refused("fit", path, "--metric", "judged", "--better", "higher" if value > 0 else "lower")
    assert f"--metric NAME --better {'lower' if value > 0 else 'higher'}" in message
    if value > 0:
        options = between(message, "NAME: ", r"\.$").replace("NAME", "judged").split()
        assert options[-1] == better != other
        fits(path, *options)


@follows("Leave --better out; or, if the name misleads")
def test_a_name_that_says_the_opposite(write, refused, fits):
    path = write("size,loss", *[(n, 0.9 - 0.8 / n) for n in SIZES])
    message = refused("fit", path, "--better", "higher")
    assert "by its name 'loss' is a metric of which smaller values are better" in message
    fits(path)
    fits(path, *between(message, "another one: ").rstrip(".").replace("NAME", "loss").split())


@follows('expected better="lower" or better="higher"')
def test_better_in_python():
    rows = [{"size": n, "judged": 1 / n} for n in SIZES]
    message = told(read_table, rows, better="smaller")
    for better in re.findall('better="(.*?)"', message):
        assert read_table(rows, better=better).falling("judged") == (better == "lower")


@follows("judge by it and say which values are better", "If one of them, NAME, measures the result")
def test_a_measurement_of_another_kind(write, refused, fits):
    path = write("size,judged", *[(n, 1 - 1 / n) for n in (2, 4, 8, 16)])
    message = refused("fit", path)
    first = between(message, "better: ", ",").split()
    for better in (first[-1], between(message, r"or --better ", r"\.")):
        fits(path, *first[:-1], better)
    path = write("size,acc", *[(n, 100 - 100 / n) for n in (2, 4, 8, 16)])
    assert "--metric NAME, with --better lower or --better higher" in refused("fit", path)
    path = write("size,acc,nll", *[(n, 100 - 100 / n, 3 / n) for n in (2, 4, 8, 16)])
    fits(path, *options_in(refused("fit", path)))


@follows("Huber's loss is of the logarithm")
def test_a_robust_fit_of_an_accuracy(write, refused, fits):
    path = write("size,acc", *[(n, 1 - 1 / n) for n in (2, 4, 8, 16)])
    message = refused("fit", path, "--metric", "acc", "--law", "bounded", "--objective", "huber:1e-3")
    fits(path, "--metric", "acc", "--law", "bounded", *options_in(message))


WAYS = ("--where", "--best-of", "--columns model=", "--columns seed=", "--columns quality=")


@follows(
    "so they are no replicates. ",
    "Keep the rows of one value: --where",
    "keep the best row of each sweep over it",
    "fit a law that knows it: --law chinchilla",
    "if it is a model's size, fit a law that knows it",
    "if it numbers replicates, say so",
    "compare its values as qualities",
)
@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("learning_rate", (0.1, 0.2)),
        ("params.width", (64, 128)),
        ("attempt", (3, 4)),
        ("data_seed", (3, 4)),
        ("model", (10, 20)),
    ],
)
@pytest.mark.parametrize("named", [True, False], ids=["with qualities", "without"])
def test_rows_that_differ_in_a_setting(write, refused, fits, column, values, named):
    rows = [("a", n, v, 1 / n + 1 / (v * 10)) for n in SIZES for v in values]
    header = f"quality,size,{column},loss"
    path = write(header if named else header.removeprefix("quality,"), *[r if named else r[1:] for r in rows])
    law = ("--law", "power") if column == "model" else ()
    message = refused("fit", path, *law)
    assert f"differ in {column!r} ({values[0]} and {values[1]})" in message
    ways = [options_in(f" {way}".rstrip(".")) for way in re.split("; or ", message) if " --" in f" {way}"]
    assert len(ways) == (
        1
        if column == "data_seed"
        else {"learning_rate": 2, "params.width": 3, "attempt": 3, "model": 3}[column] + (not named)
    )
    for way in ways:
        fits(path, *(() if "--law" in way else law), *way)


@follows(
    "Name one of them, or leave {option} out",
    "{or_leave_out(column, known)}",
    "{or_leave_out(column, others, '--best-of')}",
)
@pytest.mark.parametrize("option", ["--where", "--best-of"])
def test_a_column_that_is_not_there(write, refused, fits, option):
    path = write("size,learning_rate,loss", *SWEEP)
    end = "=0.1" if option == "--where" else ""
    message = refused("fit", path, option, f"learningrate{end}")
    fits(path, option, between(message, "Did you mean '", "'") + end)
    message = refused("fit", path, option, f"zzz{end}")
    assert "learning_rate" in between(message, "The columns are: ", r"\.").split(", ")
    assert message.endswith(f"or leave {option} out.")
    fits(path, option, f"learning_rate{end}")
    if option == "--best-of":
        assert "is the metric itself" in refused("fit", path, option, "loss")


@follows(
    "Choose one of them, as with --where",
    "Leave one --where out",
    "expected COLUMN=VALUE, such as split=train",
)
def test_values_that_are_not_there(write, refused, fits):
    rows = [(split, n, 1 / n + (split == "my test")) for split in ("train", "my test") for n in SIZES]
    path = write("split,size,loss", *rows)
    message = refused("fit", path, "--where", "split=mytest")
    assert shlex.split(between(message, "as with ", r"\.$"))[1] == "split=my test"
    fits(path, *shlex.split(between(message, "as with ", r"\.$")))
    fits(path, "--where", between(refused("fit", path, "--where", "split"), "such as ", " if"))
    kept = [*rows, ("my test", 32, 0.5)]
    path = write("split,size,loss", *kept)
    assert "no row has all of split=train, size=32" in refused(
        "fit", path, "--where", "split=train", "size=32"
    )
    fits(path, "--where", "split=train")


@follows(
    "expected NAME=NUMBER",
    "twice. Give it once",
    "Name the law, as with --law power",
    "value between them, such as --fix",
    "Leave one of them out",
)
def test_constants_that_are_held(write, refused, fits):
    path = write("size,loss", *[(n, 1 / n + 0.5) for n in SIZES])
    power = ("--law", "power")
    for wrong in ("E", "E=a", "=1", "E=inf"):
        message = refused("fit", path, *power, "--fix", wrong)
        between(message, "such as ", r"\.$")
    fits(path, *power, "--fix", "E=0.5")
    refused("fit", path, *power, "--fix", "E=0.5", "E=0.6")
    message = refused("fit", path, "--fix", "E=0.5")
    fits(path, *options_in(message[message.index("as with") :]), "--fix", "E=0.5")
    for wrong in ("E=-1", "beta=9"):
        message = refused("fit", path, *power, "--fix", wrong)
        fits(path, *power, *options_in(message[message.index("such as") :]))
    message = refused("fit", path, *power, "--fix", "e=0.5")
    fits(path, *power, "--fix", f"{between(message, 'mean .', '.[?]')}=0.5")
    every = ["E=0.5", "B=1", "beta=1"]
    refused("fit", path, *power, "--fix", *every)
    fits(path, *power, "--fix", *every[:2])


@follows("expected squares or huber:DELTA")
def test_an_objective(write, refused, fits):
    path = write("size,loss", *[(n, 1 / n + 0.5) for n in SIZES])
    for wrong in ("hubr:1", "huber", "huber:0", "huber:x", "mse"):
        message = refused("fit", path, "--law", "power", "--objective", wrong)
        fits(path, "--law", "power", *options_in(message[message.index("such as") :]))
    fits(path, "--law", "power", "--objective", "squares")


@follows("Give its inputs, such as --predict", "is no value that this input can have")
def test_a_prediction(write, refused, fits):
    rows = [(n, m, 1 / n + 1 / m) for n in SIZES for m in (10, 20, 40)]
    path = write("size,model,loss", *rows)
    law = ("--law", "chinchilla")
    for wrong in (
        ["size=8"],
        ["size=8", "model=10", "share=1"],
        ["size=8", "model=0"],
        ["size=-1", "model=1"],
    ):
        message = refused("fit", path, *law, "--predict", *wrong)
        assert "predicted loss" in fits(path, *law, *options_in(message[message.index("such as") :]))


@follows("counts the items behind an accuracy", "how the size of a model was counted")
def test_options_that_do_not_apply(write, refused, fits):
    path = write("size,loss", *[(n, 1 / n + 0.5) for n in SIZES])
    assert refused("fit", path, "--items", "100").endswith("Leave it out.")
    fits(path)
    message = refused("fit", path, "--law", "power", "--model-counts", "with-embeddings")
    rows = [(n, m, 1 / n + 1 / m) for n in SIZES for m in (10, 20, 40)]
    path = write("size,model,loss", *rows)
    said = fits(path, *options_in(message[message.index("does:") :]), "--model-counts", "with-embeddings")
    assert "parameters counted: with embeddings" in said


@follows("tell them apart by a column 'seed'", "If they are one, write them alike")
def test_copies_and_names_that_differ_in_case(write, fits):
    rows = [(q, n, 1 / n + 0.5) for q in ("noisy", "Noisy") for n in SIZES]
    said = fits(write("quality,size,loss", *rows, rows[-1], rows[-1]), "--law", "power")
    assert "2 rows equal earlier ones in every column and are not counted again (lines 12, 13)" in said
    assert "'noisy' and 'Noisy'. If they are one, write them alike." in said
    seeds = [(q, n, value + s * n / 99, s) for q, n, value in rows for s in (0, 1)]
    seeds[-1] = (*seeds[-2][:3], 1)
    assert "not counted again" not in fits(write("quality,size,loss,seed", *seeds), "--law", "power")
    said = fits(write("quality,size,loss", *[("noisy", *row[1:]) for row in rows[:5]]), "--law", "power")
    assert "note:" not in said


@follows("Write the column in another unit, or leave the row out")
@pytest.mark.parametrize(
    "wrong", [(1e300, 10, 0.5), (1e-40, 10, 0.5), (64, -10, 0.5), (64, 0, 0.5), (64, 10, 1e200)]
)
def test_numbers_that_no_law_can_take(write, refused, fits, wrong):
    rows = [(n, m, 1 / n + 1 / m) for n in SIZES for m in (10, 20, 40)]
    law = ("--law", "chinchilla")
    message = refused("fit", write("size,model,loss", *rows, wrong), *law)
    assert "line 17: " in message
    fits(write("size,model,loss", *rows), *law)
    unit = [(n * 1e-40, m, value) for n, m, value in rows]
    refused("fit", write("size,model,loss", *unit), *law)
    fits(write("size,model,loss", *[(n * 1e40, m, value) for n, m, value in unit]), *law)


@follows("It looks like a chart's export of learning curves")
def test_learning_curves_in_place_of_a_table(write, refused, fits):
    last = {}
    for n in SIZES:
        path = write("Wall time,Step,Value", *[(100.0 + k, k, 1 / n + 1 / k) for k in (1, 2, 3)])
        refused("fit", path)
        # what the advice says: the size and the last value of each run in one table
        with open(path) as file:
            last[n] = file.read().splitlines()[-1].split(",")[2]
    fits(write("size,loss", *last.items()))
