"""The row operators under torch.compile, and on a machine that has no Triton."""

import subprocess
import sys

SETTING = """
import torch
from qlora_kernels.linear_cross_entropy import linear_cross_entropy
from qlora_kernels.rms_norm import rms_norm
from qlora_kernels.rope import rope, rope_angles
from qlora_kernels.swiglu import swiglu

x, weight, head = torch.randn(6, 16, requires_grad=True), torch.ones(16), torch.randn(30, 16)
angles, targets = rope_angles(torch.arange(6), 8), torch.arange(6)

def block(x):
    normed = rms_norm(x, weight)
    turned = rope(normed.view(len(x), 2, -1), *angles, layout="half_split").flatten(1)
    return linear_cross_entropy(swiglu(normed, turned), head, targets).sum()

expected = torch.autograd.grad(block(x), x)[0]
"""

# aot_eager traces forward and backward and runs them as they are: no C++ compiler needed
COMPILED = """
compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
assert torch.equal(torch.autograd.grad(compiled(x), x)[0], expected)
"""

ABSENT = """
import sys
sys.modules["triton"] = None  # importing it fails
"""

FORCED = """
try:
    swiglu(x, x, backend="triton")
except ImportError:
    print("refused")
"""


def run(program):
    """Run a program in an interpreter without the shape checker, which torch.compile can't trace."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_compiles_without_a_break_and_changes_nothing():
    run(SETTING + COMPILED)


def test_runs_where_triton_is_not_installed_and_refuses_to_pretend():
    assert run(ABSENT + SETTING + FORCED) == "refused"
