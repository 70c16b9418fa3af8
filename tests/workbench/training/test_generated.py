"""What cells write, judged: the same as the exact match that needs no generation, whatever the chunks."""

from dataclasses import replace

import pytest

from workbench.config import CellConfig
from workbench.data.batches import Pool
from workbench.data.records import Record
from workbench.data.templates import Example
from workbench.training import generated
from workbench.training.evaluation import HeldOut, evaluate
from workbench.training.generated import WRITTEN, Generation, generation_of, judged, metrics_in, responses
from workbench.training.loop import freeze, train

LETTERS = "abcdefghijklmnopqrstuvwxyz012"
ITEMS = 24


def spelled(tokens) -> str:
    return "".join(LETTERS[token] for token in tokens)


@pytest.fixture(scope="module")
def answers():
    return [tuple(((i * 3 + j) % 19) + 5 for j in range(1 + i % 3)) for i in range(ITEMS)]


@pytest.fixture
def frozen(tiny_decoder, answers):
    asked = [tuple(range(5 + i % 7, 8 + i % 7 + i % 4)) for i in range(ITEMS)]
    examples = [Example((*q, 4, *a, 2), len(q) + 1) for q, a in zip(asked, answers, strict=True)]
    return freeze(tiny_decoder, Pool(examples), 0)


@pytest.fixture
def trained(frozen):
    """Two cells that know some of the answers."""
    cell = CellConfig(data="d", base="b", size=12, rank=4, steps=120, learning_rate=0.02, batch_size=4)
    cells = [replace(cell, seed=seed) for seed in (0, 1)]
    return train(frozen, cells, [list(range(12)), list(range(6, 18))])[0]


def generation(answers, metrics=("token_f1",), limit=12) -> Generation:
    records = tuple(
        Record(id=str(place), prompt="q", response=spelled(one)) for place, one in enumerate(answers)
    )
    return Generation(metrics=metrics, records=records, limit=limit, decode=spelled)


def test_what_is_written_to_the_letter_is_the_exact_match(frozen, trained, answers):
    heldout = HeldOut(list(range(ITEMS)))
    exact = evaluate(frozen, heldout, trained).exact
    written = responses(frozen, heldout, generation(answers), trained)
    assert [
        [said.text == spelled(one) for said, one in zip(row, answers, strict=True)] for row in written
    ] == (exact.tolist())
    assert 0.1 < exact.double().mean() < 0.9
    assert exact[0].tolist() != exact[1].tolist()


def test_the_chunks_change_nothing_and_every_response_finds_its_record(frozen, trained, answers):
    heldout = HeldOut([*range(ITEMS)][::-1])
    how = generation(answers[::-1])
    whole = responses(frozen, heldout, how, trained)
    assert responses(frozen, heldout, how, trained, cache_bytes=1) == whole
    assert responses(frozen, heldout, how, trained, cache_bytes=40_000) == whole
    assert whole[0] == responses(frozen, HeldOut([*range(ITEMS)]), generation(answers), trained)[0][::-1]


def test_the_bare_base_writes_too_and_at_most_up_to_the_limit(frozen, answers):
    (said,) = responses(frozen, HeldOut([*range(ITEMS)]), generation(answers, limit=3), None)
    assert len(said) == ITEMS
    assert max(len(one.text) for one in said) == 3
    assert [one.tokens for one in said] == [len(one.text) for one in said], "a token is a letter"


def test_what_is_scored_depends_neither_on_the_chunks_nor_on_free_memory(frozen, answers, monkeypatch):
    generate, exact = generated.generate, []
    monkeypatch.setattr(
        generated, "generate", lambda *given, **more: exact.append(more["exact"]) or generate(*given, **more)
    )
    responses(frozen, HeldOut([*range(ITEMS)]), generation(answers, limit=3), None, cache_bytes=1)
    assert len(exact) > 1
    assert all(exact), "few prompts of a long generation are multiplied in four bits otherwise"


def test_nothing_is_written_beyond_what_the_base_can_read(tiny_decoder):
    pool = Pool([Example((*[5, 6] * 29, 7, 2), 59), Example((8, 9, 7, 2), 3)])
    how = Generation(
        metrics=("token_f1",),
        records=tuple(Record(id=one, prompt="q", response="h") for one in "ab"),
        limit=20,
        decode=spelled,
    )
    frozen = freeze(tiny_decoder, pool, 0)
    long, short = responses(frozen, HeldOut([0, 1]), how, None)[0]
    assert len(long.text) <= 64 - 59
    assert len(short.text) <= 20
    alone = responses(frozen, HeldOut([1]), replace(how, records=how.records[1:]), None)[0]
    assert alone == [short]


def test_what_a_template_puts_before_each_response_is_none_of_it(frozen, trained, answers):
    marked = generation([one[1:] if len(one) > 1 else one for one in answers])
    heldout = HeldOut([*range(ITEMS)])
    plain = responses(frozen, heldout, generation(answers), trained)[0]
    for said, bare, one in zip(responses(frozen, heldout, marked, trained)[0], plain, answers, strict=True):
        before = spelled(one[:1]) if len(one) > 1 else ""
        assert said.text == bare.text.removeprefix(before)
        assert said.tokens == bare.tokens


def test_each_response_is_judged_beside_its_own_reference(frozen, trained, answers):
    how = generation(answers)
    scores = judged(frozen, HeldOut([*range(ITEMS)]), how, trained)
    said = responses(frozen, HeldOut([*range(ITEMS)]), how, trained)
    for row, own in zip(scores, said, strict=True):
        right = [float(a.text == b.response) for a, b in zip(own, how.records, strict=True)]
        assert row == {"token_f1": right, WRITTEN: [one.tokens for one in own]}


def test_a_set_without_numbers_is_not_judged_by_them():
    records = [
        Record(id=str(n), prompt="q", response=text, place=f"a.jsonl, line {n}")
        for n, text in enumerate(["7", "no", "8"], start=1)
    ]
    how, notes = generation_of("x", ["numeric", "token_f1"], records, [3, 40, 4], spelled)
    assert how.metrics == ("token_f1",)
    assert how.limit == 50
    assert notes[0] == (
        "numeric isn't measured on the evaluation set 'x': 1 of 3 answers have no number (a.jsonl, line 2)"
    )
    assert "up to 50 tokens" in notes[1]
    assert generation_of("x", ["numeric"], records, [3, 4, 4], spelled)[0] is None
    assert generation_of("heldout", ["numeric"], records[:1], [3], spelled)[0].limit == 11


def test_the_metrics_of_a_table_come_set_by_set():
    columns = [
        "key",
        "steps",
        "exact_match",
        "a.rouge_l",
        "a.loss",
        "own_b",
        "loss",
        "numeric",
        "seconds",
        "own_a",
    ]
    assert metrics_in(columns) == ["loss", "exact_match", "numeric", "own_a", "own_b", "a.loss", "a.rouge_l"]
