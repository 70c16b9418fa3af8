"""Is a filter worth its cost? One study of what scorers keep, of chance, and of chance with the same lengths.

The records are scored, each scorer keeps a share of them, and the cells that train on what it keeps stand
beside cells that train on as many records drawn by chance. Every cell makes the same number of passes over
its examples, so that more examples cost more time, and scoring can be weighed against them.

Source of the question: Yin and Rush 2024, "Compute-Constrained Data Selection" (arXiv 2410.16208).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.data.corruptions import CORRUPTIONS
from workbench.data.lengths import longest
from workbench.data.matching import TOKENS
from workbench.data.places import listed
from workbench.data.qualities import parse_quality
from workbench.data.records import Record
from workbench.errors import InputError, unknown_name
from workbench.files import write_atomically
from workbench.filtering.asked import Asked
from workbench.filtering.cells import drawn_tokens, grid
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
from workbench.studies.defaults import (
    CHECKPOINT_SECONDS,
    EXECUTOR,
    RUNS,
)
from workbench.studies.disk.lock import refuse_if_locked
from workbench.studies.disk.store import Store
from workbench.studies.executors.protocol import Executor, ShouldStop
from workbench.studies.grid import Study
from workbench.studies.runner import OnProgress

SCORED = "scored.jsonl"
"""The scored file, in the study's folder."""


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
