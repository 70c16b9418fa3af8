"""Records to look at: what a corruption did to them, and how a model does on them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import traitlets

from workbench.config import Quality
from workbench.data.records import Dataset, Record
from workbench.data.subsets import draw
from workbench.studies.disk.store import Store
from workbench.studies.examples import cut_text
from workbench.views.board_figures import histogram
from workbench.views.points import readable
from workbench.views.style import PaperFigure
from workbench.views.widgets.view import View, module

MOST = 2000
"""Records that travel to the page."""


class Examples(View):
    """A table of examples to filter, sort and page through.

    Args:
        rows: What to show; each has ``prompt`` and ``response``, and may have ``before`` (the response before
            it was corrupted), ``kind`` (a word to filter by) and ``score``.
        score: What the score is, for the heading.
    """

    _esm = module("examples")
    rows: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    score = traitlets.Unicode("").tag(sync=True)

    def __init__(self, rows: Sequence[Mapping[str, Any]], score: str = "") -> None:
        super().__init__(rows=[_row(row) for row in rows[:MOST]], score=score)

    @classmethod
    def drawn(cls, dataset: Dataset, quality: Quality, size: int, seed: int = 0) -> "Examples":
        """Show what a cell trains on, the damaged records beside what they were."""
        before = {record.id: record for record in dataset.train}
        records = draw(dataset, quality, size, seed)
        return cls([_compared(record, before[record.id]) for record in records])

    @classmethod
    def heldout(cls, dataset: Dataset, folder: Path | str, key: str) -> "Examples":
        """Show the records that a study is judged on, with one cell's loss on each."""
        with Store.open(folder, read_only=True) as store:
            curves = store.curves(key)
        rows = [
            {
                "prompt": record.asked,
                "response": record.response,
                "kind": "right" if exact else "wrong",
                "score": loss,
            }
            for record, loss, exact in zip(
                dataset.heldout, curves["item_loss"], curves["item_exact"], strict=True
            )
        ]
        return cls(rows, score="held-out loss")

    def picture(self) -> PaperFigure:
        """Draw the scores by kind, or how many records there are of each."""
        groups: dict[str, list[float]] = {}
        for row in self.rows:
            groups.setdefault(row["kind"], []).append(0.0 if row["score"] is None else row["score"])
        return histogram(groups, self.score)

    def words(self) -> str:
        """Say how many examples there are."""
        return f"{len(self.rows)} examples"


def _compared(record: Record, before: Record) -> dict[str, Any]:
    changed = (record.asked, record.response) != (before.asked, before.response)
    return {
        "prompt": record.asked,
        "response": record.response,
        "before": before.response if changed else None,
        "kind": readable(record.spoiled) if record.spoiled else "as it was",
    }


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    before, score = row.get("before"), row.get("score")
    return {
        "prompt": cut_text(row["prompt"]),
        "response": cut_text(row["response"]),
        "before": None if before is None else cut_text(before),
        "kind": row.get("kind") or "",
        "score": None if score is None else float(f"{score:.4g}"),
    }
