"""For whoever has a GPU: the same checks on hardware, two runs that agree to the bit, and a timing table."""

from dataclasses import replace

import pytest
import torch
from bench import checks
from bench.catalogue import CATALOGUE, CHECKS
from bench.examples import SMALL, TRAINING

from qlora_kernels.lab.compiler import SIXTEEN_BITS
from qlora_kernels.tiles import target_of

pytestmark = pytest.mark.gpu
DEVICE = "cuda"  # ROCm answers to the same name


@pytest.fixture(autouse=True)
def needs_a_gpu():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA or ROCm device")


@pytest.mark.parametrize("name", CHECKS)
def test_agrees_with_the_reference_on_hardware(name, monkeypatch):
    """The quick checks of the bench, on the device instead of in the interpreter."""
    monkeypatch.setattr(checks, "traced", checks.on_device)
    if "rounding" in name and target_of(torch.device(DEVICE)) == "sm_75":
        pytest.skip("sm_75 has no bfloat16 to round to")
    with torch.device(DEVICE):
        CHECKS[name]()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("operator", CATALOGUE)
def test_two_runs_agree_to_the_bit(operator, dtype):
    if dtype == torch.bfloat16 and target_of(torch.device(DEVICE)) == "sm_75":
        pytest.skip("sm_75 has no bfloat16: nothing is offered there")
    size = replace(SMALL, device=DEVICE, dtype=dtype)
    first, second = (CATALOGUE[operator](size)() for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
def test_timing_table(capsys):
    """Milliseconds of each operator, forward and backward, at the training shape."""
    from triton.testing import do_bench

    size = replace(TRAINING, device=DEVICE, dtype=SIXTEEN_BITS[target_of(torch.device(DEVICE))])
    with capsys.disabled():
        print(f"\n{torch.cuda.get_device_name()}: ms, median")
        for operator, example in CATALOGUE.items():
            print(f"{operator:24} {do_bench(example(size), return_mode='median'):8.3f}")
