"""The user's own files from the front door: what is wrong with one, and a number for each of its records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.columns import Columns
from workbench.data.audit import Audit, OfBase, Subject, audit
from workbench.data.audit.reading import inspect
from workbench.data.records import Record
from workbench.data.sources.files import How, read_file, read_judging
from workbench.data.sources.frames import as_file, is_frame
from workbench.data.templates import TEMPLATES
from workbench.errors import InputError, unknown_name
from workbench.files import write_atomically
from workbench.scoring.scored import Column, read_records, score_columns, write_scored
from workbench.scoring.scorers import SCORERS, Given
from workbench.showing import one_line
from workbench.studies.defaults import OWN_BASE
from workbench.views.audit import audit_page, audit_sentence, share
from workbench.views.progress import share_bar

QUANTILES = {"5%": 0.05, "median": 0.5, "95%": 0.95}
"""What is told of a scorer's numbers."""


class ScoreTable(Columns):
    """One row a record: where it is, what is asked and answered, and a column for each scorer.

    Attributes:
        columns: What each scorer said, with the time that it took.
        notes: What was left out of the file or changed.
    """

    def __init__(self, records: Sequence[Record], columns: Sequence[Column], notes: Sequence[str]) -> None:
        numbers = zip(*(column.scores for column in columns), strict=True)
        names = [column.name for column in columns]
        super().__init__(
            {
                "place": record.where,
                "prompt": record.asked,
                "response": record.response,
                **dict(zip(names, scores, strict=True)),
            }
            for record, scores in zip(records, numbers, strict=True)
        )
        self.columns, self.notes = tuple(columns), tuple(notes)

    def summary(self) -> Columns:
        """Return one row a scorer: how many records have a number, how these lie, and what it took."""
        return Columns(map(_summary_of, self.columns))


def _summary_of(column: Column) -> dict[str, Any]:
    scorer = SCORERS.get(column.name)
    known = column.known
    ends = np.quantile(known, list(QUANTILES.values())).tolist() if known else [None] * len(QUANTILES)
    return {
        "scorer": column.name,
        "records": len(known),
        "of": len(column.scores),
        **dict(zip(QUANTILES, ends, strict=True)),
        "seconds": column.seconds,
        "kept": column.kept,
        "good end": scorer.good if scorer else None,
        "what it is": f"{scorer.about}, {scorer.unit}" if scorer else None,
    }


def score_file(
    file: Any,  # noqa: ANN401 - a table may be of any of several packages
    scorers: Sequence[str | Callable[[Record], float | int | None]],
    *,
    base: str | Path = OWN_BASE,
    template: str | None = None,
    against: Path | str | None = None,
    out: Path | str | None = None,
    on_empty: Literal["error", "drop"] = "error",
    on_bad: Literal["error", "drop"] = "error",
    mapping: Mapping[str, str] | None = None,
    read_as: str | None = None,
) -> ScoreTable:
    """Score the records of a file, as ``workbench score`` does; what was scored before is not scored again.

    Args:
        file: A file of records, or records that are in Python, as :func:`workbench.load_dataset` takes them.
        scorers: Names such as "length", "ifd" or "loss", or functions of a record that return a number.
        base: For scorers that ask one.
        template: How it is asked; None takes what suits the file.
        against: A file of records that judge, for "overlap".
        out: Where the file is written again with the columns, for qualities to choose by; None writes none.
        on_empty: "drop" leaves out records with an empty prompt or response; "error" refuses them.
        on_bad: "drop" leaves out what can't be read as a record; "error" refuses it.
        mapping: The keys under which the file has the fields of a record, such as ``{"prompt": "question"}``.
        read_as: The layout by name; None finds it by the keys.

    Returns:
        A table that pandas and polars take as it is; its ``summary()`` has a row a scorer.

    Raises:
        InputError: If the file can't be read, a scorer is unknown or lacks something, or ``out`` is there
            already.
    """
    from workbench.models.loaders import load_base

    if isinstance(scorers, str) or not scorers:
        raise InputError(f"scorers is {scorers!r}; give a list of them, such as scorers=['length', 'ifd']")
    path, target = _path_of(file), None if out is None else Path(out)
    if target is not None and target.exists():
        raise InputError(f"{target} is there already, and nothing is replaced; give another name with --out")
    _check_template(template)
    how = How(on_empty=on_empty, on_bad=on_bad, mapping=tuple((mapping or {}).items()), read_as=read_as)
    records, suits, notes = read_records(path, how)
    asked = [SCORERS[one] for one in scorers if isinstance(one, str) and one in SCORERS]
    given = Given(
        records=records,
        base=load_base(base) if any(one.needs == "base" for one in asked) else None,
        template=template or suits,
        evaluation=() if against is None else _judging(Path(against), how),
    )
    with share_bar() as tell:
        columns = score_columns(given, scorers, tell)
    if target is not None:
        write_scored(path, records, columns, target)
    return ScoreTable(records, columns, notes)


class AuditTable(Columns):
    """One row a kind of fault: what was found, in how many records, what to do, and where, for example.

    Attributes:
        audit: All of what was found.
        file: What was looked at.
        records: How many records it has.
        notes: What it was read as, and what else is to be known.
    """

    def __init__(self, found: Audit, file: Path, records: int, notes: Sequence[str]) -> None:
        super().__init__(
            {
                "check": one.check,
                "found": one.what,
                "records": one.count,
                "share": share(one),
                "what to do": one.advice,
                "for example": "; ".join(f"{each.place}: {one_line(each.text)}" for each in one.examples[:1]),
            }
            for one in found.faults
        )
        self.audit, self.file, self.records, self.notes = found, file, records, tuple(notes)

    def page(self, path: Path | str) -> Path:
        """Write the page that ``workbench audit`` writes, and return where it is.

        Raises:
            InputError: If it can't be written.
        """
        write_atomically(Path(path), audit_page(self.audit, self.file, self.records, self.notes).encode())
        return Path(path)

    def __repr__(self) -> str:
        return "\n".join([audit_sentence(self.audit), *(super().__repr__().splitlines() if self else [])])

    def _repr_html_(self) -> str:
        return f"<p>{audit_sentence(self.audit)}</p>{super()._repr_html_() if self else ''}"


def audit_file(
    file: Any,  # noqa: ANN401 - a table may be of any of several packages
    *,
    against: Path | str | None = None,
    base: str | Path | None = None,
    template: str | None = None,
    only: Sequence[str] | None = None,
    mapping: Mapping[str, str] | None = None,
    read_as: str | None = None,
) -> AuditTable:
    """Look for what is wrong with a file of records, as ``workbench audit`` does; nothing is changed.

    Args:
        file: A file of records, or records that are in Python, as :func:`workbench.load_dataset` takes them.
        against: A file of records to judge by, which it may not hold.
        base: Its tokens are counted against the base's context, and its end marks looked for.
        template: How a record becomes text for the base; None takes what suits the file.
        only: Checks to make, by their names; None makes all.
        mapping: The keys under which the file has the fields of a record, such as ``{"prompt": "question"}``.
        read_as: The layout by name; None finds it by the keys.

    Returns:
        A table that pandas and polars take as it is; its ``page(path)`` writes the page.

    Raises:
        InputError: If a file can't be read, or there is no such check, base or template.
    """
    if isinstance(only, str):
        raise InputError(f"only is {only!r}; give a list of checks, such as only=[{only!r}]")
    path = _path_of(file)
    _check_template(template)
    how = How(mapping=tuple((mapping or {}).items()), read_as=read_as)
    own = inspect(read_file(path, how, prompts_needed=1))
    judge = None if against is None else inspect(read_judging(Path(against), how, prompts_needed=1))
    notes = [one.note for one in (own, judge) if one and one.note]
    if judge and judge.unusable:
        notes.append(
            f"{Path(str(against)).name}: {len(judge.unusable):,} records can't be read and weren't compared"
        )
    subject = Subject(
        records=own.records,
        unusable=own.unusable,
        against=judge.records if judge else None,
        base=None if base is None else _of_base(base),
        template=template or own.template,
    )
    found = audit(subject, only)
    return AuditTable(found, path, len(own.records) + len(own.unusable), notes)


def _judging(path: Path, how: How) -> tuple[Record, ...]:
    return read_records(path, replace(how, on_empty="error", on_bad="error"), judging=True)[0]


def _path_of(file: Any) -> Path:  # noqa: ANN401 - a table may be of any of several packages
    return as_file(file) if is_frame(file) else Path(file).expanduser()


def _check_template(template: str | None) -> None:
    if template is not None and template not in TEMPLATES:
        raise unknown_name("template", template, TEMPLATES, "src/workbench/data/templates.py")


def _of_base(name: str | Path) -> OfBase:
    """Load a base and return what an audit has to know about it."""
    from workbench.models.loaders import load_base
    from workbench.models.tokenizer import CharacterTokenizer

    base = load_base(name)
    tokenizer = base.tokenizer
    stops = [tokenizer.decode([stop]) for stop in tokenizer.stops]
    return OfBase(
        name=base.name,
        tokenizer=tokenizer,
        context=base.decoder.config.context,
        reads_any_text=not isinstance(tokenizer, CharacterTokenizer),
        marks=frozenset((*getattr(tokenizer, "special", ()), *stops)) - {""},
        end="" if tokenizer.eos is None else tokenizer.decode([tokenizer.eos]),
        pads_with_end=tokenizer.pad is not None and tokenizer.pad == tokenizer.eos,
    )
