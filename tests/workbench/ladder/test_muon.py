"""The optimizer of a ladder's matrices against torch's, and against its definition in float64."""

import pytest
import torch

from workbench.classroom.pretrain import first_weights
from workbench.ladder.muon import StackedMuon, orthogonalized
from workbench.ladder.rungs import architecture


def test_steps_are_those_of_torch():
    """Up to bfloat16, in which torch's iterates: a few percent of a step, ten steps long."""
    first = [weight for name, weight in first_weights(architecture(24), 0).items() if name.endswith("_proj")]
    own, others = ([weight.clone().requires_grad_() for weight in first] for _ in range(2))
    muon = StackedMuon(own, lr=0.02, weight_decay=0.5)
    torchs = torch.optim.Muon(others, lr=0.02, weight_decay=0.5)
    chance = torch.Generator().manual_seed(0)
    drift = [torch.randn(weight.shape, generator=chance) for weight in first]
    for _ in range(10):
        for one, other, towards in zip(own, others, drift, strict=True):
            one.grad = towards + torch.randn(one.shape, generator=chance)
            other.grad = one.grad.clone()
        muon.step()
        torchs.step()
    for one, other, start in zip(own, others, first, strict=True):
        assert float((one - other).detach().norm() / (other - start).detach().norm()) < 0.01


@pytest.mark.parametrize("shape", [(12, 12), (6, 12), (33, 12)])
def test_the_iteration_by_its_definition(shape):
    """Odd polynomials act on the singular values alone: five times a s + b s^3 + c s^5, in float64."""
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    found = orthogonalized(matrices).double()
    for matrix, result in zip(matrices.double(), found, strict=True):
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        values = values / matrix.norm()
        for _ in range(5):
            values = 3.4445 * values - 4.775 * values**3 + 2.0315 * values**5
        assert torch.allclose(result, left @ values.diag() @ right, atol=2e-4)


def test_no_gradient_is_no_number_to_fear():
    weight = torch.ones(4, 4, requires_grad=True)
    weight.grad = torch.zeros(4, 4)
    StackedMuon([weight], lr=0.1, weight_decay=0.0).step()
    assert torch.equal(weight.detach(), torch.ones(4, 4))
