"""What a trained cell answers to the held-out records, from what its study keeps.

Of two labels the study knows which one was the likelier; an answer that was right needs no model either. The
others are written by the stored adapter.
"""

from dataclasses import replace
from pathlib import Path

from workbench.adapters.prefix import fresh_stack
from workbench.data.records import Dataset, Record
from workbench.errors import InputError
from workbench.models.loaders import load_base
from workbench.studies.disk.adapters import read_adapter
from workbench.studies.disk.manifest import read_manifest
from workbench.studies.disk.store import Store
from workbench.training.evaluation import HeldOut
from workbench.training.generated import FURTHER_TOKENS, Generation, responses
from workbench.training.prepare import prepare


def heldout_outcomes(dataset: Dataset, folder: Path | str, key: str) -> dict[str, list[float]]:
    """Return what a study has recorded of a cell on each held-out record, by the name of the curve.

    Raises:
        InputError: If the study has no such cell, or kept nothing of it on these records.
    """
    with Store.open(folder, read_only=True) as store:
        curves = store.curves(key)
    if len(curves.get("item_exact", ())) != len(dataset.heldout):
        raise InputError(
            f"{folder} has no outcomes of the cell {key} on the {len(dataset.heldout)} held-out records of "
            f"{dataset.name}; give the study's own data, results.study.dataset(), and a cell whose outcomes "
            "are kept"
        )
    return curves


def heldout_answers(dataset: Dataset, folder: Path | str, key: str) -> list[str]:
    """Return what a cell answers to each held-out record: its label where there are two, else its text.

    Args:
        dataset: The study's data.
        folder: The study's folder.
        key: The cell's.

    Raises:
        InputError: If the study has no such cell, kept nothing of it on these records, keeps no adapter
            of it, or the base can't be loaded.
    """
    curves, records = heldout_outcomes(dataset, folder, key), dataset.heldout
    if "item_chosen" in curves and all(len(record.choices) == 2 for record in records):
        chosen = zip(records, curves["item_chosen"], strict=True)
        return [(record.response if right else _other(record)).strip() for record, right in chosen]
    answers = [record.response.strip() for record in records]
    wrong = [place for place, exact in enumerate(curves["item_exact"]) if not exact]
    if wrong:
        part = replace(dataset, heldout=tuple(records[place] for place in wrong), evals=())
        for place, text in zip(wrong, _written(part, Path(folder), key), strict=True):
            answers[place] = text
    return answers


def _other(record: Record) -> str:
    return next(choice for choice in record.choices if choice != record.response)


def _written(dataset: Dataset, folder: Path, key: str) -> list[str]:
    """Return what a cell's stored adapter writes to each held-out record."""
    tensors, manifest = read_adapter(folder, key), read_manifest(folder)
    cell = manifest.planned()[key]
    base = load_base(cell.base)
    if cell.base_sha256 not in ("", base.sha256):
        raise InputError(
            f"{folder} was trained on another version of the base {cell.base}; take the version of this "
            "package that trained it"
        )
    base.tokenizer.day = manifest.study.parsed().day
    stack = fresh_stack([cell], base.decoder.config, base.decoder)
    stack.load(0, tensors)
    prepared = prepare(base, dataset, [], cell.template, loss_on=manifest.study.parsed().loss_on)
    pool, heldout = prepared.pool, prepared.heldout
    longest = int((pool.lengths - pool.prompts)[heldout.references].max())
    how = Generation(
        metrics=(),
        records=tuple(dataset.heldout),
        limit=longest + FURTHER_TOKENS,
        decode=base.tokenizer.decode,
    )
    asked = HeldOut(heldout.references, stops=heldout.stops)
    (said,) = responses(prepared.frozen, asked, how, stack)
    return [one.text.strip() for one in said]
