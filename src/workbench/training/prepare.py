"""From a data set and cells to token indices: everything that can be done once for a whole study."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from workbench.config import CellConfig
from workbench.data.batches import Pool
from workbench.data.records import Dataset, Record
from workbench.data.subsets import draw
from workbench.data.templates import Example, continuation, render
from workbench.errors import InputError
from workbench.models.base import Base
from workbench.training.evaluation import HeldOut
from workbench.training.loop import Frozen, freeze


@dataclass(frozen=True, slots=True)
class Prepared:
    """A study's data, ready to train on.

    Attributes:
        frozen: The shared base, pool and states.
        draws: Each cell's training examples as indices into the pool, by the cell's key.
        heldout: The evaluation set.
    """

    frozen: Frozen
    draws: dict[str, list[int]]
    heldout: HeldOut


class _Index:
    """Distinct examples in order of appearance, each with its place."""

    def __init__(self, base: Base, template: str) -> None:
        self.base, self.template = base, template
        self.places: dict[Example, int] = {}
        self.rendered: dict[tuple[str, str], int] = {}

    def place(self, record: Record, response: str | None = None) -> int:
        wanted = record.response if response is None else response
        key = (record.prompt, wanted)
        if key not in self.rendered:
            tokenizer = self.base.tokenizer
            example = (
                render(self.template, record, tokenizer)
                if response is None
                else continuation(self.template, record, response, tokenizer)
            )
            context = self.base.decoder.config.context
            if len(example.token_ids) > context:
                raise InputError(
                    f"record {record.id!r} has {len(example.token_ids)} tokens, more than the {context} that "
                    f"{self.base.name} can read; shorten or drop it"
                )
            self.rendered[key] = self.places.setdefault(example, len(self.places))
        return self.rendered[key]


RunBelow = Callable[[Base, Pool, int], Frozen]
"""(base, examples, lowest block with an adapter) -> the states below it."""


def _run_below(base: Base, pool: Pool, first: int) -> Frozen:
    return freeze(base.decoder, pool, first)


def prepare(
    base: Base,
    dataset: Dataset,
    cells: Iterable[CellConfig],
    template: str,
    run_below: RunBelow = _run_below,
) -> Prepared:
    """Draw every cell's examples, tokenize each distinct one once and run the frozen lower blocks.

    Args:
        base: The frozen model.
        dataset: Training and held-out records.
        cells: The cells that will be trained.
        template: Key of ``TEMPLATES``.
        run_below: Runs the blocks below the lowest adapter, or has their output from an earlier time.

    Raises:
        InputError: If a cell asks for what the data doesn't have, or an example is too long for the base.
    """
    index = _Index(base, template)
    draws = {}
    firsts = set()
    for cell in cells:
        records = draw(dataset, cell.quality, cell.size, cell.seed)
        draws[cell.key()] = [index.place(record) for record in records]
        firsts.add(cell.first_layer)
    heldout = _held_out(index, dataset.heldout)
    pool = Pool(index.places)
    # cells may adapt different layers; what lies below all of them is shared by all
    return Prepared(run_below(base, pool, min(firsts, default=0)), draws, heldout)


def _held_out(index: _Index, records: Sequence[Record]) -> HeldOut:
    references = [index.place(record) for record in records]
    if not all(record.choices for record in records):
        return HeldOut(references)
    right = [record.choices.index(record.response) for record in records]
    encode = index.base.tokenizer.encode
    tokens = [[encode(choice) for choice in record.choices] for record in records]
    # one token each, and equally many choices: the reference's pass scores them all
    if len({len(row) for row in tokens}) == 1 and all(len(ids) == 1 for row in tokens for ids in row):
        return HeldOut(references, right=right, tokens=[[ids[0] for ids in row] for row in tokens])
    choices = [[index.place(record, choice) for choice in record.choices] for record in records]
    return HeldOut(references, choices, right)
