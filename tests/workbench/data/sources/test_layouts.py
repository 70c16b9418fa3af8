"""What every layout keeps, over the dict: it is found by itself, by its name and by --map."""

import json
import re
import sys
from pathlib import Path

import pytest
from follows import follows

from workbench.data.sources import load_dataset
from workbench.data.sources.layouts import LAYOUTS
from workbench.data.templates import TEMPLATES
from workbench.errors import InputError

sys.path.append(str(Path(__file__).parent))

from examples import EXAMPLES, everything, jsonl, objects, share, turns

ANSWERS = [f" answer {n}" for n in range(6)]
BY_KEYS = [name for name, layout in LAYOUTS.items() if not layout.by_name_only]
WITH_TEXTS = [name for name, layout in LAYOUTS.items() if "response" in layout.keys]
WITH_TURNS = [name for name, layout in LAYOUTS.items() if "messages" in layout.keys]
UNFOLDED = [name for name in BY_KEYS if "response" not in LAYOUTS[name].keys and name not in WITH_TURNS]


def read(tmp_path, values, **options):
    return load_dataset(jsonl(tmp_path / "mine.jsonl", values), **options)


def test_every_layout_has_an_example_and_an_origin():
    assert EXAMPLES.keys() == LAYOUTS.keys()
    assert all(layout.origin and layout.template in TEMPLATES for layout in LAYOUTS.values())


@pytest.mark.parametrize("name", BY_KEYS)
def test_a_layout_is_found_by_the_keys_and_said(tmp_path, name):
    dataset = read(tmp_path, objects(name, ANSWERS))
    layout = LAYOUTS[name]
    assert dataset.template == layout.template
    assert {record.response for record in everything(dataset)} == set(ANSWERS)
    if "prompt" in layout.keys or "messages" in layout.keys:
        assert {record.prompt for record in everything(dataset)} == {f"ask {n}?" for n in range(6)}
    told = [note for note in dataset.notes if "read as" in note]
    assert [bool(layout.title) and layout.title in note for note in told] == [True] * bool(layout.title)
    assert read(tmp_path, objects(name, ANSWERS), read_as=name).fingerprint == dataset.fingerprint


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_read_by_its_name(tmp_path, name):
    found = {record.response for record in everything(read(tmp_path, objects(name, ANSWERS), read_as=name))}
    assert found == set(ANSWERS) | ({"worse"} if name.endswith("-all") else set())


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_empty_answer_is_named_by_its_place(tmp_path, name):
    values = objects(name, [*ANSWERS[:2], " \n", *ANSWERS[2:]])
    every = 2 if name.endswith("-all") else 1
    places = {"oasst-messages": "line 9", "oasst-messages-all": "line 9"}
    with pytest.raises(InputError, match=rf"1 of {7 * every} records can't be used: 1 .*empty") as caught:
        read(tmp_path, values, read_as=name)
    assert places.get(name, "line 3") in str(caught.value)
    dataset = read(tmp_path, values, read_as=name, on_empty="drop")
    assert {record.response for record in everything(dataset)} - {"worse"} == set(ANSWERS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_object_of_another_layout_is_named_by_its_place(tmp_path, name):
    values = [*objects(name, ANSWERS), {"something": "else"}]
    with pytest.raises(InputError, match=rf"\(line {len(values)}[:;)]") as caught:
        read(tmp_path, values, read_as=name)
    assert "--on-bad drop" in str(caught.value)
    assert len(everything(read(tmp_path, values, read_as=name, on_bad="drop"))) >= 6


@pytest.mark.parametrize("name", WITH_TEXTS)
def test_other_keys_are_mapped_to_the_texts(tmp_path, name):
    layout = LAYOUTS[name]
    other = {layout.keys[one]: f"my {one}" for one in ("prompt", "response", "context") if one in layout.keys}
    values = objects(name, ANSWERS)
    renamed = [{other.get(key, key): value for key, value in one.items()} for one in values]
    present = {key for one in renamed for key in one}
    mapping = {key.removeprefix("my "): key for key in other.values() if key in present}
    expected = read(tmp_path, values)
    assert read(tmp_path, renamed, mapping=mapping, read_as=name).fingerprint == expected.fingerprint
    if "prompt" in mapping:
        assert read(tmp_path, renamed, mapping=mapping).fingerprint == expected.fingerprint


@pytest.mark.parametrize("name", WITH_TURNS)
def test_another_key_is_mapped_to_a_conversation(tmp_path, name):
    values = objects(name, ANSWERS)
    own = LAYOUTS[name].keys["messages"]
    renamed = [{"chat" if key == own else key: value for key, value in one.items()} for one in values]
    mapped = read(tmp_path, renamed, mapping={"messages": "chat"})
    assert mapped.fingerprint == read(tmp_path, values).fingerprint


@pytest.mark.parametrize("name", UNFOLDED)
def test_a_key_is_mapped_to_the_id_where_the_layout_has_one(tmp_path, name):
    values = [{**one, "uid": f"u{n}"} for n, one in enumerate(objects(name, ANSWERS))]
    mapping = {"id": "uid"}
    if "id" in LAYOUTS[name].keys:
        ids = {record.id for record in everything(read(tmp_path, values, mapping=mapping))}
        assert ids == {f"u{n}{'-small' if name == 'solutions' else ''}" for n in range(6)}
    else:
        with pytest.raises(InputError, match=r"with --map id=uid no layout fits .* Leave --map out"):
            read(tmp_path, values, mapping=mapping)
        assert len(everything(read(tmp_path, values))) == 6


def test_most_objects_decide(tmp_path):
    few, many = objects("question-answer", ANSWERS[:2]), objects("alpaca", ANSWERS)
    with pytest.raises(InputError, match=r"2 of 8 .* 2 without the key 'instruction' \(lines 1 and 2"):
        read(tmp_path, [*few, *many])
    dataset = read(tmp_path, [*few, *many], on_bad="drop")
    assert "mine.jsonl: read as Alpaca: 6 records" in dataset.notes
    # what is missing in one object only decides nothing
    values = objects("gpt4all", ANSWERS)
    del values[0]["source"]
    assert len(everything(read(tmp_path, values))) == 6


@follows("{title} (--read-as {self.also} would read other keys)")
def test_keys_of_two_layouts_are_said(tmp_path):
    values = [{"question": f"q{n}", "answer": "b", **one} for n, one in enumerate(objects("dolly", ANSWERS))]
    dataset = read(tmp_path, values)
    assert {record.response for record in everything(dataset)} == set(ANSWERS)
    (note,) = [note for note in dataset.notes if "read as" in note]
    other = re.search(r"read as Dolly \(--read-as ([\w-]+) would read other keys\): 6 records", note)[1]
    assert {record.response for record in everything(read(tmp_path, values, read_as=other))} == {"b"}
    # a file of Alpaca's that has the whole text too is no riddle
    values = [{**one, "text": "all of it"} for one in objects("alpaca", ANSWERS)]
    assert not any("--read-as" in note for note in read(tmp_path, values).notes)


@follows("(every path: --read-as oasst-trees-all)", "(every path: --read-as oasst-messages-all)")
@pytest.mark.parametrize("name", ["oasst-trees", "oasst-messages"])
def test_every_path_of_a_tree(tmp_path, name):
    values = objects(name, ANSWERS)
    (note,) = [note for note in read(tmp_path, values).notes if "read as" in note]
    option = re.search(r"--read-as ([\w-]+)", note)[1]
    assert len(everything(read(tmp_path, values, read_as=option))) == 12


@follows("Leave --read-as out to have the layout found by the keys")
@pytest.mark.parametrize("name", LAYOUTS)
def test_another_layout_than_the_files(tmp_path, name):
    other = "alpaca" if name not in ("alpaca", "alpacaeval") else "sharegpt"
    with pytest.raises(InputError, match=f"no object is as --read-as {other} has them; found") as caught:
        read(tmp_path, objects(name, ANSWERS), read_as=other)
    assert "\n" not in str(caught.value)
    assert len(everything(read(tmp_path, objects(name, ANSWERS)))) == 6


def test_a_layout_that_there_is_not(tmp_path):
    with pytest.raises(InputError, match=r"unknown layout 'sharegtp'. Did you mean 'sharegpt'\?"):
        read(tmp_path, objects("sharegpt", ANSWERS), read_as="sharegtp")


def test_a_text_alone_is_all_learnt_and_split_by_itself(tmp_path):
    dataset = read(tmp_path, [*objects("text", ANSWERS), {"text": ANSWERS[0]}], heldout=2)
    assert {record.prompt for record in everything(dataset)} == {""}
    assert len({record.id for record in everything(dataset)}) == 7
    assert not {one.response for one in dataset.train} & {one.response for one in dataset.heldout}


@follows("holds questions without answers, and", "holds answers without their questions; write each")
@pytest.mark.parametrize(
    ("value", "why"),
    [
        pytest.param({"id": "koala_0", "prompt": "a"}, "holds questions without answers", id="koala"),
        pytest.param(
            {"question_id": 1, "category": "math", "turns": ["a", "b"], "reference": ["c"]},
            "holds questions without answers",
            id="mt-bench",
        ),
        pytest.param(
            {"question_id": 1, "text": "a", "category": "math"}, "questions without answers", id="vicuna"
        ),
        pytest.param(
            {"question_id": 1, "text": "a", "answer_id": "x", "model_id": "m", "metadata": {}},
            "holds answers without their questions",
            id="answers",
        ),
        pytest.param(
            {"question_id": 1, "answer_id": "x", "model_id": "m", "choices": [{"index": 0, "turns": ["a"]}]},
            "holds answers without their questions",
            id="mt-bench-answers",
        ),
    ],
)
def test_what_holds_no_answers_says_so(tmp_path, value, why):
    with pytest.raises(InputError, match=why) as caught:
        read(tmp_path, [value] * 3)
    keys = re.findall(r"with '(\w+)' and '(\w+)'", str(caught.value))[0]
    assert (
        len(everything(read(tmp_path, [dict(zip(keys, (f"q{n}", "a"), strict=True)) for n in range(3)]))) == 3
    )


@follows("holds judgments of answers, not the answers; give the file of the answers, with their questions")
@follows("holds pairs of outputs and which was preferred; say which of the two is to be learnt with --map")
def test_judgments_say_what_to_give(tmp_path):
    review = {"review_id": 1, "question_id": 1, "text": "8 9", "score": [8.0, 9.0]}
    judgment = {"question_id": 1, "model_1": "a", "model_2": "b", "g1_judgment": "[[A]]"}
    for value in (review, judgment):
        with pytest.raises(InputError, match="holds judgments of answers, not the answers"):
            read(tmp_path, [value])
    pairs = [
        {"instruction": f"i{n}", "output_1": "a", "output_2": "b", "preference": 1, "annotator": "x"}
        for n in range(3)
    ]
    with pytest.raises(InputError, match="holds pairs of outputs") as caught:
        read(tmp_path, pairs)
    mapping = dict(re.findall(r"(\w+)=(\w+)", str(caught.value)))
    dataset = read(tmp_path, pairs, mapping=mapping)
    assert {record.response for record in everything(dataset)} == {"a"}
    assert {record.extra["preference"] for record in everything(dataset)} == {1}


@follows(" The records are under {shortened(key)!r}: give that list as a file of its own.")
def test_a_file_of_splits(tmp_path):
    whole = {"train": objects("dolly", ANSWERS)}
    with pytest.raises(InputError, match="The records are under 'train'"):
        read(tmp_path, [whole])
    path = tmp_path / "train.json"
    path.write_text(json.dumps(whole["train"]))
    assert len(everything(load_dataset(path))) == 6


def test_several_instances_of_a_task_are_several_records(tmp_path):
    task = {
        "id": "s",
        "name": "sum",
        "instruction": "Add.",
        "instances": [{"input": "1, 2", "output": "3"}, {"input": "", "output": "what?"}],
    }
    dataset = read(tmp_path, [task, *objects("self-instruct", ANSWERS)])
    found = {record.id: record for record in everything(dataset)}
    first, second = found["s-1"], found["s-2"]
    assert (first.prompt, first.context, first.response) == ("Add.\n\n1, 2", "1, 2", "3")
    assert (second.prompt, second.context, second.response) == ("Add.", "", "what?")
    assert first.place == "mine.jsonl, line 1, instance 1"
    assert "mine.jsonl: read as Self-Instruct tasks: 7 tasks, 8 records" in dataset.notes


def test_the_preferred_answer_is_learnt_and_the_other_kept(tmp_path):
    asked = "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:"
    pairs = [
        {"chosen": f"{asked} yes", "rejected": f"{asked} yet"},
        {"chosen": "\n\nHuman: x\n\nAssistant: y", "rejected": "\n\nHuman: x\n\nAssistant:"},
        {"chosen": f"{asked} d\n\nHuman: e\n\nAssistant: f", "rejected": f"{asked} no"},
    ]
    dataset = read(tmp_path, pairs, heldout=1)
    found = {record.place[-1]: record for record in everything(dataset)}
    assert (found["1"].prompt, found["1"].response) == (asked, " yes")
    assert [found[n].alternatives for n in "12"] == [(" yet",), ()]
    assert "mine.jsonl: 1 of 3 part before their last answer, so the answer is all that follows" in "".join(
        dataset.notes
    )
    pairs.append({"chosen": "\n\nHuman: a", "rejected": "\n\nHuman: b"})
    with pytest.raises(InputError, match=r"1 whose 'chosen' and 'rejected' share no question, .*line 4"):
        read(tmp_path, pairs)


def test_conversations_of_both_kinds_are_one(tmp_path):
    texts = ("hi", "hello", "bye?", "bye")
    one = read(tmp_path, [{"conversations": share(*texts)}, {"conversations": share("a", "b")}])
    other = read(tmp_path, [{"messages": turns(*texts)}, {"messages": turns("a", "b")}])
    assert one.fingerprint == other.fingerprint
