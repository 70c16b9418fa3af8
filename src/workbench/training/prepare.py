"""From a data set and cells to token indices: everything that can be done once for a whole study."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from workbench.config import CellConfig, Quality
from workbench.data.batches import Pool
from workbench.data.lengths import OnLong, cut_prompt
from workbench.data.records import Dataset, Record
from workbench.data.subsets import draw, draw_tokens, records_to_draw
from workbench.data.templates import Example, continuation, remarks, stops
from workbench.errors import InputError
from workbench.metrics import HELDOUT
from workbench.models.base import Base
from workbench.training.evaluation import HeldOut
from workbench.training.generated import Generation, check_measurable, generation_of
from workbench.training.loop import Frozen, freeze


@dataclass(frozen=True)
class Prepared:
    """A study's data, ready to train on.

    Attributes:
        pool: The distinct examples.
        first: Lowest block with an adapter.
        freeze: Runs the pool through the blocks below ``first``, or has their output from an earlier time.
        draws: Each cell's training examples as indices into the pool, by the cell's key.
        heldout: The evaluation set.
        notes: What a reader has to know about how the records became tokens, a sentence each, with counts.
        evals: Further evaluation sets, by their names.
        generation: How sets are judged by what cells write; empty where that isn't asked for.
        asked: The records of the evaluation set, in its order; empty in a worker process.
        decode: Turns tokens into text; None in a worker process.
    """

    pool: Pool
    first: int
    freeze: Callable[[], Frozen]
    draws: dict[str, list[int]]
    heldout: HeldOut
    notes: tuple[str, ...] = ()
    evals: Mapping[str, HeldOut] = field(default_factory=dict)
    generation: Mapping[str, Generation] = field(default_factory=dict)
    asked: tuple[Record, ...] = ()
    decode: Callable[[Sequence[int]], str] | None = None

    @cached_property
    def frozen(self) -> Frozen:
        """The shared base, pool and states, made when they are first asked for: that may take minutes.

        A plan needs only the shapes, and a study that is done needs nothing more.
        """
        return self.freeze()

    @property
    def sets(self) -> dict[str, HeldOut]:
        """All evaluation sets by their names, the study's own held-out records first."""
        return {HELDOUT: self.heldout, **self.evals}

    @property
    def judged(self) -> int:
        """How many examples are read to evaluate one cell."""
        return sum(len(one.examples) for one in self.sets.values())

    @property
    def written(self) -> int:
        """How many responses each cell writes for its evaluation."""
        return sum(len(how.records) for how in self.generation.values())


def _texts(record: Record) -> tuple[object, ...]:
    """Return all that a template writes of a record."""
    return record.system, record.history, record.prompt, record.response


class _Index:
    """Distinct examples in order of appearance, each with its place."""

    def __init__(self, base: Base, template: str, on_long: OnLong, loss_on: str) -> None:
        self.base, self.template, self.on_long, self.loss_on = base, template, on_long, loss_on
        self.places: dict[Example, int] = {}
        self.rendered: dict[tuple[object, ...], int] = {}
        self.cut = 0

    def place(self, record: Record) -> int:
        key = _texts(record)
        if key not in self.rendered:
            self.rendered[key] = self.keep(self.example(record, record.response))
        return self.rendered[key]

    def keep(self, example: Example) -> int:
        return self.places.setdefault(example, len(self.places))

    def example(self, record: Record, response: str) -> Example:
        """Return a record's tokens with a response; where a spoiled one is longer, the prompt is cut."""
        context = self.base.decoder.config.context
        found = self.rendered_with(record, response)
        if len(found.token_ids) <= context:
            return found

        def fits(shorter: Record) -> bool:
            return len(self.rendered_with(shorter, response).token_ids) <= context

        shorter = cut_prompt(record, fits)
        if shorter is None or self.on_long == "error":
            spoiled = f" with another answer ({record.spoiled})" if record.spoiled else ""
            ways = ["cut such prompts from the left with --on-long truncate"] if shorter else []
            ways += ["choose another --corruption, such as duplicate"] if record.spoiled else []
            ways += [f"choose a base that reads {len(found.token_ids):,} tokens with --base"]
            raise InputError(
                f"{record.where}{spoiled} has {len(found.token_ids):,} tokens, "
                f"more than the {context:,} that {self.base.name} can read; {', or '.join(ways)}"
            )
        self.cut += 1
        return self.rendered_with(shorter, response)

    def rendered_with(self, record: Record, response: str) -> Example:
        return continuation(self.template, record, response, self.base.tokenizer, self.loss_on)

    def notes(self) -> Iterator[str]:
        """Say what a reader of the results has to know about the tokens."""
        if self.cut:
            yield (
                f"{self.cut:,} spoiled examples had their prompts cut from the left: another record's answer "
                f"is longer, and the base reads {self.base.decoder.config.context:,} tokens"
            )
        yield from remarks(self.template, self.base.tokenizer)
        if merged := sum(example.merged for example in self.places):
            where = "where a turn begins or ends" if self.loss_on == "all" else "the prompt's end"
            yield (
                f"in {merged:,} of {len(self.places):,} examples the tokenizer would cut {where} in "
                "another way with the answer behind it; it is cut as a generation meets it"
            )
        if self.loss_on == "all":
            yield self.answers()

    def answers(self) -> str:
        """Say how many answers of earlier turns count in the loss, and why others don't.

        Raises:
            InputError: If none does, because the chat template writes each in another way afterwards.
        """
        learnt = sum(example.earlier_learnt for example in self.places)
        missed = sum(example.earlier_missed for example in self.places)
        if missed and not learnt:
            raise InputError(
                f"--loss-on all would learn none of the {missed:,} earlier answers: the template "
                f"{self.template!r} writes a conversation in another way once it goes on, so what "
                "stands there is not what a generation at that turn is asked with and writes; learn the last "
                "answers alone with --loss-on last, or use a template that writes each turn once, such "
                "as 'plain' (--template plain)"
            )
        if not learnt:
            return "no record has earlier answers, so the loss on all answers is that on the last"
        told = f"the loss counts {learnt:,} answers of earlier turns in {len(self.places):,} examples"
        if not missed:
            return told
        return (
            f"{told} and leaves out {missed:,}: the template {self.template!r} writes these, or what stands "
            "before them, in another way once the conversation goes on, so they are not what a generation at "
            "their turn writes"
        )


def draw_all(
    dataset: Dataset, cells: Iterable[CellConfig], tokens: Callable[[Record], int]
) -> dict[str, list[Record]]:
    """Draw every cell's training records; by the cell's key.

    Args:
        dataset: Where to draw from.
        cells: Which cells.
        tokens: How many of a record's tokens count in the loss; asked where sizes count those.

    Raises:
        InputError: If a cell asks for what the data doesn't have.
    """
    cells, drawn = list(cells), {}
    in_tokens: dict[tuple[Quality, int], list[CellConfig]] = {}
    for cell in cells:
        if cell.size_in == "tokens":
            in_tokens.setdefault((cell.quality, cell.seed), []).append(cell)
        drawn[cell.key()] = (
            [] if cell.size_in == "tokens" else draw(dataset, cell.quality, cell.size, cell.seed)
        )
    lacking: dict[Quality, int] = {}
    for (quality, seed), own in in_tokens.items():
        found, most = draw_tokens(dataset, quality, sorted({cell.size for cell in own}), seed, tokens)
        if most is not None:
            lacking[quality] = min(most, lacking.get(quality, most))
        drawn |= {cell.key(): found[cell.size] for cell in own if cell.size in found}
    if lacking:
        fewest = min(lacking, key=lambda quality: lacking[quality])
        raise InputError(
            f"size {max(cell.size for cell in cells):,} in response tokens is larger than the data: "
            f"{fewest.label!r} has {lacking[fewest]:,} in {records_to_draw(dataset, fewest, 0):,} records; "
            f"choose sizes of at most {lacking[fewest]}, such as --sizes {lacking[fewest]}"
        )
    return drawn


def tokens_of_each(
    dataset: Dataset, qualities: Iterable[Quality], seeds: Sequence[int], tokens: Callable[[Record], int]
) -> dict[Quality, int]:
    """Return how many response tokens each quality has to draw from, with whichever of the seeds."""
    return {
        quality: min(
            sum(map(tokens, draw(dataset, quality, records_to_draw(dataset, quality, seed), seed)))
            for seed in seeds
        )
        for quality in qualities
    }


def token_counter(base: Base, template: str, loss_on: str = "last") -> Callable[[Record], int]:
    """Return a function that says how many of a record's tokens count in the loss; each is cut once."""
    known: dict[tuple[object, ...], int] = {}

    def tokens(record: Record) -> int:
        key = _texts(record)
        if key not in known:
            known[key] = len(continuation(template, record, record.response, base.tokenizer, loss_on).labels)
        return known[key]

    return tokens


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
    on_long: OnLong = "error",
    drawn: Mapping[str, Sequence[Record]] | None = None,
    loss_on: str = "last",
    metrics: Sequence[str] = (),
) -> Prepared:
    """Draw every cell's examples and tokenize each distinct one once; the model runs when it is needed.

    Args:
        base: The frozen model.
        dataset: Training and held-out records.
        cells: The cells that will be trained.
        template: Key of ``TEMPLATES``.
        run_below: Runs the blocks below the lowest adapter, or has their output from an earlier time; called
            once, when the states are first asked for.
        on_long: What becomes of an example that a longer answer makes too long: "error" refuses it, the
            other policies cut its prompt from the left.
        drawn: Each cell's training records by its key, from a caller that has drawn them already.
        loss_on: Which answers of a conversation count in the loss, in training and on held-out records:
            "last" or "all".
        metrics: Keys of ``TEXT_METRICS`` by which what the cells write is judged.

    Raises:
        InputError: If a cell asks for what the data doesn't have, an example is too long for the base, or
            the answers of no evaluation set have what a metric compares.
    """
    index = _Index(base, template, on_long, loss_on)
    cells = list(cells)
    drawn = draw_all(dataset, cells, token_counter(base, template, loss_on)) if drawn is None else drawn
    draws = {key: [index.place(record) for record in records] for key, records in drawn.items()}
    heldout = _held_out(index, dataset.heldout)
    evals = {name: _held_out(index, records) for name, records in dataset.evals}
    pool = Pool(index.places)
    # cells may adapt different layers; what lies below all of them is shared by all
    first = min((cell.first_layer for cell in cells), default=0)
    generation, told = _generation(base, dataset, {HELDOUT: heldout, **evals}, pool, metrics)
    notes = (*index.notes(), *told)
    return Prepared(
        pool=pool,
        first=first,
        freeze=lambda: run_below(base, pool, first),
        draws=draws,
        heldout=heldout,
        notes=notes,
        evals=evals,
        generation=generation,
        asked=tuple(dataset.heldout),
        decode=base.tokenizer.decode,
    )


def _generation(
    base: Base, dataset: Dataset, sets: Mapping[str, HeldOut], pool: Pool, metrics: Sequence[str]
) -> tuple[dict[str, Generation], list[str]]:
    """Return how each evaluation set is judged by what cells write, and what to know about that."""
    found, notes = {}, []
    records = {HELDOUT: dataset.heldout, **dict(dataset.evals)}
    for name, one in sets.items() if metrics else ():
        lengths = (pool.lengths - pool.prompts)[one.references].tolist()
        how, told = generation_of(name, metrics, records[name], lengths, base.tokenizer.decode)
        notes += told
        if how is not None:
            found[name] = how
    check_measurable(metrics, found, notes)
    return found, notes


def _held_out(index: _Index, records: Sequence[Record]) -> HeldOut:
    references = [index.place(record) for record in records]
    ends = sorted(stops(index.template, index.base.tokenizer))
    if not all(record.choices for record in records):
        return HeldOut(references, stops=ends)
    right = [record.choices.index(record.response) for record in records]
    examples = [[index.example(record, choice) for choice in record.choices] for record in records]
    tokens = [[example.response_ids for example in row] for row in examples]
    # one token each, and equally many choices: the reference's pass scores them all
    if len({len(row) for row in tokens}) == 1 and all(len(ids) == 1 for row in tokens for ids in row):
        return HeldOut(
            references, right=right, tokens=[[ids[0] for ids in row] for row in tokens], stops=ends
        )
    choices = [[index.keep(example) for example in row] for row in examples]
    return HeldOut(references, choices, right, stops=ends)
