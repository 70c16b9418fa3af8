"""The tests check shapes while they run: in the first calls of each function, in every test anew."""

import jaxtyping
import pytest
import torch

from qlora_kernels.rms_norm import rms_norm
from workbench.models.decoder_config import DecoderConfig


@pytest.mark.parametrize("test", [1, 2])
def test_a_wrong_shape_is_refused_in_every_test(test):
    x = torch.ones(2, 16)
    with pytest.raises(jaxtyping.TypeCheckError, match="weight"):
        rms_norm(x, torch.ones(15))
    for _ in range(200):
        rms_norm(x, torch.ones(16))


def test_a_wrong_type_is_refused(tiny_config):
    with pytest.raises(jaxtyping.TypeCheckError, match="leaf"):
        tiny_config.linear_shape(3)
    with pytest.raises(jaxtyping.TypeCheckError, match="width"):
        DecoderConfig(vocabulary=29, width="32", layers=3, heads=4, kv_heads=2, head_size=8, feed_forward=64)
