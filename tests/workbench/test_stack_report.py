"""What adapters do to each other: shared directions by scipy, losses by merged weights."""

import json

import numpy as np
import pytest
import torch
from follows import follows
from random_adapters import random_adapter
from scipy.linalg import subspace_angles

from workbench.adapters.formats import save_adapter
from workbench.adapters.ranks import effective_rank, overlap, singular_values
from workbench.adapters.stack import WeightedAdapter
from workbench.cli import main
from workbench.data.records import Record
from workbench.data.templates import render
from workbench.errors import InputError
from workbench.exporting.parity import log_probabilities
from workbench.models.decoder import Decoder
from workbench.models.loaders import load_base
from workbench.stack_report import Interference, report_on_stack

Q = "layers.0.q_proj"
WORDS = ("bale", "cite", "doze", "fume", "rearrange", "dye")


@pytest.fixture(scope="module")
def base():
    return load_base("classroom", "float32")


@pytest.fixture(scope="module")
def parts(base):
    config = base.decoder.config
    return [
        WeightedAdapter(random_adapter(config, seed=1, rank=3), 1.0),
        WeightedAdapter(random_adapter(config, seed=2, rank=5, leaves=("q_proj", "up_proj")), 0.5),
        WeightedAdapter(random_adapter(config, seed=3, rank=2, leaves=("v_proj",), blocks=(2,)), -1.0),
    ]


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    path = tmp_path_factory.mktemp("task") / "words.jsonl"
    lines = [json.dumps({"prompt": f"past {word}", "response": f"{word}d"}) for word in WORDS]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_shared_directions_are_the_cosines_of_principal_angles(parts):
    one, other = parts[0].adapter, parts[1].adapter
    read, written = overlap(one, other, Q)
    (a, b), (c, d) = one.matrices(Q), other.matrices(Q)
    for got, left, right in ((read, a.T, c.T), (written, b, d)):
        angles = subspace_angles(left.double().numpy(), right.double().numpy())
        assert float(got) == pytest.approx(np.mean(np.cos(angles) ** 2), rel=1e-9)
    assert [float(share) for share in overlap(one, one, Q)] == pytest.approx([1.0, 1.0])
    assert [float(share) for share in overlap(other, one, Q)] == pytest.approx([float(read), float(written)])


def test_random_subspaces_share_what_chance_says(parts):
    found = report_on_stack(parts[:2], ("a", "b"))
    (pair,) = found.pairs
    assert pair.layers == 8
    assert pair.by_chance == pytest.approx(np.mean([5 / 128, 5 / 352]))
    assert pair.written == pytest.approx(pair.by_chance, rel=0.5)


def test_ranks_are_those_of_each_and_of_the_sum(parts):
    found = report_on_stack(parts, ("a", "b", "c"))
    assert [one.name for one in found.alone] == ["a", "b", "c", "stack"]
    assert [one.rank for one in found.alone[:3]] == [3, 5, 2]
    values = [singular_values(parts[1].adapter, layer) for layer in parts[1].adapter.layers]
    assert found.alone[1].effective_rank == pytest.approx(np.mean([effective_rank(one) for one in values]))
    # 28 layers of rank 3, 8 of them 5 more, one 2 more
    assert found.alone[3].rank == pytest.approx((28 * 3 + 8 * 5 + 2) / 28)
    assert [(pair.first, pair.second, pair.layers) for pair in found.pairs] == [
        ("a", "b", 8),
        ("a", "c", 1),
        ("b", "c", 0),
    ]


def by_hand(base, stack) -> float:
    """The mean loss of the responses' tokens, with every change added to the weights."""
    weights = {name: base.decoder.weight(name).clone() for name in base.decoder.weights}
    for part in stack:
        for layer in part.adapter.layers:
            weights[layer] += part.weight * part.adapter.change(layer)
    decoder, losses = Decoder(base.decoder.config, weights), []
    for word in WORDS:
        example = render("plain", Record(id="x", prompt=f"past {word}", response=f"{word}d"), base.tokenizer)
        found = log_probabilities(decoder, example.token_ids, {})
        for place in range(example.prompt_length, len(example.token_ids)):
            losses.append(-float(found[place - 1, example.token_ids[place]]))
    return float(np.mean(losses))


def test_losses_are_those_of_base_adapter_and_stack(base, parts, task):
    found = report_on_stack(parts, ("a", "b", "c"), base, {"b": task})
    (one,) = found.interference
    assert (one.task, one.records) == ("b", 6)
    assert one.bare == pytest.approx(by_hand(base, []), rel=1e-4)
    assert one.alone == pytest.approx(by_hand(base, [parts[1]]), rel=1e-4)
    assert one.stack == pytest.approx(by_hand(base, parts), rel=1e-4)
    assert len({round(value, 2) for value in (one.bare, one.alone, one.stack)}) == 3


def test_what_is_lost_is_a_share_of_what_was_gained():
    assert Interference("a", 1, bare=5.0, alone=1.0, stack=2.0).lost == 0.25
    assert Interference("a", 1, bare=5.0, alone=1.0, stack=0.0).lost == -0.25
    assert np.isnan(Interference("a", 1, bare=1.0, alone=1.0, stack=2.0).lost)


@follows(
    "give each adapter a name of its own",
    "is measured on its base; name it with --base",
    "at least 1 record has to be measured on",
)
def test_the_command_prints_three_tables(base, parts, task, tmp_path, capsys):
    for name, part in zip("abc", parts, strict=True):
        save_adapter(part.adapter, tmp_path / name, base=base)
    sources = [f"one={tmp_path / 'a'}", f"{tmp_path / 'b'}:0.5", f"{tmp_path / 'c'}:-1"]
    command = ["adapter", "stack", *sources, "--base", "classroom"]
    assert main([*command, "--eval", f"b={task}", "--records", "4"]) == 0
    ranks, pairs, losses = capsys.readouterr().out.split("\n\n")
    assert [line.split()[0] for line in ranks.splitlines()] == ["adapter", "one", "b", "c", "stack"]
    assert pairs.splitlines()[3].split()[-4:] == ["0", "none", "none", "none"]
    assert losses.splitlines()[1].split()[:2] == ["b", "4"]
    assert main([*command, "--records", "0"]) == 2
    assert "--records is 0" in capsys.readouterr().err
    assert main(command) == 0
    assert "loss on" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "tasks", "message"),
    [
        (("a", "a", "b"), {}, "give each adapter a name of its own"),
        (("a", "b", "c"), {"d": "x"}, "no adapter of the stack is called 'd'; they are a, b, c"),
        (("a", "b", "c"), {"a": "x"}, "what a loses is measured on its base; name it with --base"),
    ],
    ids=str,
)
def test_what_cannot_be_reported_is_told_in_a_sentence(parts, names, tasks, message):
    with pytest.raises(InputError, match=message):
        report_on_stack(parts, names, None, tasks)


@follows(
    "the stack has no adapter with a weight other than 0; give one",
    "so it can't be one of several in a stack; leave it out",
)
def test_weights_of_zero_and_dora_are_told(base, parts):
    none = [WeightedAdapter(parts[0].adapter, 0.0)]
    with pytest.raises(InputError, match="no adapter with a weight other than 0"):
        report_on_stack(none, ("a",))
    dora = WeightedAdapter(random_adapter(base.decoder.config, dora=True))
    with pytest.raises(InputError, match="DoRA rescales rows"):
        report_on_stack([dora, parts[0]], ("a", "b"))
    assert len(report_on_stack([*none, parts[1]], ("a", "b")).alone) == 3
    assert report_on_stack([parts[0]], ("b",)).pairs == ()
    assert torch.is_tensor(overlap(parts[0].adapter, dora.adapter, Q)[0])
