"""Pre-training the classroom base, in a few steps: repeatable, and rounded the way the file is."""

import json
from dataclasses import replace

import pytest
import torch

from qlora_kernels import QuantizedTensor
from workbench.classroom import pretrain as module
from workbench.classroom.pretrain import (
    DECODER,
    TOKENIZER,
    PretrainConfig,
    deal,
    exact_match,
    example_of,
    first_weights,
    packed,
    pretrain,
    pretrain_data,
    rate,
    save_base,
    straight_through,
)
from workbench.classroom.word_tasks import REVERSE, WordTask
from workbench.data.sources.verbs import read_word_table
from workbench.errors import InputError
from workbench.models.decoder import Decoder
from workbench.models.loaders import load_base

SHORT = PretrainConfig(steps=4, batch_size=8, quantized_share=0.5)


@pytest.fixture(scope="module")
def data():
    rows = [row for row in read_word_table() if row[0].startswith("wa")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "REVERSALS", 100)
        return pretrain_data(rows, SHORT)


@pytest.fixture(scope="module")
def weights(data):
    return pretrain(data, SHORT)


def test_the_same_settings_give_the_same_file(tmp_path, data, weights):
    again = pretrain(data, SHORT)
    paths = [save_base(tmp_path / name, w, SHORT, {}) for name, w in (("one", weights), ("two", again))]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    other = pretrain(data, replace(SHORT, seed=1))
    assert save_base(tmp_path / "three", other, SHORT, {}).read_bytes() != paths[0].read_bytes()


def test_the_file_gives_back_the_packed_weights(tmp_path, data, weights):
    path = save_base(tmp_path, weights, SHORT, {"note": "short"})
    base = load_base(path)
    for name, stored in packed(weights).items():
        numbers = stored.dequantize() if isinstance(stored, QuantizedTensor) else stored
        assert torch.equal(base.decoder.weight(name), numbers), name
    assert base.tokenizer.encode("past") == TOKENIZER.encode("past")
    record = json.loads((tmp_path / "classroom.json").read_text())
    assert (record["sha256"], record["note"]) == (base.sha256, "short")
    assert PretrainConfig(**record["settings"]) == SHORT


def test_the_last_steps_see_rounded_weights(data, monkeypatch):
    seen = []
    original = module.straight_through
    monkeypatch.setattr(module, "straight_through", lambda weights: seen.append(1) or original(weights))
    pretrain(data, SHORT)
    assert len(seen) == 2


def test_straight_through_rounds_forward_and_not_backward():
    weights = {name: w.requires_grad_() for name, w in first_weights(DECODER, 0).items()}
    rounded = straight_through(weights)
    for name, stored in packed(weights).items():
        numbers = stored.dequantize() if isinstance(stored, QuantizedTensor) else stored
        torch.testing.assert_close(rounded[name], numbers, rtol=1e-6, atol=1e-8)
    assert not torch.equal(rounded["layers.0.q_proj"], weights["layers.0.q_proj"])
    sum((w * 3).sum() for w in rounded.values()).backward()
    assert all(torch.equal(w.grad, torch.full_like(w, 3)) for w in weights.values())


def test_training_lowers_the_loss(data):
    losses = []
    pretrain(data, replace(SHORT, steps=20, warmup_steps=5), on_step=lambda step, loss: losses.append(loss))
    assert len(losses) == 20
    assert sum(losses[-5:]) / 5 < losses[0] - 1.0


def test_dealing_goes_round_a_task_before_it_repeats():
    train = {name: [WordTask(name, str(i), "") for i in range(n)] for name, n in (("ing", 4), (REVERSE, 9))}
    config = PretrainConfig(steps=40, batch_size=10, reverse_share=0.25)
    dealt = [index for step in deal(train, config) for index in step]
    assert dealt == [index for step in deal(train, config) for index in step]
    words = [index for index in dealt if index < 4]
    assert 0.65 < len(words) / len(dealt) < 0.85
    for start in range(0, len(words) - 3, 4):
        assert sorted(words[start : start + 4]) == [0, 1, 2, 3]


def test_larger_tasks_come_more_often():
    train = {name: [WordTask(name, str(i), "") for i in range(n)] for name, n in (("a", 100), ("b", 10_000))}
    train[REVERSE] = [WordTask(REVERSE, "ab", "ba")]
    config = PretrainConfig(steps=100, batch_size=100, reverse_share=0.0, task_power=0.5)
    dealt = [index for step in deal(train, config) for index in step]
    # in proportion to the root of their sizes: 10 to 100
    assert sum(index < 100 for index in dealt) / len(dealt) == pytest.approx(1 / 11, abs=0.015)


def test_the_rate_rises_then_falls_to_nothing():
    config = PretrainConfig(steps=100, warmup_steps=10)
    rates = [rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9]
    assert rates[-1] == pytest.approx(0.01)


def test_exact_match_asks_for_the_end_too(data):
    """A base that always writes the end token is right about an empty answer only."""
    weights = first_weights(DECODER, 0)
    embedding = torch.zeros_like(weights["embedding"])
    embedding[:, 0] = 1.0
    embedding[TOKENIZER.eos, 0] = 5.0
    silent = {n: torch.zeros_like(w) if n.endswith("_proj") else w for n, w in weights.items()}
    decoder = Decoder(DECODER, {**silent, "embedding": embedding})
    assert exact_match(decoder, [WordTask("ing", "go", ""), WordTask("ing", "go", "going")]) == 0.5


def test_an_example_begins_and_ends_with_its_tokens():
    example = example_of(WordTask("plural", "box", "boxes"))
    assert example.token_ids[0] == TOKENIZER.bos
    assert example.token_ids[-1] == TOKENIZER.eos
    assert TOKENIZER.decode(example.token_ids[example.prompt_length : -1]) == "boxes"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0; it has to be at least 1"),
        ({"quantized_share": 1.5}, "quantized_share is 1.5; it is a share, from 0 to 1"),
    ],
)
def test_settings_that_no_run_could_use_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        PretrainConfig(**changes)
