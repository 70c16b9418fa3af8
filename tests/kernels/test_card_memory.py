"""What a step needs of a card is as predicted: live tensors are counted while a step is rehearsed."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from bench.rehearsal import DEVICE, OnDevice, rehearsal
from torch.multiprocessing.reductions import StorageWeakRef

from qlora_kernels import quantize
from workbench import devices
from workbench.adapters.prefix import fresh_stack
from workbench.config import CellConfig
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import DecoderConfig
from workbench.training.card_memory import adapter_numbers, card_need, held_bytes
from workbench.training.loop import freeze, step_gradient, step_rows
from workbench.training.optimizer import StackedAdamW

pytestmark = pytest.mark.alone

SMALL = DecoderConfig(
    vocabulary=64, width=64, layers=2, heads=4, kv_heads=2, head_size=16, feed_forward=160, context=64
)
LENGTH, EXAMPLES, CELLS = 24, 3, 2


@dataclass
class Live:
    """The storages on the device that something still holds, and the most bytes that they ever had."""

    held: dict[int, tuple[StorageWeakRef, int]] = field(default_factory=dict)
    most: int = 0

    def add(self, inner: torch.Tensor) -> None:
        storage = inner.untyped_storage()
        self.held[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.most = max(self.most, self.now())

    def now(self) -> int:
        self.held = {place: one for place, one in self.held.items() if not one[0].expired()}
        return sum(size for _, size in self.held.values())


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    counted, make = Live(), OnDevice.__new__

    def made(cls: Any, inner: torch.Tensor) -> OnDevice:
        counted.add(inner)
        return make(cls, inner)

    monkeypatch.setattr(OnDevice, "__new__", staticmethod(made))
    monkeypatch.setattr(devices, "pinned", lambda tensor: tensor)
    with rehearsal():
        yield counted


def decoder_on_device(precision: str) -> Decoder:
    generator = torch.Generator().manual_seed(3)
    weights = {}
    for name, shape in SMALL.shapes().items():
        numbers = torch.randn(shape, generator=generator) / shape[-1] ** 0.5
        if name.endswith("norm"):
            weights[name] = torch.ones(shape)
        else:
            weights[name] = quantize(numbers, "q8_0" if name == "embedding" else "q4_1")
    return Decoder(SMALL, weights, precision, DEVICE)


@pytest.mark.parametrize(
    ("precision", "first", "change"),
    [
        ("float32", 0, {}),
        ("bfloat16", 1, {"rank": 16, "targets": ("q_proj", "v_proj", "down_proj")}),
        pytest.param("bfloat16", 0, {"adapter": "dora"}, marks=pytest.mark.slow),
        pytest.param("float32", 0, {"adapter": "llama-adapter"}, marks=pytest.mark.slow),
        pytest.param("float32", 0, {"adapter": "pissa"}, marks=pytest.mark.slow),
        pytest.param("bfloat16", 0, {"adapter": "lora+", "rank": 16}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_step_takes_what_was_predicted(live, precision, first, change):
    decoder = decoder_on_device(precision)
    generator = torch.Generator().manual_seed(5)
    texts = torch.randint(1, SMALL.vocabulary, (8, LENGTH), generator=generator).tolist()
    pool = Pool([Example((number, *text[1:]), LENGTH // 2) for number, text in enumerate(texts)])
    frozen = freeze(decoder, pool, first)
    shared = {"data": "d", "base": "b", "size": 8, "steps": 2, "batch_size": EXAMPLES, "first_layer": first}
    cells = [CellConfig(**{**shared, "rank": 4, "seed": seed, **change}) for seed in range(CELLS)]
    stack = fresh_stack(cells, SMALL, decoder)
    weights = stack.weights.detach()
    optimizer = StackedAdamW(weights, cells, None, None, stack.rates)
    rows = step_rows(cells, [list(range(8))] * CELLS, 0)
    need = card_need(decoder, len(pool.tokens), first, cells[0], memory=0)
    assert need.base == held_bytes(decoder)
    numbers = adapter_numbers(cells[0], SMALL)
    assert 0 <= weights[0].numel() - numbers <= 4 * SMALL.layers * SMALL.heads, "gates aren't counted"

    live.most = 0
    loss, gradient = step_gradient(frozen, stack, rows)
    lasting = need.base + need.states
    # no weight is as large as a part may be, so that these aren't seen
    alone = replace(need, step=0, reserve=0, judging=0, cell_judged=0, cell_update=0)
    predicted = alone.peak(CELLS, CELLS * EXAMPLES * LENGTH)
    assert live.most == pytest.approx(predicted, rel=0.15), "while gradients are taken"

    live.most = 0
    optimizer.update(gradient, 0, torch.arange(CELLS), loss.isfinite())
    assert live.most == pytest.approx(lasting + CELLS * need.cell_update, rel=0.15), (
        "while the optimizer steps"
    )
