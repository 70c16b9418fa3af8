"""Matrices that stay in their file decode, multiply and are learnt through as those that were read."""

import numpy as np
import pytest
import torch

from qlora_kernels import FORMATS, QuantizedTensor, grouped_lora_linear, quantized_linear
from qlora_kernels.head_products import logits_by_part
from qlora_kernels.in_file import PLAIN_NUMBERS, buffer
from qlora_kernels.linear_cross_entropy import linear_cross_entropy
from qlora_kernels.packed_weight import MappedTensor

ROWS, COLUMNS = 12, 512
IN_GGUF = [name for name, one in FORMATS.items() if one.block_bytes]


def matrix(format: str, tmp_path, order=None) -> tuple[MappedTensor, torch.Tensor]:
    """Random blocks in a file, mapped, and the numbers that the format's own reader makes of them."""
    rng = np.random.default_rng(0)
    if format in PLAIN_NUMBERS:
        numbers = torch.from_numpy(rng.normal(size=(ROWS, COLUMNS))).to(PLAIN_NUMBERS[format])
        data, exact = numbers.view(torch.uint8).numpy(), numbers.float()
    else:
        known = FORMATS[format]
        blocks = rng.integers(0, 256, (ROWS, COLUMNS // known.multiple, known.block_bytes), dtype=np.uint8)
        scales = (rng.uniform(0.5, 1, (ROWS, COLUMNS // known.multiple, 1)) / 512).astype(np.float16)
        places = {"q4_1": (0, 2), "q4_k": (0, 2), "q6_k": (208,), "q5_1": (0, 2), "q5_k": (0, 2)}
        places |= {"q3_k": (108,), "q2_k": (80, 82)}
        for place in places.get(format, (0,)):
            blocks[:, :, place : place + 2] = scales.view(np.uint8)
        if format == "mxfp4":
            blocks[:, :, 0] = 121
        data = blocks.reshape(ROWS, -1)
        exact = QuantizedTensor.from_gguf_bytes(format, (ROWS, COLUMNS), data).dequantize()
    data.tofile(tmp_path / "matrix")
    mapped = np.memmap(tmp_path / "matrix", np.uint8, "r", shape=data.shape)
    return MappedTensor(format, (ROWS, COLUMNS), mapped, order), exact if order is None else exact[order]


@pytest.mark.parametrize("format", [*IN_GGUF, *PLAIN_NUMBERS])
def test_a_matrix_in_a_file_decodes_to_the_same_bits(format, tmp_path, monkeypatch):
    monkeypatch.setattr("qlora_kernels.in_file.DECODED_AT_ONCE", 5 * COLUMNS)
    order = torch.arange(ROWS).flip(0)
    for turned in (None, order):
        weight, exact = matrix(format, tmp_path, turned)
        assert torch.equal(weight.dequantize(), exact)
        assert torch.equal(weight.dequantize(torch.bfloat16), exact.bfloat16())
        some = torch.tensor([7, 0, 7])
        assert torch.equal(weight.rows(some).dequantize(), exact[some])
        assert torch.equal(weight.held.decode(torch.float32, slice(3, 11)), exact[3:11])
        assert torch.equal(weight.held.decode(torch.float32, some), exact[some])
        if format in FORMATS:
            assert torch.equal(weight.dequantize(backend="reference"), exact)
    assert weight.nbytes == (tmp_path / "matrix").stat().st_size


@pytest.mark.parametrize("format", ["q4_0", "q4_k", "q6_k", "bf16"])
def test_products_and_their_gradients_are_those_of_the_decoded_matrix(format, tmp_path):
    weight, exact = matrix(format, tmp_path, torch.arange(ROWS).flip(0))
    torch.manual_seed(0)
    x = torch.randn(6, COLUMNS, requires_grad=True)
    a, b = torch.randn(2, 3, COLUMNS, requires_grad=True), torch.randn(2, ROWS, 3, requires_grad=True)
    scale, cells = torch.tensor([0.5, 2.0]), torch.tensor([0, 2, 6])
    up = torch.randn(6, ROWS)

    def gradients(held, precision):
        y = grouped_lora_linear(x, held, a, b, scale, cells, precision=precision)
        return y, *torch.autograd.grad((y * up).sum(), (x, a, b))

    for precision in ("float32", "bfloat16"):
        for ours, theirs in zip(gradients(weight, precision), gradients(exact, precision), strict=True):
            assert torch.equal(ours, theirs)
    assert torch.equal(quantized_linear(x, weight), quantized_linear(x, exact))


@pytest.mark.parametrize("format", ["q4_0", "q4_k", "q6_k", "f16"])
def test_a_head_in_a_file_gives_losses_and_slopes_part_by_part(format, tmp_path, monkeypatch):
    """Five words at a time, against torch's own cross entropy in float64."""
    monkeypatch.setattr("qlora_kernels.head_products.part_width", lambda unit: 5)
    weight, exact = matrix(format, tmp_path, torch.arange(ROWS).flip(0))
    torch.manual_seed(0)
    hidden = (torch.randn(7, COLUMNS) / 8).requires_grad_()
    targets = torch.randint(ROWS, (7,))
    losses = linear_cross_entropy(hidden, weight, targets, chunk=3)
    (slopes,) = torch.autograd.grad(losses.sum(), hidden)
    wide = hidden.detach().double().requires_grad_()
    logits = wide @ exact.double().mT
    theirs = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    (expected,) = torch.autograd.grad(theirs.sum(), wide)
    torch.testing.assert_close(losses.double(), theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(slopes.double(), expected, rtol=1e-4, atol=1e-5)
    ours = logits_by_part(hidden, weight.operand(), torch.float32)
    torch.testing.assert_close(ours.double(), logits, rtol=1e-5, atol=1e-5)


def test_one_decoded_matrix_is_held_at_a_time(tmp_path):
    first = buffer((4, 8), torch.float32)
    assert buffer((2, 8), torch.float32).data_ptr() == first.data_ptr()
    weight, _ = matrix("q4_0", tmp_path)
    x = torch.randn(3, COLUMNS)
    quantized_linear(x, weight)
    place = buffer((1,), torch.float32).data_ptr()
    quantized_linear(x, weight)
    assert buffer((ROWS, COLUMNS), torch.float32).data_ptr() == place


def test_what_stays_in_a_file_goes_to_no_card(tmp_path):
    weight, _ = matrix("q4_0", tmp_path)
    assert weight.to("cpu") is weight
    with pytest.raises(ValueError, match="stays in its file can't be moved"):
        weight.to("meta")
