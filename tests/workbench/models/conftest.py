"""Bases to test the loaders with: a tiny one made here, and SmolLM2 where it can be fetched."""

import gguf
import numpy as np
import pytest
import torch

from qlora_kernels import QuantizedTensor
from workbench.errors import InputError
from workbench.fetch import fetch
from workbench.models.base import Base
from workbench.models.decoder import DecoderConfig
from workbench.models.gguf_reader import load_gguf
from workbench.models.gguf_writer import write_gguf
from workbench.models.tokenizer import CharacterTokenizer

ALPHABET = "abcdefghijklmnopqrstuvwxyz '"


@pytest.fixture(scope="session")
def toy_config():
    """Two query heads for each key head, and a head size that isn't the width over the heads."""
    return DecoderConfig(
        vocabulary=3 + len(ALPHABET),
        width=64,
        layers=2,
        heads=4,
        kv_heads=2,
        head_size=32,
        feed_forward=96,
        rope_base=5000.0,
        norm_epsilon=1e-4,
        context=32,
    )


@pytest.fixture(scope="session")
def make_weights():
    """A function (config, format) -> weights: matrices in that block format, or plain."""

    def make(config, format="q4_0", tied=True):
        generator = np.random.default_rng(0)
        weights = {}
        for name, shape in config.shapes(tied=tied).items():
            values = (generator.normal(size=shape) / shape[-1] ** 0.5).astype(np.float32)
            if len(shape) == 1:
                weights[name] = torch.from_numpy(1 + values)
            elif format == "plain":
                weights[name] = torch.from_numpy(values)
            else:
                packed = gguf.quants.quantize(values, gguf.GGMLQuantizationType[format.upper()])
                weights[name] = QuantizedTensor.from_gguf_bytes(format, shape, packed.tobytes())
        return weights

    return make


@pytest.fixture
def toy_gguf(tmp_path, toy_config, make_weights):
    path = tmp_path / "toy.gguf"
    tokenizer = CharacterTokenizer(ALPHABET)
    write_gguf(path, toy_config, make_weights(toy_config), tokenizer, name="toy", licence="MIT")
    return path


@pytest.fixture(scope="session")
def smollm2_path():
    try:
        return fetch("smollm2-135m")
    except InputError as error:
        pytest.skip(f"SmolLM2 can't be had here: {error}")


@pytest.fixture(scope="session")
def smollm2(smollm2_path) -> Base:
    return load_gguf(smollm2_path, "smollm2-135m")
