"""Training a sparse base on: experts and routers learn, and the balance keeps all experts in use."""

from dataclasses import replace

import pytest
import torch
from follows import follows
from tiny_ladder import SHORT
from torch.nn import functional

from workbench.classroom.pretrain import ALPHABET, batch_loss, example_of, pretrain
from workbench.cli import main
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.errors import InputError
from workbench.exporting import exporter
from workbench.exporting.exporter import export_model
from workbench.exporting.texts import PROMPTS, RUNNING_TEXTS
from workbench.ladder.rungs import Run
from workbench.ladder.sparse import SPARSE_SETTINGS, Ended, expert_shares, train_experts
from workbench.ladder.training import train_run
from workbench.models.decoder import Decoder
from workbench.models.experts import active_parameters, balance_loss
from workbench.models.gguf_reader import load_gguf
from workbench.models.loaders import load_base
from workbench.models.tokenizer import CharacterTokenizer
from workbench.models.upcycling import upcycled

FEW = replace(SPARSE_SETTINGS, batch_size=8)


@pytest.fixture(scope="module")
def rung(tmp_path_factory, few_lessons):
    """The file of a short run of a ladder."""
    path = tmp_path_factory.mktemp("rung") / "w016.gguf"
    train_run(Run(16, 0.02, 0), path, few_lessons, settings=SHORT)
    return path


@pytest.fixture(autouse=True)
def few_texts(monkeypatch):
    """Compare what is written on a few texts."""
    monkeypatch.setattr(exporter, "PROMPTS", PROMPTS[:2])
    monkeypatch.setattr(exporter, "RUNNING_TEXTS", RUNNING_TEXTS[:1])


@pytest.fixture(scope="module")
def dense(rung):
    return load_gguf(rung, "w016")


def test_experts_and_routers_learn(dense, few_lessons):
    sparse = upcycled(dense, 3)
    trained, told = train_experts(sparse, 12, few_lessons, settings=replace(FEW, matrix_rate=0.02))
    before, after = sparse.decoder.weights, trained.decoder.weights
    still = {name for name in after if torch.equal(before[name], after[name])}
    assert all("expert" in name for name in still), "an expert that no token went to stays as it was"
    assert len(still) < len([name for name in after if "expert" in name]) / 2
    one, other = (after[f"layers.0.expert{expert}_up_proj"] for expert in (0, 1))
    assert float((one - other).abs().max()) > 1e-3, "copies become different"
    assert told.after < told.before - 0.02
    assert told.shares.shape == (4, 3)
    torch.testing.assert_close(told.shares.sum(-1), torch.ones(4))


def test_operations_are_those_of_the_dense_base_whatever_the_experts(dense, few_lessons):
    """But for the router's rows: six for each of the 4 x 16 numbers of each expert, and token."""
    dense_flops = 6.0 * dense.parameters
    for experts in (2, 4):
        sparse = upcycled(dense, experts)
        _, told = train_experts(sparse, 1, few_lessons, settings=FEW)
        assert told.flops == (dense_flops + 6.0 * 4 * 16 * experts) * told.tokens
        assert told.flops == 6.0 * active_parameters(sparse.decoder.config) * told.tokens
        assert sparse.parameters > (experts - 0.5) * dense.parameters / 2


def test_the_balance_keeps_experts_in_use(dense, few_lessons):
    """From routers that send every token to the first expert."""
    sparse = upcycled(dense, 4, seed=1)
    weights = dict(sparse.decoder.weights)
    pool = Pool(example_of(task) for task in few_lessons.data.heldout)
    batch, scores = pool.batch([range(len(pool))]), {}

    def observe(name, x):
        if name.endswith("router"):
            scores[name] = x.flatten(0, -2).mean(0)

    decoder = sparse.decoder
    decoder.blocks(decoder.embed(batch.tokens), batch, {}, 0, decoder.config.layers, observe=observe)
    for name, mean in scores.items():
        weights[name] = weights[name].clone()
        weights[name][0] += 0.3 * functional.normalize(mean, dim=0)
    uneven = replace(sparse, decoder=Decoder(decoder.config, weights))
    first = expert_shares(uneven.decoder, few_lessons.data.heldout)
    assert float(first[:, 0].min()) > 0.99
    found = {
        balance: train_experts(uneven, 40, few_lessons, balance=balance, settings=FEW)[1].shares
        for balance in (0.0, 1.0)
    }
    in_use = {balance: int((shares > 0.01).sum()) for balance, shares in found.items()}
    assert in_use[0.0] <= 8, "of 16"
    assert in_use[1.0] >= 12
    largest = {balance: float(shares.amax(-1).mean()) for balance, shares in found.items()}
    assert largest[0.0] > largest[1.0] + 0.1


def test_the_whole_loss_is_that_of_transformers(transformers_of, few_lessons):
    """With ``output_router_logits`` and ``router_aux_loss_coef``, on one text."""
    model, decoder = transformers_of
    tokens = [1, 40, 41, 60, 61, 70, 7, 9, 2]
    batch, routed = Pool([Example(tuple(tokens), 1)]).batch([[0]]), []
    loss = batch_loss(decoder, batch, routed)
    uneven = balance_loss(torch.stack(routed), decoder.config.experts_used)
    theirs = model(torch.tensor([tokens]), labels=torch.tensor([tokens]), output_router_logits=True)
    assert float(uneven) == pytest.approx(float(theirs.aux_loss), abs=1e-6)
    coefficient = model.config.router_aux_loss_coef
    assert coefficient > 0
    assert float(loss + coefficient * uneven) == pytest.approx(float(theirs.loss), abs=1e-5)


@pytest.fixture
def transformers_of(dense, tmp_path):
    """A sparse base and transformers' model of the folder that it is written as."""
    transformers = pytest.importorskip("transformers", reason="the oracle isn't installed")
    sparse = upcycled(dense, 3, used=2)
    export_model(sparse, tmp_path / "sparse", "safetensors-f32")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "sparse", dtype=torch.float32)
    model.router_aux_loss_coef = model.config.router_aux_loss_coef
    return model, sparse.decoder


def test_a_training_that_is_ended_ends(dense, few_lessons):
    with pytest.raises(Ended):
        train_experts(upcycled(dense, 2), 9, few_lessons, settings=FEW, on_step=lambda share: share < 0.2)


def test_a_start_is_left_as_it_is(dense, few_lessons):
    start = {name: dense.decoder.weight(name) for name in dense.decoder.weights}
    kept = {name: weight.clone() for name, weight in start.items()}
    config = replace(FEW, steps=1, quantized_share=0.0)
    after = pretrain(few_lessons.data, config, architecture=dense.decoder.config, start=start)
    assert all(torch.equal(start[name], kept[name]) for name in kept)
    assert not torch.equal(after["layers.0.q_proj"], kept["layers.0.q_proj"])


@follows("make some with `workbench upcycle`", "`workbench ladder`", "so it diverged at a matrix rate of")
def test_what_can_not_be_trained_is_refused(dense, few_lessons, tmp_path):
    with pytest.raises(InputError, match="w016 has no experts; make some with `workbench upcycle`"):
        train_experts(dense, 1, few_lessons)
    tokenizer = CharacterTokenizer(ALPHABET[::-1])
    with pytest.raises(InputError, match="its tokenizer is another"):
        train_experts(replace(upcycled(dense, 2), tokenizer=tokenizer), 1, few_lessons)
    with pytest.raises(InputError, match="--matrix-rate 5e\\+19"):
        train_experts(upcycled(dense, 2), 3, few_lessons, settings=replace(FEW, matrix_rate=1e20))
    train_experts(upcycled(dense, 2), 3, few_lessons, settings=FEW)


@follows("it has to be 0 or more", "add --steps 200")
def test_the_command_trains_a_run_of_a_ladder(rung, few_lessons, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("workbench.ladder.training.lessons", lambda: few_lessons)
    out = tmp_path / "sparse.gguf"
    asked = ["--experts", "2", "--balance", "0.1", "--matrix-rate", "0.01", "--seed", "4"]
    assert main(["upcycle", str(rung), "--out", str(out), *asked]) == 2
    assert main(["upcycle", str(rung), "--out", str(out), *asked, "--steps", "-1"]) == 2
    assert "add --steps 200" in capsys.readouterr().err
    given = [*asked, "--steps", "3"]
    assert main(["upcycle", str(rung), "--out", str(out), *given]) == 0
    said = capsys.readouterr().out
    assert "3 steps" in said
    assert "evenly would be 50%" in said
    again = load_base(out)
    assert again.decoder.config.experts == 2
    one, other = (again.decoder.weight(f"layers.0.expert{expert}_up_proj") for expert in (0, 1))
    assert not torch.equal(one, other)
    assert b"trained for 3 steps on the words of the ladder" in out.read_bytes()[:4000]
