"""Conversations and trees: every turn is kept, and what is no exchange is named by its place."""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.data.sources import load_dataset
from workbench.errors import InputError

sys.path.append(str(Path(__file__).parent))

from examples import everything, jsonl, node, share, turns

SHARED_PATH = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
CHAT = st.tuples(TEXT, TEXT).flatmap(
    lambda last: st.lists(st.tuples(TEXT, TEXT), max_size=3).map(lambda before: [*before, last])
)


def read(tmp_path, values, **options):
    return load_dataset(jsonl(tmp_path / "mine.jsonl", values), heldout=1, **options)


def said(record):
    """Return a record as the list of turns that it was made of."""
    flat = [*(text for turn in record.history for text in turn), record.prompt, record.response]
    return ([("system", record.system)] if record.system else []) + [
        (("user", "assistant")[place % 2], text) for place, text in enumerate(flat)
    ]


@SHARED_PATH
@given(
    st.lists(st.tuples(st.none() | TEXT, CHAT), min_size=2, max_size=5),
    st.sampled_from(["sharegpt", "openai", "parts"]),
)
def test_a_conversation_comes_back_whole(tmp_path, chats, kind):
    made = []
    for number, (system, pairs) in enumerate(chats):
        flat = [text for pair in pairs for text in pair]
        flat[0] += f" {number}"  # so that there are two that begin differently
        made.append(
            [*([("system", system)] if system else []), *zip(["user", "assistant"] * 4, flat, strict=False)]
        )
    if kind == "sharegpt":
        names = {"system": "system", "user": "human", "assistant": "gpt"}
        values = [{"conversations": [{"from": names[a], "value": b} for a, b in chat]} for chat in made]
    else:
        whole = kind == "openai"
        values = [
            {
                "messages": [
                    {"role": a, "content": b if whole else [{"type": "text", "text": b}]} for a, b in chat
                ]
            }
            for chat in made
        ]
    found = {record.place.rpartition(" ")[2]: record for record in everything(read(tmp_path, values))}
    assert [said(found[str(number)]) for number in range(1, len(made) + 1)] == made


def test_a_text_in_parts_is_their_lines(tmp_path):
    parts = [{"type": "text", "text": "look:"}, "this"]
    values = [{"messages": [{"role": "user", "content": parts}, *turns("", f"a{n}")[1:]]} for n in range(2)]
    values[1]["messages"][0]["content"] = [{"type": "text", "text": "other"}]
    assert {record.prompt for record in everything(read(tmp_path, values))} == {"look:\nthis", "other"}


NOT_READ = {
    "two-questions": (
        share("a", "b") + share("c") + share("d", "e"),
        "whose roles don't alternate .*turn 4 is",
    ),
    "two-answers": (
        share("a", "b") + share("c", "d")[1:],
        'whose roles don\'t alternate .*turn 3 is from "gpt"',
    ),
    "late-system": (
        [*turns("a", "b"), {"role": "system", "content": "c"}, *turns("d", "e")],
        "with a system text behind the first turn .*turn 3",
    ),
    "only-a-question": (turns("a"), "without an answer to a question"),
    "only-an-answer": (share("a", "b")[1:], "without an answer to a question"),
    "nothing": ([], "without an answer to a question"),
    "stranger": (
        [{"from": "narrator", "value": "a"}, *share("b", "c")],
        'with a turn of nobody that is known .*turn 1 is from "narrator"',
    ),
    "no-role": (
        [{"value": "a"}, *share("b", "c")],
        "with a turn of nobody that is known .*turn 1 is from null",
    ),
    "tool-result": (
        [*turns("a", "b"), {"role": "tool", "content": "c"}, *turns("d", "e")],
        "with a tool's call or result, which isn't read .*turn 3",
    ),
    "tool-call": (
        [*turns("a"), {"role": "assistant", "content": None, "tool_calls": [{"id": "x"}]}],
        "with a tool's call or result, which isn't read .*turn 2",
    ),
    "picture": (
        [
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]},
            *turns("", "b")[1:],
        ],
        'with a part that isn\'t text, such as a picture .*turn 1 has "image_url"',
    ),
    "number": ([{"role": "user", "content": 3}, *turns("", "b")[1:]], "whose text isn't one .*the number 3"),
    "texts": (["a", "b"], "with a turn that is no object .*turn 1 is the text"),
    "weightless": (
        [*turns("a"), {"role": "assistant", "content": "b", "weight": 0}],
        "with an answer of weight 0, which isn't to be learnt .*turn 2",
    ),
}


@pytest.mark.parametrize("kind", NOT_READ)
def test_what_is_no_exchange_is_named_and_left_out_on_demand(tmp_path, kind):
    chat, told = NOT_READ[kind]
    values = [{"messages": turns(f"q{n}", "a")} for n in range(4)]
    values.insert(2, {"messages": chat})
    with pytest.raises(InputError, match=rf"1 of 5 records can't be used: 1 .*{told}") as caught:
        read(tmp_path, values)
    assert "line 3" in str(caught.value)
    assert "--on-bad drop" in str(caught.value)
    assert len(everything(read(tmp_path, values, on_bad="drop"))) == 4


@pytest.mark.parametrize("place", range(4))
def test_an_empty_turn_is_an_empty_record(tmp_path, place):
    texts = ["a", "b", "c", "d"]
    texts[place] = " \n"
    values = [{"messages": turns(*texts)}, *({"messages": turns(f"q{n}", "a")} for n in range(4))]
    with pytest.raises(
        InputError, match=rf"1 with an empty turn \(line 1: turn {place + 1}.*--on-empty drop"
    ):
        read(tmp_path, values)
    assert len(everything(read(tmp_path, values, on_empty="drop"))) == 4


def test_what_fastchat_leaves_out_is_left_out_and_counted(tmp_path):
    values = [
        {"conversations": [*share("x", "welcome")[1:], *share("a", "b")]},
        {"conversations": share("c", "d", "e?")},
        {
            "conversations": [
                {"from": "system", "value": "s"},
                *share("x", "hello")[1:],
                *share("f", "g", "h?"),
            ]
        },
    ]
    dataset = read(tmp_path, values)
    found = sorted(everything(dataset), key=lambda record: record.prompt)
    assert [said(record) for record in found] == [
        [("user", "a"), ("assistant", "b")],
        [("user", "c"), ("assistant", "d")],
        [("system", "s"), ("user", "f"), ("assistant", "g")],
    ]
    assert (
        "mine.jsonl: 2 of 3 begin with an answer to nothing, which is left out (lines 1 and 3)"
        in dataset.notes
    )
    told = "mine.jsonl: 2 of 3 end with a question that nobody answers, which is left out (lines 2 and 3)"
    assert told in dataset.notes


def test_a_system_text_beside_the_turns(tmp_path):
    values = [{"id": n, "system": "be kind", "conversations": share(f"q{n}", "a")} for n in range(3)]
    dataset = read(tmp_path, values)
    assert {record.system for record in everything(dataset)} == {"be kind"}
    assert {record.id for record in everything(dataset)} == {"0", "1", "2"}
    values[1]["conversations"].insert(0, {"from": "system", "value": "be quick"})
    with pytest.raises(
        InputError, match=r"1 with different texts in the system turn and 'system' \(line 2\)"
    ):
        read(tmp_path, values)


def test_a_template_without_turns_still_writes_them(tmp_path):
    dataset = read(tmp_path, [{"messages": turns("a", "b", "c", "d")}, {"messages": turns("e", "f")}])
    record = max(everything(dataset), key=lambda one: len(one.history))
    assert record.asked == "user: a\n\nassistant: b\n\nuser: c"


def tree(*replies, **more):
    return {
        "message_tree_id": "t",
        "tree_state": "ready",
        "prompt": node("1", "prompter", "q1", *replies, **more),
    }


GOOD = [
    {
        "message_tree_id": f"g{n}",
        "prompt": node(f"g{n}", "prompter", f"q{n}", node(f"a{n}", "assistant", "a")),
    }
    for n in range(4)
]


def test_the_best_ranked_answer_and_the_first_question_that_was_answered(tmp_path):
    further = (
        node("3", "prompter", "unanswered"),
        node("4", "prompter", "q2", node("5", "assistant", "r2", lang="en")),
        node("6", "prompter", "q3", node("7", "assistant", "r3")),
    )
    one = tree(
        node("8", "assistant", "unranked", rank=None),
        node("9", "assistant", "worse", rank=1),
        node("2", "assistant", "best", *further, rank=0),
        node("10", "assistant", "deleted", rank=-1, deleted=True),
    )
    best = {record.id: record for record in everything(read(tmp_path, [one, *GOOD]))}
    assert said(best["5"]) == [("user", "q1"), ("assistant", "best"), ("user", "q2"), ("assistant", "r2")]
    assert best["5"].extra == {"tree_state": "ready", "lang": "en"}
    assert len(best) == 5
    every = {record.id for record in everything(read(tmp_path, [one, *GOOD], read_as="oasst-trees-all"))}
    assert every == {"8", "9", "5", "7", *(f"a{n}" for n in range(4))}


NO_TREES = {
    "unanswered": (tree(), "without an answer to its first question"),
    "only-deleted": (tree(node("2", "assistant", "a", deleted=True)), "without an answer to its first"),
    "deleted-question": (tree(node("2", "assistant", "a"), deleted=True), "without an answer to its first"),
    "two-prompters": (
        tree(node("2", "prompter", "a")),
        "whose roles don't alternate .*message '2' is from 'prompter'",
    ),
    "no-text": (tree(node("2", "assistant", None)), "with a message that has no text .*null"),
    "no-message": (tree("2"), 'with a message that has no text .*the text "2"'),
    "replies": (
        {"message_tree_id": "t", "prompt": node("1", "prompter", "q") | {"replies": "x"}},
        "aren't a list",
    ),
}


@pytest.mark.parametrize("kind", NO_TREES)
def test_what_is_no_tree_is_named_and_left_out_on_demand(tmp_path, kind):
    value, told = NO_TREES[kind]
    values = [*GOOD, value]
    with pytest.raises(InputError, match=rf"1 of 5 records can't be used: 1 .*{told}") as caught:
        read(tmp_path, values)
    assert "line 5" in str(caught.value)
    assert len(everything(read(tmp_path, values, on_bad="drop"))) == 4


def message(name, parent, role, text, **more):
    return {"message_id": name, "parent_id": parent, "role": role, "text": text, **more}


def test_flat_messages_are_the_trees_that_they_were(tmp_path):
    values = [
        message("2", "1", "assistant", "a"),  # before what it answers
        message("1", None, "prompter", "q1"),
        message("3", None, "prompter", "q2"),
        message("4", "3", "assistant", "b"),
        message("5", "3", "assistant", "c", rank=0),
    ]
    found = {record.id: record for record in everything(read(tmp_path, values))}
    assert {name: said(record) for name, record in found.items()} == {
        "2": [("user", "q1"), ("assistant", "a")],
        "5": [("user", "q2"), ("assistant", "c")],
    }
    assert found["5"].place == "mine.jsonl, line 5"
    wrong = {
        "1 whose 'parent_id' no message has": message("6", "x", "assistant", "d"),
        "1 whose 'message_id' is an earlier message's": message("5", "1", "assistant", "d"),
        "1 that is an answer to what answers it": message("6", "6", "assistant", "d"),
        "1 without 'message_id', 'text' and 'role'": {"message_id": "6"},
    }
    for told, value in wrong.items():
        with pytest.raises(InputError, match=rf"{told} \(line 6"):
            read(tmp_path, [*values, value])
        assert len(everything(read(tmp_path, [*values, value], on_bad="drop"))) == 2
