"""llama.cpp writes what our own decoder writes, on the same files."""

from dataclasses import replace

import pytest
from random_adapters import random_adapter

from workbench.adapters.stack import WeightedAdapter
from workbench.chatting.conversation import Conversation
from workbench.chatting.sampling import Sampling

pytestmark = pytest.mark.slow
QUESTIONS = ("Name a river in France.", "And where does it end?")


def said(base, adapters, writer: str, weights=(), **sampling) -> list[str]:
    with Conversation(base, adapters, sampling=Sampling(limit=16, **sampling), writer=writer) as talk:
        for place, weight in enumerate(weights):
            talk.weigh(place, weight)
        return ["".join(talk.ask(question)) for question in QUESTIONS]


def test_two_turns_on_two_adapters_are_those_of_our_decoder(smollm2):
    pytest.importorskip("xllamacpp", reason="the test extra brings xllamacpp")
    config = smollm2.decoder.config
    parts = [
        WeightedAdapter(random_adapter(config, seed=seed, size=size), weight)
        for seed, size, weight in ((1, 0.02, 1.0), (2, 0.05, 0.5))
    ]
    ours, theirs = (said(smollm2, parts, writer) for writer in ("workbench", "llama.cpp"))
    assert ours == theirs
    bare = [said(smollm2, parts, writer, (0.0, 0.0)) for writer in ("workbench", "llama.cpp")]
    assert bare[0] == bare[1] != ours, "weights that change after the start count"


def test_an_answer_that_nobody_hears_ends_and_another_begins(smollm2):
    pytest.importorskip("xllamacpp", reason="the test extra brings xllamacpp")
    with Conversation(smollm2, sampling=Sampling(limit=400), writer="llama.cpp") as talk:
        pieces = talk.ask("Tell me a long story about a river.")
        heard = "".join(next(pieces) for _ in range(3))
        pieces.close()
        assert (talk.last.text, talk.last.ended) == (heard, "stopped")
        talk.sampling = replace(talk.sampling, limit=4)
        assert "".join(talk.ask("Say yes."))


def test_a_seed_decides_the_draws(smollm2):
    pytest.importorskip("xllamacpp", reason="the test extra brings xllamacpp")
    answers = [said(smollm2, [], "llama.cpp", temperature=1.5, seed=seed) for seed in (1, 1, 2)]
    assert answers[0] == answers[1] != answers[2]
