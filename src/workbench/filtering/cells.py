"""Which cells answer whether a filter is worth its cost, and how many tokens their draws have."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from workbench.config import Quality
from workbench.data.matching import CHANCE, TOKENS
from workbench.data.pools import records_of_each
from workbench.data.records import Dataset, Record
from workbench.data.subsets import draw
from workbench.errors import InputError
from workbench.filtering.asked import Asked
from workbench.models.base import Base
from workbench.studies.choices import study as described
from workbench.studies.grid import Place, Study
from workbench.training.prepare import token_counter, tokens_of_each

BY_CHANCE = Quality(pool=CHANCE)


def grid(
    asked: Asked,
    path: Path,
    base: Base,
    template: str,
    filters: Sequence[Quality],
    controls: Sequence[Quality],
) -> tuple[Study, Dataset, dict[Quality, int]]:
    """Return the study: chance first, then each filter with its control, and all records once.

    With it come its data, and the largest size that each quality can have.

    Raises:
        InputError: If a filter keeps fewer records than a size that is asked for.
    """
    beside = [[one, *controls[place : place + 1]] for place, one in enumerate(filters)]
    qualities = (BY_CHANCE, *(quality for pair in beside for quality in pair))
    found = described(
        path,
        asked.budget,
        base=asked.base,
        qualities=qualities,
        seeds=asked.seeds,
        heldout=asked.heldout,
        heldout_file=asked.heldout_file,
        on_empty=asked.on_empty,
        on_bad=asked.on_bad,
        mapping=asked.mapping,
        read_as=asked.read_as,
        template=template,
        **{"epochs": asked.epochs, **dict(asked.settings)},
    )
    dataset = found.dataset()
    if asked.size_in == "tokens":
        tokens = token_counter(base, template)
        limits = tokens_of_each(dataset, qualities, found.seeds, tokens)
        found = replace(found, size_in="tokens", sizes=sizes_in_tokens(found.sizes, dataset, limits, tokens))
        largest = limits[BY_CHANCE]
    else:
        limits, largest = records_of_each(dataset, qualities, found.seeds), len(dataset.train)
    name = f"{asked.file.name.split('.')[0]} filters"
    if asked.sizes:
        refuse_too_few(asked, limits, largest)
        found = replace(found, sizes=asked.sizes, grown=())
    if asked.whole and largest > max(found.sizes):
        places = tuple(Place(quality=BY_CHANCE, size=largest, seed=seed) for seed in found.seeds)
        found = replace(found, grown=(*found.grown, places))
    return replace(found, name=name), dataset, limits


def sizes_in_tokens(
    sizes: Sequence[int], dataset: Dataset, limits: Mapping[Quality, int], tokens: Callable[[Record], int]
) -> tuple[int, ...]:
    """Return sizes in response tokens that stand to each other as those in examples do.

    The largest is about as many examples, or all that the smallest pool has.
    """
    each = fmean(map(tokens, dataset.train))
    largest = min(max(sizes) * each, *limits.values())
    return tuple(sorted({max(1, int(largest * size / max(sizes))) for size in sizes}))


def refuse_too_few(asked: Asked, limits: Mapping[Quality, int], everything: int) -> None:
    """Refuse sizes that a filter keeps too little for.

    Raises:
        InputError: If there are such sizes.
    """
    largest = max(asked.sizes or ())
    fewest = min(limits, key=lambda quality: limits[quality])
    lacking = largest - limits[fewest]
    if lacking <= 0:
        return
    ways = [f"choose sizes of at most {limits[fewest]}"]
    counted = "records" if asked.size_in == "examples" else "response tokens"
    # a share that rounds to at least the largest size; how long what is kept then is, isn't known
    needed = int(np.ceil(100 * largest / everything))
    if needed < 100 and asked.size_in == "examples":
        ways = [f"keep more with --keep {needed}%", *ways]
    raise InputError(
        f"{fewest.pool!r} keeps {limits[fewest]} of {everything} {counted} to train on, {lacking} too few "
        f"for the size {largest}; {', or '.join(ways)}"
    )


def drawn_tokens(study: Study, dataset: Dataset) -> list[dict[str, Any]]:
    """Return how many response tokens the draws have, by quality and size, on average over the seeds."""
    counts: dict[tuple[Quality, int], list[float]] = {}
    for batch in study.batches():
        for place in batch:
            drawn = draw(dataset, place.quality, place.size, place.seed)
            tokens = sum(float(record.extra[TOKENS]) for record in drawn)
            counts.setdefault((place.quality, place.size), []).append(tokens)
    return [
        {"quality": quality.label, "size": size, "tokens": sum(tokens) / len(tokens)}
        for (quality, size), tokens in counts.items()
    ]
