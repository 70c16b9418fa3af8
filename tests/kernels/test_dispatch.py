"""Which route runs, in processes of their own: compiled, and on a machine that has no Triton."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
import triton

from qlora_kernels import choose, grouped_lora_linear, quantize, quantized_linear, triton_version

SETTING = """
import torch
from qlora_kernels import dequantize, quantize
from qlora_kernels.grouped import grouped_lora_linear
from qlora_kernels.linear import lora_linear, quantized_linear

generator = torch.Generator().manual_seed(0)
def drawn(*shape):
    return torch.randn(*shape, generator=generator, requires_grad=True)

x, a, b, scale = drawn(2, 5, 64), drawn(3, 4, 64), drawn(3, 8, 4), torch.ones(3)
segments = torch.tensor([0, 4, 4, 10])
names = ("q4_1", "q8_0", "nf4", "nf4_double", "int4")
weights = {name: quantize(torch.randn(8, 64, generator=generator), name) for name in names}

def everything(weight, x, a, b, segments):
    y = grouped_lora_linear(x, weight, a, b, scale, segments)
    y = y + lora_linear(x, weight, a[0], b[0], 0.5) + quantized_linear(x, weight)
    return y + x @ dequantize(weight).T
"""

COMPILED = """
compiled = torch.compile(everything, fullgraph=True, backend="aot_eager")
for name in ("nf4_double", "q4_1"):
    results = []
    for call in (everything, compiled):
        y = call(weights[name], x, a, b, segments)
        results.append([y, *torch.autograd.grad(y.square().sum(), (x, a, b))])
    assert all(torch.allclose(p, q, rtol=1e-6) for p, q in zip(*results)), name
"""

ALL_ROUTES = """
for weight in weights.values():
    y = everything(weight, x, a, b, segments)
    torch.autograd.grad(y.sum(), (x, a, b))
try:
    quantized_linear(x, weight, backend="triton")
except ImportError as refusal:
    print(refusal)
"""

NOTHING_LOADED = """
import sys
import qlora_kernels.grouped, qlora_kernels.linear
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"triton", "transformers", "matplotlib", "workbench"}, loaded
"""


def run(program: str) -> str:
    """Run a program in an interpreter without the shape checker, which torch.compile can't trace."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_works_under_compile():
    run(SETTING + COMPILED)


def test_importing_loads_no_triton():
    run(NOTHING_LOADED)


def test_everything_runs_without_triton():
    absent = "import sys\nsys.modules['triton'] = None  # importing it fails\n"
    assert run(absent + SETTING + ALL_ROUTES).strip() == (
        "the Triton kernels need Triton 3.6 to 3.9, and there is none: install one "
        "on Linux with pip install 'triton>=3.6,<3.10', or use backend='torch'"
    )


@pytest.mark.parametrize(
    ("version", "fault"),
    [("3.5.1", "old"), ("2.3.0", "old"), ("3.10.0", "new"), ("3.6.0", ""), ("3.9.0+rocm7.1.git1", "")],
)
def test_a_triton_of_another_version_is_refused_by_name(version, fault, monkeypatch):
    monkeypatch.setattr(triton, "__version__", version)
    triton_version.why_no_triton.cache_clear()
    try:
        if not fault:
            assert choose(torch.ones(1), "triton").route == "triton"
            return
        with pytest.raises(ImportError) as refusal:
            choose(torch.ones(1), "triton")
        assert str(refusal.value) == (
            f"the Triton kernels need Triton 3.6 to 3.9, and this is {version}, which is too {fault}: "
            "install one on Linux with pip install 'triton>=3.6,<3.10', or use backend='torch'"
        )
    finally:
        triton_version.why_no_triton.cache_clear()


def test_the_versions_that_are_taken_are_those_that_are_declared():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    declared = [line for extra in ("gpu", "test") for line in project["optional-dependencies"][extra]]
    oldest, before = (".".join(map(str, v)) for v in (triton_version.OLDEST, triton_version.BEFORE))
    assert [line for line in declared if "triton" in line] == [f"triton>={oldest},<{before}"] * 2


@pytest.mark.usefixtures("unchecked")
def test_naming_a_backend_forces_it(rng):
    x, weight = torch.randn(3, 64, generator=rng), quantize(torch.randn(8, 64, generator=rng), "nf4")
    with pytest.raises(RuntimeError, match="driver"):  # no GPU here, and nothing else is run in its place
        quantized_linear(x, weight, backend="triton")
    with pytest.raises(ValueError, match="unknown backend 'fast'"):
        quantized_linear(x, weight, backend="fast")
    one = torch.ones(1, 1, 64).double(), torch.ones(1, 8, 1).double(), torch.ones(1)
    with pytest.raises(ValueError, match="float64 tensors to backend='torch'"):
        grouped_lora_linear(x.double(), weight, *one, torch.tensor([0, 3]), backend="triton")


def test_the_choice_has_a_reason():
    chosen = choose(torch.ones(1))
    assert (chosen.route, chosen.reason) == (
        "torch",
        "the tensors are on cpu, for which Triton has no compiler",
    )
    assert choose(torch.ones(1), "reference").reason == "asked for by name"
