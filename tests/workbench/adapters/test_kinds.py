"""Kinds of adapter: each is what PEFT's own module computes, in its outputs and in its gradients."""

from dataclasses import replace

import pytest
import torch
from hugging_face import as_transformers

from workbench.adapters.adapter import MAGNITUDE
from workbench.adapters.formats.peft import PARTS
from workbench.adapters.kinds.known import ADAPTER_KINDS
from workbench.adapters.kinds.lora_plus import RATIO
from workbench.adapters.lora import LoraStack
from workbench.config import KINDS_OF_ADAPTER, PREFIX_KINDS, CellConfig
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.studies.disk.adapters import peft_config
from workbench.training.optimizer import StackedAdamW, learning_rate

WITH_MATRICES = tuple(kind for kind in KINDS_OF_ADAPTER if kind not in PREFIX_KINDS)
"""The others are tested in ``test_prefix.py``."""
CELL = CellConfig(data="d", base="b", size=8, rank=4, alpha=6.0)
TEXT = tuple(range(1, 13))
PEFT_OPTIONS = {
    "lora": {},
    "lora+": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "pissa": {"init_lora_weights": "pissa"},
    "olora": {"init_lora_weights": "olora"},
}
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def fresh(decoder, kind: str, *cells: CellConfig) -> LoraStack:
    return LoraStack([cell.with_(adapter=kind) for cell in cells or (CELL,)], decoder.config, decoder)


def logits(decoder, stack: LoraStack | None):
    batch = Pool([Example(TEXT, 1)]).batch([[0]] * (1 if stack is None else len(stack.cells)))
    found = decoder.head(decoder(batch, stack.adapters() if stack else None).flatten(0, 1))
    return found.unflatten(0, (-1, len(TEXT)))


def in_peft(decoder, kind: str):
    peft = pytest.importorskip("peft", reason="the test extra brings peft")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    asked = peft.LoraConfig(
        r=CELL.rank, lora_alpha=CELL.alpha, target_modules=list(PARTS), **PEFT_OPTIONS[kind]
    )
    return peft.get_peft_model(as_transformers(transformers, decoder), asked)


def theirs_of(model, layer: str) -> dict[str, torch.Tensor]:
    """What PEFT trains in one of our layers, by our names."""
    _, block, leaf = layer.split(".")
    module = getattr(getattr(model.base_model.model.model.layers[int(block)], PARTS[leaf]), leaf)
    found = {half: getattr(module, half)["default"].weight for half in ("lora_A", "lora_B")}
    if "default" in module.lora_magnitude_vector:
        found[MAGNITUDE] = module.lora_magnitude_vector["default"].weight
    return found


def test_the_registry_has_what_a_cell_may_name():
    assert tuple(ADAPTER_KINDS) == KINDS_OF_ADAPTER
    assert set(PEFT_OPTIONS) == set(WITH_MATRICES)
    assert {name for name, kind in ADAPTER_KINDS.items() if kind.prefix} == set(PREFIX_KINDS)
    for kind in ADAPTER_KINDS.values():
        assert kind.about
        assert "arXiv:" in kind.source


@pytest.mark.parametrize("kind", WITH_MATRICES)
def test_a_fresh_one_changes_nothing(tiny_decoder, kind):
    stack = fresh(tiny_decoder, kind, CELL, CELL.with_(rank=2, seed=1))
    with torch.no_grad():
        bare = logits(tiny_decoder, None).expand(2, -1, -1)
        torch.testing.assert_close(logits(tiny_decoder, stack), bare, **TOLERANCE)


@pytest.mark.parametrize("kind", WITH_MATRICES)
def test_outputs_and_gradients_are_those_of_peft(tiny_decoder, kind):
    """Both start from PEFT's first numbers, moved by the same noise, in every part that is trained."""
    model = in_peft(tiny_decoder, kind)
    stack = fresh(tiny_decoder, kind)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        halves = stack.halves()
        for layer in stack.names:
            for half, parameter in theirs_of(model, layer).items():
                if stack.kind.start is None and half != MAGNITUDE:
                    halves[layer][half][0] = parameter
                own = halves[layer][half][0]
                noise = 0.1 * own.std() * torch.randn(own.shape, generator=generator)
                noise += 0.05 * torch.randn(own.shape, generator=generator)
                own += noise
                parameter.copy_(own)
    expected = model(torch.tensor([TEXT])).logits
    got = logits(tiny_decoder, stack)
    assert (got - logits(tiny_decoder, None)).abs().max() > 0.01
    torch.testing.assert_close(got, expected, **TOLERANCE)

    (gradient,) = torch.autograd.grad(got.square().sum(), stack.weights)
    ours = stack.halves(gradient)
    expected.square().sum().backward()
    for layer in stack.names:
        for half, parameter in theirs_of(model, layer).items():
            scale = float(parameter.grad.abs().max())
            torch.testing.assert_close(
                ours[layer][half][0], parameter.grad, rtol=1e-4, atol=2e-5 * max(scale, 1.0)
            )


@pytest.mark.parametrize("kind", ["pissa", "olora"])
def test_first_products_are_those_of_peft(tiny_decoder, kind):
    """Signs are free in each pair of a row of A and a column of B; their product isn't."""
    model, stack = in_peft(tiny_decoder, kind), fresh(tiny_decoder, kind)
    for layer, (a, b) in stack.matrices().items():
        own = theirs_of(model, layer)
        torch.testing.assert_close(b[0] @ a[0], own["lora_B"] @ own["lora_A"], **TOLERANCE)
        assert torch.equal(fresh(tiny_decoder, kind).matrices()[layer][0], a), "the same each time"


def test_lengths_begin_as_those_of_the_rows(tiny_decoder):
    for layer, own in fresh(tiny_decoder, "dora").halves().items():
        expected = torch.linalg.vector_norm(tiny_decoder.weight(layer), dim=1)
        torch.testing.assert_close(own[MAGNITUDE][0], expected)


def test_lengths_are_those_of_the_rows_whatever_is_added_behind(tiny_config, make_decoder):
    decoder = make_decoder(replace(tiny_config, biases=frozenset({"q_proj", "v_proj", "down_proj"})))
    stack = fresh(decoder, "dora")
    with torch.no_grad():
        stack.weights.add_(0.1 * torch.randn(stack.weights.shape, generator=torch.Generator().manual_seed(1)))
    found = stack._lengths()
    for layer, (a, b) in stack.matrices().items():
        whole = decoder.weight(layer) + stack.scale[0] * b[0] @ a[0]
        torch.testing.assert_close(found[layer][0], torch.linalg.vector_norm(whole, dim=1), **TOLERANCE)


@pytest.mark.parametrize("kind", WITH_MATRICES)
def test_what_is_written_is_the_same_adapter_on_the_base_as_it_was(tiny_decoder, kind, tmp_path):
    """PEFT opens the folder's two files over the unchanged base and computes our logits."""
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    from workbench.studies.disk.adapters import write_adapter

    stack = fresh(tiny_decoder, kind, CELL, CELL.with_(rank=2, alpha=3.0, seed=1))
    with torch.no_grad():
        stack.weights.add_(
            0.05 * torch.randn(stack.weights.shape, generator=torch.Generator().manual_seed(2))
        )
        for a, b in stack.matrices().values():  # what lies above a smaller rank stays zero
            a[1, 2:], b[1, :, 2:] = 0.0, 0.0
    for row, cell in enumerate(stack.cells):
        write_adapter(tmp_path, cell, stack.tensors(row))
        folder = tmp_path / "adapters" / cell.key()
        opened = peft.PeftModel.from_pretrained(as_transformers(transformers, tiny_decoder), folder).eval()
        with torch.no_grad():
            expected = opened(torch.tensor([TEXT])).logits[0]
            torch.testing.assert_close(logits(tiny_decoder, stack)[row], expected, **TOLERANCE)


@pytest.mark.parametrize("kind", WITH_MATRICES)
def test_it_loads_what_it_gave(tiny_decoder, kind):
    one, other = fresh(tiny_decoder, kind), fresh(tiny_decoder, kind, CELL.with_(seed=3))
    with torch.no_grad():
        one.weights.add_(0.1)
    other.load(0, one.tensors(0))
    assert torch.equal(one.weights, other.weights)


def test_a_part_of_a_stack_computes_as_the_whole(tiny_decoder):
    for kind in WITH_MATRICES:
        cells = [
            CELL.with_(seed=seed, rank=rank, alpha=alpha)
            for seed, rank, alpha in ((0, 4, 6.0), (1, 2, 3.0), (2, 3, 9.0))
        ]
        stack = fresh(tiny_decoder, kind, *cells)
        with torch.no_grad():
            for own in stack.halves().values():
                for value in own.values():
                    value.mul_(1.1)
            some = stack.select([2, 1])
            torch.testing.assert_close(
                logits(tiny_decoder, some), logits(tiny_decoder, stack)[[2, 1]], **TOLERANCE
            )


def test_the_configuration_names_the_kind():
    found = {kind: peft_config(CELL.with_(adapter=kind), {}) for kind in WITH_MATRICES}
    asked = {
        kind: (one["r"], one["lora_alpha"], one["use_rslora"], one["use_dora"]) for kind, one in found.items()
    }
    assert asked == {
        "lora": (4, 6.0, False, False),
        "lora+": (4, 6.0, False, False),
        "rslora": (4, 6.0, True, False),
        "dora": (4, 6.0, False, True),
        "pissa": (8, 12.0, False, False),
        "olora": (8, 12.0, False, False),
    }


def test_the_rates_of_lora_plus_are_those_of_peft(tiny_decoder):
    """Five steps of AdamW with PEFT's groups and with ours end at the same numbers."""
    peft_optimizers = pytest.importorskip("peft.optimizers")
    model = in_peft(tiny_decoder, "lora+")
    cell = CELL.with_(adapter="lora+", learning_rate=1e-2, weight_decay=0.0, gradient_clip=1e9, steps=5)
    stack = fresh(tiny_decoder, "lora+", cell)
    with torch.no_grad():
        for layer, own in stack.halves().items():
            for half, parameter in theirs_of(model, layer).items():
                own[half][0] = parameter
    theirs = peft_optimizers.create_loraplus_optimizer(
        model, torch.optim.AdamW, lr=1e-2, loraplus_lr_ratio=RATIO, weight_decay=0.0
    )
    weights = stack.weights.detach()
    ours = StackedAdamW(weights, [cell], factors=stack.rates)
    for step in range(5):
        for group in theirs.param_groups:
            group.setdefault("whole", group["lr"])
            group["lr"] = group["whole"] * learning_rate(cell, step) / 1e-2
        gradient = torch.empty_like(weights)
        parts = stack.halves(gradient)
        for layer in stack.names:
            for half, parameter in theirs_of(model, layer).items():
                parameter.grad = torch.sin(torch.arange(parameter.numel()) + step).view_as(parameter)
                parts[layer][half][0] = parameter.grad
        theirs.step()
        ours.update(gradient, step, torch.tensor([0]), torch.tensor([True]))
    for layer, own in stack.halves(weights).items():
        for half, parameter in theirs_of(model, layer).items():
            torch.testing.assert_close(own[half][0], parameter.detach(), rtol=1e-5, atol=1e-6)


def test_a_stack_of_two_kinds_and_a_kind_without_its_base_are_mistakes(tiny_decoder):
    with pytest.raises(ValueError, match="in the same way"):
        LoraStack([CELL, CELL.with_(adapter="dora")], tiny_decoder.config, tiny_decoder)
    with pytest.raises(ValueError, match="'pissa' are made from the base's weights"):
        LoraStack([CELL.with_(adapter="pissa")], tiny_decoder.config)
