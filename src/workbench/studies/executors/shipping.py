"""How a job reaches another process: a few JSON values and two files, which are mapped and not copied.

The runner prepares a study once: it draws and tokenizes the examples and runs them through the frozen
lower blocks. Workers read that from one file in the study's folder, and map the base's own file. Whoever
can't see a file gets its bytes through the engine. A hash decides whether they are the right ones.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from workbench.config import CellConfig
from workbench.data.batches import Pool
from workbench.data.records import Record
from workbench.data.templates import Example
from workbench.devices import choose_device, free_what_is_cached
from workbench.errors import InputError
from workbench.files import cache_folder, sha256_of, write_atomically
from workbench.memory import keep_freed_memory
from workbench.metrics import HELDOUT
from workbench.models.base import Base
from workbench.models.decoder import Decoder
from workbench.models.gguf_parts import is_part
from workbench.models.loaders import load_base
from workbench.studies.arithmetic import arithmetic_of
from workbench.studies.disk.checkpoints import CHECKPOINTS
from workbench.studies.executors.protocol import TrainingJob
from workbench.studies.executors.wire import pack_frame, unpack
from workbench.training.evaluation import HeldOut
from workbench.training.generated import Generation
from workbench.training.loop import Frozen
from workbench.training.prepare import Prepared
from workbench.training.text_metrics import check_metrics

PREPARED = "prepared.safetensors"
"""The stacks and the prepared study, in the study's folder of checkpoints while workers need it."""
POOL = ("tokens", "lengths", "prompts", "ends", "labels", "label_places", "label_tokens")
"""The tensors of a pool from which another is made."""

Fetch = Callable[[str], bytes | None]
"""(SHA-256) -> bytes of a file that this process can't see; None where nothing brings them."""


def no_text(tokens: Sequence[int]) -> str:
    """Stand for a tokenizer where nothing is generated.

    Raises:
        ValueError: Always.
    """
    raise ValueError("responses can't be read without the base's tokenizer")


_jobs: dict[str, TrainingJob] = {}


@contextmanager
def shipped(job: TrainingJob) -> Iterator[dict[str, Any]]:
    """Write what workers read, and yield the description from which :func:`make_job` makes the same job.

    Raises:
        InputError: If the disk is full or can't be written.
    """
    path = job.folder.absolute() / CHECKPOINTS / PREPARED
    data = pack_prepared(job.stacks, job.prepared)
    write_atomically(path, data)
    try:
        yield {
            "prepared": {"path": str(path), "sha256": hashlib.sha256(data).hexdigest()},
            "base": {"path": str(job.base.path.absolute()), "sha256": job.base.sha256},
            "precision": job.base.decoder.precision,
            "hold": job.base.decoder.hold,
            "device": job.base.decoder.device.type,
            "data_sha256": job.data_sha256,
            "folder": str(job.folder.absolute()),
            "arithmetic": job.arithmetic,
            "branched": job.branched,
            "threads": job.threads,
            "checkpoint_seconds": job.checkpoint_seconds,
        }
    finally:
        path.unlink(missing_ok=True)


def leave_card(job: TrainingJob) -> None:
    """Free the card that this process has planned on: a worker is about to fill it.

    The base and the frozen states move to the processor. What the runner still wants of them are shapes.
    """
    decoder, prepared = job.base.decoder, job.prepared
    if decoder.device.type == "cpu":
        return
    decoder.weights = {name: weight.to("cpu") for name, weight in decoder.weights.items()}
    decoder.prepared = {}
    if prepared.frozen.states is not None:
        # the one property of a plan that is computed late, kept where cached_property keeps it
        vars(prepared)["frozen"] = replace(prepared.frozen, states=prepared.frozen.states.to("cpu"))
    free_what_is_cached()


def fetch_nothing(sha256: str) -> bytes | None:
    """Fetch nothing: for workers on the runner's own machine."""
    return None


def make_job(description: Mapping[str, Any], fetch: Fetch = fetch_nothing) -> TrainingJob:
    """Load a job in this process; the same one again costs nothing.

    Raises:
        InputError: If this process would not compute what the runner planned.
    """
    name = json.dumps(description, sort_keys=True)
    if name not in _jobs:
        _jobs.clear()
        _jobs[name] = _load(description, fetch)
    return _jobs[name]


def _load(description: Mapping[str, Any], fetch: Fetch) -> TrainingJob:
    torch.set_num_threads(description["threads"])
    keep_freed_memory()
    base = _base(description, fetch)
    stacks, prepared = _prepared(description["prepared"], base, fetch)
    arithmetic = arithmetic_of(base, description["data_sha256"], description["threads"])
    if arithmetic.name != description["arithmetic"]:
        raise InputError(
            "a worker would compute other numbers than the runner: its processor, its torch or its workbench "
            "is another one; make the machines equal, or run the study on those that are"
        )
    return TrainingJob(
        stacks=stacks,
        branched=[(trunk, begins) for trunk, begins in description["branched"]],
        prepared=prepared,
        base=base,
        data_sha256=description["data_sha256"],
        folder=Path(description["folder"]),
        arithmetic=arithmetic.name,
        threads=description["threads"],
        checkpoint_seconds=description["checkpoint_seconds"],
    )


def _base(description: Mapping[str, Any], fetch: Fetch) -> Base:
    path, sha256 = Path(description["base"]["path"]), description["base"]["sha256"]
    if not (path.is_dir() or is_part(path)):  # files that the base's hash is over together
        path = _found(path, sha256, fetch)
    device = choose_device(description["device"])
    base = load_base(path, description["precision"], device.torch, description["hold"])
    if base.sha256 != sha256:
        raise InputError(
            f"a worker found another base in {path} than the runner; put the same folder on every machine"
        )
    return base


def _found(path: Path, sha256: str, fetch: Fetch) -> Path:
    """Return a file with the right bytes: the one that is named, the cache's, or one that is fetched."""
    kept = cache_folder() / "shipped" / f"{sha256}{path.suffix}"
    for candidate in (path, kept):
        if candidate.is_file() and sha256_of(candidate) == sha256:
            return candidate
    write_atomically(kept, _fetched(path, sha256, fetch))
    return kept


def _fetched(path: Path, sha256: str, fetch: Fetch) -> bytes:
    data = fetch(sha256)
    if data is None or hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(
            f"a worker can't read {path} as the runner did; put it at the same path on every machine"
        )
    return data


def _prepared(file: Mapping[str, str], base: Base, fetch: Fetch) -> tuple[list[list[CellConfig]], Prepared]:
    path, sha256 = Path(file["path"]), file["sha256"]
    on = (base.decoder, base.tokenizer.decode)
    if not path.is_file() or sha256_of(path) != sha256:
        return unpack_prepared(*unpack(_fetched(path, sha256, fetch)), *on)
    with safe_open(path, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return unpack_prepared(json.loads(opened.metadata()["value"]), tensors, *on)


def pack_prepared(stacks: list[list[CellConfig]], prepared: Prepared) -> bytes:
    """Return a file with the stacks and everything they train on, except the base."""
    frozen = prepared.frozen
    cells = [cell for stack in stacks for cell in stack]
    value = {
        "stacks": [[cell.to_dict() for cell in stack] for stack in stacks],
        "first": frozen.first,
        "sets": {
            name: [one.references, one.choices, one.right, one.tokens, one.stops]
            for name, one in prepared.sets.items()
        },
    }
    value["generation"] = {
        name: {"metrics": how.metrics, "records": list(map(asdict, how.records)), "limit": how.limit}
        for name, how in prepared.generation.items()
    }
    tensors = {name: getattr(frozen.pool, name) for name in POOL}
    if frozen.states is not None:
        tensors["states"] = frozen.states.to("cpu")
    draws = {f"draw {cell.key()}": torch.tensor(prepared.draws[cell.key()]) for cell in cells}
    return pack_frame(value, tensors | draws)


def unpack_prepared(
    value: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    decoder: Decoder,
    decode: Callable[[Sequence[int]], str] = no_text,
) -> tuple[list[list[CellConfig]], Prepared]:
    """Undo :func:`pack_prepared`."""
    stacks = [[CellConfig.from_dict(cell) for cell in stack] for stack in value["stacks"]]
    counts = tensors["labels"].tolist()
    labels = torch.stack([tensors["label_places"], tensors["label_tokens"]], dim=1).split(counts)
    pool = Pool(
        # the labels of earlier answers come first; the response's follow from the prompt's length
        Example(tuple(tokens), prompt, end, tuple(map(tuple, pairs[: len(pairs) - len(tokens) + prompt])))
        for tokens, prompt, end, pairs in zip(
            (tokens.tolist() for tokens in tensors["tokens"].split(tensors["lengths"].tolist())),
            tensors["prompts"].tolist(),
            tensors["ends"].tolist(),
            (pairs.tolist() for pairs in labels),
            strict=True,
        )
    )
    draws = {name.removeprefix("draw "): tensor.tolist() for name, tensor in tensors.items() if " " in name}
    states = tensors.get("states")
    frozen = Frozen(decoder, pool, value["first"], None if states is None else states.to(decoder.device))
    sets = {name: HeldOut(*parts) for name, parts in value["sets"].items()}
    generation = {
        name: Generation(
            metrics=check_metrics(tuple(how["metrics"])),
            records=tuple(map(_record, how["records"])),
            limit=how["limit"],
            decode=decode,
        )
        for name, how in value["generation"].items()
    }
    return stacks, Prepared(
        pool, frozen.first, lambda: frozen, draws, sets.pop(HELDOUT), evals=sets, generation=generation
    )


def _record(values: Mapping[str, Any]) -> Record:
    """Return a record from JSON, which has lists for tuples."""
    texts = {name: tuple(values[name]) for name in ("choices", "alternatives", "ratings")}
    return Record(**{**values, **texts, "history": tuple(map(tuple, values["history"]))})
