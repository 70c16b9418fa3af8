"""Making a study's numbers again, and naming the first step that comes out differently."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.config import CellConfig
from workbench.devices import choose_device
from workbench.errors import InputError
from workbench.models.folder_tokenizer import TEXT_FILES
from workbench.studies.compare import CellNumbers, FirstDifference, first_difference, outcomes
from workbench.studies.disk.manifest import BaseFacts, Manifest
from workbench.studies.disk.store import ZERO_SHOT, Store
from workbench.studies.disk.variant_rows import zero_shot_key
from workbench.studies.grid import Study
from workbench.studies.identity import changed_functions
from workbench.studies.made_on import check_going_on
from workbench.studies.plan import Plan, plan
from workbench.studies.torch_threads import torch_threads
from workbench.training.results import CellResult
from workbench.training.run_stack import run_stack, zero_shot


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of training cells again."""

    identical: list[str]
    """Cells of which every bit came out the same."""
    different: list[FirstDifference]
    """The first difference of each other one."""
    threads: int
    same_arithmetic: bool
    """Whether processor, threads, torch and code are those that the cells were made with."""
    made_on: tuple[str, ...]
    """The devices that made the cells: "cpu", or cards by their names."""
    device: str
    """The one that made them again."""


def replay(
    folder: Path,
    cell: str | None = None,
    threads: int | None = None,
    device: str | None = None,
    on_stack: Callable[[int, int], None] | None = None,
) -> Replay:
    """Train cells of a study again, in the stacks that they were trained in, and compare every bit.

    Args:
        folder: The study; it isn't changed.
        cell: Key of a cell, or the beginning of one, or "zero-shot" for the base without an adapter; all of
            them by default.
        threads: Torch threads; by default those that the cells were made with.
        device: One of ``config.DEVICES``; by default the one that the study names.
        on_stack: Told (number, of how many) before each stack.

    Raises:
        InputError: If the study can't be read, its data or base is no longer the same, or there is no such
            cell.
    """
    with Store.open(folder, read_only=True) as store:
        stored = outcomes(store)
        made, manifest = _made(store), store.manifest
        first = manifest.arithmetic.device or "cpu"
    wanted = _chosen(stored.keys() & made.keys(), cell, folder)
    used = {made[key]["threads"] for key in wanted}
    chosen = threads or max(used)
    stacks = list(dict.fromkeys(tuple(made[key]["stack"]) for key in wanted))
    identical: list[str] = []
    different: list[FirstDifference] = []
    arithmetic: set[str] = set()
    with torch_threads(chosen):
        number = 0
        for part, mine in _by_part(manifest, stacks):
            # versions that recorded no device knew the processor alone
            place = device or (part.device if manifest.arithmetic.device else "cpu")
            study = replace(part, device=place, date=manifest.day)
            if study.precision != "auto":
                check_going_on(folder, study.precision, first, choose_device(study.device))
            concrete = plan(study, threads=chosen)
            _check_inputs(concrete, manifest, folder)
            arithmetic.add(concrete.arithmetic.name)
            cells = {one.key(): one for one in concrete.cells}
            for keys in mine:
                number += 1
                if on_stack:
                    on_stack(number, len(stacks))
                if keys[0].startswith(ZERO_SHOT):
                    results = {keys[0]: zero_shot(concrete.prepared)}
                else:
                    results = run_stack(concrete.prepared, _members(keys, cells, folder))
                for key in wanted & set(keys):
                    again = _as_kept(results[key], stored[key])
                    difference = first_difference(key, stored[key], again)
                    different.append(difference) if difference else identical.append(key)
    same = {made[key]["arithmetic"] for key in wanted} == arithmetic
    places = tuple(sorted({made[key].get("device", first) for key in wanted}))
    return Replay(sorted(identical), different, chosen, same, places, concrete.device_name)


def _by_part(
    manifest: Manifest, stacks: Sequence[tuple[str, ...]]
) -> Iterator[tuple[Study, list[tuple[str, ...]]]]:
    """Yield the parts of a study of which stacks are wanted, with these; a whole study is one part."""
    parts = manifest.planned_parts()
    if len(parts) == 1:
        yield parts[0][0], list(stacks)
        return
    for part, cells in parts:
        lead = next(iter(cells.values()))
        own = {*cells, zero_shot_key(manifest, lead.base_sha256, part.precision)}
        if mine := [keys for keys in stacks if own & set(keys)]:
            # a base without an adapter is measured once, however many parts it has
            stacks = [keys for keys in stacks if keys not in mine]
            yield part, mine


def _as_kept(result: CellResult, stored: CellNumbers) -> CellNumbers:
    """Return what was trained again with the curves that are kept; the shipped study leaves some out."""
    curves = {name: curve for name, curve in result.curves.items() if name in stored.curves}
    return CellNumbers(result.status, result.metrics, curves)


def _made(store: Store) -> dict[str, dict[str, Any]]:
    made = store.made()
    for _, cells in store.manifest.planned_parts() if made else ():
        lead = next(iter(cells.values()))
        key = zero_shot_key(store.manifest, lead.base_sha256, lead.precision)
        # measured by the run that made the cells, with its threads
        if key in store.done() and (own := next((made[one] for one in cells if one in made), None)):
            made.setdefault(key, {**own, "stack": [key]})
    return made


def _chosen(known: set[str], cell: str | None, folder: Path) -> set[str]:
    chosen = {key for key in known if key.startswith(cell or "")}
    if not chosen:
        what = "no cell that says how it was made" if cell is None else f"no such cell {cell!r}"
        raise InputError(f"{folder} has {what}; `workbench report` writes a table with the keys of all cells")
    return chosen


def _check_inputs(concrete: Plan, manifest: Manifest, folder: Path) -> None:
    for part, then, now in (
        ("data", manifest.data.sha256, concrete.dataset.fingerprint),
        ("base", _base_facts(manifest, concrete).sha256, concrete.base.sha256),
    ):
        if then is None:
            raise manifest.lacks(f"{part}.sha256")
        if then != now:
            raise InputError(
                f"the {part} of {folder} has changed since: its sha256 was {then[:12]} and is {now[:12]}; "
                "put the old file back to replay"
            )
    if changed := changed_functions(manifest, concrete.study):
        raise InputError(
            f"{folder} can't be replayed with another function of the same name: {changed[0]}; give the old "
            "one, metrics=[FUNCTION]"
        )
    text, now_text = _base_facts(manifest, concrete).text_sha256, concrete.base.text_sha256
    if text and now_text != text:
        raise InputError(
            f"what the base of {folder} says about how a text begins, ends and is written as a chat has "
            f"changed since ({', '.join(TEXT_FILES)}); put the old files back to replay"
        )
    for key, digest in concrete.subsets.items():
        if manifest.subsets.get(key, digest) != digest:
            raise InputError(
                f"the training records of cell {key} come out in another order, or spoiled in another way, "
                "than when the study was made: the code that draws them has changed"
            )


def _base_facts(manifest: Manifest, concrete: Plan) -> BaseFacts:
    """Return what the study recorded of the base that a part asks for."""
    return next((one for one in manifest.bases if one.asked == concrete.study.base), manifest.base)


def _members(keys: Sequence[str], cells: dict[str, CellConfig], folder: Path) -> list[CellConfig]:
    if missing := [key for key in keys if key not in cells]:
        raise InputError(
            f"the stack of these cells also held {missing[0]}, which the grid of {folder} no longer has"
        )
    return [cells[key] for key in keys]
