from dataclasses import replace

import pytest

from workbench.data.records import Dataset, Record


def dataset(train, heldout=()):
    return Dataset(
        name="some",
        train=tuple(train),
        heldout=tuple(heldout),
        template="plain",
        licence="none",
        origin="a test",
    )


RECORD = Record(id="a", prompt="do this\n\nwith that", response="r", context="with that")
OTHER = Record(id="b", prompt="p", response="r")


def test_instruction_is_the_prompt_without_its_context():
    assert RECORD.instruction == "do this"
    assert OTHER.instruction == "p"


def test_context_has_to_end_the_prompt():
    with pytest.raises(ValueError, match="record 'a': the prompt has to end with"):
        Record(id="a", prompt="do this", response="r", context="with that")


def test_all_that_is_asked_is_the_prompt_and_what_stands_before_it():
    assert OTHER.asked == "p"
    talk = replace(OTHER, system="Be kind.", history=(("Hi", "Hello"), ("Well?", "Well.")))
    assert talk.asked == (
        "system: Be kind.\n\nuser: Hi\n\nassistant: Hello\n\nuser: Well?\n\nassistant: Well.\n\nuser: p"
    )


def test_a_place_is_for_messages_only():
    placed = replace(OTHER, place="mine.jsonl, line 4")
    assert (OTHER.where, placed.where) == ("record 'b'", "mine.jsonl, line 4")
    assert placed == OTHER
    assert dataset([placed]).fingerprint == dataset([OTHER]).fingerprint
    assert dataset([replace(OTHER, system="s")]).fingerprint != dataset([OTHER]).fingerprint


def test_ids_are_unique():
    with pytest.raises(ValueError, match="some: id 'a' occurs more than once"):
        dataset([RECORD, replace(OTHER, id="a")])


def test_fingerprint_is_the_content():
    assert dataset([RECORD, OTHER]).fingerprint == dataset([OTHER, RECORD]).fingerprint
    prints = {
        dataset([RECORD, OTHER]).fingerprint,
        dataset([RECORD], [OTHER]).fingerprint,
        dataset([OTHER], [RECORD]).fingerprint,
        dataset([RECORD]).fingerprint,
        *(
            dataset([replace(RECORD, **{name: value}), OTHER]).fingerprint
            for name, value in [("id", "c"), ("response", "s"), ("choices", ("r", "s")), ("ratings", (1.0,))]
        ),
    }
    assert len(prints) == 8
    # recorded in manifests: it may not change unnoticed
    assert dataset([RECORD], [OTHER]).fingerprint.startswith("dbe74363")
