"""Where a study runs: what "auto" takes, and what is said where a device can't be used."""

from types import SimpleNamespace

import pytest
import torch
from follows import follows

from workbench import devices
from workbench.cli import main
from workbench.config import DEVICES
from workbench.devices import card_of, choose_device, uploaded, why_no_gpu
from workbench.errors import InputError
from workbench.studies.choices import study

SMALL = ("--sizes", "8", "--seeds", "0", "--steps", "2", "--heldout", "20", "--quality", "clean")


@pytest.fixture
def card(monkeypatch):
    """Let torch find a GPU, of which only the name is asked."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    named = SimpleNamespace(name="Some Card", total_memory=16 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: named)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: named.name)
    monkeypatch.setattr(devices, "settle_gpu", lambda: None)


def test_auto_takes_the_processor_where_there_is_no_gpu_and_says_why(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = choose_device("auto")
    assert (found.torch.type, found.card, found.memory) == ("cpu", None, None)
    assert found.reason == why_no_gpu()
    monkeypatch.setattr(torch.version, "cuda", "12.9")
    assert choose_device("auto").reason == "torch finds no GPU that it can use"


def test_auto_takes_the_gpu_where_there_is_one(card):
    for name in ("auto", "cuda"):
        found = choose_device(name)
        assert (found.torch, found.card, found.memory) == (torch.device("cuda", 0), "Some Card", 16 * 2**30)
    assert choose_device("cpu").torch.type == "cpu"
    assert card_of(torch.device("cuda", 0)) == "Some Card"


def test_a_gpu_without_triton_is_not_taken_without_a_word(card, monkeypatch):
    monkeypatch.setattr(devices, "why_no_triton", lambda: "Triton is missing")
    assert choose_device("auto").torch.type == "cpu"
    assert choose_device("auto").reason.startswith("Triton is missing; install one on Linux with pip")
    with pytest.raises(InputError, match=r"device 'cuda': Triton is missing; .*; choose --device cpu"):
        choose_device("cuda")


def test_equal_runs_on_a_gpu_give_equal_bits(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = torch.are_deterministic_algorithms_enabled()
    try:
        devices.settle_gpu()
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
        products = torch.backends.cuda.matmul
        assert not products.allow_tf32
        assert not products.allow_bf16_reduced_precision_reduction
        assert not products.allow_fp16_reduced_precision_reduction
    finally:
        torch.use_deterministic_algorithms(before)
        torch.utils.deterministic.fill_uninitialized_memory = True


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is said without a CUDA or ROCm device")
@follows("; choose --device cpu, or leave --device out")
@follows("so the fused kernels can't run there; choose --device cpu")
def test_a_device_that_is_not_there_is_refused_with_the_way_out(capsys, tmp_path):
    out = ("--out", str(tmp_path / "study"))
    for name in ("cuda", "mps"):
        assert main(["run", "verbs", *SMALL, *out, "--device", name]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"workbench: error: device {name!r}: ")
        assert said.count("\n") == 1
        assert "choose --device cpu" in said
        assert not (tmp_path / "study").exists(), "nothing is left behind"
    assert main(["run", "verbs", *SMALL, *out, "--device", "cpu"]) == 0


def test_an_unknown_device_is_told_the_known_ones():
    with pytest.raises(InputError, match="unknown device 'gpu'") as caught:
        study("verbs", device="gpu")
    assert all(name in str(caught.value) for name in DEVICES)
    assert study("verbs", device="cpu").device == "cpu"
    assert study("verbs").device == "auto"


def test_a_tensor_stays_where_it_is_on_a_processor():
    tensor = torch.ones(3)
    assert uploaded(tensor, torch.device("cpu")) is tensor
