"""Records to look at: which a quality chooses, what it did to them, and how a model does on them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import traitlets

from workbench.config import Quality
from workbench.data.pools import columns_read
from workbench.data.questions import in_turn
from workbench.data.reasons import partners, reasons_of
from workbench.data.records import Dataset, Record
from workbench.data.subsets import draw
from workbench.errors import InputError
from workbench.laws.in_words import readable
from workbench.studies.answered import heldout_answers, heldout_outcomes
from workbench.views.board_figures import histogram, text_table
from workbench.views.explore import example_row
from workbench.views.style import PaperFigure
from workbench.views.widgets.view import View, module

MOST = 2000
"""Records that travel to the page."""
MOST_WRITTEN = 12
"""Of these, answers that the static picture has room for."""


class Examples(View):
    """A table of examples to filter, sort and page through.

    Args:
        rows: What to show; each has ``prompt`` and ``response``, and may have ``before`` (the response before
            it was corrupted), ``answer`` (what a model answered), ``other`` (another answer to the prompt),
            ``quality`` and ``kind`` (words to filter by), ``reason`` and ``score``.
        score: What the score is, for the heading.
        total: Of how many records the rows are a part; None where they are all.
        kind: The kind to begin with; "" begins with all.
        note: A sentence that stands below the table.
    """

    _esm = module("examples")
    rows: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    score = traitlets.Unicode("").tag(sync=True)
    kind = traitlets.Unicode("").tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        score: str = "",
        total: int | None = None,
        *,
        kind: str = "",
        note: str = "",
    ) -> None:
        shown = [example_row(row) for row in rows[:MOST]]
        super().__init__(rows=shown, score=score, kind=kind, note=note)
        self.total = len(rows) if total is None else total

    @classmethod
    def drawn(cls, dataset: Dataset, quality: Quality, size: int, seed: int = 0) -> "Examples":
        """Show what a cell trains on: damaged records beside what they were, chosen ones with the reason."""
        before = {record.id: record for record in dataset.train}
        records = draw(dataset, quality, size, seed)
        if quality.pool:
            column = _score_column(dataset, [quality])
            ids = (record.id for record in dataset.train)
            rows = dict(zip(ids, _reasoned(dataset, quality, seed, column), strict=True))
            return cls([rows[record.id] for record in records], column or "")
        return cls([_compared(record, before[record.id]) for record in records])

    @classmethod
    def chosen(cls, dataset: Dataset, qualities: Sequence[Quality], seed: int = 0) -> "Examples":
        """Show which records qualities take and which they leave, each with the reason and its scores.

        Of many records, as many of each quality and side are shown as fit, in the order of the draws.

        Args:
            dataset: Where they come from, such as ``results.study.dataset()``.
            qualities: Those with a pool are shown, such as ``results.study.qualities``.
            seed: Of the draws.

        Raises:
            InputError: If no quality has a pool, or one can't be used with these records.
        """
        pooled = [quality for quality in qualities if quality.pool]
        if not pooled:
            labels = ", ".join(quality.label for quality in qualities) or "no quality"
            raise InputError(
                f"none of these chooses records: {labels}; give a quality with a pool, such as "
                'wb.Quality(pool="source=wiki"), or look at what others do with Examples.drawn'
            )
        rank = {record.id: place for place, record in enumerate(in_turn(dataset.train, seed))}
        order = sorted(range(len(dataset.train)), key=lambda place: rank[dataset.train[place].id])
        column = _score_column(dataset, pooled)
        sides: list[list[dict[str, Any]]] = []
        for quality in pooled:
            rows = _reasoned(dataset, quality, seed, column)
            in_order = [rows[place] for place in order]
            sides += [[row for row in in_order if row["kind"] == side] for side in ("in", "out")]
        each = MOST // len(sides)
        shown = [row for side in sides for row in side[:each]]
        return cls(shown, column or "", total=sum(map(len, sides)))

    @classmethod
    def heldout(cls, dataset: Dataset, folder: Path | str, key: str, kind: str = "") -> "Examples":
        """Show the records that a study is judged on, with what one cell answers to each, and its loss.

        Args:
            dataset: The study's data.
            folder: The study's folder.
            key: The cell's key, such as ``results.cell("clean", 128).key()``.
            kind: "right" or "wrong" begins with these alone.

        Where the answers can't be known, as for a cell whose adapter isn't kept, a sentence says why.

        Raises:
            InputError: If the study has no such cell, or kept nothing of it on these records.
        """
        curves = heldout_outcomes(dataset, folder, key)
        try:
            answers, note = heldout_answers(dataset, folder, key), ""
        except InputError as error:
            answers, note = [], f"What the model answered isn't known: {error}."
        judged = curves.get("item_chosen", curves["item_exact"])
        rows = [
            {
                "prompt": record.asked,
                "response": record.response.strip(),
                "kind": "right" if good else "wrong",
            }
            | {"score": loss}
            for record, loss, good in zip(dataset.heldout, curves["item_loss"], judged, strict=True)
        ]
        if answers:
            rows = [{**row, "answer": answer} for row, answer in zip(rows, answers, strict=True)]
        return cls(rows, score="held-out loss", kind=kind, note=note)

    def picture(self) -> PaperFigure:
        """Draw the scores by kind, or how many records there are of each; of answers, write the hardest."""
        if self.rows and "answer" in self.rows[0]:
            shown = [row for row in self.rows if self.kind in ("", row["kind"])]
            shown.sort(key=lambda row: -(row["score"] or 0.0))
            marks = {"right": "✓", "wrong": "✗"}
            texts = [
                [
                    row["prompt"],
                    row["response"],
                    f"{marks[row['kind']]} {row['answer']}",
                    f"{row['score']:.2f}",
                ]
                for row in shown[:MOST_WRITTEN]
            ]
            heads = ["prompt", "right answer", "the model's answer", self.score]
            return text_table(f"the hardest of {len(shown)} shown", [heads, *texts])
        groups: dict[str, list[float]] = {}
        for row in self.rows:
            own = groups.setdefault(row["kind"], [])
            if not self.score or row["score"] is not None:
                own.append(row["score"])
        return histogram(groups, self.score)

    def words(self) -> str:
        """Say how many examples there are."""
        whole = f" of {self.total}" if self.total > len(self.rows) else ""
        return f"{len(self.rows)}{whole} examples"


def _compared(record: Record, before: Record) -> dict[str, Any]:
    changed = (record.asked, record.response) != (before.asked, before.response)
    return {
        "prompt": record.asked,
        "response": record.response,
        "before": before.response if changed else None,
        "kind": readable(record.spoiled) if record.spoiled else "as it was",
    }


def _score_column(dataset: Dataset, qualities: Sequence[Quality]) -> str | None:
    """Return the first column with numbers on which one of the qualities rests; None where there is none."""
    return next(
        (
            name
            for name in columns_read(qualities)
            if any(_number_in(record, name) is not None for record in dataset.train)
        ),
        None,
    )


def _number_in(record: Record, column: str) -> float | int | None:
    value = record.extra.get(column)
    return None if isinstance(value, str | bool) else value


def _reasoned(dataset: Dataset, quality: Quality, seed: int, column: str | None) -> list[dict[str, Any]]:
    """Return a row for each record to train on: whether a pool takes it, why, and its number in a column."""
    reasons = reasons_of(dataset, quality.pool, seed)
    others = partners(dataset.train, [reason.taken for reason in reasons])
    return [
        {
            "prompt": record.asked,
            "response": record.response,
            "other": None if other is None else dataset.train[other].response,
            "quality": readable(quality.label),
            "kind": "in" if reason.taken else "out",
            "reason": reason.why,
            "score": None if column is None else _number_in(record, column),
        }
        for record, reason, other in zip(dataset.train, reasons, others, strict=True)
    ]
