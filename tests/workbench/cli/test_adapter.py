"""``workbench adapter``: what it shows, what it writes, and that it writes nothing where it refuses."""

import pytest
import torch
from random_adapters import random_adapter

from workbench.adapters.formats import load_adapter, save_adapter
from workbench.cli import main
from workbench.models.loaders import load_base


@pytest.fixture(scope="module")
def base():
    return load_base("classroom")


@pytest.fixture
def mine(base, tmp_path, monkeypatch):
    """Two adapters of the classroom base as PEFT folders, A and B, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name, seed, blocks in (("A", 1, (0, 1, 2, 3)), ("B", 2, (1,))):
        save_adapter(random_adapter(base.decoder.config, seed=seed, blocks=blocks), tmp_path / name)
    return tmp_path


def test_show_says_what_a_file_holds(mine, capsys):
    assert main(["adapter", "show", "A", "--base", "classroom"]) == 0
    said = capsys.readouterr().out
    assert "rank: 4, alpha 6" in said
    assert "format: peft, a folder of PEFT's" in said
    assert "fits: classroom: layers and shapes are that one's, its file records no hash" in said
    rows = [line.split() for line in said.splitlines()]
    (row,) = (row for row in rows if row[0] == "down_proj")
    adapter = load_adapter("A")
    values = [torch.linalg.svdvals(adapter.change(f"layers.{k}.down_proj"))[:4] for k in range(4)]
    shares = [one / one.sum() for one in values]
    effective = sum(float((-p * p.log()).sum().exp()) for p in shares) / 4
    assert row == ["down_proj", "4", "128", "x", "352", "4", "4", f"{effective:.2f}", "1.5"]


def test_an_adapter_goes_to_llama_cpp_and_back(mine, capsys):
    assert main(["adapter", "convert", "A", "a.gguf", "--base", "classroom"]) == 0
    assert "written: a.gguf (gguf), 28 layers of rank 4" in capsys.readouterr().out
    assert main(["adapter", "convert", "a.gguf", "again"]) == 0
    one, two = load_adapter("A"), load_adapter("again")
    assert all(torch.equal(one.tensors[name], two.tensors[name]) for name in one.tensors)
    assert two.base_sha256 == load_base("classroom").sha256


def test_several_become_one(mine):
    assert main(["adapter", "convert", "A:0.5", "B", "both"]) == 0
    one, two, both = load_adapter("A"), load_adapter("B"), load_adapter("both")
    layer = "layers.1.k_proj"
    expected = 0.5 * one.change(layer) + two.change(layer)
    torch.testing.assert_close(both.change(layer), expected, rtol=1e-5, atol=1e-6)
    assert (both.layer_rank(layer), both.layer_rank("layers.0.k_proj")) == (8, 4)
    assert main(["adapter", "convert", "A:0.5", "B:-1", "near", "--how", "svd", "--rank", "3"]) == 0
    assert load_adapter("near").layer_rank(layer) == 3
    assert main(["adapter", "convert", "A:-2", "turned"]) == 0
    torch.testing.assert_close(load_adapter("turned").change(layer), -2 * one.change(layer))


def test_a_name_with_a_colon_is_a_name_where_it_is_there(mine):
    (mine / "B").rename(mine / "B:2")
    assert main(["adapter", "convert", "B:2", "same"]) == 0
    assert torch.equal(
        load_adapter("same").tensors["layers.1.q_proj.lora_A"],
        load_adapter("B:2").matrices("layers.1.q_proj")[0],
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["A", "out.gguf"], "name the base with --base"),
        (["A", "B", "out", "--how", "sum"], "unknown way to combine 'sum'"),
        (["A", "out", "--how", "svd"], "leave them out to convert one as it is"),
        (["A", "C", "out"], "could not read C"),
        (["A:nan", "out"], "the weight is nan; give a finite number, such as A:0.5"),
        (["A", "out", "--format", "pfet"], "Did you mean 'peft'"),
        (["A", "out", "--format", "kohya"], "kohya's dialect has no name for"),
        (["A", "B"], "B is there already"),
        (["A", "out", "--base", "smollm2-135m.gguf"], "smollm2-135m"),
    ],
)
def test_what_is_refused_is_one_sentence_and_writes_nothing(mine, capsys, arguments, said):
    before = sorted(mine.rglob("*"))
    assert main(["adapter", "convert", *arguments]) == 2
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1
    assert sorted(mine.rglob("*")) == before


def test_another_bases_adapter_is_shown_to_be_one(mine, base, capsys):
    save_adapter(random_adapter(base.decoder.config, base_sha256="0" * 64), mine / "other")
    assert main(["adapter", "show", "other", "--base", "classroom"]) == 2
    assert "its layers fit, its numbers don't" in capsys.readouterr().err
