"""Records that a base can't read whole: all named at once, left out, or cut from the prompt's left."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from follows import follows
from hypothesis import given
from hypothesis import strategies as st

from workbench.data.lengths import POLICIES, cut_prompt, fit_context, longest
from workbench.data.records import Dataset, Record
from workbench.errors import InputError
from workbench.models.tokenizer import CharacterTokenizer

TOKENIZER = CharacterTokenizer("abcdefghijklmnopqrstuvwxyz \n")
CONTEXT = 40


def record(name, prompt, response="yes", **changes):
    return Record(id=name, prompt=prompt, response=response, place=f"mine.jsonl, line {name}", **changes)


JUDGED = record("9", "short")


def dataset(train, heldout=(JUDGED,)):
    return Dataset(
        name="mine", train=tuple(train), heldout=tuple(heldout), template="plain", licence="", origin=""
    )


def fitted(data, policy, context=CONTEXT, template="plain"):
    return fit_context(data, template, TOKENIZER, context, policy)


SHORT = record("1", "is it late")
# bos, prompt, newline, yes, eos: six tokens around the prompt
EXACT = record("2", "a" * (CONTEXT - 6))
LONG = record("3", "b" + "a" * (CONTEXT - 6))
LONGER = record("4", "c" * 100 + " is it late")


def test_the_boundary_is_exact():
    assert longest(EXACT, "plain", TOKENIZER) == CONTEXT
    data = dataset([SHORT, EXACT])
    assert all(fitted(data, policy) is data for policy in POLICIES)
    with pytest.raises(InputError):
        fitted(dataset([SHORT, LONG]), "error")


@follows("leave them out with --on-long drop", "cut their prompts from the left with --on-long truncate")
def test_all_are_named_at_once_and_each_way_that_is_named_works():
    data = dataset([SHORT, LONG, LONGER], [record("7", "d" * 90), record("8", "short")])
    with pytest.raises(InputError) as refused:
        fitted(data, "error")
    assert str(refused.value).startswith(
        "mine: 3 of 5 records (60%) are longer than the 40 tokens that the base can read (mine.jsonl, "
        "lines 3, 4 and 7; the longest has 117 tokens); leave them out"
    )
    ways = re.findall(r"--on-long (\w+)", str(refused.value))
    assert ways == ["drop", "truncate"]
    for way in ways:
        kept = fitted(data, way)
        assert all(longest(one, "plain", TOKENIZER) <= CONTEXT for one in (*kept.train, *kept.heldout))
        assert len(kept.notes) == 1
        assert "3 of 5 records (60%)" in kept.notes[0]
        assert "lines 3, 4 and 7" in kept.notes[0]


def test_drop_keeps_the_others_as_they_are():
    assert fitted(dataset([SHORT, LONG, EXACT]), "drop").train == (SHORT, EXACT)


def test_truncate_cuts_the_prompt_s_left_and_no_more_than_needed():
    cut = fitted(dataset([SHORT, LONGER]), "truncate").train
    assert cut[0] == SHORT
    assert (cut[1].id, cut[1].response) == (LONGER.id, LONGER.response)
    assert LONGER.prompt.endswith(cut[1].prompt)
    assert longest(cut[1], "plain", TOKENIZER) == CONTEXT


def test_the_longest_choice_counts():
    choices = ("no", "n" * 34)
    assert longest(record("5", "a", "no", choices=choices), "plain", TOKENIZER) == 1 + 1 + 1 + 34 + 1
    with pytest.raises(InputError, match="1 of 2 records"):
        fitted(dataset([record("5", "a" * 5, "no", choices=choices)]), "error")


def test_an_answer_that_alone_is_too_long_can_only_be_left_out():
    data = dataset([SHORT, record("6", "a", "y" * 60)])
    for policy in ("error", "truncate"):
        with pytest.raises(InputError) as refused:
            fitted(data, policy)
        assert re.findall(r"--on-long (\w+)", str(refused.value)) == ["drop"]
    assert fitted(data, "drop").train == (SHORT,)


@follows("choose a base that reads {most} tokens with --base")
def test_nothing_is_left():
    for policy in ("error", "drop"):
        with pytest.raises(InputError, match="none is left to judge by") as refused:
            fitted(dataset([SHORT], [LONG]), policy)
        assert re.findall(r"--on-long (\w+)", str(refused.value)) == ["truncate"]
    assert fitted(dataset([SHORT], [LONG]), "truncate").heldout[0].prompt
    # where neither way is left, only another base is
    data = dataset([SHORT], [record("6", "a", "y" * 60)])
    for policy in ("error", "drop", "truncate"):
        with pytest.raises(InputError) as refused:
            fitted(data, policy)
        assert "--on-long" not in str(refused.value)
        context = int(re.search(r"choose a base that reads (\d+) tokens", str(refused.value))[1])
        assert fitted(data, policy, context) is data


def test_earlier_turns_go_before_the_prompt_and_the_system_text_stays():
    history = (("one", "a" * 30), ("two", "b"))
    long = record("5", "late", system="brief", history=history)

    def fits(shorter):
        return longest(shorter, "plain", TOKENIZER) <= CONTEXT

    cut = cut_prompt(long, fits)
    assert (cut.system, cut.history, cut.prompt) == ("brief", history[1:], "late")


TURNS = tuple((f"is it {letter}", f"it is {letter}") for letter in "abcdefgh")
TALK = record("5", "is it late", "it is late", system="brief", history=TURNS)


def turns_of(records):
    return [turn for one in records for turn in (*one.history, (one.prompt, one.response))]


@pytest.mark.parametrize("loss_on", ["last", "all"])
def test_split_loses_no_turn_and_says_so(loss_on):
    data = dataset([SHORT, TALK], [JUDGED, replace(TALK, id="6")])
    kept = fit_context(data, "plain", TOKENIZER, 60, "split", loss_on)
    for before, after in ((data.train, kept.train), (data.heldout, kept.heldout)):
        assert after[0] == before[0]
        parts = after[1:]
        assert turns_of(parts) == [*TURNS, ("is it late", "it is late")]
        assert len(parts) > 2
        assert {one.system for one in parts} == {"brief"}
        assert {one.turn for one in parts} == {before[1].id}
        assert parts[0].id == f"{before[1].id} part 1 of {len(parts)}"
        assert len({one.id for one in parts}) == len(parts)
        for one, behind in pairwise(parts):
            assert longest(one, "plain", TOKENIZER, loss_on) <= 60
            # no turn more would have gone into it
            more = replace(
                one, history=(*one.history, (one.prompt, one.response)), prompt=turns_of([behind])[0][0]
            )
            assert longest(replace(more, response=turns_of([behind])[0][1]), "plain", TOKENIZER, loss_on) > 60
    (note,) = kept.notes
    assert f"2 of 4 records (50%) split into {2 * len(parts)} parts of whole turns" in note
    assert ("of each part the last answer is learnt" in note) == (loss_on == "last")


def test_a_turn_that_is_too_long_alone_has_its_prompt_cut():
    long = replace(TALK, history=(("b" * 50, "it is b"), ("is it c", " ")), system="")
    first, second = fitted(dataset([long]), "split").train
    assert longest(first, "plain", TOKENIZER) == CONTEXT
    assert (set(first.prompt), first.response) == ({"b"}, "it is b")
    assert (second.history, second.response) == ((("is it c", " "),), "it is late")
    # what isn't a conversation, or knows more of its last answer alone, is cut likewise
    for one in (LONGER, replace(TALK, choices=("it is late", "no")), replace(TALK, alternatives=("no",))):
        assert fitted(dataset([one]), "split").train == fitted(dataset([one]), "truncate").train


def test_a_part_does_not_end_with_an_answer_that_says_nothing():
    silent = replace(TALK, history=(("is it a", "it is a"), ("is it b", ""), ("c" * 30, "")), system="")
    parts = fitted(dataset([silent]), "split").train
    assert [one.response for one in parts] == ["it is a", "it is late"]


@follows("make several records of each conversation with --on-long split")
def test_split_is_offered_where_it_helps():
    with pytest.raises(InputError) as refused:
        fitted(dataset([SHORT, TALK]), "error")
    assert re.findall(r"--on-long (\w+)", str(refused.value)) == ["drop", "truncate", "split"]
    assert len(fitted(dataset([SHORT, TALK]), "split").train) > 3
    # not where one answer of the conversation is too long by itself
    hopeless = replace(TALK, history=(("a", "y" * 60), *TURNS))
    for policy in ("error", "split"):
        with pytest.raises(InputError) as refused:
            fitted(dataset([SHORT, hopeless]), policy)
        assert re.findall(r"--on-long (\w+)", str(refused.value)) == ["drop", "truncate"]
    assert "even one turn without its prompt" in str(refused.value)


@given(
    st.lists(
        st.tuples(*[st.text(alphabet="ab é\n", min_size=1, max_size=30).filter(str.strip)] * 2),
        min_size=2,
        max_size=8,
    ),
    st.integers(45, 80),
    st.sampled_from(["plain", "verbatim"]),
)
def test_any_conversation_is_split_whole(turns, context, template):
    tokenizer = CharacterTokenizer("abé\nyes ")
    (*history, (prompt, response)) = turns
    data = dataset([record("1", prompt, response, history=tuple(history))], [record("h", "a")])
    kept = fit_context(data, template, tokenizer, context, "split", "all")
    assert all(longest(one, template, tokenizer, "all") <= context for one in kept.train)
    if context > 65:  # no turn is too long by itself
        assert turns_of(kept.train) == turns
    assert [said for _, said in turns_of(kept.train)] == [said for _, said in turns]


def test_a_context_that_is_cut_is_a_prompt_like_any():
    long = record("5", "sort\n\n" + "a" * 60, context="a" * 60)
    cut = fitted(dataset([SHORT, long]), "truncate").train[1]
    assert (cut.context, set(cut.prompt)) == ("", {"a"})


@given(
    st.lists(st.text(alphabet="ab é\n", min_size=1, max_size=60).filter(str.strip), min_size=1, max_size=6),
    st.integers(12, 60),
)
def test_nothing_that_is_too_long_gets_through(prompts, context):
    """The quick check by bytes may only let through what fits."""
    tokenizer = CharacterTokenizer("abé\nyes ")
    data = dataset([record(str(place), prompt) for place, prompt in enumerate(prompts)], [record("h", "a")])
    kept = fit_context(data, "plain", tokenizer, context, "truncate")
    for before, after in zip(data.train, kept.train, strict=True):
        assert longest(after, "plain", tokenizer) <= context
        assert (after is before) == (longest(before, "plain", tokenizer) <= context)
