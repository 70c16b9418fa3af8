"""Evaluation sets and metrics of what cells write: what messages advise is done here, to the end."""

import json
import re
from pathlib import Path

import pytest
from following import between, told
from follows import follows

import workbench as wb
from workbench.data.sources import load_dataset
from workbench.data.sources.evaluation_sets import parse_sets
from workbench.studies.grid import Study
from workbench.studies.plan import plan
from workbench.training.text_metrics import TEXT_METRICS, check_metrics, own_metric


@pytest.fixture
def file(tmp_path):
    """Write records into a file."""

    def write(name: str, prompts: str, answer: str = "so") -> str:
        path = tmp_path / name
        path.write_text(
            "".join(json.dumps({"prompt": one * 3, "response": answer}) + "\n" for one in prompts)
        )
        return str(path)

    return write


@follows("doesn't say both a name and a file; write it as --eval NAME=FILE")
def test_a_file_without_a_name():
    for text in ("refs.jsonl", "=refs.jsonl"):
        message = told(parse_sets, [text])
        assert parse_sets([between(message, "such as --eval ", "$")]) == (("references", "refs.jsonl"),)
    assert parse_sets([between(told(parse_sets, ["refs="]), "such as --eval ", "$")])


@follows("is what every study holds out; give {path} another name, or hold its records out instead")
def test_a_set_with_the_name_of_the_held_out_records(file):
    path = file("refs.jsonl", "xyz")
    message = told(parse_sets, [f"heldout={path}"])
    held = between(message, "--heldout-file ", "$")
    assert len(load_dataset(file("mine.jsonl", "abcdef"), heldout_file=Path(held)).heldout) == 3
    assert parse_sets([f"another={path}"])


@follows(
    "an evaluation set can't be called {name!r}, because its name begins the names of its metrics",
    "two evaluation sets are called {name!r} ({first} and {path}); give one of them another name",
)
def test_names_of_sets():
    assert parse_sets([between(told(parse_sets, ["a.b=x.jsonl"]), "such as --eval ", "$")])
    told(parse_sets, ["a=x.jsonl", "a=y.jsonl"])
    assert parse_sets(["a=x.jsonl", "b=y.jsonl"])


@follows("for the evaluation set {name!r}; give the path of one: --eval {name}=FILE")
def test_a_set_whose_file_is_not_there(file):
    mine = file("mine.jsonl", "abcdef")
    told(load_dataset, mine, evals=[("refs", mine.replace("mine", "refs"))])
    assert load_dataset(mine, evals=[("refs", file("refs.jsonl", "xyz"))]).evals


@follows("give another file to judge by: --eval {name}=FILE")
def test_a_set_that_asks_all_that_is_trained_on(file):
    mine = file("mine.jsonl", "abcdef")
    message = told(load_dataset, mine, evals=[("refs", mine)], on_shared="drop")
    assert between(message, "judge by: ", "=FILE") == "--eval refs"
    assert load_dataset(mine, evals=[("refs", file("refs.jsonl", "xyz"))], on_shared="drop").evals


def study(mine: str, metrics, **evals: str) -> Study:
    return wb.study(
        mine, base="classroom", evals=evals, metrics=metrics, sizes=[2], seeds=[0], qualities=["clean"]
    )


@follows("leave {metric} out of --metrics, or judge by a set whose answers have it with --eval")
def test_a_metric_that_no_answer_can_be_judged_by(file):
    mine = file("mine.jsonl", "abcdefghij")
    message = told(plan, study(mine, ["numeric", "token_f1"]))
    assert between(message, "leave ", " out of --metrics") == "numeric"
    assert plan(study(mine, ["token_f1"])).prepared.generation
    numbers = plan(study(mine, ["numeric"], numbers=file("numbers.jsonl", "xyz", "so 7"))).prepared
    assert set(numbers.generation) == {"numbers"}


@follows(
    "has no plain name to call its numbers by; define it as def NAME(response, reference, record)",
    "which this process doesn't have; give it again from Python",
    "the metric {name!r} is given twice; give it once",
    "{type(error).__name__}: {error}; mend the function",
)
def test_functions_of_ones_own(file, monkeypatch):
    for name in ("own_mine", "own_broken", "own_mended"):
        monkeypatch.setitem(TEXT_METRICS, name, TEXT_METRICS["bleu"])  # it is gone after the test
        del TEXT_METRICS[name]
    mine = file("mine.jsonl", "abcdefghij")
    told(own_metric, lambda response, reference, record: 1.0)
    message = told(check_metrics, ("own_mine",))
    assert re.search(r"metrics=\[mine\]", message)

    def mine_(response, reference, record):
        return 1.0 / len(response)

    mine_.__name__ = "mine"
    assert study(mine, [mine_]).metrics == ("own_mine",)
    told(check_metrics, ("own_mine", "own_mine"))
    assert check_metrics(("own_mine",)) == ("own_mine",)

    def mended(response, reference, record):
        return 1.0 / max(1, len(response))

    def broken(response, reference, record):
        return reference / 2

    told(plan, study(mine, [broken]))
    assert plan(study(mine, [mended])).prepared.generation
