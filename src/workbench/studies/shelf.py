"""Which adapters a folder holds, and what is known of each: a shelf, and a card for each that leaves."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.adapters.adapter import LoraAdapter
from workbench.adapters.formats import load_adapter
from workbench.adapters.formats.peft import CONFIG
from workbench.config import PREFIX_KINDS
from workbench.errors import InputError
from workbench.studies.disk.adapters import ADAPTERS, adapter_folder, check_adapter, read_adapter
from workbench.studies.disk.store import ZERO_SHOT, Store
from workbench.studies.disk.variant_rows import zero_shot_key

HUB_LICENCES = {"mit", "apache-2.0", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0"}
"""Names of licences that the Hub knows, of those that bases and data here have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OnShelf:
    """An adapter and what is known of it; what isn't known is None."""

    path: Path
    kind: str | None = None
    rank: str | None = None
    parameters: int | None = None
    base: str | None = None
    base_sha256: str | None = None
    base_licence: str | None = None
    trained_on: str | None = None
    """The data's name."""
    data_licence: str | None = None
    quality: str | None = None
    size: int | None = None
    seed: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    """What its study measured, by metric."""
    bare: Mapping[str, float] = field(default_factory=dict)
    """The same of the base alone."""
    seconds: float | None = None
    """Of training and evaluation, its share of its stack."""
    problem: str | None = None
    """Why it can't be read; None when it can."""


def find_adapters(folder: Path | str) -> list[OnShelf]:
    """Return the adapters in a study, or in a folder and all folders below it, by their paths.

    A study's adapters come with what it knows of their cells; others with what their files say. One that
    can't be read is listed with its problem.

    Raises:
        InputError: If there is no such folder.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; name one that holds studies or adapters")
    found = []
    for place, folders, files in os.walk(folder, followlinks=False):
        here = Path(place)
        folders.sort()
        if Store.exists(here):
            folders[:] = [name for name in folders if name != ADAPTERS]
            found += list(_of_study(here))
        elif CONFIG in files:
            folders.clear()
            found.append(_of_file(here))
        found += [_of_file(here / name) for name in sorted(files) if _may_be_adapter(here / name)]
    return found


def on_shelf(path: Path | str) -> OnShelf:
    """Return what is known of one adapter; of a study's cell also what the study says.

    Raises:
        InputError: If it can't be read.
    """
    path = Path(path).expanduser()
    study = path.absolute().parent.parent
    if path.absolute().parent.name == ADAPTERS and Store.exists(study):
        for one in _of_study(study):
            if one.path.name == path.name and one.problem is None:
                return one
    return _facts(path, load_adapter(path))


def _may_be_adapter(path: Path) -> bool:
    """Say whether a file is a GGUF that calls itself an adapter, from its beginning alone."""
    if path.suffix != ".gguf" or not path.is_file():
        return False
    with open(path, "rb") as file:
        start = file.read(4096)
    return start.startswith(b"GGUF") and b"adapter.type" in start


def _of_file(path: Path) -> OnShelf:
    try:
        return _facts(path, load_adapter(path))
    except InputError as error:
        return OnShelf(path=path, problem=str(error))


def _facts(path: Path, adapter: LoraAdapter) -> OnShelf:
    ranks = sorted({adapter.layer_rank(layer) for layer in adapter.layers})
    rank = f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}" if ranks else None
    kind = " ".join(["rsLoRA"] * adapter.rslora + ["DoRA"] * adapter.dora) or "LoRA"
    return OnShelf(
        path=path,
        kind=kind,
        rank=rank,
        parameters=adapter.parameters,
        base=adapter.base,
        base_sha256=adapter.base_sha256,
    )


def _of_study(study: Path) -> Iterator[OnShelf]:
    try:
        with Store.open(study, read_only=True) as store:
            rows, bases, manifest = store.rows(of_one=False), store.zero_shots(), store.manifest
            metrics = {key: values for key, _, values in store.measurements()}
    except InputError as error:
        yield OnShelf(path=study / ADAPTERS, problem=str(error))
        return
    for row in rows:
        path = adapter_folder(study, row["key"])
        if not path.is_dir():
            continue
        several = manifest.study.variants > 1
        key = zero_shot_key(manifest, row["base_sha256"], row["precision"]) if several else ZERO_SHOT
        bare = bases.get(key, {})
        own = _of_prefix(study, row) if row["adapter"] in PREFIX_KINDS else _of_file(path)
        yield OnShelf(
            path=path,
            kind=row["adapter"],
            rank=own.rank,
            parameters=own.parameters,
            base=row["base"],
            base_sha256=row["base_sha256"] or None,
            base_licence=manifest.base_of(row["base_sha256"]).licence,
            trained_on=manifest.data.name,
            data_licence=manifest.data.licence,
            quality=row["quality"],
            size=row["size"],
            seed=row["seed"],
            scores={name: value for name, value in metrics[row["key"]].items() if value is not None},
            bare={name: value for name, value in bare.items() if value is not None},
            seconds=row["seconds"],
            problem=own.problem,
        )


def _of_prefix(study: Path, row: Mapping[str, Any]) -> OnShelf:
    """Return what is known of trained tokens, which aren't LoRA and which only their study reads."""
    path = adapter_folder(study, row["key"])
    try:
        check_adapter(study, row["key"])
        numbers = sum(tensor.numel() for tensor in read_adapter(study, row["key"]).values())
    except InputError as error:
        return OnShelf(path=path, problem=str(error))
    return OnShelf(path=path, rank=f"{row['rank']} tokens", parameters=numbers)


def model_card(one: OnShelf) -> str:
    """Return a model card in the form of the Hugging Face Hub: facts for programs, then words for people.

    Only what is known is said; the licence of the data stands beside that of the base.
    """
    licences = {known.strip().lower() for known in (one.base_licence, one.data_licence) if known}
    # one that both have and the Hub knows; otherwise a reader has to look at both
    licence = min(licences) if len(licences) == 1 and licences <= HUB_LICENCES else "other"
    # a path of this machine tells nobody else anything: PEFT's files have one where a study wrote them
    base = None if one.base in (None, "not stated") or Path(one.base or "").is_absolute() else one.base
    head = [
        "---",
        f"base_model: {_yaml(base)}" if base else None,
        f"license: {licence}" if one.data_licence and one.base_licence else None,
        "library_name: peft",
        "tags:",
        "- lora",
        "- lora-scaling-workbench",
        "---",
        "",
    ]
    trained = None
    if one.trained_on is not None:
        trained = f"Trained on {one.trained_on}, quality {one.quality}, size {one.size:,}, seed {one.seed}."
    facts = {
        "kind": one.kind,
        "rank": one.rank,
        "parameters": None if one.parameters is None else f"{one.parameters:,}",
        "base": base or "not stated",
        "SHA-256 of the base": one.base_sha256,
        "licence of the base": one.base_licence or "not stated",
        "licence of the data": one.data_licence or "not stated",
        "training and evaluation": None if one.seconds is None else f"{one.seconds:.0f} s",
    }
    body = [f"# {one.path.name}", "", "An adapter for a frozen base, written by the LoRA scaling workbench."]
    body += [trained] if trained else []
    body += ["", "| | |", "| --- | --- |", *(f"| {name} | {told} |" for name, told in facts.items() if told)]
    if one.scores:
        body += ["", "| on held-out records | this adapter | the base alone |", "| --- | --- | --- |"]
        for name, value in one.scores.items():
            bare = f"{one.bare[name]:.4g}" if name in one.bare else "not measured"
            body.append(f"| {name} | {value:.4g} | {bare} |")
    body += ["", "Whoever passes it on has to keep to the licences of the base and of the data.", ""]
    return "\n".join([line for line in head if line is not None] + body)


def _yaml(text: str) -> str:
    """Return a text as YAML reads it back: as JSON writes it, which is YAML too."""
    return json.dumps(text, ensure_ascii=False)
