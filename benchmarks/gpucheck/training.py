"""A few steps of training, timed: stacks by the workbench, and one cell by transformers and PEFT."""

import gc
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from gpucheck.bases import Shape
from gpucheck.clock import Stopwatch
from gpucheck.place import Place
from workbench.config import LINEARS, CellConfig
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.models.decoder import Decoder
from workbench.training.loop import TrainState, freeze, step_rows, train
from workbench.training.optimizer import learning_rate

WARM_STEPS = 2
"""First steps of a run, which aren't timed."""
PARTS = dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj"), "self_attn")
PARTS |= dict.fromkeys(("gate_proj", "up_proj", "down_proj"), "mlp")
"""Where transformers keeps each linear layer of a block."""
NAMES = {
    "embedding": "model.embed_tokens",
    "norm": "model.norm",
    "head": "lm_head",
    "attention_norm": "input_layernorm",
    "feed_forward_norm": "post_attention_layernorm",
}
"""What it calls the rest."""


@dataclass(frozen=True, slots=True)
class Timed:
    """What a run of training gave."""

    seconds: float
    """Of the steps that are timed, all cells together."""
    steps: int
    """How many these are."""
    labels: int
    """Labels of all cells in these steps."""
    losses: list[float]
    """Of the first cell, step by step, from the first step of all on."""

    @property
    def rate(self) -> float:
        """Labelled tokens a second."""
        return self.labels / self.seconds


def texts(vocabulary: int, count: int, mean: float = 100.0, seed: int = 0) -> list[Example]:
    """Draw texts of random tokens, as long as instruction data are: log-normal, with a mean and a long tail.

    A prompt is about three fifths of its text.
    """
    chance = random.Random(seed)
    spread = 0.6
    found = []
    for _ in range(count):
        drawn = chance.lognormvariate(math.log(mean) - spread**2 / 2, spread)
        length = min(max(round(drawn), 8), round(5 * mean))
        tokens = tuple(chance.randrange(3, vocabulary) for _ in range(length))
        found.append(Example(tokens, max(1, round(0.6 * length))))
    return found


def cells_of(count: int, texts_in_all: int, steps: int, rank: int, batch: int) -> list[CellConfig]:
    """Return cells that differ in their seed: each takes the texts in an order of its own."""
    first = CellConfig(
        data="drawn",
        base="random",
        size=texts_in_all,
        rank=rank,
        batch_size=batch,
        steps=steps,
        learning_rate=1e-3,
    )
    return [replace(first, seed=seed) for seed in range(count)]


def chosen(cells: Sequence[CellConfig], count: int, step: int) -> list[list[int]]:
    """Return each cell's texts of one step, as indices below ``count``."""
    return step_rows(cells, [range(count)] * len(cells), step)


def labels_in(cells: Sequence[CellConfig], examples: Sequence[Example], steps: range) -> int:
    """Count the labels of all cells in some steps."""
    of_each = [len(example.labels) for example in examples]
    rows = (row for step in steps for row in chosen(cells, len(examples), step))
    return sum(of_each[index] for row in rows for index in row)


def train_stack(
    place: Place,
    decoder: Decoder,
    examples: Sequence[Example],
    cells: Sequence[CellConfig],
    on_step: Callable[[TrainState], None] | None = None,
) -> Timed:
    """Train cells together by the workbench's own loop, and time what follows the first steps."""
    frozen = freeze(decoder, Pool(examples), 0)
    draws = [list(range(len(examples)))] * len(cells)
    watch, steps = Stopwatch(place.synchronize), cells[0].total_steps

    def after(state: TrainState) -> None:
        if state.step == WARM_STEPS:
            watch.start()
        if on_step:
            on_step(state)

    _, state = train(frozen, cells, draws, on_step=after)
    seconds = watch.seconds()
    labels = labels_in(cells, examples, range(WARM_STEPS, steps))
    return Timed(seconds, steps - WARM_STEPS, labels, finite(state.losses[:, 0].tolist()))


def finite(losses: list[float]) -> list[float]:
    """Return the losses.

    Raises:
        RuntimeError: If one isn't a number: then the time of the training means nothing.
    """
    for step, loss in enumerate(losses, start=1):
        if not math.isfinite(loss):
            raise RuntimeError(f"the loss of step {step} is {loss}: compare no times")
    return losses


def hugging_face(decoder_shape: Shape, place: Place, dtype: torch.dtype) -> Any:
    """Make a model of transformers of the same sizes, with random weights, on the device."""
    import transformers

    config = decoder_shape.config
    newer = int(transformers.__version__.split(".")[0]) >= 5
    turning = {"rope_type": "default", "rope_theta": config.rope_base}
    positions = {"rope_parameters": turning} if newer else {"rope_theta": config.rope_base}
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with place.device:
            return transformers.LlamaForCausalLM(
                transformers.LlamaConfig(
                    vocab_size=config.vocabulary,
                    hidden_size=config.width,
                    intermediate_size=config.feed_forward,
                    num_hidden_layers=config.layers,
                    num_attention_heads=config.heads,
                    num_key_value_heads=config.kv_heads,
                    head_dim=config.head_size,
                    rms_norm_eps=config.norm_epsilon,
                    tie_word_embeddings=decoder_shape.tied,
                    attn_implementation="sdpa",
                    **positions,
                )
            )
    finally:
        torch.set_default_dtype(before)


@torch.no_grad()
def copy_weights(decoder: Decoder, model: Any) -> None:
    """Give a model of transformers the numbers that a packed base stands for."""
    theirs = dict(model.named_parameters())
    for name in decoder.config.shapes(tied=decoder.tied):
        *layer, leaf = name.split(".")
        inner = f"{PARTS[leaf]}.{leaf}" if leaf in PARTS else NAMES[leaf]
        theirs.pop(".".join([*(["model", *layer] if layer else []), inner, "weight"])).copy_(
            decoder.weight(name)
        )
    if theirs:
        raise RuntimeError(f"transformers has weights that the base lacks: {sorted(theirs)}")


def with_lora(model: Any, cell: CellConfig) -> Any:
    """Put PEFT's adapters on every linear layer of a model, as its documentation does it."""
    from peft import LoraConfig, get_peft_model

    wanted = LoraConfig(
        r=cell.rank, lora_alpha=cell.alpha, target_modules=list(LINEARS), lora_dropout=0.0, bias="none"
    )
    model = get_peft_model(model, wanted)
    model.train()
    return model


def padded(place: Place, examples: Sequence[Example], row: Sequence[int]) -> dict[str, torch.Tensor]:
    """Lay texts below each other, each filled up to the longest: what transformers is given."""
    from torch.nn.utils.rnn import pad_sequence

    some = [examples[index] for index in row]
    tokens = [torch.tensor(one.token_ids) for one in some]
    labels = [torch.tensor((-100,) * one.prompt_length + one.token_ids[one.prompt_length :]) for one in some]
    batch = {
        "input_ids": pad_sequence(tokens, batch_first=True),
        "attention_mask": pad_sequence([torch.ones_like(one) for one in tokens], batch_first=True),
        "labels": pad_sequence(labels, batch_first=True, padding_value=-100),
    }
    return {name: tensor.to(place.device) for name, tensor in batch.items()}


def train_peft(
    place: Place, model: Any, examples: Sequence[Example], cell: CellConfig, rows: Sequence[Sequence[int]]
) -> Timed:
    """Train one cell with PEFT, in a plain loop with the best of what it offers: fused AdamW, sdpa.

    Batches lie on the device before the clock starts; losses are read after it has stopped.
    """
    batches = [padded(place, examples, row) for row in rows]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1.0, weight_decay=0.0, fused=place.cuda)
    watch, losses = Stopwatch(place.synchronize), []
    careful = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)  # the workbench's own care, which takes time, is none of PEFT's
    for step, batch in enumerate(batches):
        if step == WARM_STEPS:
            watch.start()
        loss = model(**batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, cell.gradient_clip)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(cell, step)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.detach())
    seconds = watch.seconds()
    torch.use_deterministic_algorithms(careful)
    labels = sum(len(examples[index].labels) for row in rows[WARM_STEPS:] for index in row)
    return Timed(seconds, len(rows) - WARM_STEPS, labels, finite([float(loss) for loss in losses]))


def free(place: Place) -> None:
    """Give back the memory of what nobody holds any more."""
    gc.collect()
    if place.cuda:
        torch.cuda.empty_cache()
