"""A conversation says what the model would, piece by piece, on the stack that it has at that moment."""

from dataclasses import replace

import pytest
import torch
from follows import follows
from random_adapters import random_adapter
from scipy import stats

import workbench as wb
from workbench.adapters.formats import save_adapter
from workbench.adapters.stack import WeightedAdapter, stacked
from workbench.chatting import in_torch
from workbench.chatting.conversation import Conversation
from workbench.chatting.in_torch import OneSequence
from workbench.chatting.sampling import Sampling
from workbench.chatting.writers import WRITERS, Writer, choose_writer
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.errors import InputError
from workbench.models.decoder import Decoder
from workbench.models.generation import generate
from workbench.models.loaders import load_base

TOKENS = [3, 7, 11, 2, 19, 5, 23, 8, 1, 13]


@pytest.fixture(scope="module")
def base():
    return load_base("classroom", "float32")


def two_adapters(config) -> list[WeightedAdapter]:
    one = random_adapter(config, seed=1)
    other = random_adapter(config, seed=2, rank=2, leaves=("q_proj", "down_proj"), blocks=(1,), alpha=3.0)
    return [WeightedAdapter(one, 0.5), WeightedAdapter(other, -2.0)]


def merged(decoder: Decoder, parts) -> Decoder:
    """The decoder with every change added to its weights."""
    weights = {name: decoder.weight(name).clone() for name in decoder.weights}
    for part in parts:
        for layer in part.adapter.layers:
            weights[layer] += part.weight * part.adapter.change(layer)
    return Decoder(decoder.config, weights)


def logits_after(decoder: Decoder, tokens, adapters=None):
    """What the whole text at once gives for the token behind it."""
    batch = Pool([Example(tuple(tokens), 1)]).batch([[0]])
    return decoder.head(decoder(batch, adapters).flatten(0, 1))[len(tokens) - 1]


def test_a_stack_is_the_sum_of_its_changes(tiny_decoder):
    parts = two_adapters(tiny_decoder.config)
    with torch.no_grad():
        got = logits_after(tiny_decoder, TOKENS, stacked(parts))
        expected = logits_after(merged(tiny_decoder, parts), TOKENS)
        assert (expected - logits_after(tiny_decoder, TOKENS)).abs().max() > 0.1
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    assert stacked([replace(part, weight=0.0) for part in parts]) == {}


@pytest.mark.parametrize("cuts", [(10,), (1,) * 10, (4, 3, 1, 2)])
def test_a_text_that_grows_is_read_as_the_whole(tiny_decoder, cuts, monkeypatch):
    monkeypatch.setattr(in_torch, "SPARE_TOKENS", 1)  # so that room is made again and again
    adapters = stacked(two_adapters(tiny_decoder.config))
    sequence, read = OneSequence(tiny_decoder), 0
    for count in cuts:
        got = sequence.add(TOKENS[read : read + count], adapters)
        read += count
        torch.testing.assert_close(
            got, logits_after(tiny_decoder, TOKENS[:read], adapters).detach(), rtol=1e-4, atol=1e-4
        )
    sequence.keep(3)
    got = sequence.add([9, 9], adapters)
    expected = logits_after(tiny_decoder, [*TOKENS[:3], 9, 9], adapters).detach()
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_a_token_is_read_on_the_adapters_that_are_given(tiny_decoder):
    one, other = ({} if n else stacked(two_adapters(tiny_decoder.config)) for n in range(2))
    sequence = OneSequence(tiny_decoder)
    for adapters in (one, other, one):
        sequence.keep(0)
        for token in TOKENS:
            got = sequence.add([token], adapters)
        expected = logits_after(tiny_decoder, TOKENS, adapters).detach()
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_the_likeliest_answer_is_that_of_generation(base):
    """Two turns: what is kept of the first doesn't change the second."""
    with Conversation(base, template="plain", writer="workbench", sampling=Sampling(limit=12)) as talk:
        for question in ("past walk=", "past go=", "past walk="):
            pieces = list(talk.ask(question))
            earlier = "".join(f"{asked}\n{said}\n" for asked, said in talk.history[:-1])
            ids = base.tokenizer.encode(f"{earlier}{question}\n")
            ids = ids if base.tokenizer.bos is None else [base.tokenizer.bos, *ids]
            (written,) = generate(base.decoder, [[ids]], stops=base.tokenizer.stops, limit=12)
            assert talk.last.text == "".join(pieces) == base.tokenizer.decode(written[0])
            assert talk.last.tokens == len(written[0])
        assert len(talk.history) == 3
        talk.forget()
        assert (talk.history, talk.last) == ([], None)
        again = "".join(talk.ask("past sing="))
    with Conversation(base, template="plain", writer="workbench", sampling=Sampling(limit=12)) as talk:
        assert "".join(talk.ask("past sing=")) == again, "nothing is left of what was forgotten"


def test_weights_may_change_between_two_answers(base):
    parts = [WeightedAdapter(random_adapter(base.decoder.config, size=0.4), 1.0)]
    sampling = Sampling(limit=8)

    def fresh(weight: float) -> str:
        own = [replace(parts[0], weight=weight)]
        with Conversation(base, own, template="plain", sampling=sampling, writer="workbench") as talk:
            return "".join(talk.ask("past walk="))

    with Conversation(base, parts, template="plain", sampling=sampling, writer="workbench") as talk:
        said = {}
        for weight in (1.0, 0.0, 1.0):
            talk.weigh(0, weight)
            talk.forget()
            said[weight] = "".join(talk.ask("past walk="))
            assert said[weight] == fresh(weight)
        assert said[1.0] != said[0.0]
        with pytest.raises(InputError, match="there is no adapter 2; the stack has 1"):
            talk.weigh(1, 1.0)


def test_draws_follow_the_temperature():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    sampling = Sampling(temperature=0.7, seed=5)
    chance = sampling.chance()
    counts = torch.bincount(torch.tensor([sampling.choose(logits, chance) for _ in range(4000)]), minlength=4)
    expected = 4000 * (logits.double() / 0.7).softmax(dim=0)
    assert stats.chisquare(counts, expected).pvalue > 0.001
    assert Sampling().choose(logits, chance) == 0


def test_a_seed_gives_the_same_answer_again_and_another_another(base):
    answers = []
    for seed in (1, 1, 2):
        sampling = Sampling(temperature=3.0, seed=seed, limit=20)
        with Conversation(base, template="plain", sampling=sampling, writer="workbench") as talk:
            answers.append("".join(talk.ask("past walk=")))
    assert answers[0] == answers[1] != answers[2]


def test_who_stops_listening_stops_the_answer_and_keeps_what_was_said(base):
    with Conversation(base, template="plain", writer="workbench", sampling=Sampling(limit=30)) as talk:
        talk.stops = frozenset()
        pieces = talk.ask("past walk=")
        heard = next(pieces) + next(pieces)
        pieces.close()
        assert (talk.last.text, talk.last.ended) == (heard, "stopped")
        assert talk.history == [("past walk=", heard)]
        list(talk.ask("past go="))
        assert (talk.last.ended, talk.last.tokens) == ("limit", 30)


@follows("begin a new one (/new), or ask something shorter")
def test_what_is_too_long_is_refused_and_the_conversation_goes_on(base):
    with Conversation(base, template="plain", writer="workbench", sampling=Sampling(limit=999)) as talk:
        with pytest.raises(InputError, match="classroom reads 128; begin a new one"):
            list(talk.ask("walk " * 40))
        assert talk.history == []
        talk.stops = frozenset()
        list(talk.ask("past walk="))
        assert talk.last.tokens < 128, "no answer runs past what the base can read"


def test_a_character_of_several_tokens_comes_whole(base):
    class Halves:
        """A tokenizer whose tokens are bytes."""

        def __getattr__(self, name):
            return getattr(base.tokenizer, name)

        def decode(self, ids):
            return bytes(ids).decode(errors="replace")

    with Conversation(base, template="plain", writer="workbench") as talk:
        talk.base = replace(base, tokenizer=Halves())
        talk.writer.write = lambda *_: iter("aé€b".encode())
        assert list(talk.ask("past walk=")) == ["a", "é", "€", "b"]
        talk.forget()
        talk.writer.write = lambda *_: iter("é".encode()[:1])
        assert list(talk.ask("past walk=")) == ["\ufffd"], "what stays cut is shown at the end"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"limit": 0}, "limit is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
    ids=str,
)
def test_sampling_refuses(change, message):
    with pytest.raises(InputError, match=message):
        Sampling(**change)


@follows("or leave --with out")
@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_has_a_name_and_a_reason_where_it_cannot_write(base, name):
    if name == "workbench":
        writer, note = choose_writer("auto", base, [])
        assert isinstance(writer, Writer)
        assert note == "the workbench's own decoder writes: it doesn't know the tokenizer of classroom"
    else:
        with pytest.raises(InputError, match=r"llama\.cpp can't write here"):
            choose_writer(name, base, [])
    with pytest.raises(InputError, match="unknown writer 'llama'"):
        choose_writer("llama", base, [])


def test_the_front_door_takes_names_files_and_what_is_loaded(base, tmp_path, capsys):
    adapter = random_adapter(base.decoder.config, size=0.4)
    save_adapter(adapter, tmp_path / "mine", base=base)
    options = {"template": "plain", "writer": "workbench", "limit": 6}
    said = []
    for given in (f"{tmp_path / 'mine'}:0.5", WeightedAdapter(adapter, 0.5)):
        with wb.chat("classroom", [given], **options) as talk:
            answer = talk.say("past walk=")
            assert capsys.readouterr().out == f"{answer.text}\n"
            assert [one.weight for one in talk.adapters] == [0.5]
            assert str(answer.tokens) in str(answer)
            said.append(answer.text)
    with wb.chat(base, [adapter], **options) as talk:
        assert [one.weight for one in talk.adapters] == [1.0]
        said.append(talk.say("past walk=").text)
    assert said[0] == said[1] != said[2]
    foreign = random_adapter(replace(base.decoder.config, width=64, head_size=16, heads=4, kv_heads=2))
    with pytest.raises(InputError, match="take the base that the adapter was trained on"):
        wb.chat(base, [foreign], **options)


def test_an_interrupted_answer_is_kept(base, capsys):
    with wb.chat(base, template="plain", writer="workbench") as talk:
        write = talk.writer.write

        def interrupted(*given):
            yield from list(write(*given))[:2]
            raise KeyboardInterrupt

        talk.writer.write = interrupted
        answer = talk.say("past walk=")
        assert (answer.tokens, answer.ended) == (2, "stopped")
        assert capsys.readouterr().out == f"{answer.text}\n"
        assert talk.history == [("past walk=", answer.text)]
