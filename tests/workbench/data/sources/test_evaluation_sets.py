"""Evaluation sets beside a study's held-out records: names, files, and what they may not share."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.data.lengths import fit_context
from workbench.data.sources import load_dataset
from workbench.data.sources.evaluation_sets import check_sets, parse_sets
from workbench.errors import InputError
from workbench.metrics import HELDOUT, on_set, set_and_metric
from workbench.models.tokenizer import CharacterTokenizer


def jsonl(path: Path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def rows(begin: int, end: int, answer: str = "a"):
    return [{"prompt": f"q{n}", "response": f"{answer}{n}"} for n in range(begin, end)]


@pytest.fixture
def mine(tmp_path):
    return jsonl(tmp_path / "mine.jsonl", rows(0, 30))


def test_names_and_files():
    given = ["heldout", "refs=a=b.jsonl", "gsm-8k_2=hf:org/name"]
    assert parse_sets(given) == (("refs", "a=b.jsonl"), ("gsm-8k_2", "hf:org/name"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            ["refs.jsonl"],
            "--eval refs.jsonl doesn't say both a name and a file; write it as",
        ),
        (["refs="], "doesn't say both"),
        (["=a.jsonl"], "such as --eval references=a.jsonl"),
        (["heldout=a.jsonl"], "'heldout' is what every study holds out; give a.jsonl another name"),
        (["a.b=a.jsonl"], r"can't be called 'a.b', .* such as --eval a-b=a.jsonl"),
        (["a b=a.jsonl"], r"can't be called 'a b', .* such as --eval a-b=a.jsonl"),
        (["8=a.jsonl"], r"can't be called '8', .* such as --eval references=a.jsonl"),
        (["a=a.jsonl", "b=b.jsonl", "a=c.jsonl"], r"are called 'a' \(a.jsonl and c.jsonl\)"),
    ],
)
def test_what_is_no_set_is_refused_in_a_sentence(given, says):
    with pytest.raises(InputError, match=says) as told:
        parse_sets(given)
    if proper := re.search(r"such as --eval (\S+)", str(told.value)):
        assert parse_sets([proper[1]])


@given(name=st.text(min_size=1), metric=st.sampled_from(["loss", "exact_match", "rouge_l", "own_x"]))
def test_a_name_that_is_taken_can_be_told_from_its_metric(name, metric):
    assert set_and_metric(on_set(HELDOUT, metric)) == (HELDOUT, metric)
    try:
        check_sets([(name, "a.jsonl")])
    except InputError:
        return
    assert set_and_metric(on_set(name, metric)) == (name, metric)


def test_a_set_is_read_and_counts_in_the_fingerprint(mine, tmp_path):
    plain = load_dataset(mine)
    sets = [
        (name, jsonl(tmp_path / f"{name}.jsonl", rows(at, at + 5))) for name, at in (("x", 50), ("y", 60))
    ]
    found = load_dataset(mine, evals=sets)
    assert [(name, [one.prompt for one in records]) for name, records in found.evals] == [
        ("x", [f"q{n}" for n in range(50, 55)]),
        ("y", [f"q{n}" for n in range(60, 65)]),
    ]
    assert (found.train, found.heldout) == (plain.train, plain.heldout)
    others = [load_dataset(mine, evals=sets[:1]), load_dataset(mine, evals=[("z", sets[0][1]), sets[1]])]
    assert len({one.fingerprint for one in (plain, found, *others)}) == 4
    assert load_dataset(mine, evals=sets[::-1]).fingerprint == found.fingerprint
    assert "judged by x" in repr(found)


def test_a_record_that_is_trained_on_cannot_judge(mine, tmp_path):
    trained = [record.prompt for record in load_dataset(mine).train[:3]]
    shared = [{"prompt": one, "response": one.replace("q", "a")} for one in trained]
    path = jsonl(tmp_path / "refs.jsonl", [*shared, *rows(100, 102)])
    with pytest.raises(InputError, match=r"^3 of 5 records of .*refs\.jsonl are in mine too, with the same"):
        load_dataset(mine, evals=[("refs", path)])
    found = load_dataset(mine, evals=[("refs", path)], on_shared="drop")
    assert len(found.train) == len(load_dataset(mine).train) - 3
    assert not {one.prompt for one in found.train} & set(trained)
    assert len(found.evals[0][1]) == 5
    assert any("their prompts are in the evaluation set 'refs'" in note for note in found.notes)
    with pytest.raises(InputError, match=r"every record of 'mine' .* give another file to judge by: --eval"):
        load_dataset(mine, evals=[("refs", mine)], on_shared="drop")


def test_a_prompt_that_is_trained_on_with_other_answers_is_told(mine, tmp_path):
    prompt = load_dataset(mine).train[0].prompt
    path = jsonl(tmp_path / "refs.jsonl", [{"prompt": prompt, "response": "else"}, *rows(100, 102)])
    (note,) = [one for one in load_dataset(mine, evals=[("refs", path)]).notes if "trains on" in one]
    assert "1 of 3 records of 'refs' have a prompt that mine trains on with other answers" in note


def test_a_file_that_is_not_there(mine, tmp_path):
    with pytest.raises(InputError, match=r"no file 'refs.jsonl' in .* for the evaluation set 'refs'; give"):
        load_dataset(mine, evals=[("refs", str(tmp_path / "refs.jsonl"))])


def test_a_built_in_source_is_judged_by_a_file_too(tmp_path):
    bad = jsonl(tmp_path / "verbs.jsonl", [*rows(0, 3), {"prompt": "q"}])
    plain = load_dataset("verbs", heldout=20)
    with pytest.raises(InputError, match=r"verbs.jsonl.*--on-bad drop"):
        load_dataset("verbs", heldout=20, evals=[("mine", bad)])
    found = load_dataset("verbs", heldout=20, evals=[("mine", bad)], on_bad="drop")
    assert (found.heldout, found.template) == (plain.heldout, "verbs")
    assert len(found.evals[0][1]) == 3


def test_a_set_in_another_layout_is_read_by_its_own_keys(tmp_path):
    asked = jsonl(tmp_path / "a.jsonl", [{"q": f"q{n}", "r": f"a{n}"} for n in range(20)])
    same = jsonl(tmp_path / "b.jsonl", [{"q": f"q{n}", "r": f"a{n}"} for n in range(50, 53)])
    other = jsonl(tmp_path / "c.jsonl", [{"question": f"q{n}", "answer": f"a{n}"} for n in range(60, 63)])
    found = load_dataset(asked, mapping={"prompt": "q", "response": "r"}, evals=[("b", same), ("c", other)])
    assert [[one.response for one in records] for _, records in found.evals] == [
        ["a50", "a51", "a52"],
        ["a60", "a61", "a62"],
    ]
    assert any(note.startswith("c.jsonl: read as questions and answers") for note in found.notes)


def test_records_that_are_too_long_are_treated_as_held_out_ones_are(mine, tmp_path):
    long = {"prompt": "q" * 100, "response": "a"}
    path = jsonl(tmp_path / "refs.jsonl", [*rows(100, 102), long])
    dataset = load_dataset(mine, evals=[("refs", path)])
    tokenizer = CharacterTokenizer("abcdefghijklmnopqrstuvwxyz0123456789 :>-\n")
    with pytest.raises(InputError, match=r"refs.jsonl, line 3"):
        fit_context(dataset, "plain", tokenizer, 60, "error")
    dropped = fit_context(dataset, "plain", tokenizer, 60, "drop")
    assert [len(records) for _, records in dropped.evals] == [2]
    cut = fit_context(dataset, "plain", tokenizer, 60, "truncate")
    assert [len(records) for _, records in cut.evals] == [3]
    assert len(cut.evals[0][1][2].prompt) < 60
    alone = replace(dataset, evals=(("refs", dataset.evals[0][1][2:]),))
    with pytest.raises(InputError, match="none is left to judge by in the evaluation set 'refs'"):
        fit_context(alone, "plain", tokenizer, 60, "drop")
