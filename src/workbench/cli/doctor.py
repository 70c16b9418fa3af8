"""``workbench doctor``: what this machine has, and what would help."""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CHECKED_PACKAGES = ("torch", "numpy", "scipy", "gguf", "tokenizers", "matplotlib")
COMPILERS = ("cc", "gcc", "clang", "nvcc", "hipcc")
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd")
"""What speeds up matrix products on a CPU, by the names that Linux gives."""
COMFORTABLE_BYTES = 4 * 2**30
"""Free memory with which every default study runs."""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "doctor",
        description="Say which versions, cores, memory, GPU, compilers, notebook front end, bases and data "
        "this machine has, and what would help.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the findings, then what would help, and whether the machine is ready."""
    for name, finding in findings():
        print(f"{name:12} {finding}")
    for heading, sentences in (("What would help:", list(advice())), ("Missing:", needed := list(missing()))):
        if sentences:
            print(f"\n{heading}")
        for sentence in sentences:
            print(f"- {sentence}")
    if needed:
        print("\nNot ready: the notebooks need what is missing. Studies run in the terminal.")
    else:
        print("\nReady: `workbench lab` opens the notebooks, `workbench run verbs` trains a first study.")
    return 0


def findings() -> Iterator[tuple[str, str]]:
    """Yield what was found, as a name and a line."""
    import psutil

    from workbench.files import cache_folder
    from workbench.views.words import bytes_in_words

    memory = psutil.virtual_memory()
    yield (
        "workbench",
        f"{_version('lora-scaling-workbench')}, Python {platform.python_version()} in {sys.prefix}",
    )
    yield "packages", ", ".join(f"{name} {_version(name)}" for name in CHECKED_PACKAGES)
    yield "system", f"{platform.system()} {platform.machine()}"
    yield "cores", f"{_cores()} of {os.cpu_count()}; {_instructions()}"
    yield "memory", f"{bytes_in_words(memory.available)} free of {bytes_in_words(memory.total)}"
    yield (
        "GPU",
        ", ".join(_gpus()) or "none that torch can use: the classroom takes minutes, large bases long",
    )
    yield "Triton", _version("triton")
    yield "studies", _where()
    yield "compilers", "; ".join(_compilers()) or "none"
    yield "front end", f"jupyterlab {_version('jupyterlab')}, ipywidgets {_version('ipywidgets')}"
    yield "cache", f"{cache_folder()}, {bytes_in_words(_free(cache_folder()))} of disk free"
    yield from _fetched()


def missing() -> Iterator[str]:
    """Yield one sentence for each thing without which the notebooks don't run."""
    from workbench.errors import how_to_install

    if _version("jupyterlab") == "missing":
        yield f"There is no JupyterLab for the notebooks: {how_to_install('lab')}"


def advice() -> Iterator[str]:
    """Yield one sentence for each thing that isn't needed and would help."""
    import psutil

    from workbench.errors import how_to_install
    from workbench.fetch import without_network

    gpus = list(_gpus())
    if gpus and _version("triton") == "missing":
        yield f"There is a GPU but no Triton, which has the fused kernels: {how_to_install('gpu')}"
    if psutil.virtual_memory().available < COMFORTABLE_BYTES:
        yield "Less than 4 GiB of memory is free: close something, or keep to the classroom base."
    for name, state in _fetched():
        if state.startswith("not"):
            yield f"`workbench fetch {name}` once, while there is a network; {without_network(name)}."


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _cores() -> int:
    """Return the cores that this process may use: a container often gives fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _instructions() -> str:
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return "instruction sets not known on this system"
    return " ".join(name for name in INSTRUCTIONS if name in flags) or "no vector instructions known to help"


def _gpus() -> Iterator[str]:
    import torch

    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield f"{properties.name} with {properties.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        yield "Apple GPU (mps), which Triton can't compile for"


def _where() -> str:
    """Say where a study would train, and why there."""
    from workbench.devices import choose_device

    device = choose_device("auto")
    return f"train on {device.card or 'the processor'}: {device.reason}"


def _compilers() -> Iterator[str]:
    for name in COMPILERS:
        if path := shutil.which(name):
            done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10)
            lines = [line for line in done.stdout.splitlines() if re.search(r"\d+\.\d+", line)]
            yield f"{name}: {lines[0].strip() if lines else 'version not told'}"


def _free(folder: Path) -> int:
    """Return the free bytes of the disk on which the folder is, or would be made."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def _fetched() -> Iterator[tuple[str, str]]:
    from workbench.fetch import FETCHABLE, cache_path

    for name, item in FETCHABLE.items():
        there = cache_path(name).is_file()
        yield name, f"in the cache, {item.about}" if there else f"not fetched, {item.about}"
