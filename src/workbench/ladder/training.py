"""Training one run of a ladder: the same words for all, the held-out loss at the end, and a float32 file.

The data, their split and the optimizers are those of :mod:`workbench.classroom.pretrain`; weights are never
rounded to 4 bits on the way. A seed decides the first weights and the order of the examples, nothing else.

Rates: Muon's step has the same spectral norm at every width, so one rate serves all matrices. The embedding,
which is the head too, gets a rate in proportion to 1 / width, since a logit sums over the width. Both were
tried at two widths; LOG.md has the numbers.

Source: Jordan et al., "Muon", 2024; Yang et al. 2022, arXiv:2203.03466, for rates over widths.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import chain
from math import isfinite
from pathlib import Path

from workbench.classroom.pretrain import (
    DESCRIPTION,
    TOKENIZER,
    PretrainConfig,
    PretrainData,
    deal,
    example_of,
    pretrain,
    pretrain_data,
    whole_example_of,
)
from workbench.classroom.word_tasks import WordTask
from workbench.data.batches import Pool
from workbench.data.records import Record, digest_of
from workbench.data.sources.verbs import read_word_table
from workbench.errors import InputError
from workbench.files import sha256_of
from workbench.ladder.muon import StackedMuon
from workbench.ladder.rungs import Run, architecture, parameters
from workbench.models.decoder import Decoder
from workbench.models.gguf_writer import write_gguf
from workbench.training.evaluation import HeldOut, evaluate
from workbench.training.loop import Frozen

LADDER_SETTINGS = PretrainConfig(batch_size=32, quantized_share=0.0, seed=0)
"""What all runs share; steps, warm-up, seed and the rate of the embedding are each run's own."""
RATE_WIDTH = 128
"""At this width the embedding's rate is that of the settings."""
WARMUP_SHARE = 0.1
"""Share of a run's steps in which the rates rise."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a ladder is trained and measured on.

    Attributes:
        data: The words to train on and those held out.
        pool: The examples to train on, task after task; all tokens count, those of the prompts too.
        example_tokens: Tokens of an example on average, as :func:`deal` draws them.
        distinct_tokens: Tokens of all different examples to train on.
    """

    data: PretrainData
    pool: Pool
    example_tokens: float
    distinct_tokens: int

    @property
    def facts(self) -> dict[str, object]:
        """What a manifest says of them."""
        return {
            "training examples": sum(map(len, self.data.train.values())),
            "training tokens": self.distinct_tokens,
            "training sha256": _digest(chain(*self.data.train.values())),
            "held-out examples": len(self.data.heldout),
            "held-out sha256": _digest(self.data.heldout),
        }


def _digest(tasks: Iterable[WordTask]) -> str:
    return digest_of(Record(id=task.prompt, prompt=task.prompt, response=task.answer) for task in tasks)


COUNTED_STEPS = 800
"""Steps that are dealt to tell how long an example is on average: to 0.1%."""


@cache
def lessons() -> Lessons:
    """Return the words of ``lemminflect``, split as for the shipped base; they are the same for all seeds."""
    return lessons_of(pretrain_data(read_word_table(), LADDER_SETTINGS))


def lessons_of(data: PretrainData) -> Lessons:
    """Return some data with what is known of its lengths."""
    # nothing is asked of the answers alone here, so that everything may count as one: it is made faster
    pool = Pool(replace(example_of(task), prompt_length=1) for task in chain(*data.train.values()))
    lengths = pool.lengths.tolist()
    steps = deal(data.train, replace(LADDER_SETTINGS, steps=COUNTED_STEPS))
    dealt = [lengths[index] for step in steps for index in step]
    return Lessons(data, pool, sum(dealt) / len(dealt), sum(lengths))


def settings_of_run(run: Run, known: Lessons, settings: PretrainConfig = LADDER_SETTINGS) -> PretrainConfig:
    """Return how a run is trained: as many whole steps as its tokens take, at least one."""
    tokens = run.ratio * parameters(run.width)
    steps = max(1, round(tokens / (settings.batch_size * known.example_tokens)))
    return replace(
        settings,
        steps=steps,
        warmup_steps=max(1, round(WARMUP_SHARE * steps)),
        vector_rate=settings.vector_rate * RATE_WIDTH / run.width,
        seed=run.seed,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What came of a run; a row of the ladder's table.

    Attributes:
        run: Its name.
        ratio: Tokens a parameter that were asked for.
        tokens: Tokens read: steps, times examples in a step, times an example's mean length. All seeds have
            the same number; what a seed's own examples come to differs by some 0.1%.
        flops: Six times parameters times tokens.
        loss: On held-out words, nats a token, prompts and answers.
        exact_match: Share of the held-out answers that are right from the first to the last letter.
        seconds: Of training, without what is held out.
        sha256: Of the file of weights.
    """

    run: str
    width: int
    parameters: int
    ratio: float
    seed: int
    steps: int
    tokens: int
    flops: float
    epochs: float
    loss: float
    exact_match: float
    seconds: float
    began: str
    ended: str
    sha256: str


@dataclass(frozen=True, slots=True)
class RunStep:
    """Where a run is: the step that was made last, counted from 1, of how many, and its loss."""

    run: str
    step: int
    steps: int
    loss: float

    @property
    def words(self) -> str:
        """Say it, without the run."""
        return f"step {self.step} of {self.steps}, loss {self.loss:.3f}"


def moment() -> str:
    """Return the time in ISO 8601 with its zone, to the millisecond: two of them can be put in order."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Ended(Exception):
    """A run that was told to end before it was done."""


def train_run(
    run: Run,
    path: Path,
    known: Lessons,
    *,
    settings: PretrainConfig = LADDER_SETTINGS,
    on_step: Callable[[RunStep], bool] | None = None,
) -> Trained:
    """Train one run, write its float32 file and return what came of it.

    Args:
        run: What to train.
        path: Where the GGUF goes; it is there whole, or not at all.
        known: What to train and measure on.
        settings: What all runs share.
        on_step: Told each step; returns whether to go on.

    Raises:
        InputError: If the loss isn't finite, or the file can't be written.
        Ended: If ``on_step`` said so; nothing is written then.
    """
    config, decoder_config = settings_of_run(run, known, settings), architecture(run.width)
    began, started = moment(), time.perf_counter()

    def tell(step: int, loss: float) -> None:
        if on_step and not on_step(RunStep(run.name, step, config.steps, loss)):
            raise Ended(run.name)

    weights = pretrain(
        known.data, config, architecture=decoder_config, on_step=tell, pool=known.pool, muon=StackedMuon
    )
    seconds = time.perf_counter() - started
    loss, exact = held_out(Decoder(decoder_config, weights), known.data.heldout)
    if not isfinite(loss):
        rates = " ".join(
            f"--{name.replace('_', '-')} {min(getattr(settings, name) / 2, getattr(LADDER_SETTINGS, name)):g}"
            for name in ("matrix_rate", "vector_rate")
        )
        raise InputError(
            f"{run.name}: the held-out loss is {loss}, so the training diverged at a matrix rate of "
            f"{settings.matrix_rate:g} and a vector rate of {settings.vector_rate:g}; take lower ones, in "
            f"another folder (--out): {rates}"
        )
    write_gguf(
        path,
        decoder_config,
        weights,
        TOKENIZER,
        name=f"ladder {run.name}",
        licence="MIT",
        description=DESCRIPTION,
    )
    tokens = round(config.steps * config.batch_size * known.example_tokens)
    return Trained(
        run=run.name,
        width=run.width,
        parameters=parameters(run.width),
        ratio=run.ratio,
        seed=run.seed,
        steps=config.steps,
        tokens=tokens,
        flops=6.0 * parameters(run.width) * tokens,
        epochs=tokens / known.distinct_tokens,
        loss=loss,
        exact_match=exact,
        seconds=round(seconds, 3),
        began=began,
        ended=moment(),
        sha256=sha256_of(path),
    )


def held_out(decoder: Decoder, tasks: Sequence[WordTask]) -> tuple[float, float]:
    """Return the loss over all tokens, in nats, and the share of answers that are right."""
    pool = Pool(whole_example_of(task) for task in tasks)
    found = evaluate(Frozen(decoder, pool, 0, None), HeldOut(list(range(len(pool)))), None).metrics(0)
    loss, exact = found["loss"], found["exact_match"]
    assert loss is not None
    assert exact is not None
    return loss, exact
