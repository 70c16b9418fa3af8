"""A study made concrete: loaded, tokenized and cut into stacks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import accumulate, pairwise

import torch

from workbench.adapters.lora import adapted_shapes
from workbench.config import CellConfig, Quality
from workbench.data.lengths import fit_context
from workbench.data.pools import records_of_each
from workbench.data.reasons import judged_by_all_kinds
from workbench.data.records import Dataset, Record, digest_of
from workbench.data.sources import SOURCES
from workbench.devices import Device, choose_device
from workbench.memory import keep_freed_memory
from workbench.models.base import Base
from workbench.models.chat import writes_date
from workbench.models.loaders import load_base
from workbench.studies.arithmetic import Arithmetic, arithmetic_of
from workbench.studies.card_fit import base_fits, check_card
from workbench.studies.disk.state_cache import freeze_once
from workbench.studies.examples import examples_in
from workbench.studies.grid import Study
from workbench.studies.memory_fit import ProcessorRoom, better_packed, check_memory, why_packed
from workbench.studies.own_data import kept_within
from workbench.studies.stacks import own_steps, partition
from workbench.studies.variants import combinations
from workbench.training.card_memory import CardRoom, card_room
from workbench.training.loop import Branches, branches
from workbench.training.prepare import Prepared, draw_all, prepare, token_counter, tokens_of_each
from workbench.training.text_metrics import check_metrics


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything that training and its record need, drawn and decided once, then passed on.

    Equal studies give equal plans, in every process.
    """

    study: Study
    dataset: Dataset
    base: Base
    template: str
    cells: list[CellConfig]
    prepared: Prepared
    subsets: dict[str, str]
    """The hash of each cell's training records, in their order and spoiled, by the cell's key."""
    examples: list[dict[str, str]]
    """A few examples of what each quality changes, for people."""
    stacks: list[list[CellConfig]]
    branched: list[Branches]
    """For each stack, which cells follow which one's trunk, and how far."""
    response_tokens: dict[str, int]
    """How many each quality has to draw from, by its label, where sizes count them; else empty."""
    own_steps: dict[str, int]
    """Steps that each cell takes for itself, by its key; the rest, if any, its trunk takes."""
    arithmetic: Arithmetic
    device: Device
    card: CardRoom | None
    """The card that the base lies on; None where it lies on the processor."""
    room: ProcessorRoom | None
    """The processor's memory; None where the base lies on a card."""

    @property
    def device_name(self) -> str:
        """The device that computes, as a record names it."""
        return self.arithmetic.used["device"]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of the input or changed, for the terminal, the manifest and the report."""
        study = self.study
        own_file = study.data not in SOURCES and not study.others and study.heldout_file is None
        judges = judged_by_all_kinds(self.dataset, study.qualities) if own_file else ()
        return (*self.dataset.notes, *judges, *self.base.notes, *self.prepared.notes)


Check = Callable[[Study, Dataset, Base, list[CellConfig]], None]
"""Refuses a study once its data and base are loaded, before the long work."""


def plan(study: Study, check: Check | None = None, threads: int | None = None) -> Plan:
    """Load what a study needs, draw every cell's records once and decide the stacks; trains nothing.

    Args:
        study: The grid; of one that has several parts, one of them.
        check: What may refuse it once data and base are loaded, before the long work.
        threads: Threads of torch in each process that trains; None takes this process's.

    Raises:
        InputError: If the data, the base or a setting can't be used, or there isn't enough memory.
    """
    made = _plan(study, check, threads)
    if study.hold == "auto" and made.room and better_packed(made.room, made.cells, made.prepared):
        # the weights alone fitted, not what training takes beside them
        del made
        made = _plan(replace(study, hold="packed"), check, threads)
    if made.room:
        check_memory(made.room, made.base, made.cells, made.prepared)
    if study.hold == "auto" and made.study.hold == "packed" and made.room:
        told = replace(made.base, notes=(*made.base.notes, why_packed(made.room)))
        return replace(made, base=told)
    return made


def _plan(study: Study, check: Check | None, threads: int | None) -> Plan:
    keep_freed_memory()
    check_metrics(study.metrics)
    dataset = study.dataset()
    device = choose_device(study.device)
    with base_fits(device, study.base):
        # on a card weights stay packed in any case; a study that goes on there keeps its own word
        hold = study.hold if device.card is None else "decoded"
        base = load_base(study.base, study.precision, device.torch, hold)
    tokenizer = base.tokenizer
    # from here on the study names the device and the precision that it was given, for its record and workers
    study = replace(
        study,
        precision=base.decoder.precision,
        device="cpu" if device.card is None else "cuda",
        hold=base.decoder.hold if device.card is None or study.hold == "auto" else study.hold,
    )
    template = study.template or dataset.template
    # a day is recorded, and compared, only where a template writes it
    dated = template == "chat" and writes_date(tokenizer.chat_template or "")
    study = replace(study, date=(study.date or date.today().isoformat()) if dated else None)
    tokenizer.day = study.day
    study, dataset = _readable(study, dataset, template, base)
    cells = study.cells(
        data_fingerprint=dataset.fingerprint,
        base_sha256=base.sha256,
        template=template,
        first_layer=study.first_layer(base.decoder.config.layers),
    )
    for cell in leads(cells):
        adapted_shapes(cell, base.decoder.config)  # refuses a rank or a layer before the long work
    if check:
        check(study, dataset, base, cells)
    tokens = token_counter(base, template, study.loss_on)
    drawn = draw_all(dataset, cells, tokens)
    cells = [cell.with_(drawn=len(drawn[cell.key()])) if cell.size_in == "tokens" else cell for cell in cells]
    prepared = prepare(
        base, dataset, cells, template, freeze_once, study.on_long, drawn, study.loss_on, study.metrics
    )
    # a batch that the study has grown by has stacks of its own, so that growth leaves the others as they were
    own = len(combinations(study.vary))
    ends = [0, *accumulate(own * len(batch) for batch in study.batches())]
    batches = [cells[begin:end] for begin, end in pairwise(ends)]
    card = card_room(base.decoder, len(prepared.pool.tokens), prepared.first)
    if card:
        check_card(card, device, base, cells, prepared)
    hold = base.decoder.hold
    stacks = [
        stack for batch in batches for stack in partition(batch, prepared, base.decoder.config, card, hold)
    ]
    branched = [branches(stack, [prepared.draws[cell.key()] for cell in stack]) for stack in stacks]
    return Plan(
        study=study,
        dataset=dataset,
        base=base,
        template=template,
        cells=cells,
        prepared=prepared,
        subsets={key: digest_of(records) for key, records in drawn.items()},
        examples=examples_in(_largest(study, cells, drawn), dataset, study.seeds[0]),
        stacks=stacks,
        branched=branched,
        response_tokens={
            quality.label: count
            for quality, count in tokens_of_each(dataset, study.qualities, study.seeds, tokens).items()
        }
        if study.size_in == "tokens"
        else {},
        own_steps=own_steps(stacks, branched),
        arithmetic=arithmetic_of(base, dataset.fingerprint, threads or torch.get_num_threads()),
        device=device,
        card=card,
        room=ProcessorRoom.of(base, prepared),
    )


def leads(cells: Sequence[CellConfig]) -> list[CellConfig]:
    """Return one cell of each shape of adapter."""
    return list({(one.adapter, one.rank, one.targets, one.first_layer): one for one in cells}.values())


def _largest(
    study: Study, cells: Sequence[CellConfig], drawn: Mapping[str, list[Record]]
) -> dict[Quality, list[Record]]:
    """Return each quality's largest draw with the first seed."""
    largest = (max(study.sizes), study.seeds[0])
    return {cell.quality: drawn[cell.key()] for cell in cells if (cell.size, cell.seed) == largest}


def _readable(study: Study, dataset: Dataset, template: str, base: Base) -> tuple[Study, Dataset]:
    """Leave out or cut what the base can't read whole; sizes that are then larger than the data shrink."""
    context = base.decoder.config.context
    fitted = fit_context(dataset, template, base.tokenizer, context, study.on_long, study.loss_on)
    # a size in tokens that is too large is refused once they are counted
    if len(fitted.train) == len(dataset.train) or study.size_in == "tokens":
        return study, fitted
    limits = records_of_each(fitted, study.qualities, study.seeds)
    left = min(limits.values())
    study = replace(study, grown=kept_within(study.grown, limits))
    if max(study.sizes) <= left:
        return study, fitted
    sizes = tuple(dict.fromkeys(min(size, left) for size in study.sizes))
    note = f"{dataset.name}: the largest size is {left:,}, all records to train on that are left"
    return replace(study, sizes=sizes), replace(fitted, notes=(*fitted.notes, note))
