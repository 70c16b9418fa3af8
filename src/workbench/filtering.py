"""Is a filter worth its cost? One study of what scorers keep, of chance, and of chance with the same lengths.

The records are scored, each scorer keeps a share of them, and the cells that train on what it keeps stand
beside cells that train on as many records drawn by chance. Every cell makes the same number of passes over
its examples, so that more examples cost more time, and scoring can be weighed against them.

Source of the question: Yin and Rush 2024, "Compute-Constrained Data Selection" (arXiv 2410.16208).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, get_args

import numpy as np

from workbench.config import Quality
from workbench.data.corruptions import CORRUPTIONS
from workbench.data.lengths import longest
from workbench.data.matching import CHANCE, TOKENS
from workbench.data.places import listed
from workbench.data.pools import NUMBER, records_of_each
from workbench.data.qualities import parse_quality
from workbench.data.records import Dataset, Record
from workbench.data.sources import files
from workbench.data.sources.findings import Policy
from workbench.data.subsets import draw
from workbench.errors import InputError, unknown_name
from workbench.files import write_atomically
from workbench.models.base import Base
from workbench.models.loaders import load_base
from workbench.results import Results, run
from workbench.scoring.planted import detection
from workbench.scoring.scored import (
    Column,
    OnScorer,
    check_scores,
    of_own_rows,
    read_records,
    score_columns,
    scored_content,
)
from workbench.scoring.scorers import SCORERS, Given
from workbench.studies.choices import study as described
from workbench.studies.defaults import (
    CHECKPOINT_SECONDS,
    EPOCHS_OF_FILTERS,
    EXECUTOR,
    KEPT_SHARE,
    OWN_BASE,
    OWN_CORRUPTION,
    RUNS,
)
from workbench.studies.disk.lock import refuse_if_locked
from workbench.studies.disk.store import Store
from workbench.studies.executors.protocol import Executor, ShouldStop
from workbench.studies.grid import Place, Study
from workbench.studies.runner import OnProgress
from workbench.training.prepare import token_counter, tokens_of_each

End = Literal["top", "bottom"]
BY_CHANCE = Quality(pool=CHANCE)
SCORED = "scored.jsonl"
"""The scored file, in the study's folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Which filters are compared, and on what."""

    file: Path
    scorers: tuple[str, ...]
    """Each a key of ``SCORERS``, with ":top" or ":bottom" behind it where one end alone is asked for."""
    keep: str = KEPT_SHARE
    """Share of the records that each filter keeps, such as "30%"."""
    budget: str = "coffee"
    base: str = OWN_BASE
    template: str | None = None
    corruption: str = OWN_CORRUPTION
    """The damage that is planted."""
    heldout: int | None = None
    heldout_file: Path | None = None
    sizes: tuple[int, ...] | None = None
    size_in: str = "examples"
    """One of ``config.SIZES_IN``: what sizes count."""
    seeds: tuple[int, ...] | None = None
    epochs: float = EPOCHS_OF_FILTERS
    """Passes of every cell over its examples."""
    controls: bool = True
    """Whether chance draws with the same lengths stand beside what is kept."""
    whole: bool = True
    """Whether all records are trained on, too."""
    on_empty: Policy = "error"
    on_bad: Policy = "error"
    on_long: Policy = "error"
    mapping: Mapping[str, str] = field(default_factory=dict)
    """Fields of a record, each with the key under which the file has it."""
    read_as: str | None = None
    """Key of ``LAYOUTS``; None finds the layout by the keys."""
    settings: tuple[tuple[str, Any], ...] = ()
    """Of every cell, as ``workbench.study`` takes them."""

    @property
    def how(self) -> files.How:
        """How the files are read."""
        named = tuple(self.mapping.items())
        return files.How(on_empty=self.on_empty, on_bad=self.on_bad, mapping=named, read_as=self.read_as)

    @property
    def percent(self) -> float:
        """The share that is kept, in percent.

        Raises:
            InputError: If it isn't written as one.
        """
        found = re.fullmatch(rf"({NUMBER})\s*%", self.keep.strip())
        percent = float(found[1]) if found else 0.0
        if not 0 < percent < 100:
            raise InputError(
                f"--keep is {self.keep!r}; expected a share of the records in percent, more than 0% and less "
                f"than 100%, such as --keep {KEPT_SHARE}"
            )
        return percent

    def ends(self) -> list[tuple[str, End]]:
        """Return each scorer with the ends that are kept: its good one, or both where none is known.

        Raises:
            InputError: If a scorer or an end is unknown, or one is asked for twice.
        """
        found: list[tuple[str, End]] = []
        for text in self.scorers:
            name, colon, end = text.partition(":")
            if name not in SCORERS:
                raise unknown_name("scorer", name, SCORERS, "src/workbench/scoring/scorers.py")
            if SCORERS[name].needs == "evaluation" and self.heldout_file is None:
                raise InputError(
                    f"scorer {name!r} compares with the records that judge; give them as a file with "
                    "--heldout-file"
                )
            if colon and end not in get_args(End):
                raise InputError(
                    f"scorer {text!r} names the end {end!r}; give {name}:top for the largest numbers or "
                    f"{name}:bottom for the smallest"
                )
            good: dict[str, tuple[End, ...]] = {"higher": ("top",), "lower": ("bottom",)}
            ends = good.get(SCORERS[name].good, ("top", "bottom"))
            found += [(name, one) for one in get_args(End) if (one == end if colon else one in ends)]
        if not found:
            raise InputError("no scorer is given; name at least one, such as --scorer ifd")
        if doubled := next((one for one in found if found.count(one) > 1), None):
            raise InputError(f"scorer {doubled[0]!r} is asked for twice; give each once")
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """A file's records with their scores."""

    records: tuple[Record, ...]
    columns: tuple[Column, ...]
    content: bytes
    """Of the scored file."""
    given: Given


def compare_filters(
    file: str | Path,
    scorers: Iterable[str],
    folder: str | Path | None = None,
    *,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    tell: OnScorer = lambda name, share: None,
    executor: str | Executor = EXECUTOR,
    workers: int | None = None,
    threads: int | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    **choices: Any,  # noqa: ANN401 - fields of Asked
) -> Results:
    """Score a file, train on what each scorer keeps and on chance, and return the study's results.

    ``results.filters()`` says what came out. The same call goes on with a study that was stopped.

    Args:
        file: Your own file, as ``workbench.study`` reads it.
        scorers: Names of scorers, each with ":top" or ":bottom" where one end alone is asked for.
        folder: Where the study lives; by default ``runs/NAME-filters-BUDGET``.
        on_progress: Called as the run moves on; None shows a bar.
        should_stop: Asked after every step.
        tell: Told which scorer is at work, and which share of it is done.
        executor: As for :func:`workbench.run`, like the three that follow.
        workers: How many stacks of cells train at once.
        threads: Threads of torch in each process that trains.
        checkpoint_seconds: Time between two checkpoints of a stack.
        choices: The other fields of :class:`Asked`, such as ``keep="30%"`` or ``base="classroom"``.

    Raises:
        InputError: If the input can't be used.
    """
    if isinstance(scorers, str):
        raise InputError(f"scorers is {scorers!r}; give a list of them, such as scorers=[{scorers!r}]")
    if choices.get("heldout_file") is not None:
        choices["heldout_file"] = Path(choices["heldout_file"])
    choices |= {name: tuple(choices[name]) for name in ("sizes", "seeds") if choices.get(name) is not None}
    asked = Asked(file=Path(file), scorers=tuple(scorers), **choices)
    folder = Path(folder) if folder else default_folder(asked.file, asked.budget)
    study, facts = planned(asked, folder, tell)
    results = run(
        study,
        folder,
        on_progress=on_progress,
        should_stop=should_stop,
        executor=executor,
        workers=workers,
        threads=threads,
        checkpoint_seconds=checkpoint_seconds,
    )
    with Store.open(folder) as store:
        store.update_manifest(filtering=facts)
    return results


def default_folder(file: Path, budget: str) -> Path:
    """Return where the study of a file's filters lives if nobody says where."""
    return RUNS / f"{file.name.split('.')[0]}-filters-{budget}"


def planned(asked: Asked, folder: Path, tell: OnScorer) -> tuple[Study, dict[str, Any]]:
    """Score the file into the study's folder and return the study, with what its manifest records of it.

    Raises:
        InputError: If the input can't be used, or the folder holds a study of other records or scores.
    """
    refuse_if_locked(folder)
    # what is wrong with these is said before the long work
    percent, ends = asked.percent, asked.ends()
    if asked.corruption not in CORRUPTIONS:
        raise unknown_name("corruption", asked.corruption, CORRUPTIONS, "src/workbench/data/corruptions.py")
    base = load_base(asked.base)
    scored = read_and_score(asked, base, tell)
    path = folder / SCORED
    if Store.exists(folder) and (not path.is_file() or path.read_bytes() != scored.content):
        raise InputError(
            f"{folder} holds a study of other records or scores; give another folder with --out, such as "
            f"--out {folder}-2"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, scored.content)
    if (asked.mapping or asked.read_as) and not of_own_rows(asked.file, scored.records):
        asked = replace(
            asked, mapping={}, read_as=None
        )  # the rows that were written are no longer the file's
    filters = [parse_quality(f"{end}:{percent:g}%@{name}") for name, end in ends]
    controls = [parse_quality(f"same-lengths:{one.pool}") for one in filters] if asked.controls else []
    study, dataset, limits = grid(asked, path, base, scored.given.template, filters, controls)
    seconds = {column.name: column.seconds for column in scored.columns}
    of_all = len(scored.records) / len(dataset.train)
    aucs, counts = detection(asked.corruption, dataset, scored.given, [name for name, _ in ends], tell)
    return study, {
        "file": asked.file.name,
        "records": len(scored.records),
        "keep": percent,
        "filters": [
            {
                "pool": quality.pool,
                "control": controls[place].pool if controls else None,
                "scorer": name,
                "good": SCORERS[name].good,
                "seconds": seconds[name],
                **({"tokens": round(limits[quality] * of_all)} if asked.size_in == "tokens" else {}),
                # kept is the top: what is spoiled should have the smaller number
                "auc": None if (auc := aucs[name]) is None else 1 - auc if end == "top" else auc,
            }
            for place, ((name, end), quality) in enumerate(zip(ends, filters, strict=True))
        ],
        "drawn": drawn_tokens(study, dataset) if asked.size_in == "examples" else [],
        "corruption": asked.corruption,
        **counts,
    }


def read_and_score(asked: Asked, base: Base, tell: OnScorer) -> Scored:
    """Read and score a file.

    Raises:
        InputError: If it can't be read, a record is too long or has no score, or a scorer tells none apart.
    """
    records, template, _ = read_records(asked.file, asked.how)
    template = asked.template or template
    context = base.decoder.config.context
    long = [one for one in records if longest(one, template, base.tokenizer) > context]
    places = listed(one.where for one in long)
    if long and asked.on_long == "error":
        raise InputError(
            f"{asked.file}: {len(long)} of {len(records)} records are longer than the {context:,} tokens "
            f"that the base can read ({places}); leave them out with --on-long drop"
        )
    left_out = {id(one) for one in long}
    records = tuple(one for one in records if id(one) not in left_out)
    if not records:
        raise InputError(f"{asked.file}: every record is too long for the base; choose another with --base")
    if asked.heldout_file and (asked.mapping or asked.read_as) and not of_own_rows(asked.file, records):
        raise InputError(
            f"rows of {asked.file} hold several records each, so they are written in another layout with "
            f"their scores, and --map and --read-as can't hold for them and for {asked.heldout_file} too; "
            "hold out some of the file's own records instead: --heldout N"
        )
    judging = () if asked.heldout_file is None else read_records(asked.heldout_file, asked.how)[0]
    given = Given(records=records, base=base, template=template, evaluation=judging)
    names = [*dict.fromkeys([name for name, _ in asked.ends()] + [TOKENS])]
    columns = tuple(score_columns(given, names, tell))
    for column in columns:
        check_scores(asked.file, records, column)
    content = scored_content(asked.file, records, columns, without={one.place for one in long})
    return Scored(records=records, columns=columns, content=content, given=given)


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
