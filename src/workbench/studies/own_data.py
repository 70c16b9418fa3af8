"""A study of the user's own files: what is compared, and with which sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from workbench.config import Quality
from workbench.data.heldout import both_given
from workbench.data.lengths import OnLong
from workbench.data.pools import records_of_each
from workbench.data.sources.several import labels_of
from workbench.errors import InputError
from workbench.studies.defaults import LARGE_BASE_LAYERS, LARGE_BASE_SETTINGS, OWN_CORRUPTION
from workbench.studies.grid import Place, Study, by_budget, damaged_qualities, seeds


def study_of_file(
    data: str,
    budget: str,
    *,
    base: str,
    corruption: str = OWN_CORRUPTION,
    qualities: tuple[Quality, ...] | None = None,
    others: tuple[str, ...] = (),
    pair_key: str | None = None,
    heldout: int | None = None,
    heldout_file: str | None = None,
    on_empty: Literal["error", "drop"] = "error",
    on_bad: Literal["error", "drop"] = "error",
    on_shared: Literal["error", "drop"] = "error",
    on_long: OnLong = "error",
    mapping: Mapping[str, str] | None = None,
    read_as: str | None = None,
    template: str | None = None,
    evals: tuple[tuple[str, str], ...] = (),
) -> Study:
    """Return a study of the user's own file, with sizes down from the largest that file and budget allow.

    Args:
        data: Path of a file of records, or ``hf:NAME``.
        budget: The dial.
        base: Name or path of a base.
        corruption: The damage whose price is asked for, where no qualities are given and no other files.
        qualities: What is compared; None compares the files, or one file with its damaged self.
        others: Further files, each compared with the first.
        pair_key: Column that says which records answer one question.
        heldout: Records to hold out; None takes the reader's default.
        heldout_file: Another file whose records are held out instead.
        on_empty: "drop" leaves out records with an empty prompt or response; "error" refuses them.
        on_bad: "drop" leaves out what can't be read as a record; "error" refuses it.
        on_shared: "drop" leaves out what is trained on questions of the held-out file; "error" refuses
            records that are in both.
        on_long: "drop" leaves out records that the base can't read whole, "truncate" cuts their prompts from
            the left, "split" makes several records of a conversation; "error" refuses them.
        mapping: Fields of a record, each with the key under which the files have it.
        read_as: Key of ``LAYOUTS``; None finds the layout by a file's keys.
        template: Key of ``TEMPLATES``; None takes the one that suits the data.
        evals: Further evaluation sets, each its name and its file.

    Raises:
        InputError: If the file can't be read, the budget isn't known, or both a number and a file are given
            for what is held out.
    """
    if heldout is not None and heldout_file is not None:
        raise both_given(heldout, heldout_file)
    largest, rungs, factor = by_budget(budget, (512, 3, 4), (2048, 4, 4), (8192, 7, 2))
    if qualities is None and others:
        qualities = tuple(Quality(pool=f"file:{label}") for label in labels_of((data, *others)))
    if qualities is None:
        shares = by_budget(budget, (0.5,), (0.75, 0.5), (0.9, 0.75, 0.5))
        qualities = damaged_qualities(corruption, shares)
    study = Study(
        name="-".join(labels_of((data, *others))) if others else Path(data).stem,
        data=data,
        base=base,
        qualities=qualities,
        others=others,
        pair_key=pair_key,
        sizes=(1,),
        seeds=seeds(budget),
        heldout=heldout,
        heldout_file=heldout_file,
        on_empty=on_empty,
        on_bad=on_bad,
        on_shared=on_shared,
        on_long=on_long,
        mapping=dict(mapping or {}),
        read_as=read_as,
        template=template,
        evals=evals,
        adapted_layers=LARGE_BASE_LAYERS,
        settings=dict(LARGE_BASE_SETTINGS),
    )
    limits = records_of_each(study.dataset(), qualities, study.seeds)
    most = min(*limits.values(), largest)
    rungs_down = {max(1, most // factor**rung) for rung in range(rungs)}
    # a larger pool goes on: that many of it may do what all of the smallest do
    top = min(largest, max(limits.values()))
    rungs_up = [most * factor**rung for rung in range(1, rungs) if most * factor**rung <= top]
    return fit_to_pools(replace(study, sizes=tuple(sorted({*rungs_down, *rungs_up}))), limits)


def fit_to_pools(study: Study, limits: Mapping[Quality, int]) -> Study:
    """Return a study whose sizes beyond a quality's records are trained with the others alone.

    Sizes that no quality has stay as they are: drawing refuses them, and says which would do.

    Args:
        study: The study.
        limits: How many records each quality has.
    """
    least, most = min(limits.values()), max(limits.values())
    further = [size for size in study.sizes if least < size <= most]
    if not further:
        return study
    beside = tuple(
        Place(quality=quality, size=size, seed=seed)
        for quality in study.qualities
        for seed in study.seeds
        for size in further
        if size <= limits[quality]
    )
    shared = tuple(size for size in study.sizes if size not in further)
    if not shared:
        fewest = min(study.qualities, key=lambda quality: limits[quality])
        raise InputError(
            f"no size is small enough for {fewest.label!r}, which has {least} records; give a smaller one as "
            f"well: --sizes {least} {' '.join(map(str, study.sizes))}"
        )
    return replace(study, sizes=shared, grown=(beside, *study.grown))


def kept_within(
    grown: Sequence[Sequence[Place]], limits: Mapping[Quality, int]
) -> tuple[tuple[Place, ...], ...]:
    """Return batches of cells beside a grid without those that are larger than their quality's records."""
    return tuple(
        tuple(place for place in batch if place.size <= limits.get(place.quality, place.size))
        for batch in grown
    )
