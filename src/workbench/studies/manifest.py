"""What a study records about itself, so that its numbers can be defended and made again."""

import json
import os
import platform
import sys
import time
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil
import torch

from workbench.data.records import Dataset
from workbench.models.base import Base
from workbench.studies.examples import changed_examples
from workbench.studies.grid import Study

PACKAGES = (
    "lora-scaling-workbench",
    "torch",
    "einops",
    "numpy",
    "scipy",
    "gguf",
    "tokenizers",
    "lemminflect",
)
"""Packages whose version can change a number."""


def facts(study: Study, dataset: Dataset, base: Base, template: str) -> dict[str, Any]:
    """Return the manifest of a study that is about to start, as plain JSON values."""
    return {
        "format": 1,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "study": json.loads(json.dumps(asdict(study) | {"template": template})),
        "data": {
            "name": dataset.name,
            "origin": dataset.origin,
            "licence": dataset.licence,
            "sha256": dataset.fingerprint,
            "train_records": len(dataset.train),
            "heldout_records": len(dataset.heldout),
        },
        "base": {"name": base.name, "sha256": base.sha256, "licence": base.licence},
        "examples": changed_examples(study, dataset),
        "arithmetic": {
            "path": "einsum",
            "because": "the stacked training loop runs the reference operators",
            "precision": str(base.decoder.weight("norm").dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
        },
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "hardware": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "system": f"{platform.system()} {platform.machine()}",
        },
    }


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
