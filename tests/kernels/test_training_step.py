"""The training of the package on a GPU, rehearsed: the same loop, Triton's kernels in the interpreter.

A processor's result is the measure; what the two can't share is the order of sums, and in 16 bits the
rounding between operators.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from bench.rehearsal import DEVICE, OnDevice, Record, rehearsal

from qlora_kernels import head_products, quantize, vendor
from workbench import devices
from workbench.adapters.prefix import fresh_stack
from workbench.config import CellConfig
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import DecoderConfig
from workbench.models.generation import generate
from workbench.models.loaders import load_base
from workbench.models.on_gpu import COMPUTED_IN
from workbench.training.evaluation import HeldOut, evaluate
from workbench.training.loop import Frozen, TrainState, freeze, step_gradient, train
from workbench.training.optimizer import StackedAdamW

pytestmark = pytest.mark.alone

SMALL = DecoderConfig(
    vocabulary=96, width=64, layers=2, heads=4, kv_heads=2, head_size=16, feed_forward=96, context=64
)
ONE_BLOCK = replace(SMALL, layers=1)
FORMATS = {
    "one for all": dict.fromkeys(("q_proj", "k_proj", "v_proj"), "q4_0"),
    "none": {},
    "of their own": {"q_proj": "q4_1", "k_proj": "q4_1", "v_proj": "q8_0", "down_proj": "q8_0"},
    "scales across rows": dict.fromkeys(("q_proj", "k_proj", "v_proj", "up_proj"), "nf4"),
}
"""How the layers of a block are packed; what isn't named are plain numbers."""


@pytest.fixture(autouse=True)
def no_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no GPU that could read it."""
    monkeypatch.setattr(devices, "pinned", lambda tensor: tensor)


@pytest.fixture
def gpu() -> Iterator[Record]:
    with rehearsal() as record:
        yield record


def small_decoder(
    packed: dict[str, str], device: str = "cpu", precision: str = "float32", config: DecoderConfig = SMALL
) -> Decoder:
    generator = torch.Generator().manual_seed(11)
    weights = {}
    for name, shape in config.shapes().items():
        numbers = torch.randn(shape, generator=generator) / shape[-1] ** 0.5
        leaf = name.rsplit(".", 1)[-1]
        format = packed.get(leaf, "q8_0") if name == "embedding" else packed.get(leaf)
        if "norm" in name:
            weights[name] = 1 + 0.1 * numbers
        else:
            weights[name] = quantize(numbers, format) if format else numbers
    return Decoder(config, weights, precision, device)


def small_pool() -> Pool:
    """Twenty texts of uneven length with one beginning."""
    generator = torch.Generator().manual_seed(5)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    texts = []
    for _ in range(20):
        prompt = (1, 2, *(draw(3, 96) for _ in range(draw(1, 6))))
        texts.append(Example((*prompt, *(draw(3, 96) for _ in range(draw(1, 9)))), len(prompt)))
    return Pool(texts)


CELLS = [
    CellConfig(data="d", base="b", size=8, rank=4, seed=0, batch_size=4, steps=2),
    CellConfig(data="d", base="b", size=4, rank=2, seed=1, batch_size=4, steps=2, learning_rate=1e-3),
    CellConfig(data="d", base="b", size=9, rank=3, seed=2, batch_size=4, steps=1, gradient_clip=0.1),
]
DRAWS = [list(range(8)), [9, 3, 14, 2], list(range(10, 19))]
ROWS = [[0, 1, 2, 3], [9, 3, 14], [10, 11, 12, 13]]


def step(
    decoder: Decoder, cells: list[CellConfig], first: int = 0, adapters: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return losses and gradients of one step from adapters that change something."""
    frozen = freeze(decoder, small_pool(), first)
    stack = fresh_stack([cell.with_(first_layer=first) for cell in cells], SMALL, decoder)
    noise = torch.randn(stack.weights.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        stack.weights += 0.02 * noise.to(decoder.device)
        if not stack.kind.prefix:
            zeros = [cell.rank for cell in cells]
            for halves in stack.halves().values():
                for row, rank in enumerate(zeros):  # beyond a cell's own rank nothing may grow
                    halves["lora_A"][row, rank:] = 0.0
                    halves["lora_B"][row, :, rank:] = 0.0
    loss, gradient = step_gradient(frozen, stack.to(adapters), ROWS[: len(cells)])
    return loss.cpu(), gradient.cpu()


def relative(got: torch.Tensor, expected: torch.Tensor) -> float:
    return float((got.double() - expected.double()).norm() / expected.double().norm())


def close(got: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    for row in range(len(expected)):
        assert relative(got[row], expected[row]) <= tolerance, row


RELATIVES = {
    "norms around, GELU, caps, windows": {
        "norms": "around",
        "activation": "gelu",
        "head_norms": "head",
        "embedding_scale": 8.0,
        "attention_softcap": 2.0,
        "logit_softcap": 3.0,
        "windows": (3, None),
        "windowed_rope_base": 100.0,
    },
    "norms after, biases, scales": {
        "norms": "after",
        "head_norms": "projection",
        "biases": frozenset(("q_proj", "k_proj", "v_proj", "down_proj")),
        "residual_scale": 0.5,
        "attention_scale": 0.4,
        "logit_scale": 0.25,
        "unturned": frozenset((0,)),
        "rope_features": 8,
    },
}
"""What the relatives of LLaMA do otherwise, as much of it as goes together."""


@pytest.mark.parametrize("settings", RELATIVES.values(), ids=RELATIVES)
def test_a_step_of_another_family_gives_them_too(settings, gpu):
    config = replace(SMALL, **settings)
    loss, gradient = step(small_decoder(FORMATS["of their own"], DEVICE, config=config), CELLS)
    expected, slopes = step(small_decoder(FORMATS["of their own"], config=config), CELLS)
    torch.testing.assert_close(loss, expected, rtol=2e-6, atol=0)
    close(gradient, slopes, 1e-5)
    plain, _ = step(small_decoder(FORMATS["of their own"]), CELLS)
    assert (plain - expected).abs().min() > 1e-3


@pytest.mark.parametrize("packed", FORMATS.values(), ids=FORMATS)
def test_a_step_gives_the_losses_and_gradients_of_a_processor(packed, gpu):
    loss, gradient = step(small_decoder(packed, DEVICE), CELLS)
    expected, slopes = step(small_decoder(packed), CELLS)
    torch.testing.assert_close(loss, expected, rtol=2e-6, atol=0)
    close(gradient, slopes, 1e-5)
    assert {"linear_forward", "linear_input_gradient", "shrink_gradient", "rope_rotate"} <= {*gpu.launches}


@pytest.mark.parametrize("adapter", ["dora", "pissa", "llama-adapter", "lora+"])
def test_other_kinds_of_adapter_give_them_too(adapter, gpu):
    cells = [cell.with_(adapter=adapter, rank=4) for cell in CELLS[:2]]
    packed = FORMATS["one for all"]
    loss, gradient = step(small_decoder(packed, DEVICE), cells)
    expected, slopes = step(small_decoder(packed), cells)
    torch.testing.assert_close(loss, expected, rtol=5e-6, atol=0)
    close(gradient, slopes, 2e-5)


def test_what_lies_below_the_adapters_is_computed_once_and_stays_on_the_device(gpu):
    decoder = small_decoder(FORMATS["one for all"], DEVICE)
    loss, gradient = step(decoder, CELLS, first=1)
    expected, slopes = step(small_decoder(FORMATS["one for all"]), CELLS, first=1)
    torch.testing.assert_close(loss, expected, rtol=2e-6, atol=0)
    close(gradient, slopes, 1e-5)
    states = freeze(decoder, small_pool(), 1).states
    assert states is not None
    assert states.device.type == "rehearsal"


def test_weights_stay_packed_and_those_side_by_side_are_held_once(gpu):
    decoder = small_decoder(FORMATS["one for all"], DEVICE)
    joined = decoder.prepared["layers.0.q_proj"]
    assert decoder.products["layers.0.q_proj"] == [("layers.0.q_proj", "layers.0.k_proj", "layers.0.v_proj")]
    assert joined.codes.dtype == torch.uint8
    three = [f"layers.0.{leaf}" for leaf in ("q_proj", "k_proj", "v_proj")]
    inner = {decoder.weights[name].codes.inner.untyped_storage().data_ptr() for name in three}
    assert inner == {joined.codes.inner.untyped_storage().data_ptr()}
    for name in three:
        here = small_decoder(FORMATS["one for all"]).weights[name].dequantize()
        assert torch.equal(decoder.weight(name).cpu(), here)


def trained(device: str, cells: list[CellConfig]) -> tuple[TrainState, Frozen]:
    frozen = freeze(small_decoder(FORMATS["of their own"], device, config=ONE_BLOCK), small_pool(), 0)
    _, state = train(frozen, cells, DRAWS[: len(cells)])
    return state, frozen


def test_training_ends_with_the_adapters_of_a_processor(gpu):
    """Forward, gradients, clipping and optimizer, with a cell that leaves the stack before the others."""
    (there, _), (here, _) = trained(DEVICE, CELLS), trained("cpu", CELLS)
    assert isinstance(there.weights, OnDevice)
    assert not isinstance(there.losses, OnDevice), "the record is on the processor"
    torch.testing.assert_close(there.losses, here.losses, rtol=2e-5, atol=0, equal_nan=True)
    torch.testing.assert_close(there.norms, here.norms, rtol=1e-4, atol=0, equal_nan=True)
    close(there.weights.cpu(), here.weights, 1e-4)
    close(there.square.cpu(), here.square, 1e-4)


def test_training_goes_on_from_a_checkpoint_of_the_other_device(gpu):
    (whole, frozen), snapshots = trained(DEVICE, CELLS), []
    train(frozen, CELLS, DRAWS, on_step=lambda state: snapshots.append(state.tensors()))
    halfway = TrainState.from_tensors({name: one.clone() for name, one in snapshots[0].items()})
    # the snapshots' records are views of what goes on changing; a file would have been written at once
    halfway = replace(halfway, losses=snapshots[0]["losses"].clone(), step=1)
    _, again = train(frozen, CELLS, DRAWS, start=halfway)
    assert torch.equal(again.weights.cpu(), whole.weights.cpu())


def test_a_step_waits_for_the_device_once_at_most(gpu):
    frozen = freeze(small_decoder(FORMATS["of their own"], DEVICE, config=ONE_BLOCK), small_pool(), 0)
    train(frozen, CELLS, DRAWS)  # tables that are copied once
    before = [len(gpu.reads)]
    train(frozen, CELLS, DRAWS, on_step=lambda _: before.append(len(gpu.reads)))
    first, *later = before
    for start, end in pairwise(later):
        assert end - start <= 1, gpu.reads[start:end]
    assert later[0] - first <= 2, gpu.reads[first : later[0]]  # adapters go there before the first step


def test_a_cell_that_fails_is_told_and_leaves_its_neighbours_alone(gpu):
    cells = [CELLS[0], CELLS[1].with_(learning_rate=1e30), CELLS[2]]
    (there, _), (here, _) = trained(DEVICE, cells), trained("cpu", cells)
    assert there.failed.tolist() == here.failed.tolist()
    assert there.failed.tolist()[1] > 0
    assert there.weights.cpu()[1].abs().max() == 0
    close(there.weights.cpu()[[0, 2]], here.weights[[0, 2]], 1e-4)


def test_evaluation_gives_what_a_processors_does(gpu):
    found = []
    for device in (DEVICE, "cpu"):
        frozen = freeze(small_decoder(FORMATS["of their own"], device, config=ONE_BLOCK), small_pool(), 0)
        stack, _ = train(frozen, CELLS, DRAWS)
        found.append(evaluate(frozen, HeldOut([0, 5, 19, 7]), stack))
    there, here = found
    torch.testing.assert_close(there.losses, here.losses, rtol=1e-4, atol=0)
    assert torch.equal(there.exact, here.exact)


def test_generation_writes_what_a_processors_does(gpu):
    prompts = [[[1, 2, 7], [1, 2, 30, 9, 11]]] * 2
    written = []
    for device in (DEVICE, "cpu"):
        decoder = small_decoder(FORMATS["one for all"], device)
        stack = fresh_stack(CELLS[:2], SMALL, decoder)
        with torch.no_grad():
            noise = torch.randn(stack.weights.shape, generator=torch.Generator().manual_seed(2))
            stack.weights += 0.05 * noise.to(decoder.device)
        written.append(generate(decoder, prompts, stops=[3], limit=6, adapters=stack.adapters()))
    assert written[0] == written[1]


@pytest.mark.parametrize("embedding", ["q8_0", ""], ids=["packed embedding", "plain embedding"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_step_in_16_bits_is_as_near_to_float32_as_torchs_own(precision, embedding, gpu):
    """What 16 bits lose is measured on the processor, with all weights, activations and adapters in them.

    It rounds after every operator, as the route on a GPU does, so the two errors are of one size.
    """
    packed, dtype = {**FORMATS["of their own"], "embedding": embedding}, COMPUTED_IN[precision]
    decoder = small_decoder(packed, DEVICE, precision)
    assert decoder.embed(torch.tensor([[1, 2]]).to(DEVICE)).dtype == dtype
    loss, gradient = step(decoder, CELLS)
    truth = small_decoder(packed)
    rounded = {name: truth.weight(name).to(dtype) for name in truth.weights}
    torchs_loss, torchs = step(Decoder(SMALL, rounded), CELLS, adapters=dtype)
    true_loss, true = step(truth, CELLS)
    for row in range(len(CELLS)):
        assert relative(gradient[row], true[row]) <= 1.5 * relative(torchs[row], true[row]), row
        assert relative(torchs[row], true[row]) < 0.05, "a slope of something else is far away from both"
    assert (loss - true_loss).abs().max() <= 1.5 * (torchs_loss - true_loss).abs().max()
    assert relative(gradient, true) > 1e-4, "it is in 16 bits"


@pytest.mark.slow
def test_a_step_of_the_classroom_base_equals_the_processors(gpu):
    one = CellConfig(data="d", base="b", size=4, rank=4, steps=2, batch_size=3)
    cells = [one.with_(seed=seed) for seed in (0, 1)]
    texts = [Example(tuple(range(3 + i, 12 + 2 * i)), 4 + i) for i in range(6)]
    states = []
    for device in (DEVICE, "cpu"):
        frozen = freeze(load_base("classroom", "float32", device).decoder, Pool(texts), 0)
        _, state = train(frozen, cells, [[0, 1, 2, 3], [2, 3, 4, 5]])
        states.append(state)
    there, here = states
    torch.testing.assert_close(there.losses, here.losses, rtol=2e-5, atol=0)
    close(there.weights.cpu(), here.weights, 1e-4)


def test_a_cell_that_is_left_out_keeps_its_moments(gpu):
    weights, gradient = torch.ones(3, 5, device=DEVICE), torch.full((3, 5), 0.5, device=DEVICE)
    optimizer = StackedAdamW(weights, [cell.with_(steps=2) for cell in CELLS])
    usable = torch.tensor([True, False, True]).to(DEVICE)
    optimizer.update(gradient, 0, torch.arange(3), usable)
    assert torch.equal(weights.cpu()[1], torch.ones(5))
    assert optimizer.mean.cpu()[:, 0].ne(0).tolist() == [True, False, True]
    assert optimizer.square.cpu()[:, 0].ne(0).tolist() == [True, False, True]


@pytest.mark.parametrize("rows", [32, 1000])
def test_logits_are_in_float32(rows, gpu, monkeypatch):
    """Each is the product of two rows of 16 bits, rounded nowhere between; however it is cut."""
    monkeypatch.setattr(vendor, "WIDTH", 32)
    monkeypatch.setattr(vendor, "SCRATCH_BYTES", rows * 64 * 2)
    decoder = small_decoder({}, DEVICE, "bfloat16")
    hidden = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(3)).bfloat16()
    logits = decoder.head(hidden.to(DEVICE)).cpu()
    head = small_decoder({}).weights["embedding"].dequantize(torch.bfloat16)
    torch.testing.assert_close(logits, hidden.float() @ head.float().mT, rtol=1e-6, atol=1e-6)
    plain = head_products.float32_logits(hidden.to(DEVICE), head.to(DEVICE)).cpu()
    assert torch.equal(plain, logits)
