"""A decoder small enough to check by hand, with every feature of the large ones."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.errors import InputError
from workbench.fetch import fetch
from workbench.models.base import Base
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import DecoderConfig
from workbench.models.gguf_reader import load_gguf

sys.path.append(str(Path(__file__).parent))  # for tiny_chat, which tests of several rooms use
settings.register_profile("workbench", deadline=None)  # no test asserts on time
settings.load_profile("workbench")
torch.set_num_threads(1)  # at these sizes a second thread only waits for the first


@pytest.fixture(scope="session")
def smollm2_path():
    try:
        return fetch("smollm2-135m")
    except InputError as error:
        pytest.skip(f"SmolLM2 can't be had here: {error}")


@pytest.fixture(scope="session")
def smollm2(smollm2_path) -> Base:
    return load_gguf(smollm2_path, "smollm2-135m")


@pytest.fixture
def tiny_config() -> DecoderConfig:
    return DecoderConfig(
        vocabulary=29, width=32, layers=3, heads=4, kv_heads=2, head_size=8, feed_forward=64, context=64
    )


@pytest.fixture
def tiny_decoder(tiny_config: DecoderConfig) -> Decoder:
    return random_decoder(tiny_config, torch.float32)


@pytest.fixture
def tiny_decoder_float64(tiny_config: DecoderConfig) -> Decoder:
    return random_decoder(tiny_config, torch.float64)


@pytest.fixture
def make_decoder():
    return random_decoder


@pytest.fixture
def tiny_pool() -> Pool:
    """Forty examples of 4 to 17 tokens, with prompts of 2 to 6."""
    generator = torch.Generator().manual_seed(3)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    examples = []
    for _ in range(40):
        prompt, response = draw(2, 7), draw(2, 12)
        tokens = torch.randint(29, (prompt + response,), generator=generator)
        examples.append(Example(tuple(tokens.tolist()), prompt))
    return Pool(examples)


def random_decoder(config: DecoderConfig, dtype: torch.dtype = torch.float32) -> Decoder:
    generator = torch.Generator().manual_seed(0)

    def weight(shape: tuple[int, ...]) -> torch.Tensor:
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        return (1 + 0.1 * values if len(shape) == 1 else values / shape[-1] ** 0.5).to(dtype)

    return Decoder(config, {name: weight(shape) for name, shape in config.shapes().items()})
