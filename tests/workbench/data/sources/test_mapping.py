"""--map and --read-as: whatever a layout says, and what is wrong with what was given."""

import argparse
import re
import shlex
import sys
from pathlib import Path

import pytest
from follows import follows

import workbench as wb
from workbench.cli import main
from workbench.cli.run import add_parser, chosen_study
from workbench.data.sources import load_dataset
from workbench.data.sources.layouts.choice import MAPPED, check_mapping, mapping_in_words, mapping_of
from workbench.errors import InputError
from workbench.studies.grid import Study
from workbench.studies.own_data import study_of_file

sys.path.append(str(Path(__file__).parent))

from examples import everything, jsonl, share

ROWS = [{"q": f"ask {n}?", "a": f"say {n}", "hint": f"h{n}", "key": n} for n in range(6)]


def read(tmp_path, rows, **options):
    return load_dataset(jsonl(tmp_path / "mine.jsonl", rows), **options)


def test_every_field_can_be_mapped(tmp_path):
    row = {
        "q": "ask",
        "a": "yes",
        "hint": "now",
        "role": "be kind",
        "before": [["x", "y"]],
        "set": ["yes", "no"],
        "wrong": ["perhaps"],
        "key": 7,
    }
    mapping = {
        "prompt": "q",
        "response": "a",
        "context": "hint",
        "system": "role",
        "history": "before",
        "choices": "set",
        "alternatives": "wrong",
        "id": "key",
    }
    assert {*mapping, "messages"} == set(MAPPED)
    dataset = read(tmp_path, [row, {"q": "other", "a": "no", "key": 8}], mapping=mapping)
    record = next(one for one in everything(dataset) if one.id == "7")
    assert (record.prompt, record.context, record.response) == ("ask\n\nnow", "now", "yes")
    assert (record.system, record.history) == ("be kind", (("x", "y"),))
    assert (record.choices, record.alternatives) == (("yes", "no"), ("perhaps",))
    assert record.extra == {}
    assert dataset.template == "alpaca", "the one with a place for a context"
    assert "mine.jsonl: read as it was told: 'q' as prompt and 'a' as response: 2 records" in dataset.notes


def test_one_field_of_a_layout_is_mapped(tmp_path):
    rows = [{"instruction": f"i{n}", "output": "o", "better": "b", "input": ""} for n in range(4)]
    dataset = read(tmp_path, rows, mapping={"response": "better"})
    assert {record.response for record in everything(dataset)} == {"b"}
    assert {record.extra["output"] for record in everything(dataset)} == {"o"}
    assert dataset.template == "alpaca"
    # what is mapped is no other field any more
    dataset = read(
        tmp_path, [{**row, "input": f"x{n}"} for n, row in enumerate(rows)], mapping={"prompt": "input"}
    )
    assert {record.prompt for record in everything(dataset)} == {f"x{n}" for n in range(4)}
    assert {record.context for record in everything(dataset)} == {""}


def test_a_mapping_holds_for_the_held_out_file_too(tmp_path):
    held = jsonl(tmp_path / "held.jsonl", [{"q": "new", "a": "b"}])
    dataset = read(tmp_path, ROWS, mapping={"prompt": "q", "response": "a"}, heldout_file=held)
    assert [record.prompt for record in dataset.heldout] == ["new"]
    jsonl(held, [{"prompt": "new", "response": "b"}])
    with pytest.raises(
        InputError, match=r"held\.jsonl: no record has the key 'q', which --map gives as prompt"
    ):
        read(tmp_path, ROWS, mapping={"prompt": "q", "response": "a"}, heldout_file=held)


def test_another_mapping_is_another_data_set(tmp_path):
    path = jsonl(tmp_path / "mine.jsonl", ROWS)
    first = load_dataset(path, mapping={"prompt": "q", "response": "a"})
    other = load_dataset(path, mapping={"prompt": "q", "response": "hint"})
    assert first.fingerprint != other.fingerprint
    assert {record.response for record in everything(other)} == {f"h{n}" for n in range(6)}


@follows("expected the keys 'prompt' and 'response', or those of another layout that `workbench run --help`")
def test_the_help_lists_the_layouts(tmp_path, capsys):
    with pytest.raises(InputError, match="`workbench run --help` lists; found 'title'"):
        read(tmp_path, [{"title": "t"}])
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for word in ("'prompt' and 'response'", "Alpaca", "ShareGPT", "question and answer", "text alone"):
        assert word in told


@follows("Say which key is what with --map, such as --map")
@pytest.mark.parametrize(
    ("row", "asked", "answered"),
    [
        pytest.param({"query": "x", "reply": "y"}, "query", "reply", id="both-guessed"),
        pytest.param({"id": "1", "prompt": "x", "responce": "y"}, "prompt", "responce", id="misspelt"),
        pytest.param({"my title": "x", "body": "y"}, "my title", "body", id="in-order"),
        pytest.param({"note": "y", "question": "x"}, "question", "note", id="half-guessed"),
    ],
)
def test_keys_that_may_be_meant_are_offered(tmp_path, row, asked, answered):
    rows = [{**row, asked: f"x{n}", **({"id": n} if "id" in row else {})} for n in range(4)]
    with pytest.raises(InputError, match=r"expected the keys 'prompt' and 'response', or those of") as caught:
        read(tmp_path, rows)
    mapping = mapping_of(shlex.split(str(caught.value).partition("such as --map ")[2]))
    assert mapping == {"prompt": asked, "response": answered}
    assert {record.response for record in everything(read(tmp_path, rows, mapping=mapping))} == {"y"}


@pytest.mark.parametrize("command", [["score", "--scorer", "length"], ["audit"]], ids=["score", "audit"])
def test_whatever_reads_a_file_takes_the_keys_that_it_offers(tmp_path, capsys, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    name, *options = command
    rows = [{"my title": f"x{n}", "body": "y" * n} for n in range(1, 5)]
    asked = [name, str(jsonl(tmp_path / "mine.jsonl", rows)), *options]
    assert main(asked) == 2
    offered = shlex.split(capsys.readouterr().err.partition("such as ")[2])
    assert main([*asked, "--read-as", "alpaca"]) == 2
    assert "no object is as --read-as alpaca has them" in capsys.readouterr().err
    assert main([*asked, *offered]) == 0


def test_what_judges_may_have_keys_of_its_own(tmp_path, monkeypatch):
    """As the evaluation sets of a study."""
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    long = "to be or not to be that is it what else is there to say"
    rows = [{"q": f"ask {n}", "a": f"{long} {n}"} for n in range(4)]
    mine, mapping = jsonl(tmp_path / "mine.jsonl", rows), {"prompt": "q", "response": "a"}
    for names in (("q", "a"), ("prompt", "response")):
        judge = jsonl(tmp_path / "judge.jsonl", [dict(zip(names, rows[0].values(), strict=True))])
        scores = wb.score_file(mine, ["overlap"], against=judge, mapping=mapping)["overlap"]
        assert max(scores) == 1.0
        found = wb.audit_file(mine, against=judge, mapping=mapping, only=["contamination"])
        assert found["records"] == [1]


@follows("Say that it is a conversation with --map messages=")
def test_a_conversation_under_another_key_is_offered(tmp_path):
    rows = [{"id": n, "talk": share(f"q{n}", "a")} for n in range(4)]
    with pytest.raises(InputError, match="Say that it is a conversation with --map messages=talk"):
        read(tmp_path, rows)
    dataset = read(tmp_path, rows, mapping=mapping_of(["messages=talk"]))
    assert {record.prompt for record in everything(dataset)} == {f"q{n}" for n in range(4)}


@follows("Leave --map out, or say in it where")
def test_fields_that_no_layout_has(tmp_path):
    with pytest.raises(
        InputError, match=r"with --map id=key no layout fits .*; found 'q', 'a', 'hint', 'key'\."
    ):
        read(tmp_path, ROWS, mapping={"id": "key"})
    dataset = read(tmp_path, ROWS, mapping={"id": "key", "prompt": "q", "response": "a"})
    assert {record.id for record in everything(dataset)} == {str(n) for n in range(6)}


@follows("can't be read; write FIELD=KEY, such as --map prompt=question")
@follows("--map names {name} twice", "{' and '.join(same)}; give each field a key of its own")
@follows("as the key of {name!r}; give the name of a key, a text", "give the keys by field, such as")
def test_what_is_no_mapping():
    for text in ("question", "prompt=", "=question"):
        with pytest.raises(
            InputError, match=r"can't be read; write FIELD=KEY, such as --map prompt=question"
        ):
            mapping_of([text])
    assert mapping_of(["prompt=question"]) == {"prompt": "question"}
    assert mapping_of(["prompt=a=b", "response=an answer"]) == {"prompt": "a=b", "response": "an answer"}
    with pytest.raises(InputError, match="names prompt twice, as 'a' and 'b'; give it once"):
        mapping_of(["prompt=a", "prompt=b"])
    with pytest.raises(InputError, match="the key 'a' two meanings, prompt and response; give each"):
        mapping_of(["prompt=a", "response=a"])
    with pytest.raises(
        InputError, match=r"unknown field 'promt'. Did you mean 'prompt'\? Known: alternatives"
    ):
        mapping_of(["promt=a"])
    with pytest.raises(InputError, match="has 3 as the key of 'prompt'; give the name of a key"):
        check_mapping({"prompt": 3})
    with pytest.raises(
        InputError, match=r"mapping is \['prompt'\]; give the keys by field, such as \{'prompt'"
    ):
        check_mapping(["prompt"])
    check_mapping({"prompt": "question"})


@follows("which --map gives as {name}")
def test_a_key_that_is_not_there(tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, [{"question": "q", "answer": "a"}], mapping={"prompt": "questoin"})
    assert "no record has the key 'questoin', which --map gives as prompt." in str(caught.value)
    nearest = re.search(r"Did you mean (\S+)\?", str(caught.value))[1]
    assert mapping_of([nearest]) == {"prompt": "question"}
    assert str(caught.value).endswith("Its keys are 'question', 'answer'")


def test_a_mapping_that_only_some_rows_have(tmp_path):
    rows = [*ROWS, {"q": "b"}]
    with pytest.raises(InputError, match=r"1 of 7 .* 1 without the key 'a' \(line 7: it has 'q'\)"):
        read(tmp_path, rows, mapping={"prompt": "q", "response": "a"})


@pytest.mark.parametrize("options", [["--map", "prompt=q", "response=a"], ["--read-as", "question-answer"]])
def test_the_command_reads_as_it_is_told(tmp_path, options):
    rows = [{"q": f"ask {n}?", "a": "yes", "question": f"or {n}?", "answer": "no"} for n in range(9)]
    path = jsonl(tmp_path / "mine.jsonl", rows)
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    study = chosen_study(parser.parse_args(["run", str(path), *options]))
    assert {record.response for record in study.dataset().train} == {"yes" if "--map" in options else "no"}
    assert Study.from_dict(study.to_dict()) == study
    assert {"mapping", "read_as"} & study.to_dict().keys() == {"mapping" if "--map" in options else "read_as"}


def test_earlier_versions_read_a_study_that_needs_neither(tmp_path):
    path = jsonl(tmp_path / "mine.jsonl", [{"prompt": f"p{n}", "response": "r"} for n in range(9)])
    assert not {"mapping", "read_as"} & study_of_file(str(path), "coffee", base="classroom").to_dict().keys()


def test_what_a_mapping_says_can_be_typed():
    mapping = {"prompt": "my question", "response": "it's"}
    assert mapping_of(shlex.split(mapping_in_words(mapping))) == mapping
