"""The user's own files: what people have is read, and what is wrong is said in one sentence."""

import json
import re

import pytest

from workbench.config import Quality
from workbench.data.sources import load_dataset
from workbench.data.subsets import draw
from workbench.errors import InputError

PAIRS = [{"prompt": f"p{place}", "response": f"r{place}"} for place in range(10)]


def jsonl(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def everything(dataset):
    return sorted(dataset.train + dataset.heldout, key=lambda record: record.prompt)


def test_jsonl(tmp_path):
    dataset = load_dataset(jsonl(tmp_path / "mine.jsonl", PAIRS), heldout=3)
    assert [(record.prompt, record.response) for record in everything(dataset)] == [
        (pair["prompt"], pair["response"]) for pair in PAIRS
    ]
    assert (dataset.name, dataset.template, len(dataset.heldout)) == ("mine", "plain", 3)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda records: json.dumps(records), id="list"),
        pytest.param(lambda records: json.dumps(records, indent=2), id="list-over-lines"),
        pytest.param(lambda records: "\n\n".join(map(json.dumps, records)), id="empty-lines-no-last-newline"),
        pytest.param(lambda records: "\r\n".join(map(json.dumps, records)) + "\r\n", id="windows-lines"),
        pytest.param(lambda records: "\ufeff" + json.dumps(records), id="byte-order-mark"),
        pytest.param(
            lambda records: "\n".join(json.dumps({"source": "s"} | one) for one in records), id="more-keys"
        ),
    ],
)
def test_same_records_however_they_are_written(tmp_path, write):
    expected = load_dataset(jsonl(tmp_path / "a.jsonl", PAIRS))
    path = tmp_path / "b.json"
    path.write_bytes(write(PAIRS).encode())
    assert load_dataset(path).fingerprint == expected.fingerprint


def test_unusual_line_separators_inside_a_text(tmp_path):
    records = [*PAIRS, {"prompt": "a\u2028b\x85c", "response": "é\u2029"}]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in records), encoding="utf-8")
    assert "a\u2028b\x85c" in {record.prompt for record in everything(load_dataset(path))}


def test_alpaca(tmp_path):
    records = [
        {"instruction": "Sort.", "input": "2, 1", "output": "1, 2"},
        {"instruction": "Greet.", "input": "", "output": "Hello."},
        {"instruction": "Part.", "output": "Bye.", "category": "talk"},
    ]
    dataset = load_dataset(jsonl(tmp_path / "a.jsonl", records), heldout=1)
    greet, part, sort = everything(dataset)
    assert dataset.template == "alpaca"
    assert (sort.prompt, sort.instruction, sort.context) == ("Sort.\n\n2, 1", "Sort.", "2, 1")
    assert (greet.prompt, greet.context, part.response) == ("Greet.", "", "Bye.")
    assert dataset.notes == (
        "a.jsonl: read as Alpaca: 3 records",
        "a.jsonl: kept as column 'category' (1 record)",
    )
    assert [record.extra for record in (greet, part, sort)] == [{}, {"category": "talk"}, {}]


def test_optional_keys(tmp_path):
    records = [
        {
            "id": place,
            "prompt": f"{place}?",
            "response": "yes",
            "choices": ["no", "yes"],
            "alternatives": ["maybe"],
        }
        for place in range(4)
    ]
    dataset = load_dataset(jsonl(tmp_path / "a.jsonl", records))
    first = everything(dataset)[0]
    assert (first.id, first.choices, first.alternatives) == ("0", ("no", "yes"), ("maybe",))
    assert {one.response for one in draw(dataset, Quality(corruption="flip", share=0.0), 3, 0)} == {"no"}


@pytest.mark.parametrize("keys", [("prompt", "response"), ("instruction", "output")])
@pytest.mark.parametrize("name", ["system", "system_prompt"])
def test_system_text_and_earlier_turns(tmp_path, keys, name):
    asked, answered = keys
    more = [
        {},
        {name: None, "history": None},
        {name: "", "history": []},
        {name: "Be kind."},
        {"history": [["Hi", "Hello"], ["Well?", ""]]},
        {name: "Be kind.", "history": [["Hi", "Hello"]]},
    ]
    records = [{asked: f"p{place}", answered: "r", **values} for place, values in enumerate(more)]
    dataset = load_dataset(jsonl(tmp_path / "a.jsonl", records), heldout=2)
    assert [(record.system, record.history) for record in everything(dataset)] == [
        ("", ()),
        ("", ()),
        ("", ()),
        ("Be kind.", ()),
        ("", (("Hi", "Hello"), ("Well?", ""))),
        ("Be kind.", (("Hi", "Hello"),)),
    ]
    assert not [note for note in dataset.notes if "read as" not in note]
    assert {record.prompt for record in dataset.train + dataset.heldout} == {f"p{n}" for n in range(6)}


def test_what_stands_before_a_prompt_makes_another_record_of_it(tmp_path):
    before = [{}, {"system": "a"}, {"system": "b"}, {"history": [["a", ""]]}, {"history": [["", "a"]]}]
    records = [{"prompt": "p", "response": f"r{place}", **one} for place, one in enumerate(before)]
    dataset = load_dataset(
        jsonl(tmp_path / "a.jsonl", [*records, {"prompt": "q", "response": "s"}]), heldout=1
    )
    ids = {record.response: record.id for record in dataset.train + dataset.heldout}
    assert len(set(ids.values())) == 6
    assert not any("-" in name for name in ids.values()), "none is a copy"
    # pinned: an id places the record in every draw of older studies
    assert ids["r0"] == "0d72d5bd89f3691f"
    # the prompt alone says what stays on one side
    assert {record.prompt for record in dataset.heldout} == {"q"}


def test_every_other_key_is_a_column_or_ignored_and_counted(tmp_path):
    records = [
        {**pair, "origin": "web", "tags": ["a"], "gone": None, **({"score": place} if place < 3 else {})}
        for place, pair in enumerate(PAIRS)
    ]
    dataset = load_dataset(jsonl(tmp_path / "a.jsonl", records))
    assert dataset.notes == (
        "a.jsonl: kept as columns 'origin' (10 records), 'score' (3 records)",
        "a.jsonl: ignored key 'tags' (10 records)",
    )
    assert [record.extra for record in everything(dataset)][2:4] == [
        {"origin": "web", "score": 2},
        {"origin": "web"},
    ]
    many = [pair | {f"key {n}": [n] for n in range(30)} for pair in PAIRS]
    (note,) = load_dataset(jsonl(tmp_path / "b.jsonl", many)).notes
    assert note.endswith(", 'key 9' (10 records) and 20 more")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        pytest.param('"a"', {"x": "a"}, id="text"),
        pytest.param('""', {"x": ""}, id="empty-text"),
        pytest.param("0", {"x": 0}, id="zero"),
        pytest.param("1.5", {"x": 1.5}, id="number"),
        pytest.param("false", {"x": False}, id="truth-value"),
        pytest.param("null", {}, id="null"),
        pytest.param("NaN", {}, id="not-a-number"),
        pytest.param("Infinity", {}, id="infinite"),
        pytest.param('"\\ud800"', {}, id="half-a-character"),
        pytest.param("[1]", {}, id="list"),
        pytest.param("{}", {}, id="object"),
    ],
)
def test_what_a_column_may_hold(tmp_path, value, kept):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"prompt": "p", "response": "r", "x": {value}}}\n{{"prompt": "q", "response": "r"}}\n')
    dataset = load_dataset(path, heldout=1)
    assert {record.prompt: record.extra for record in everything(dataset)} == {"p": kept, "q": {}}


def test_other_answers_to_one_prompt_can_judge(tmp_path):
    records = [{"prompt": "p", "response": f"r{place}"} for place in range(10)]
    train, held = jsonl(tmp_path / "train.jsonl", records), jsonl(tmp_path / "held.jsonl", records[8:])
    with pytest.raises(InputError, match=r"10 records, all with the same prompt, .* \(--heldout-file\)"):
        load_dataset(train)
    with pytest.raises(InputError, match=r"2 of 2 records .* with the same answer .* Remove them from one"):
        load_dataset(train, heldout_file=held)
    dataset = load_dataset(jsonl(train, records[:8]), heldout_file=held)
    assert (len(dataset.train), len(dataset.heldout)) == (8, 2)
    (note,) = dataset.notes
    assert note.startswith("held.jsonl: 2 of 2 held-out records have a prompt that train.jsonl trains on")
    # the same answer to the same prompt with another text before it is another record
    jsonl(held, [records[0] | {"system": "Be kind."}, {"prompt": "q", "response": "r0"}])
    (note,) = load_dataset(train, heldout_file=held).notes
    assert note.startswith("held.jsonl: 1 of 2 held-out records have a prompt")


def test_fewer_are_held_out_where_prompts_repeat_and_it_is_said(tmp_path):
    records = [{"prompt": f"p{place % 4}", "response": f"r{place}"} for place in range(28)]
    path = jsonl(tmp_path / "a.jsonl", records)
    dataset = load_dataset(path)
    assert len(dataset.heldout) == 7
    (note,) = dataset.notes
    assert note.startswith(
        "a.jsonl: 7 of 28 records held out instead of 5, because records with the same prompt"
    )
    assert load_dataset(path, heldout=7).notes == ()


def test_a_cleaned_or_longer_file_draws_the_same_records(tmp_path):
    dirty = load_dataset(jsonl(tmp_path / "dirty.jsonl", PAIRS), heldout=2)
    cleaned = [pair | {"response": pair["response"].upper()} for pair in PAIRS]
    clean = load_dataset(jsonl(tmp_path / "clean.jsonl", cleaned[::-1]), heldout=2)
    assert clean.fingerprint != dirty.fingerprint
    assert {record.id for record in clean.heldout} == {record.id for record in dirty.heldout}
    drawn = [[record.prompt for record in draw(one, Quality(), 5, 0)] for one in (dirty, clean)]
    assert drawn[0] == drawn[1]


def test_one_prompt_is_never_on_both_sides(tmp_path):
    records = [{"prompt": f"p{place % 7}", "response": f"r{place}"} for place in range(21)]
    dataset = load_dataset(jsonl(tmp_path / "a.jsonl", records), heldout=6)
    assert not {one.prompt for one in dataset.train} & {one.prompt for one in dataset.heldout}
    assert len({one.id for one in dataset.train + dataset.heldout}) == 21


def test_own_held_out_file(tmp_path):
    train, held = jsonl(tmp_path / "train.jsonl", PAIRS[:7]), jsonl(tmp_path / "held.jsonl", PAIRS[7:])
    dataset = load_dataset(train, heldout_file=held)
    assert {record.prompt for record in dataset.heldout} == {"p7", "p8", "p9"}
    assert len(dataset.train) == 7
    with pytest.raises(
        InputError,
        match=r"^2 of 3 records of .*held.jsonl are in .*train.jsonl too, .*held.jsonl, lines 1 and 2",
    ):
        load_dataset(jsonl(train, PAIRS[:9]), heldout_file=held)
    with pytest.raises(InputError, match="give only one of them"):
        load_dataset(train, heldout_file=held, heldout=2)


GOOD = b'{"prompt": "p", "response": "r"}\n'
WRONG = {
    "empty-file": (b"", r"is empty"),
    "blank-file": (b" \n\n", r"is empty"),
    "byte-order-mark-only": (b"\xef\xbb\xbf", r"is empty"),
    "empty-list": (b"[]", r"holds an empty list"),
    "broken-line": (
        GOOD + b'{"prompt": "p", "resp\n',
        r"1 not JSON \(line 2: .* at column 17 of {\"prompt\": \"p\"",
    ),
    "broken-list": (
        b'[\n{"prompt": "p",\n"response" "r"}]',
        r"line 3: this isn't JSON .* of \"response\" \"r\"}]\). A list is read whole or not at all",
    ),
    "cut-list": (b'[{"prompt": "p", "response": "r"},', r"line 1: this isn't JSON .* mend that line"),
    "one-object-over-lines": (
        b'{\n"prompt": "p",\n"response": "r"\n}',
        r"holds one value, but not as a list or on one line. .* one object on each line",
    ),
    "no-json": (b"some\nprose\n", r"holds no record; line 1 is not JSON: .* at column 1 of some"),
    "deep": (b"[" * 200_000, r"line 1: this isn't JSON \(maximum recursion"),
    "long-number": (b'{"prompt": ' + b"9" * 5000 + b"}", r"line 1 is not JSON: Exceeds the limit"),
    "not-utf-8": (
        GOOD + "é\n".encode() + b'{"prompt": "caf\xe9", "response": "r"}',
        r"1 not UTF-8 \(line 3: byte 0xe9\)",
    ),
    "line-not-an-object": (GOOD + b'["p", "r"]', r"1 no object \(line 2: a list\)"),
    "item-not-an-object": (b'["p"]', r"item 1 is no object: the text \"p\""),
    "unknown-layout": (b'{"title": "t"}', r"line 1: expected the keys 'prompt' and .*; found 'title'"),
    "no-keys": (b"{}", r"found no keys"),
    "missing-key": (GOOD + b'{"prompt": "p"}', r"without the key 'response' \(line 2: it has 'prompt'\)"),
    "missing-key-in-list": (
        b'[{"prompt": "p"}]',
        r"holds questions without answers, .* with 'prompt' and 'response' \(found 'prompt'\)",
    ),
    "another-layout": (
        GOOD + b'{"instruction": "i", "output": "o"}',
        r"1 without the key 'prompt' \(line 2: it has 'instruction', 'output'\)",
    ),
    "wrong-type": (
        GOOD + b'{"prompt": "p", "response": 12}',
        r"1 with 'response' that isn't a text \(line 2: the number 12\)",
    ),
    "null": (
        b'{"prompt": "p", "response": null}',
        r"its only record can't be used: 1 empty",
    ),
    "empty-response": (
        (GOOD + b'{"prompt": "q", "response": " \\n"}\n') * 7,
        r"7 of 14 records can't be used: 7 empty 'prompt' or 'response' "
        r"\(lines 2, 4, 6, 8, 10 and 2 more\). Mend them; without them 7 records are left, too few",
    ),
    "only-empty": (b'{"prompt": "p", "response": ""}', r"its only record can't be used: 1 empty"),
    "half-a-character": (
        b'{"prompt": "p", "response": "\\ud800"}',
        r"half a surrogate pair, .*, in 'response'",
    ),
    "doubled-id": (
        b'{"id": 1, "prompt": "p", "response": "r"}\n{"id": "1", "prompt": "q", "response": "r"}',
        r"1 with the 'id' of an earlier record \(line 2: '1', as line 1 has\)",
    ),
    "wrong-id": (
        b'{"id": 1.5, "prompt": "p", "response": "r"}',
        r"1 with 'id' that isn't a text or a whole number \(line 1: the number 1.5\)",
    ),
    "choices-without-response": (
        b'{"prompt": "p", "response": "r", "choices": ["a", "b"]}',
        r"'choices' that aren't two or more, the response among them "
        r"\(line 1: \[\"a\", \"b\"\] and the text \"r\"",
    ),
    "choices-not-a-list": (
        b'{"prompt": "p", "response": "r", "choices": "r"}',
        r"'choices' that aren't a list of texts \(line 1: the text \"r\"",
    ),
    "choices-doubled": (
        b'{"prompt": "p", "response": "r", "choices": ["r", "r"]}',
        r"'choices' that aren't texts, each another and none empty \(line 1: \[\"r\", \"r\"\]",
    ),
    "right-alternative": (
        b'{"prompt": "p", "response": "r", "alternatives": ["r"]}',
        r"whose response is one of 'alternatives' too",
    ),
    "one-record": (GOOD, r"has 1 record, so it can't be split .* \(--heldout-file\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_is_one_sentence_that_names_the_place(tmp_path, name):
    content, message = WRONG[name]
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_dataset(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 350


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(InputError, match=re.escape(f"{tmp_path} is a folder without")):
        load_dataset(tmp_path)
    with pytest.raises(InputError, match=r"no file 'verb', nor a source .* Did you mean 'verbs'\?"):
        load_dataset("verb")
    with pytest.raises(InputError, match="'verbs' is a built-in source"):
        load_dataset("verbs", on_empty="drop")


def test_empty_responses_are_dropped_on_demand(tmp_path):
    path = jsonl(tmp_path / "a.jsonl", [*PAIRS, {"prompt": "p", "response": ""}])
    dataset = load_dataset(path, on_empty="drop")
    assert len(dataset.train + dataset.heldout) == 10
    assert dataset.notes == ("a.jsonl: 1 of 11 records left out: empty 'prompt' or 'response' (line 11)",)
