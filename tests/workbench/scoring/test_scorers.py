"""Scorers: numbers that other programs and plain counting give too, one for each record, in its place."""

import json
import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from workbench.data.qualities import parse_quality
from workbench.data.records import Record
from workbench.data.sources import load_dataset
from workbench.data.sources.files import How
from workbench.data.subsets import draw
from workbench.data.templates import Example, prompt_ids, render
from workbench.errors import InputError
from workbench.models.loaders import load_base
from workbench.scoring import model_losses, scored, scorers
from workbench.scoring.scored import read_records, score_columns, write_scored
from workbench.scoring.scorers import SCORERS, Given


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No scores from another test."""
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def classroom():
    return load_base("classroom", "float32")


@pytest.fixture(scope="module")
def verbs():
    return load_dataset("verbs").train


def rated(response="good", ratings=(1.0, -2.0, 3.0, 0.0)):
    return Record(id="r", prompt="text", response=response, choices=("bad", "good"), ratings=ratings)


def asked(*responses):
    return tuple(Record(id=str(n), prompt="p", response=said) for n, said in enumerate(responses))


@pytest.mark.parametrize("name", SCORERS)
def test_conformance(name, classroom, verbs):
    records = verbs[:24]
    given = Given(records=records, base=classroom, template="verbs", evaluation=verbs[30:40])
    (column,) = score_columns(given, [name])
    assert len(column.scores) == len(records)
    assert all(score is None or math.isfinite(score) for score in column.scores)
    assert not column.kept
    (again,) = score_columns(given, [name])
    assert (again.scores, again.seconds, again.kept) == (column.scores, column.seconds, True)
    if name != "tuned_loss":  # there the order of the records is that of the training
        (turned,) = score_columns(replace(given, records=records[::-1]), [name])
        for one, other in zip(turned.scores[::-1], column.scores, strict=True):
            assert one == (None if other is None else pytest.approx(other, rel=1e-5))
        assert not turned.kept
    scorer = SCORERS[name]
    assert all((scorer.about, scorer.unit, scorer.source))
    if scorer.needs != "records":
        lacking = replace(given, base=None) if scorer.needs == "base" else replace(given, evaluation=())
        with pytest.raises(InputError, match=f"scorer '{name}' "):
            score_columns(lacking, [name])


def test_losses_are_those_of_a_plain_loop(classroom, verbs):
    """The same decoder, one text at a time, without batches, prefixes or label slots."""
    from workbench.data.batches import Pool

    def plain(tokens, first):
        batch = Pool([Example(tuple(tokens), 1)]).batch([[0]])
        with torch.no_grad():
            logits = classroom.decoder.head(classroom.decoder(batch, {}).flatten(0, 1))
        losses = functional.cross_entropy(
            logits[: len(tokens) - 1], torch.tensor(tokens[1:]), reduction="none"
        )
        return float(losses[first - 1 :].double().mean())

    records = verbs[:100]
    given = Given(records=records, base=classroom, template="verbs")
    loss, ifd = score_columns(given, ["loss", "ifd"])
    bos = classroom.tokenizer.bos
    for record, one, ratio in zip(records, loss.scores, ifd.scores, strict=True):
        tokens = list(render("verbs", record, classroom.tokenizer).token_ids)
        begin = len(prompt_ids("verbs", record, classroom.tokenizer))
        assert one == pytest.approx(plain(tokens, begin), abs=1e-4)
        alone = tokens[begin:] if bos is None else [bos, *tokens[begin:]]
        assert ratio == pytest.approx(plain(tokens, begin) / plain(alone, 1), abs=1e-3)


def test_a_response_without_anything_before_it_has_no_ratio(classroom):
    """A text alone of one token: a base without a first token of its own has nothing to see it from."""
    whole = [Example((5, 6, 7), 1), Example((5, 6), 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classroom.tokenizer, "bos", None)
        patch.setattr(model_losses, "render", lambda template, record, tokenizer: whole[int(record.id)])
        ratios = model_losses.ifd(classroom, asked("a", "b"), "plain", lambda share: None)
    assert ratios[1] is None
    assert ratios[0] > 0


def test_the_adapter_that_has_learnt_is_asked(classroom):
    """Where all say one odd thing, two passes teach it, and the loss falls."""
    records = tuple(Record(id=str(n), prompt=f"p{n}", response="zqxj") for n in range(96))
    before, after = score_columns(
        Given(records=records, base=classroom, template="plain"), ["loss", "tuned_loss"]
    )
    assert sum(after.known) < 0.8 * sum(before.known)


@pytest.mark.slow
def test_losses_are_those_of_transformers(smollm2, smollm2_path):
    """Issue's number: loss and IFD to 1e-3 on 100 records, tokenizer included."""
    transformers = pytest.importorskip("transformers")
    folder, name = str(smollm2_path.parent), smollm2_path.name
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
    topics = ["rivers", "music", "bread", "winter", "chess", "trains", "paper", "salt", "birds", "glass"]
    records = [
        Record(
            id=f"{n} {topic}",
            prompt=f"Say {n} things about {topic}.",
            response=f"{topic.title()} are {n * 7}.",
        )
        for topic in topics
        for n in range(1, 11)
    ]

    def theirs(prompt, answer):
        asked, said = tokenizer(prompt)["input_ids"], tokenizer(answer)["input_ids"]
        ids = [*asked, *said, tokenizer.eos_token_id]
        labels = [-100] * len(asked) + ids[len(asked) :]
        with torch.no_grad():
            return float(model(torch.tensor([ids]), labels=torch.tensor([labels])).loss)

    given = Given(records=tuple(records), base=smollm2, template="plain")
    loss, ifd = score_columns(given, ["loss", "ifd"])
    assert len(records) == 100
    for record, one, ratio in zip(records, loss.scores, ifd.scores, strict=True):
        asked = theirs(f"{record.prompt}\n", record.response)
        assert one == pytest.approx(asked, abs=1e-3)
        assert ratio == pytest.approx(asked / theirs("", record.response), abs=1e-3)


def test_two_passes_tell_spoiled_answers_from_right_ones(classroom):
    data = load_dataset("verbs")
    records = tuple(draw(data, parse_quality("other_form:0.7"), 300, 0))
    assert 60 < sum(record.spoiled is not None for record in records) < 120
    given = Given(records=records, base=classroom, template="verbs")
    (tuned,) = score_columns(given, ["tuned_loss"])
    assert area(tuned.scores, records) > 0.8
    assert area((0.0,) * len(records), records) == 0.5


def area(scores, records):
    """The probability that a spoiled record scores above one that isn't (AUC), ties half."""
    spoiled = [s for s, record in zip(scores, records, strict=True) if record.spoiled]
    sound = [s for s, record in zip(scores, records, strict=True) if not record.spoiled]
    above = sum((a > b) + 0.5 * (a == b) for a in spoiled for b in sound)
    return above / len(spoiled) / len(sound)


def test_counts_are_those_of_counting_by_hand():
    records = [
        Record(id="1", prompt="a b c d", response="e f g h i"),
        Record(id="2", prompt="A b c d", response="e f g h i"),
        Record(id="3", prompt="a b c d", response="e f g h i"),
        Record(id="4", prompt="a", response="b"),
        Record(id="5", prompt="x " * 400, response="y"),
    ]
    given = Given(
        records=tuple(records), evaluation=(Record(id="e", prompt="z a b c d", response="e f g h z"),)
    )
    near = score_columns(given, ["near_copies"])[0].scores
    assert near == (3.0, 3.0, 3.0, 1.0, 1.0)
    length, copies, overlap, ratio = (
        column.scores for column in score_columns(given, ["length", "copies", "overlap", "compression"])
    )
    assert length == (9.0, 9.0, 9.0, 1.0, 1.0)
    assert copies == (2.0, 1.0, 2.0, 1.0, 1.0)
    # nine words have two runs of eight, of which the first stands in the other text; two words have none
    assert overlap == (0.5, 0.5, 0.5, None, 0.0)
    assert ratio[4] > 10 > 1 > ratio[3]


def test_raters_agree_with_a_response_or_not():
    cases = [rated(), rated("bad"), rated(ratings=(2.0, 1.0)), Record(id="x", prompt="p", response="q")]
    given = Given(records=tuple(replace(one, id=str(n)) for n, one in enumerate(cases)))
    (column,) = score_columns(given, ["agreement"])
    assert column.scores == (2.5 / 4, 1.5 / 4, 1.0, None)


def test_a_function_of_the_users_own_scores():
    def commas(record):
        return record.response.count(",") or None

    given = Given(
        records=(Record(id="1", prompt="p", response="a, b"), Record(id="2", prompt="p", response="a"))
    )
    (column,) = score_columns(given, [commas])
    assert (column.name, column.scores, column.known) == ("commas", (1.0, None), [1.0])

    def wrong(record):
        return "many"

    with pytest.raises(InputError, match=r"wrong\(\) said 'many' of record '1'; expected a number, or None"):
        score_columns(given, [wrong])
    with pytest.raises(InputError, match="'commas' is asked for twice"):
        score_columns(given, [commas, commas])


def test_kept_scores_rest_on_all_that_decides_them(classroom, verbs, monkeypatch):
    given = Given(records=verbs[:6], base=classroom, template="verbs")
    score_columns(given, ["loss"])
    for other in (
        replace(given, records=verbs[1:7]),
        replace(given, template="plain"),
        replace(given, base=replace(classroom, sha256="0" * 64)),
        replace(given, base=load_base("classroom", "bfloat16")),
        # the same is asked, but some templates write a context in its own place
        replace(given, records=tuple(replace(one, prompt="a\n\nb", context="b") for one in given.records)),
        replace(given, records=tuple(replace(one, prompt="a\n\nb") for one in given.records)),
    ):
        assert not score_columns(other, ["loss"])[0].kept
    monkeypatch.setitem(scorers.SCORERS, "loss", replace(SCORERS["loss"], version=2))
    assert not score_columns(given, ["loss"])[0].kept
    judged = Given(records=verbs[:6], evaluation=verbs[10:12])
    score_columns(judged, ["overlap"])
    assert not score_columns(replace(judged, evaluation=verbs[12:14]), ["overlap"])[0].kept
    with_raters = Given(records=(rated(),))
    score_columns(with_raters, ["agreement"])
    assert not score_columns(Given(records=(rated(ratings=(1.0, 1.0)),)), ["agreement"])[0].kept
    turned = replace(rated(), choices=("good", "bad"))
    assert not score_columns(Given(records=(turned,)), ["agreement"])[0].kept


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b'{"scores": [1.0], "seconds": 1.0}', b'{"scores": ["a", 1], "seconds": 1.0}']
)
def test_damaged_copies_are_worked_out_again(damage, tmp_path):
    given = Given(
        records=(Record(id="1", prompt="p", response="ab"), Record(id="2", prompt="p", response="abc"))
    )
    score_columns(given, ["length"])
    (path,) = (tmp_path / "cache" / "scores").iterdir()
    path.write_bytes(damage)
    (column,) = score_columns(given, ["length"])
    assert (column.scores, column.kept) == ((2.0, 3.0), False)


def test_a_scored_file_is_the_file_with_columns(tmp_path):
    path, out = tmp_path / "mine.jsonl", tmp_path / "scored.jsonl"
    rows = [{"prompt": f"p{n}", "response": "é" * (n + 1), "source": "wiki"} for n in range(8)]
    lines = [json.dumps(row) for row in rows]
    path.write_text("\n".join([*lines[:3], json.dumps({"prompt": "no answer"}), *lines[3:]]))
    records, _, notes = read_records(path, How(on_bad="drop"))
    assert "left out" in notes[-1]

    def odd(record):
        return 1 if int(record.prompt[1:]) % 2 else None

    columns = score_columns(Given(records=records), ["length", odd])
    write_scored(path, records, columns, out)
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert written[3] == {"prompt": "no answer"}
    expected = [row | {"length": n + 1.0} | ({"odd": 1.0} if n % 2 else {}) for n, row in enumerate(rows)]
    assert [*written[:3], *written[4:]] == expected
    with pytest.raises(InputError, match=r"scored.jsonl is there already, and nothing is replaced; .* --out"):
        write_scored(path, records, columns, out)
    again, _, _ = read_records(out, How(on_bad="drop"))
    with pytest.raises(InputError, match="has a column 'length' already"):
        write_scored(out, again, columns, tmp_path / "other.jsonl")
    # and a study chooses by it
    data = load_dataset(out, on_bad="drop", heldout=2)
    assert len(draw(data, parse_quality("length>=3"), 3, 0)) == 3


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(
            [
                {"instruction": "one", "instances": [{"input": "", "output": "a"}], "source": "wiki"},
                {"instruction": "two", "instances": [{"input": "x", "output": "b"}, {"output": "ccc"}]},
            ],
            id="tasks",
        ),
        pytest.param(
            [
                {
                    "question": f"how many, {n}?",
                    "6B": {"solution": "one", "is_correct": True},
                    "175B": {"solution": f"four, {n}", "is_correct": False},
                }
                for n in range(2)
            ],
            id="solutions",
        ),
    ],
)
def test_every_record_of_a_row_that_holds_several_has_its_score(tmp_path, rows):
    """Their rows were written as they were, without a score and without a word."""
    path, out = tmp_path / "mine.jsonl", tmp_path / "scored.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    records, template, _ = read_records(path, How())
    write_scored(path, records, score_columns(Given(records=records), ["length"]), out)
    again, as_before, _ = read_records(out, How())
    assert as_before == template

    def scored(record):
        return replace(record, extra={**record.extra, "length": float(len(record.response))})

    assert [replace(one, id="") for one in again] == [replace(scored(one), id="") for one in records]
    assert len(again) == (3 if template == "alpaca" else 4)


def test_an_unknown_scorer_is_refused_by_name():
    with pytest.raises(InputError, match=r"unknown scorer 'lenght'\. Did you mean 'length'"):
        score_columns(Given(records=(rated(),)), ["lenght"])
    assert scored.SCORERS is SCORERS
