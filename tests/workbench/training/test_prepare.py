"""From records to indices: what is one example, what is another, and how choices are scored."""

from dataclasses import replace

import pytest
import tiny_chat
from follows import follows

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


def prepared(base, train, heldout=None, quality=None, template="chat", **options):
    heldout = heldout or train
    data = Dataset(
        name="d", train=tuple(train), heldout=tuple(heldout), template="chat", licence="", origin=""
    )
    cell = CellConfig(data="d", base="b", quality=quality or Quality(), size=len(train), steps=1)
    made = prepare(base, data, [cell], template, **options)
    pool = made.pool
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


TURNS = (("Is it lost?", "No"), ("Is it paid?", "Yes"))
ASKED = Record(id="1", prompt="Is it late?", response="Yes", history=TURNS)


def test_the_loss_on_all_answers_is_said_and_held_out_records_have_it(base):
    made, _ = prepared(base, [ASKED], [ASKED, replace(ASKED, id="2", history=())], loss_on="all")
    assert "the loss counts 2 answers of earlier turns in 2 examples" in made.notes
    pool = made.pool
    first, second = made.heldout.references
    # each answer is a word and an end
    assert int(pool.labels[first]) > 2 * int(pool.labels[second]) == 2 * (pool.lengths - pool.prompts)[second]
    alone, _ = prepared(base, [ASKED])
    assert not any("loss" in note for note in alone.notes)
    assert (alone.pool.labels == alone.pool.lengths - alone.pool.prompts).all()
    none, _ = prepared(base, [replace(ASKED, history=())], loss_on="all")
    assert any("no record has earlier answers" in note for note in none.notes)


DROPS = tiny_chat.ZEPHYR.replace(
    "message['content']", "(message['content'] if loop.last else message['content'].split('#')[-1])"
)


@follows("learn the last answers alone with --loss-on last, or use a template that writes each turn once")
def test_answers_that_the_chat_template_writes_otherwise_are_counted_or_refused(tmp_path):
    base = load_base(tiny_chat.make_folder(tmp_path / "base", "zephyr", chat_template=DROPS))
    dropped = replace(ASKED, history=(("Is it lost?", "hm#No"),))
    with pytest.raises(InputError, match=r"none of the 1 earlier answers.*--loss-on last.*--template plain"):
        prepared(base, [dropped], loss_on="all")
    prepared(base, [dropped], loss_on="last")
    prepared(base, [dropped], loss_on="all", template="plain")
    made, _ = prepared(base, [dropped, replace(ASKED, id="2")], loss_on="all")
    assert any("2 answers of earlier turns in 2 examples and leaves out 1:" in note for note in made.notes)
