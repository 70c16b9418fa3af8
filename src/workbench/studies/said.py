"""What the models say on a few held-out records while they train, for whoever watches.

One cell of each quality is asked, the largest of its stack, at steps that are dense at first. Where the
records have a few labels to choose from, its verdict is the likeliest label; elsewhere it writes its answer.
Nothing is drawn at random and no weight changes, so a study's results are the same to the bit.

    {"cells": [key, ...], "prompts": [[prompt, right answer], ...]}     before the first look at a stack
    {"step": 5, "said": [[answer, ...], ...]}                           one list of answers a cell
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from workbench.adapters.lora import LoraStack
from workbench.adapters.prefix import fresh_stack
from workbench.config import CellConfig
from workbench.data.records import Record
from workbench.studies.executors.protocol import TrainingJob
from workbench.training.evaluation import HeldOut, evaluate
from workbench.training.generated import Generation, responses
from workbench.training.loop import TrainState
from workbench.training.prepare import Prepared

FIRST_LOOKS = (1, 2, 5)
"""Steps after which is asked first; then after 10, 20, 40 and so on, and after the last."""
MOST_SHARE = 0.04
"""Of the training time that the looks may take; a look that would take more is left out."""
MOST_LABELS = 8
"""Records with at most so many different choices have labels; with more, each has answers of its own."""
BEYOND_LONGEST = 2
"""By so many tokens an answer may be longer than the longest right one."""
MOST_TOKENS = 32
"""The longest answer that is written, in any case."""


def look_at(step: int, steps: int) -> bool:
    """Say whether models are asked after a step of so many."""
    tens, rest = divmod(step, 10)
    return step in (*FIRST_LOOKS, steps) or (step > 0 and rest == 0 and tens & (tens - 1) == 0)


class SaidRecorder:
    """Asks the models of each stack that trains here, and writes down what they say.

    Args:
        count: Records that they are asked, spread evenly over the held-out ones.
        write: Takes one line of JSON.
    """

    def __init__(self, count: int, write: Callable[[str], object]) -> None:
        self.count, self.write = count, write
        self.look: _Look | None = None

    def __call__(self, job: TrainingJob, cells: Sequence[CellConfig], state: TrainState) -> None:
        """Look at a stack after one of its steps, if it is time to."""
        if self.look is None or self.look.cells != list(cells):
            self.look = _Look.at(job, cells, self.count, state.step)
            self.write(json.dumps(self.look.header()) + "\n")
        if look_at(state.step, len(state.losses)) and self.look.affordable(state):
            self.write(json.dumps({"step": state.step, "said": self.look.answers(state)}) + "\n")


@dataclass(slots=True)
class _Look:
    """A stack that is asked: who, and what."""

    cells: list[CellConfig]
    rows: list[int]
    """Those of the stack who are asked."""
    stack: LoraStack
    prepared: Prepared
    heldout: HeldOut
    records: list[Record]
    begun: float
    """When training went on, in processor seconds; the first step is before it."""
    first: int
    """The step after which that was."""
    spent: float = 0.0
    last: float = 0.0

    @classmethod
    def at(cls, job: TrainingJob, cells: Sequence[CellConfig], count: int, step: int) -> "_Look":
        prepared, decoder = job.prepared, job.base.decoder
        rows = asked_rows(cells)
        places = spread_evenly(count, len(prepared.asked))
        whole = prepared.heldout
        part = replace(
            whole,
            references=[whole.references[place] for place in places],
            choices=[whole.choices[place] for place in places] if whole.choices else [],
            right=[whole.right[place] for place in places] if whole.right else [],
            tokens=[whole.tokens[place] for place in places] if whole.tokens else [],
        )
        stack = fresh_stack([cells[row] for row in rows], decoder.config, decoder)
        records = [prepared.asked[place] for place in places]
        return cls(list(cells), rows, stack, prepared, part, records, time.process_time(), step)

    def header(self) -> dict[str, object]:
        prompts = [[record.asked, record.response.strip()] for record in self.records]
        return {"cells": [cell.key() for cell in self.stack.cells], "prompts": prompts}

    def limit(self) -> int:
        """Return how many tokens an answer may have: a few more than the longest right one."""
        pool, references = self.prepared.pool, self.heldout.references
        longest = int((pool.lengths - pool.prompts)[references].max())
        return min(longest + BEYOND_LONGEST, MOST_TOKENS)

    def affordable(self, state: TrainState) -> bool:
        """Say whether another look keeps all within :data:`MOST_SHARE` of the stack's training time."""
        taken = state.step - self.first
        if not taken or state.step == len(state.losses):
            return True
        trained = time.process_time() - self.begun - self.spent
        whole = trained / taken * len(state.losses)
        return self.spent + self.last <= MOST_SHARE * whole

    def answers(self, state: TrainState) -> list[list[str]]:
        """Return what each cell that is asked says to each record now."""
        began = time.process_time()
        self.stack.weights = state.weights[self.rows]
        frozen = self.prepared.frozen
        if self.heldout.right and with_labels(self.records):
            best = evaluate(frozen, self.heldout, self.stack).likeliest
            assert best is not None, "records with choices are judged by them"
            said = [
                [record.choices[place].strip() for record, place in zip(self.records, row, strict=True)]
                for row in best.tolist()
            ]
        else:
            assert self.prepared.decode is not None, "the process that prepares a study trains it"
            how = Generation(
                metrics=(), records=tuple(self.records), limit=self.limit(), decode=self.prepared.decode
            )
            said = [
                [one.text.strip() for one in row] for row in responses(frozen, self.heldout, how, self.stack)
            ]
        took = time.process_time() - began
        self.spent, self.last = self.spent + took, took
        return said


def asked_rows(cells: Sequence[CellConfig]) -> list[int]:
    """Return the row of one cell of each quality: of the largest ones the first."""
    best: dict[str, int] = {}
    for row, cell in enumerate(cells):
        held = best.setdefault(cell.quality.label, row)
        if cell.size > cells[held].size:
            best[cell.quality.label] = row
    return list(best.values())


def spread_evenly(count: int, whole: int) -> list[int]:
    """Return so many places of a list, evenly from its beginning; all where it has no more."""
    return [place * whole // count for place in range(count)] if count < whole else list(range(whole))


def with_labels(records: Sequence[Record]) -> bool:
    """Say whether records have a few labels in common to choose from."""
    labels = {choice for record in records for choice in record.choices}
    return all(record.choices for record in records) and 0 < len(labels) <= MOST_LABELS
