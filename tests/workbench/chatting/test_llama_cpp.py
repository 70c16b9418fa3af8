"""llama.cpp writes what our own decoder writes, on the same files."""

from dataclasses import replace

import pytest
from random_adapters import random_adapter

from workbench.adapters.stack import WeightedAdapter, stacked
from workbench.chatting.conversation import Conversation
from workbench.chatting.in_torch import OneSequence
from workbench.chatting.sampling import Sampling

pytestmark = pytest.mark.slow


def tokens_of(base, adapters, weights, prompt, count: int) -> list[int]:
    """What llama.cpp writes."""
    with Conversation(base, adapters, writer="llama.cpp") as talk:
        return list(talk.writer.write(prompt, weights, Sampling(limit=count), ()))


def furthest_from_likeliest(base, adapters, prompt, written) -> float:
    """The most by which our log-probability of a written token falls short of the likeliest one's."""
    sequence, stack, worst, read = OneSequence(base.decoder), stacked(adapters), 0.0, prompt
    for token in written:
        logits = sequence.add(read, stack)
        worst = max(worst, float(logits.max() - logits[token]))
        read = [token]
    return worst


def test_what_it_writes_on_two_adapters_is_likeliest_for_our_decoder(smollm2):
    """Two programs round differently, so of two tokens that are as likely either may be written."""
    pytest.importorskip("xllamacpp", reason="the test extra brings xllamacpp")
    config = smollm2.decoder.config
    parts = [
        WeightedAdapter(random_adapter(config, seed=seed, size=size), weight)
        for seed, size, weight in ((1, 0.08, 1.0), (2, 0.2, 0.5))
    ]
    prompt = smollm2.tokenizer.encode("Once upon a time")
    written = tokens_of(smollm2, parts, (1.0, 0.5), prompt, 48)
    assert len(written) == 48
    assert furthest_from_likeliest(smollm2, parts, prompt, written) < 0.3
    assert furthest_from_likeliest(smollm2, [], prompt, written) > 1, "the adapters decide what is written"
    swapped = [replace(parts[0], weight=0.5), replace(parts[1], weight=1.0)]
    assert furthest_from_likeliest(smollm2, swapped, prompt, written) > 1
    bare = tokens_of(smollm2, parts, (0.0, 0.0), prompt, 48)
    assert furthest_from_likeliest(smollm2, [], prompt, bare) < 0.3


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
    answers = []
    for seed in (1, 1, 2):
        sampling = Sampling(limit=16, temperature=1.5, seed=seed)
        with Conversation(smollm2, sampling=sampling, writer="llama.cpp") as talk:
            answers.append("".join(talk.ask("Name a river in France.")))
    assert answers[0] == answers[1] != answers[2]
