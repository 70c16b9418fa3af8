"""Taking rows: definition, layouts, gradients and their order, memory traffic, refusals."""

import pytest
import torch
from bench.far import far_apart

from qlora_kernels.lab.accuracy import FLOAT_TYPES, assert_accurate, layouts
from qlora_kernels.lab.interpreter import interpreted
from qlora_kernels.lab.trace import traced
from qlora_kernels.take_rows import Places, take_rows

INDEX = {
    "none": [],
    "one of one": [0],
    "each once, turned round": [4, 3, 2, 1, 0],
    "some often, some never": [3, 0, 3, 3, 0],
}


def results(x, index, dy, backend):
    x = x.detach().requires_grad_()
    with interpreted():
        y = take_rows(x, Places.of(index, len(x), sort=True), backend=backend)
        return y.detach(), *torch.autograd.grad(y, x, dy)


def check(x, index, dy, backend):
    truth = results(x.double(), index, dy.double(), "reference")
    for name, got, exact in zip(("y", "dx"), results(x, index, dy, backend), truth, strict=True):
        assert_accurate(name, got, exact, terms=3)


def test_by_hand():
    x, dy = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([[1.0], [10.0], [100.0], [1000.0]])
    for backend in ("reference", "torch", "triton"):
        y, dx = results(x, torch.tensor([2, 0, 2, 2]), dy, backend)
        assert y.flatten().tolist() == [4, 1, 4, 4]
        assert dx.flatten().tolist() == [10, 0, 1101]


@pytest.mark.parametrize("backend", ["torch", "triton"])
@pytest.mark.parametrize("dtype", FLOAT_TYPES, ids=str)
@pytest.mark.parametrize("rest", [(1,), (3, 7), (1030,)], ids=str)
@pytest.mark.parametrize("index", INDEX.values(), ids=INDEX)
def test_matches_reference(rng, index, rest, dtype, backend):
    index = torch.tensor(index, dtype=torch.int64)
    x, dy = (torch.randn(n, *rest, generator=rng).to(dtype) for n in (5, len(index)))
    check(x, index, dy, backend)


def test_copies_are_added_in_their_order():
    """In float32 the order shows: a large number swallows a small one that comes after it alone."""
    dy = torch.tensor([[1e8], [1.0], [-1e8], [1.0]])
    for order, expected in (([0, 0, 0, 0], 1.0), ([0, 1, 0, 0], 1.0)):
        _, dx = results(torch.zeros(2, 1), torch.tensor(order), dy, "triton")
        assert dx[0, 0] == expected
    _, dx = results(torch.zeros(2, 1), torch.tensor([0, 0, 0, 0]), dy[[0, 2, 1, 3]], "triton")
    assert dx[0, 0] == 2.0


@pytest.mark.parametrize("layout", layouts(torch.zeros(2, 2)))
def test_any_layout(rng, layout):
    x, dy = torch.randn(5, 48, generator=rng), torch.randn(4, 48, generator=rng)
    check(layouts(x)[layout], torch.tensor([1, 4, 4, 0]), layouts(dy)[layout], "triton")


def test_part_of_a_wider_row_is_not_copied_for_nothing(rng):
    wide = torch.randn(5, 3 * 16, generator=rng)
    x = wide.view(5, 3, 16)[:, 1:]
    check(x, torch.tensor([4, 1, 1]), torch.randn(3, 2, 16, generator=rng), "triton")


def test_gradients_are_right(rng):
    x = torch.randn(4, 3, generator=rng, dtype=torch.float64).requires_grad_()
    places = Places.of(torch.tensor([2, 2, 0]), 4)
    assert torch.autograd.gradcheck(lambda x: take_rows(x, places, backend="torch"), x)


def test_moves_what_it_must():
    dy, index = torch.randn(6, 64), torch.tensor([0, 2, 2, 1, 0, 0])
    x = torch.randn(4, 64).requires_grad_()
    with traced() as trace:
        y = take_rows(x, Places.of(index, 4, sort=True), backend="triton")
        y.backward(dy)
    trace.assert_clean()
    # every gradient of a copy and every row's own once; the numbers once, boundaries twice
    assert trace["sum_copies"].moved == 4 * 64 * (6 + 4) + 8 * 6 + 2 * 8 * 4


def test_rows_far_apart():
    dy = far_apart(torch.randn(3, 8))
    places = Places.of(torch.tensor([0, 1, 1]), 2, sort=True)
    x = torch.zeros(2, 8).requires_grad_()
    with interpreted(overflow=True):
        take_rows(x, places, backend="triton").backward(dy)
    assert torch.equal(x.grad, torch.stack([dy[0], dy[1] + dy[2]]))


def test_operator_is_registered_completely(rng):
    x = torch.randn(4, 3, generator=rng).requires_grad_()
    places = Places.of(torch.tensor([2, 2, 0]), 4)
    taken = (places.index, places.order, places.starts)
    torch.library.opcheck(torch.ops.qlora_kernels.take_rows, (x, *taken, "torch"))


def test_refusals(unchecked):
    x = torch.zeros(3, 4)
    with pytest.raises(ValueError, match=r"sorted for 0 rows, x has 3; make them with Places.of"):
        take_rows(x, Places.of(torch.tensor([0]), 3), backend="triton")
    with pytest.raises(ValueError, match="sorted for 2 rows, x has 3"):
        take_rows(x, Places.of(torch.tensor([0]), 2, sort=True), backend="triton")
    with pytest.raises(ValueError, match="rows of features"):
        take_rows(torch.zeros(3), Places.of(torch.tensor([0]), 3))
    with pytest.raises(ValueError, match="floating-point"):
        take_rows(x.long(), Places.of(torch.tensor([0]), 3))
