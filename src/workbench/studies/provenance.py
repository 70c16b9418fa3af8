"""What a study records about itself, so that its numbers can be defended and made again."""

import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil

from workbench.data.pools import records_of_each
from workbench.data.records import Record, digest_of
from workbench.devices import Device
from workbench.studies.arithmetic import code_digest
from workbench.studies.disk.schema import FORMAT
from workbench.studies.grid import Study
from workbench.studies.plan import Plan
from workbench.training.text_metrics import own_hashes

RECORDED_PACKAGES = (
    "lora-scaling-workbench",
    "torch",
    "einops",
    "numpy",
    "scipy",
    "gguf",
    "safetensors",
    "tokenizers",
    "lemminflect",
)
"""Packages whose version can change a number."""


MOST_ANSWERS = 20
"""Different answers up to which they are taken for classes and counted."""


def as_recorded(study: Study, template: str) -> dict[str, Any]:
    """Return a study as a manifest describes it, without what earlier versions did, so that they read it."""
    values = study.to_dict() | {"template": template}
    return {name: value for name, value in values.items() if (name, value) != ("hold", "decoded")}


def first_manifest(plan: Plan) -> dict[str, Any]:
    """Return the manifest of a study that is about to start, as plain JSON values."""
    dataset, base = plan.dataset, plan.base
    limits = records_of_each(dataset, plan.study.qualities, plan.study.seeds)
    evals = {name: _set_facts(records) for name, records in dataset.evals}
    pools = {quality.pool: count for quality, count in limits.items() if quality.pool}
    return {
        "format": FORMAT,
        "started": now(),
        "study": as_recorded(plan.study, plan.template),
        "data": {
            "name": dataset.name,
            "origin": dataset.origin,
            "licence": dataset.licence,
            "sha256": dataset.fingerprint,
            "train_records": len(dataset.train),
            **({"pools": pools} if pools else {}),
            **({"response_tokens": plan.response_tokens} if plan.response_tokens else {}),
            "train_sha256": digest_of(dataset.train),
            "heldout_records": len(dataset.heldout),
            "heldout_sha256": digest_of(dataset.heldout),
            **({"notes": list(plan.notes)} if plan.notes else {}),
            **answer_counts(dataset.heldout),
            **({"evals": evals} if evals else {}),
        },
        "subsets": plan.subsets,
        "base": {
            "name": base.name,
            "sha256": base.sha256,
            **({"text_sha256": base.text_sha256} if base.text_sha256 else {}),
            "licence": base.licence,
            "layers": base.decoder.config.layers,
        },
        "examples": plan.examples,
        "arithmetic": {
            "name": plan.arithmetic.name,
            **plan.arithmetic.used,
        },
        "code_sha256": code_digest(),
        **({"own_metrics": hashes} if (hashes := own_hashes(plan.study.metrics)) else {}),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in RECORDED_PACKAGES},
            **({"triton": triton} if (triton := plan.arithmetic.used.get("triton")) else {}),
        },
        "hardware": hardware(plan.device),
    }


def _set_facts(records: Sequence[Record]) -> dict[str, Any]:
    counts = answer_counts(records)
    answers = {"answers": counts["heldout_answers"]} if counts else {}
    return {"records": len(records), "sha256": digest_of(records), **answers}


def answer_counts(records: Sequence[Record]) -> dict[str, dict[str, int]]:
    """Return how many records have each answer, most frequent first; nothing where answers hardly recur."""
    counts = Counter(record.response for record in records)
    if len(counts) > MOST_ANSWERS or 2 * len(counts) > len(records):
        return {}
    return {"heldout_answers": dict(counts.most_common())}


def hardware(device: Device) -> dict[str, Any]:
    """Describe this machine, and the card where one computes."""
    card = {} if device.card is None else {"card": device.card, "card_bytes": device.memory}
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        **card,
    }


def now() -> str:
    """Return the time as people write it, ISO 8601 with the zone."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None  # run from a checkout that was never installed


def _processor() -> str:
    """Return the processor's own name; the standard library only knows the architecture on Linux."""
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
