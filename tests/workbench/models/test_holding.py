"""A base that is held packed computes what a decoded one does, and keeps nothing decoded."""

import pytest
import torch

from qlora_kernels import QuantizedTensor
from qlora_kernels.packed_weight import MappedTensor
from qlora_kernels.products import PreparedWeight
from workbench.adapters.prefix import fresh_stack
from workbench.config import CellConfig
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.errors import InputError
from workbench.models.generation import generate
from workbench.models.gguf_reader import load_gguf
from workbench.models.gguf_writer import write_gguf
from workbench.models.loaders import load_base
from workbench.models.tokenizer import CharacterTokenizer
from workbench.training.evaluation import HeldOut, evaluate
from workbench.training.loop import freeze, step_gradient, train

CELL = CellConfig(data="d", base="b", size=8, batch_size=8, steps=4, rank=2, learning_rate=0.01)


@pytest.fixture
def pool() -> Pool:
    generator = torch.Generator().manual_seed(1)
    lengths = (5, 9, 12, 4, 7, 11, 6, 8)
    return Pool([Example(tuple(torch.randint(31, (n,), generator=generator).tolist()), 2) for n in lengths])


def both(path, **settings):
    """Return a file's decoders, held decoded and packed."""
    return [load_gguf(path, "toy", hold=hold, **settings).decoder for hold in ("decoded", "packed")]


def moved(decoder, cells):
    """Return a stack whose adapters have left their beginning."""
    stack = fresh_stack(cells, decoder.config, decoder)
    with torch.no_grad():
        stack.weights.add_(
            0.02 * torch.randn(stack.weights.shape, generator=torch.Generator().manual_seed(2))
        )
    return stack


@pytest.mark.parametrize("format", ["q4_0", "q4_1", "q8_0", "plain"])
@pytest.mark.parametrize("tied", [True, False])
def test_losses_and_gradients_are_those_of_the_decoded_base(
    tmp_path, toy_config, make_weights, pool, format, tied
):
    weights = make_weights(toy_config, format, tied=tied)
    tokenizer = CharacterTokenizer("abcdefghijklmnopqrstuvwxyz '")
    write_gguf(tmp_path / "a.gguf", toy_config, weights, tokenizer, name="a", licence=None)
    decoded, packed = both(tmp_path / "a.gguf")
    assert all(isinstance(packed.weights[name], MappedTensor) for name in packed.prepared)
    for first in (0, 1):
        cells = [CELL.with_(first_layer=first), CELL.with_(first_layer=first, seed=1, rank=1)]
        rows = [list(range(8)), [3, 1, 4, 5]]
        found = []
        for decoder in (decoded, packed):
            frozen = freeze(decoder, pool, first)
            found.append((frozen.states, *step_gradient(frozen, moved(decoder, cells), rows)))
        (states, loss, gradient), (states_2, loss_2, gradient_2) = found
        if first:
            torch.testing.assert_close(states_2, states, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(loss_2, loss, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(gradient_2, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("adapter", ["lora", "dora", "pissa", "llama-adapter"])
def test_every_kind_of_adapter_trains_on_a_packed_base(toy_gguf, pool, adapter):
    decoded, packed = both(toy_gguf)
    cell = CELL.with_(adapter=adapter)
    ends = []
    for decoder in (decoded, packed):
        frozen = freeze(decoder, pool, 0)
        stack, state = train(frozen, [cell], [list(range(8))])
        judged = evaluate(frozen, HeldOut([0, 3, 5]), stack)
        ends.append((state.losses, judged.losses))
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-4, atol=1e-4)


def test_bfloat16_products_stay_within_their_rounding(toy_gguf, pool):
    gradients = []
    for decoder in both(toy_gguf, precision="bfloat16"):
        frozen = freeze(decoder, pool, 0)
        gradients.append(step_gradient(frozen, moved(decoder, [CELL]), [list(range(8))])[1])
    assert (gradients[1] - gradients[0]).norm() < 0.02 * gradients[0].norm()


def test_nothing_decoded_is_kept_and_blocks_are_run_again(toy_gguf, pool, monkeypatch):
    _, decoder = both(toy_gguf)
    run = []
    block = decoder.block
    monkeypatch.setattr(decoder, "block", lambda layer, *rest: run.append(layer) or block(layer, *rest))
    frozen = freeze(decoder, pool, 0)
    stack = moved(decoder, [CELL])
    step_gradient(frozen, stack, [list(range(8))])
    assert run == [0, 1, 1, 0], "each block once more, the last one first"
    held = (*decoder.weights.values(), *decoder.prepared.values())
    assert not any(isinstance(one, torch.Tensor) and one.ndim == 2 for one in held)
    assert not any(isinstance(one, PreparedWeight) for one in held)
    evaluate(frozen, HeldOut([0, 3]), stack)
    assert run[4:] == [0, 1], "nothing is run again where no gradient is taken"


def test_int8_and_unknown_holds_are_refused(toy_gguf):
    with pytest.raises(InputError, match="hold packed: the bytes of precision int8"):
        load_base(toy_gguf, "int8", hold="packed")
    with pytest.raises(InputError, match=r"hold.*'folded'"):
        load_base(toy_gguf, hold="folded")


def test_a_folder_is_held_packed(make_folder):
    folder, _ = make_folder()
    decoded, packed = (load_base(folder, hold=hold).decoder for hold in ("decoded", "packed"))
    batch = Pool([Example((3, 5, 9, 12), 1)]).batch([[0]])
    with torch.no_grad():
        torch.testing.assert_close(
            packed.head(packed(batch)), decoded.head(decoded(batch)), rtol=1e-5, atol=1e-5
        )
    assert not any(isinstance(weight, QuantizedTensor) for weight in packed.weights.values())


def test_a_base_names_its_formats_and_size_as_in_the_file(toy_gguf, tmp_path):
    decoded, packed = (load_base(toy_gguf, hold=hold) for hold in ("decoded", "packed"))
    assert packed.formats == decoded.formats
    assert packed.packed_bytes == decoded.packed_bytes
    assert packed.sha256 == decoded.sha256


def test_what_is_generated_is_the_same(toy_gguf):
    prompts = [[[3, 5, 9], [12, 4]]]
    decoded, packed = (generate(one, prompts, stops=(), limit=6) for one in both(toy_gguf))
    assert packed == decoded
    assert [len(one) for one in packed[0]] == [6, 6]
