"""Every check finds what was planted, all of it and no more, and nothing in a clean file."""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.data.audit import CHECKS, OfBase, Subject, audit
from workbench.data.heldout import hold_out
from workbench.data.records import Record
from workbench.data.sources.findings import Finding
from workbench.errors import InputError
from workbench.models.tokenizer import CharacterTokenizer

sys.path.append(str(Path(__file__).parent))

from planting import BESIDE, COUNT, ENGLISH, GERMAN, PLACES, PLANS, changed, clean, plant, whole_words

BASE = OfBase(
    name="tiny",
    tokenizer=CharacterTokenizer("\n" + "".join(map(chr, range(32, 127)))),
    context=400,
    reads_any_text=False,
    marks=frozenset({"<eos>"}),
    end="<eos>",
    pads_with_end=False,
)


def counts(subject, checks=None):
    found = Counter()
    for one in audit(subject, checks).faults:
        found[one.check] += one.count
    return found


def places(subject, check):
    return [sighting.place for one in audit(subject, [check]).faults for sighting in one.sightings]


def contaminated():
    """Return a file and an evaluation file that shares seven records with it, in three ways."""
    train, judge = clean(), clean(1, 40, "eval.jsonl")
    for at in (2, 4, 6):
        judge[at] = changed(judge[at], prompt=train[at].prompt, response=train[at].response[:-1] + "!")
    for at in (8, 10):
        judge[at] = changed(judge[at], prompt=train[at].prompt)
    for at in (12, 14):
        words = " ".join(train[at].response.replace(".", "").lower().split()[5:18])
        judge[at] = changed(judge[at], response=f"{judge[at].response} And {words.upper()} it is.")
    return Subject(records=train, against=judge)


def split_in_two():
    """Return a file whose default split holds out seven records that answer like seven of the rest."""
    records = clean()
    train, held = hold_out(records, None, "some")
    copies = {
        one.id: changed(one, response=other.response) for one, other in zip(train, held[:7], strict=False)
    }
    return Subject(records=[copies.get(record.id, record) for record in records])


def bad(option):
    return [[Finding(f"mine.jsonl, line {100 + at}", "odd", "a detail", option)] for at in PLACES]


def with_texts(*texts):
    return [changed(one, response=texts[at in PLACES]) for at, one in enumerate(clean())]


PLANTED = {
    **{name: Subject(records=plant(plan)) for name, plan in PLANS.items()},
    "unreadable": Subject(records=clean(), unusable=bad("on_bad")),
    "empty": Subject(records=clean(), unusable=bad("on_empty")),
    "contamination": contaminated(),
    "own_split": split_in_two(),
    "too_long": Subject(records=plant(lambda own, other: {"prompt": own.prompt * 8}), base=BASE),
    "languages": Subject(records=with_texts(ENGLISH, GERMAN)),
}
"""A subject with seven faults for each check."""


@pytest.mark.parametrize("check", CHECKS)
def test_every_planted_fault_is_found(check):
    if check == "languages":
        pytest.importorskip("py3langid")
    found = counts(PLANTED[check], [check])
    both = 2 if check == "disagreeing_prompts" else 1  # an answer, and the one that it contradicts
    assert found == {check: both * len(PLACES)}
    if check in PLANS and check != "disagreeing_prompts":
        assert places(PLANTED[check], check) == [f"mine.jsonl, line {at + 1}" for at in PLACES]


@pytest.mark.parametrize("check", PLANS)
def test_a_planted_fault_is_told_once(check):
    found = counts(PLANTED[check])
    found.pop("own_split", None)  # which of the copies it holds out is another question
    expected = {check: len(PLACES) * (2 if check == "disagreeing_prompts" else 1)}
    assert {name: count for name, count in found.items() if name not in BESIDE.get(check, ())} == expected


def test_a_clean_file_has_nothing():
    subject = Subject(records=clean(), against=clean(1, 40), base=BASE)
    result = audit(subject)
    assert result.faults == ()
    assert set(result.looked) | set(result.skipped) == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check):
    subject = PLANTED[check]
    if CHECKS[check].lacking(subject):
        pytest.skip(CHECKS[check].lacking(subject))
    before = list(subject.records)
    faults = audit(subject, [check]).faults
    assert faults == audit(replace(subject), [check]).faults, "the same twice"
    assert list(subject.records) == before
    assert CHECKS[check].about
    for one in faults:
        assert one.check == check
        assert 0 < one.count <= one.total
        assert 0 < one.share <= 1
        assert one.what
        assert one.advice.endswith(".")
        assert 0 < len(one.examples) <= 5
        assert all(sighting.place and sighting.part for sighting in one.sightings)
    nothing = Subject(records=())
    assert CHECKS[check].lacking(nothing) or CHECKS[check].look(nothing) == []


def test_what_a_check_lacks_is_said():
    skipped = audit(Subject(records=clean())).skipped
    assert "--against" in skipped["contamination"]
    assert "--base" in skipped["too_long"]
    assert "145" in skipped["too_long"] or "characters" in skipped["too_long"].lower()


def test_an_unknown_check_is_refused():
    with pytest.raises(InputError, match=r"unknown check 'paddings'\. Did you mean 'padding'"):
        audit(Subject(records=clean()), ["paddings"])


def test_contamination_tells_the_three_ways_apart():
    faults = audit(PLANTED["contamination"], ["contamination"]).faults
    assert [(one.count, one.total, one.of) for one in faults] == [
        (3, 40, "records of the evaluation file"),
        (2, 40, "records of the evaluation file"),
        (2, 40, "records of the evaluation file"),
    ]
    assert faults[0].sightings[0].place == "eval.jsonl, line 3 and mine.jsonl, line 3"


def test_a_phrase_that_many_prompts_hold_is_no_contamination():
    phrase = "please read the following text with care and then answer the question below it now"
    train = [changed(one, prompt=f"{phrase}: {one.prompt}") for one in clean()]
    judge = [changed(one, prompt=f"{phrase}: {one.prompt}") for one in clean(1, 40)]
    assert counts(Subject(records=train, against=judge), ["contamination"]) == {}
    assert counts(Subject(records=train[:5], against=judge[:5]), ["contamination"]) == {"contamination": 5}


def test_a_near_copy_on_the_other_side_of_the_split_is_found():
    records = clean()
    train, held = hold_out(records, None, "some")
    copies = {
        one.id: changed(one, prompt=other.prompt.upper(), response=other.response)
        for one, other in zip(train, held[:7], strict=False)
    }
    records = [copies.get(record.id, record) for record in records]
    # a copy has another prompt than before, so it may have gone to the other side itself
    judge = {record.id for record in hold_out(records, None, "some")[1]}
    pairs = [(one.id, other.id) for one, other in zip(train, held[:7], strict=False)]
    apart = sum((one in judge) != (other in judge) for one, other in pairs)
    assert apart > 2
    (fault,) = audit(Subject(records=records), ["own_split"]).faults
    assert (fault.count, fault.what) == (apart, "the same or nearly the same as a record to train on")


def test_one_phrase_in_common_is_no_copy_in_ones_own_file():
    records = clean()
    train, held = hold_out(records, None, "some")
    phrase = "there is no answer to that question which fits all of those who ask it"
    both = {one.id: f"{one.response} {one.response.upper()} {phrase}." for one in (train[0], held[0])}
    records = [changed(one, response=both.get(one.id, one.response)) for one in records]
    assert counts(Subject(records=records), ["own_split"]) == {}


def test_end_marks_on_truncated_rows():
    """GPT4All's second mistake: rows cut at a limit, and an end mark put behind the cut."""
    records = [changed(one, response=f"{one.response}</s>") for one in clean()]
    for at in PLACES:
        records[at] = changed(records[at], response=f"{whole_words(records[at].response)[:-8]}</s>")
    (fault,) = audit(Subject(records=records), ["cut_off"]).faults
    assert (fault.count, fault.what) == (7, "answers that stop in the middle, with an end mark behind that")


def test_rows_without_the_end_mark_that_most_have():
    records = [changed(one, response=f"{one.response}<|im_end|>") for one in clean()]
    for at in PLACES:
        records[at] = changed(records[at], response=clean()[at].response)
    (fault,) = audit(Subject(records=records), ["cut_off"]).faults
    assert fault.count == 7
    assert "answers without the end mark that 91.2% have" in fault.what


@pytest.mark.parametrize(
    ("response", "stops"),
    [
        ("The reason for that is simple, because", True),
        ("She went to the market and bought apples,", True),
        ("This is what they said about (", True),
        ("It is known that the", True),
        ("Thank you for all your help.\n\nKind regards,", False),
        ("Take one of these: a, an, the", False),
        ("He said that he would come.", False),
        ("the", False),
    ],
)
def test_the_middle_of_a_sentence(response, stops):
    subject = Subject(records=[Record(id="a", prompt="p", response=response)])
    assert counts(subject, ["cut_off"]) == ({"cut_off": 1} if stops else {})


@pytest.mark.parametrize(
    "response",
    [
        "Roses are red in the morning\nViolets are blue in the evening\nSugar is sweet all day long",
        "Seven Ways To Cook An Egg Without Water",
        "apples, pears, plums, cherries, grapes",
        "See https://example.org/a for all of that",
        "- one more item of a list here",
        "Great news for all of our friends! #news #friends",
        "The total then is 4 + 3 = 7",
        "```\nfor x in range(3): print(x)\n```",
    ],
)
def test_what_ends_without_a_mark_on_purpose(response):
    records = [*clean(), Record(id="a", prompt="p", response=response)]
    assert counts(Subject(records=records), ["cut_off"]) == {}


def test_padding_that_is_the_end_mark_is_told_apart():
    """GPT4All's third mistake: where padding is left out of the loss, the end mark is too."""
    records = clean()
    records[0] = changed(records[0], response=f"{records[0].response}</s></s></s>")
    records[1] = changed(records[1], response=f"{records[1].response}</s><pad><pad>")
    same, other = audit(Subject(records=records), ["padding"]).faults
    assert (same.what, same.count) == ("answers padded with their end mark", 1)
    assert "no stop is learnt" in same.advice
    assert (other.what, other.count) == ("answers with padding", 1)


def test_a_base_that_pads_with_its_end_mark_is_said_but_no_fault():
    subject = Subject(records=clean(), base=replace(BASE, pads_with_end=True))
    result = audit(subject)
    assert result.faults == ()
    assert "pads with its end mark (<eos>)" in result.remarks[0]
    assert audit(Subject(records=clean(), base=BASE)).remarks == ()


def test_a_bases_own_marks_are_found():
    records = clean()
    records[5] = changed(records[5], prompt="What does [STOP] mean?")
    assert counts(Subject(records=records), ["end_marks"]) == {}
    base = replace(BASE, marks=frozenset({"[STOP]"}))
    assert counts(Subject(records=records, base=base), ["end_marks"]) == {"end_marks": 1}


def test_contradictory_labels_are_told_apart_from_several_answers():
    labels = [
        Record(id=str(at), prompt="good?", response=answer, choices=("yes", "no"))
        for at, answer in enumerate(["yes", "no", "yes"])
    ]
    texts = [Record(id=f"t{at}", prompt="why?", response=answer) for at, answer in enumerate("ab")]
    one, other = audit(Subject(records=[*labels, *texts]), ["disagreeing_prompts"]).faults
    assert (one.what, one.count) == ("labels that contradict each other (1 prompt)", 3)
    assert (other.what, other.count) == ("prompts with several answers (1 prompt)", 2)


@pytest.mark.parametrize(
    ("response", "refuses"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I cannot assist you with this request.", True),
        ("I’m just an AI, so I have no body.", True),
        ("As a large language model, I have no opinions.", True),
        ("As an interpreted language, Python is slow, I think.", False),
        ("It may be used as a front-end language.", False),
        ("I can't wait to see you!", False),
        ("Artificial intelligence, also known as AI, is a field.", False),
    ],
)
def test_refusals(response, refuses):
    subject = Subject(records=[Record(id="a", prompt="p", response=response)])
    assert counts(subject, ["refusals"]) == ({"refusals": 1} if refuses else {})


@pytest.mark.parametrize(
    ("prompt", "response", "wrong"),
    [
        ("Hi.", "User: and what then?", True),
        ("Assistant: hello", "Hello.", True),
        ("Hi.", "Hello.\n\nHuman: and then?\nAssistant: Nothing.", True),
        ("Hi.", "Hello.\n### Instruction:\nSay more.", True),
        ("Write a dialogue.", "User: hi\nBot: hello", False),
        ("Sort these.", "Human: living\nCar: not living", False),
        ("Hi.", "Our users: there are many.", False),
    ],
)
def test_roles(prompt, response, wrong):
    subject = Subject(records=[Record(id="a", prompt=prompt, response=response)])
    assert counts(subject, ["roles"]) == ({"roles": 1} if wrong else {})


def test_two_questions_about_one_long_passage_are_no_duplicates():
    passage = " ".join(one.response for one in clean()[:10])
    records = [
        Record(id="a", prompt=f"Who came first?\n\n{passage}", response="It was the king of the hill."),
        Record(id="b", prompt=f"Who came last?\n\n{passage}", response="Nobody knows, as nobody looked."),
    ]
    assert counts(Subject(records=records), ["near_duplicates"]) == {}


def test_what_a_base_has_no_tokens_for_is_told():
    records = clean()
    records[5] = changed(records[5], response="Ünder.")
    (fault,) = audit(Subject(records=records, base=BASE), ["too_long"]).faults
    assert (fault.what, fault.count) == ("can't be written for the base", 1)
    assert "'Ü'" in fault.sightings[0].text


def test_a_file_that_cannot_be_split_says_so():
    records = [Record(id=str(at), prompt="p", response=str(at)) for at in range(3)]
    assert "can't be split" in audit(Subject(records=records), ["own_split"]).skipped["own_split"]
    assert counts(Subject(records=clean(count=COUNT)), ["own_split"]) == {}
