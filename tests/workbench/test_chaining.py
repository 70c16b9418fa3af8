"""A chain of tasks: what is measured where, that frozen adapters are there, that it can go on."""

import csv
import json

import pytest
import torch
from follows import follows

from workbench.adapters.formats import load_adapter
from workbench.chaining import BARE, TOGETHER, Chain, run_chain
from workbench.cli import main
from workbench.errors import InputError
from workbench.models.loaders import load_base
from workbench.studies.disk.store import Store

WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmn"]
TASKS = {"upper": str.upper, "last": lambda word: word[-1]}
FEW = {"seeds": [0], "steps": 6, "heldout": 10, "rank": 2, "batch_size": 4, "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    found = {}
    for name, answer in TASKS.items():
        lines = [json.dumps({"prompt": f"{name} {word}", "response": answer(word)}) for word in WORDS]
        found[name] = folder / f"{name}.jsonl"
        found[name].write_text("\n".join(lines) + "\n")
    return found


@pytest.fixture(scope="module")
def chain(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    told = []
    found = run_chain("classroom", files, folder / "out", on_stage=told.append, **FEW)
    assert told == ["seed 0, stage 1 of 2: upper", "seed 0, stage 2 of 2: last", "seed 0: all at once"]
    return found, folder / "out"


def stage_rows(folder):
    with Store.open(folder, read_only=True) as store:
        (row,) = store.rows()
        return row, store.zero_shot()


def test_each_score_is_that_of_its_study(chain):
    found, folder = chain
    first, bare = stage_rows(folder / "seed-0" / "1-upper")
    second, before = stage_rows(folder / "seed-0" / "2-last")
    at_once, again = stage_rows(folder / "seed-0" / TOGETHER)
    expected = {
        ("upper", BARE): bare["loss"],
        ("last", BARE): bare["last.loss"],
        ("upper", "upper"): first["loss"],
        ("last", "upper"): first["last.loss"],
        ("upper", "last"): second["upper.loss"],
        ("last", "last"): second["loss"],
        ("upper", TOGETHER): at_once["loss"],
        ("last", TOGETHER): at_once["last.loss"],
    }
    assert {place: found.mean(*place) for place in expected} == expected
    assert again["loss"] == pytest.approx(bare["loss"], rel=1e-5)
    # the second stage begins where the first one ended
    assert before["upper.loss"] == pytest.approx(first["loss"], rel=1e-4)
    assert before["loss"] == pytest.approx(first["last.loss"], rel=1e-4)
    assert found.forgetting("upper") == second["upper.loss"] - first["loss"]
    assert found.forgetting("last") == 0.0


def test_a_later_stage_trains_on_the_base_with_the_earlier_adapter_in_it(chain):
    _, folder = chain
    place = folder / "seed-0"
    base, frozen = load_base("classroom"), load_base(place / "1-upper.gguf")
    (adapter,) = (load_adapter(path, base) for path in (place / "1-upper" / "adapters").iterdir())
    for layer in adapter.layers:
        torch.testing.assert_close(
            frozen.decoder.weight(layer), adapter.changed(layer, base.decoder.weight(layer))
        )
    row, _ = stage_rows(place / "2-last")
    assert row["base_sha256"] == frozen.sha256


def test_all_at_once_takes_as_many_steps_and_all_records(chain):
    _, folder = chain
    one, _ = stage_rows(folder / "seed-0" / "1-upper")
    every, _ = stage_rows(folder / "seed-0" / TOGETHER)
    assert (one["steps"], every["steps"]) == (6, 12)
    assert (one["size"], every["size"]) == (65, 130)


def test_no_record_that_is_measured_on_is_trained_on(chain, files):
    _, folder = chain
    for name in TASKS:
        trained, held = (
            {
                json.loads(line)["prompt"]
                for line in (folder / "data" / f"{name}{end}").read_text().splitlines()
            }
            for end in (".jsonl", ".heldout.jsonl")
        )
        assert len(held) == 10
        assert not trained & held
        assert trained | held == {f"{name} {word}" for word in WORDS}
    together = (folder / "data" / f"{TOGETHER}.jsonl").read_text()
    assert together == "".join((folder / "data" / f"{name}.jsonl").read_text() for name in TASKS)


@follows("another chain was run here; give another folder with --out")
def test_the_same_call_trains_nothing_again_and_another_is_refused(chain, files, tmp_path):
    found, folder = chain
    before = (folder / "seed-0" / "1-upper.gguf").stat().st_mtime_ns
    again = run_chain("classroom", files, folder, **FEW)
    assert again.scores == found.scores
    assert (folder / "seed-0" / "1-upper.gguf").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="steps was 6 and is 7"):
        run_chain("classroom", files, folder, **FEW | {"steps": 7})
    with pytest.raises(InputError, match="another chain was run here; give another folder with --out"):
        run_chain("classroom", files, folder, **FEW | {"heldout": 12})
    told = []
    with pytest.raises(RuntimeError, match="far enough"):
        run_chain("classroom", files, tmp_path, on_stage=lambda what: far_enough(told, what), **FEW)
    assert told, "another folder takes them"


def test_every_number_is_in_the_table(chain):
    found, folder = chain
    with open(folder / "forgetting.csv", newline="") as file:
        rows = {
            (row["task"], row["stage"], int(row["seed"]), row["metric"]): float(row["value"])
            for row in csv.DictReader(file)
        }
    assert rows == found.scores
    assert set(found.metrics) == {"loss", "exact_match"}
    assert {key[:2] for key in rows} == {(task, stage) for task in TASKS for stage in found.stages}


def test_means_are_over_seeds_and_forgetting_is_the_end_less_the_own_stage():
    values = {
        ("a", BARE): (9.0, 7.0),
        ("a", "a"): (1.0, 3.0),
        ("a", "b"): (4.0, 8.0),
        ("a", TOGETHER): (2.0, 2.0),
        ("b", BARE): (5.0, 5.0),
        ("b", "a"): (6.0, 6.0),
        ("b", "b"): (0.5, 1.5),
        ("b", TOGETHER): (1.0, 2.0),
    }
    scores = {(*place, seed, "loss"): two[seed] for place, two in values.items() for seed in (0, 1)}
    chain = Chain(("a", "b"), (0, 1), scores)
    assert (chain.forgetting("a"), chain.forgetting("b")) == (4.0, 0.0)
    head, a, b = (line.split("  ") for line in chain.lines())
    assert [word.strip() for word in head if word.strip()][-2:] == ["all at once", "forgetting"]
    assert a[-1].strip() == "+4.000"
    assert [float(word) for word in " ".join(a).split()[1:]] == [8.0, 2.0, 6.0, 2.0, 4.0]
    assert [float(word) for word in " ".join(b).split()[1:]] == [5.0, 6.0, 1.0, 1.5, 0.0]


@follows(
    "write a task as NAME=FILE", "give each a name of its own", "give more files", "measured everywhere were"
)
def test_the_command_prints_the_matrix(files, chain, capsys):
    _, folder = chain
    tasks = [f"{name}={path}" for name, path in files.items()]
    options = ["--out", str(folder), "--seeds", "0", "--steps", "6", "--heldout", "10", "--rank", "2"]
    options += ["--batch-size", "4", "--learning-rate", "0.005"]
    assert main(["chain", "classroom", *tasks, *options]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == [
        *("loss", "base", "after", "upper", "after", "last", "all", "at", "once", "forgetting"),
    ]
    assert main(["chain", "classroom", *tasks, *options, "--metric", "exact_match"]) == 0
    assert main(["chain", "classroom", *tasks, *options, "--metric", "rouge"]) == 2
    assert "measured everywhere were" in capsys.readouterr().err


def far_enough(told: list[str], what: str) -> None:
    told.append(what)
    raise RuntimeError("far enough")


@follows("give another one, of letters and digits: dialogue=FILE")
def test_a_name_of_letters_and_digits_is_taken(files, tmp_path):
    named = {"base": files["upper"], "b2": files["last"]}
    with pytest.raises(InputError, match="'base' can't be a task's name; give another one"):
        run_chain("classroom", named, tmp_path, **FEW)
    told = []
    with pytest.raises(RuntimeError, match="far enough"):
        run_chain(
            "classroom",
            {"dialogue": files["upper"], "b2": files["last"]},
            tmp_path,
            on_stage=lambda what: far_enough(told, what),
            **FEW,
        )
    assert told == ["seed 0, stage 1 of 2: dialogue"]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (["upper"], "write a task as NAME=FILE"),
        (["upper=a.jsonl"], "a chain has at least two tasks, and this one has 1"),
        (["upper=a.jsonl", "upper=b.jsonl"], "two tasks are called 'upper'"),
        (["base=a.jsonl", "upper=b.jsonl"], "'base' can't be a task's name"),
        (["a b=a.jsonl", "upper=b.jsonl"], "'a b' can't be a task's name"),
        (["a=nowhere.jsonl", "b=nowhere.jsonl"], "nowhere.jsonl"),
    ],
    ids=str,
)
def test_what_is_no_chain_is_refused_in_a_sentence(tasks, message, tmp_path, capsys):
    assert main(["chain", "classroom", *tasks, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "seed-0").exists()
