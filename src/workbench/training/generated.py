"""Judging by what cells write: greedy generation on every evaluation set, scored by ``text_metrics.py``.

It costs far more than the loss, which one pass over the references gives, so it is done only if asked for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from workbench.adapters.lora import LoraStack
from workbench.data.places import listed
from workbench.data.records import Record
from workbench.errors import InputError
from workbench.metrics import BY_REFERENCES, HELDOUT, OWN, on_set, set_and_metric
from workbench.models.decoder import Decoder
from workbench.models.generation import generate
from workbench.training.card_memory import CACHE_BYTES
from workbench.training.evaluation import HeldOut
from workbench.training.loop import Frozen
from workbench.training.text_metrics import BUILT_IN, TEXT_METRICS, scored

FURTHER_TOKENS = 8
"""By so many tokens, or a quarter if that is more, a response may be longer than the longest reference."""
WRITTEN = "written"
"""Of a response, the tokens that were generated; no metric, and kept for what they cost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """How an evaluation set is judged by generation.

    Attributes:
        metrics: Names of the metrics.
        records: The set's records, in its order.
        limit: Most tokens of a response.
        decode: Turns tokens into text.
    """

    metrics: tuple[str, ...]
    records: tuple[Record, ...]
    limit: int
    decode: Callable[[Sequence[int]], str]


def generation_of(
    name: str,
    metrics: Sequence[str],
    records: Sequence[Record],
    lengths: Sequence[int],
    decode: Callable[[Sequence[int]], str],
) -> tuple[Generation | None, list[str]]:
    """Return how a set is judged, and notes; None where none of the metrics can judge it.

    Args:
        name: The set's.
        metrics: Those asked for.
        records: The set's.
        lengths: Tokens of each reference.
        decode: Turns tokens into text.

    Raises:
        InputError: If a metric's package is missing, or a user's function fails on a reference.
    """
    notes, kept = [], []
    which = "the held-out records" if name == HELDOUT else f"the evaluation set {name!r}"
    for metric in metrics:
        one = TEXT_METRICS[metric]
        lacking = [record.where for record in records if not one.answerable(record.response)]
        if lacking:
            notes.append(
                f"{metric} isn't measured on {which}: {len(lacking)} of {len(records)} answers have no "
                f"{one.needs} ({listed(lacking)})"
            )
            continue
        scored(metric, records[0].response, records[0])  # what fails, fails before the training
        if one.sha256 is None and metric not in BUILT_IN:
            notes.append(
                f"the text of the function {metric.removeprefix(OWN)!r} can't be read, so nobody will notice "
                "if the study goes on with another one of its name"
            )
        kept.append(metric)
    if not kept:
        return None, notes
    limit = max(lengths) + max(FURTHER_TOKENS, max(lengths) // 4)
    notes.append(f"each response to {which} is generated greedily, up to {limit:,} tokens")
    return Generation(metrics=tuple(kept), records=tuple(records), limit=limit, decode=decode), notes


def check_measurable(metrics: Sequence[str], sets: Mapping[str, Generation], notes: Sequence[str]) -> None:
    """Refuse a metric that no evaluation set can be judged by.

    Raises:
        InputError: If there is one; the message says what the answers lack.
    """
    for metric in metrics:
        if not any(metric in one.metrics for one in sets.values()):
            why = "; ".join(note for note in notes if note.startswith(f"{metric} isn't measured"))
            raise InputError(
                f"{why}; leave {metric} out of --metrics, or judge by a set whose answers have it with --eval"
            )


class Response(NamedTuple):
    """What a cell wrote for one record."""

    text: str
    tokens: int
    """How many were generated, an end mark not counted."""


def responses(
    frozen: Frozen,
    heldout: HeldOut,
    how: Generation,
    stack: LoraStack | None,
    *,
    cache_bytes: int = CACHE_BYTES,
) -> list[list[Response]]:
    """Return what every cell of a stack, or the bare base, writes for each record of a set."""
    cells = 1 if stack is None else len(stack.cells)
    adapters = {} if stack is None else stack.adapters()
    pool, references = frozen.pool, heldout.references
    context = frozen.decoder.config.context
    prompts, own = [], []
    for index in references:
        start, length, asked = (int(x[index]) for x in (pool.starts, pool.lengths, pool.prompts))
        tokens = pool.tokens[start : start + length].tolist()
        prompts.append(tokens[:asked])
        own.append(tokens[asked:])
    stops = {*heldout.stops, *(tokens[-1] for tokens in own)}
    written = [[Response("", 0)] * len(references) for _ in range(cells)]
    for places in _chunks(frozen.decoder, [len(one) for one in prompts], how.limit, cells, cache_bytes):
        asked_now = [prompts[place] for place in places]
        said = generate(
            frozen.decoder, [asked_now] * cells, stops=stops, limit=how.limit, adapters=adapters, exact=True
        )
        for cell, row in enumerate(said):
            for place, tokens in zip(places, row, strict=True):
                # a neighbour with a shorter prompt may have gone on beyond what the base can read
                text = how.decode(tokens[: context - len(prompts[place])])
                # what a chat template puts before each response is none of it
                before, found, _ = how.decode(own[place]).partition(how.records[place].response)
                written[cell][place] = Response(text.removeprefix(before) if found else text, len(tokens))
    return written


def judged(
    frozen: Frozen, heldout: HeldOut, how: Generation, stack: LoraStack | None
) -> list[dict[str, list[float]]]:
    """Return for every cell what each of its responses is worth, by the name of the metric.

    Beside these, :data:`WRITTEN` has how many tokens each took.
    """
    return [
        {
            WRITTEN: [float(one.tokens) for one in row],
            **{
                metric: [
                    scored(metric, one.text, record) for one, record in zip(row, how.records, strict=True)
                ]
                for metric in how.metrics
            },
        }
        for row in responses(frozen, heldout, how, stack)
    ]


def _chunks(
    decoder: Decoder, lengths: Sequence[int], limit: int, cells: int, cache_bytes: int
) -> Iterator[list[int]]:
    """Yield places of prompts of similar length, as many at once as the memory holds."""
    config = decoder.config
    a_token = 2 * 4 * config.layers * config.kv_heads * config.head_size
    chunk: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (lengths[place], place)):
        # the longest so far comes last
        if chunk and (len(chunk) + 1) * cells * a_token * (lengths[place] + limit) > cache_bytes:
            yield chunk
            chunk = []
        chunk.append(place)
    if chunk:
        yield chunk


def metrics_in(columns: Sequence[str]) -> list[str]:
    """Return the columns of a study's table that are metrics: set by set, losses first."""
    order = [*BY_REFERENCES, *BUILT_IN]
    found: dict[str, list[str]] = {HELDOUT: []}
    for column in columns:
        name, metric = set_and_metric(column)
        if metric in order or metric.startswith(OWN):
            found.setdefault(name, []).append(metric)
    return [
        on_set(name, metric)
        for name, own in found.items()
        for metric in sorted(own, key=lambda one: (order.index(one) if one in order else len(order), one))
    ]
