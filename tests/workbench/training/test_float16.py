"""What float16 can't hold: the smallest slopes."""

import torch

from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.models.decoder import Decoder
from workbench.training.loop import freeze, step_gradient

CELL = CellConfig(data="d", base="b", size=12, rank=4, batch_size=4)


def test_in_float16_the_mean_over_many_labels_keeps_its_slopes(tiny_decoder, tiny_config, tiny_pool):
    """The slope of a mean over 28,000 labels is too small for float16; that of a sum is not."""
    weights = {name: weight.to(torch.float16) for name, weight in tiny_decoder.weights.items()}
    found = []
    for dtype in (torch.float16, torch.float32):
        decoder = Decoder(tiny_config, {name: weight.to(dtype) for name, weight in weights.items()})
        stack = LoraStack([CELL], tiny_config)
        with torch.no_grad():
            stack.weights += 0.05 * torch.randn(
                stack.weights.shape, generator=torch.Generator().manual_seed(1)
            )
        frozen = freeze(decoder, tiny_pool, 0)
        found.append(step_gradient(frozen, stack.to(dtype), [100 * list(range(40))])[1].double())
    assert (found[0] - found[1]).norm() < 0.005 * found[1].norm()
