"""Which machine a record was measured on: processor, instructions for products, threads, load.

PyTorch's own word for a processor ("AVX512") is the same with and without units for bfloat16 and bytes, which
decide how fast products are. So the flags are read where the system lists them.
"""

import os
import platform
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")
INSTRUCTIONS = {
    "avx2": ("avx2",),
    "fma": ("fma",),
    "avx512": ("avx512f",),
    "vnni": ("avx512_vnni", "avx_vnni"),
    "bf16": ("avx512_bf16",),
    "amx bf16": ("amx_bf16",),
    "amx int8": ("amx_int8",),
    "neon": ("asimd",),
    "arm bf16": ("bf16",),
    "arm int8": ("i8mm",),
}
"""Name in a record -> the flags of which one says that the processor has it."""


def processor(text=None):
    """Return the processor's name and its instructions for products, from the text of /proc/cpuinfo.

    Where there is none (macOS, Windows) the name is the system's, and the instructions are PyTorch's word.
    """
    if text is None:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.exists() else ""
    fields = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), value.strip())  # the first core speaks for all
    flags = set((fields.get("flags") or fields.get("features") or "").split())
    found = [name for name, any_of in INSTRUCTIONS.items() if flags.intersection(any_of)]
    return {
        "processor": fields.get("model name") or platform.processor() or platform.machine(),
        "instructions": found or [torch.backends.cpu.get_cpu_capability()],
    }


def machine():
    """Return the processor, this process's threads, the cores, and how many processes want one now."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        **processor(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load": load,
        "torch": torch.__version__,
    }


def in_words(found):
    """Return a machine as one line."""
    load = "" if found.get("load") is None else f", load {found['load']:.1f}"
    return (
        f"{found['processor']} ({', '.join(found['instructions'])}), {found['threads']} of {found['cores']} "
        f"cores{load}, PyTorch {found['torch']}"
    )
