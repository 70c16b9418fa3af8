"""A study made concrete: loaded, tokenized and cut into stacks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.data.lengths import fit_context
from workbench.data.records import Dataset
from workbench.memory import keep_freed_memory
from workbench.models.base import Base
from workbench.models.chat import writes_date
from workbench.models.loaders import load_base
from workbench.studies.disk.state_cache import freeze_once
from workbench.studies.grid import Study
from workbench.studies.stacks import own_steps, partition
from workbench.training.prepare import Prepared, prepare


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that training needs. Equal studies give equal plans, in every process."""

    study: Study
    dataset: Dataset
    base: Base
    template: str
    cells: list[CellConfig]
    prepared: Prepared
    stacks: list[list[CellConfig]]
    own_steps: dict[str, int]
    """Steps that each cell takes for itself, by its key; the rest, if any, its trunk takes."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of the input or changed, for the terminal, the manifest and the report."""
        return (*self.dataset.notes, *self.base.notes, *self.prepared.notes)


Check = Callable[[Study, Dataset, Base, list[CellConfig]], None]
"""Refuses a study once its data and base are loaded, before the long work."""


def plan(study: Study, check: Check | None = None) -> Plan:
    """Load what a study needs and decide its stacks; trains nothing.

    Args:
        study: The grid.
        check: What may refuse it once data and base are loaded, before the long work.

    Raises:
        InputError: If the data, the base or a setting can't be used.
    """
    keep_freed_memory()
    dataset = study.dataset()
    base = load_base(study.base, study.precision)
    tokenizer = base.tokenizer
    # from here on the study names the precision that this processor was given, for its record and its workers
    study = replace(study, precision=base.decoder.precision)
    template = study.template or dataset.template
    # a day is recorded, and compared, only where a template writes it
    dated = template == "chat" and writes_date(tokenizer.chat_template or "")
    study = replace(study, date=(study.date or date.today().isoformat()) if dated else None)
    tokenizer.day = study.day
    study, dataset = _readable(study, dataset, template, base)
    layers = base.decoder.config.layers
    cells = study.cells(
        data_fingerprint=dataset.fingerprint,
        base_sha256=base.sha256,
        template=template,
        first_layer=max(0, layers - (study.adapted_layers or layers)),
    )
    LoraStack(cells[:1], base.decoder.config)  # refuses a rank or a layer before the long work
    if check:
        check(study, dataset, base, cells)
    prepared = prepare(base, dataset, cells, template, freeze_once, study.on_long)
    stacks = partition(cells, prepared, base.decoder.config)
    steps = own_steps(stacks, prepared)
    return Plan(study, dataset, base, template, cells, prepared, stacks, steps)


def _readable(study: Study, dataset: Dataset, template: str, base: Base) -> tuple[Study, Dataset]:
    """Leave out or cut what the base can't read whole; sizes that are then larger than the data shrink."""
    fitted = fit_context(dataset, template, base.tokenizer, base.decoder.config.context, study.on_long)
    left = len(fitted.train)
    if left == len(dataset.train) or max(study.sizes) <= left:
        return study, fitted
    sizes = tuple(dict.fromkeys(min(size, left) for size in study.sizes))
    note = f"{dataset.name}: the largest size is {left:,}, all records to train on that are left"
    return replace(study, sizes=sizes), replace(fitted, notes=(*fitted.notes, note))
