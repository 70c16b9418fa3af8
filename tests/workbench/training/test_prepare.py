"""From records to indices: what is one example, what is another, and how choices are scored."""

import pytest
import tiny_chat

from workbench.config import CellConfig, Quality
from workbench.data.records import Dataset, Record
from workbench.errors import InputError
from workbench.models.loaders import load_base
from workbench.training.evaluation import evaluate
from workbench.training.prepare import prepare


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return load_base(
        tiny_chat.make_folder(tmp_path_factory.mktemp("chat") / "base", "zephyr", "sentencepiece")
    )


def prepared(base, train, heldout=None, quality=None, **options):
    heldout = heldout or train
    data = Dataset(
        name="d", train=tuple(train), heldout=tuple(heldout), template="chat", licence="", origin=""
    )
    cell = CellConfig(data="d", base="b", quality=quality or Quality(), size=len(train), steps=1)
    made = prepare(base, data, [cell], "chat", **options)
    pool = made.frozen.pool
    tokens = [tuple(part.tolist()) for part in pool.tokens.split(pool.lengths.tolist())]
    return made, [tokens[place] for place in made.draws[cell.key()]]


def test_records_that_differ_in_what_came_before_are_different_examples(base):
    same = {"prompt": "Is it late?", "response": "Yes"}
    records = [
        Record(id="1", **same),
        Record(id="2", **same, system="Be brief."),
        Record(id="3", **same, history=(("Is it lost?", "No"),)),
    ]
    _, drawn = prepared(base, records)
    assert len(set(drawn)) == 3
    copies = [Record(id=str(number), **same) for number in range(3)]
    assert len(set(prepared(base, copies)[1])) == 1


def test_choices_of_one_token_are_those_that_go_on_from_the_prompt(base):
    """Alone, a SentencePiece tokenizer would put a space before each of them."""
    choices = ("A", "B")
    records = [Record(id=a, prompt=f"Is it {a}?", response=a, choices=choices) for a in choices]
    made, drawn = prepared(base, records)
    said = sorted(row[-2] for row in drawn)
    assert [base.tokenizer.decode([token]) for token in said] in (["A", "B"], ["B", "A"])
    assert [sorted(row) for row in made.heldout.tokens] == [said, said]
    # which is not what the choices are by themselves
    assert all(base.tokenizer.encode(choice) not in ([token] for token in said) for choice in choices)


def test_longer_choices_are_scored_whole(base):
    choices = ("Yes, late", "No")
    records = [Record(id=a, prompt=f"Is it {a}?", response=a, choices=choices) for a in choices]
    made, _ = prepared(base, records)
    assert made.heldout.tokens == []
    chosen = evaluate(made.frozen, made.heldout, None).chosen
    alone = [Record(id=f"{r.id}-{c}", prompt=r.prompt, response=c) for r in records for c in choices]
    each, _ = prepared(base, alone)
    sums = evaluate(each.frozen, each.heldout, None)
    losses = (sums.losses[0] * sums.tokens).view(2, 2)
    assert chosen[0].tolist() == [int(losses[0].argmin()) == 0, int(losses[1].argmin()) == 1]


def test_a_spoiled_example_that_gets_too_long_is_refused_or_its_prompt_cut(base):
    long = " ".join(["late"] * 400)
    records = [
        Record(
            id="1", prompt="Is it " + " ".join(["lost"] * 200) + "?", response="No", place="a.jsonl, line 1"
        ),
        Record(id="2", prompt="Why?", response=long, place="a.jsonl, line 2"),
    ]
    spoiled = Quality(corruption="other_record", share=0.0)
    with pytest.raises(InputError, match=r"a\.jsonl, line 1 with another answer .*--on-long truncate"):
        prepared(base, records, quality=spoiled)
    for policy in ("drop", "truncate"):
        made, drawn = prepared(base, records, quality=spoiled, on_long=policy)
        assert max(map(len, drawn)) <= base.decoder.config.context
        assert any("1 spoiled examples had their prompts cut" in note for note in made.notes)
