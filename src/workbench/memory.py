"""Freed memory stays with the process, and how much memory there is.

A training step frees and asks for the same few hundred buffers of some megabytes, thousands of times. The C
library's defaults give many of them back to the operating system each time, which then clears the pages that
it hands out again: on small passes over activations that costs more than the arithmetic.
"""

import ctypes
import platform
import sys
from pathlib import Path

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of the two settings in glibc's malloc.h."""
KEPT_BYTES = 2**30
"""Most free memory at the heap's end that is kept."""
LARGEST_ON_HEAP = 2**25
"""Larger buffers are asked from the system one by one; glibc takes no more than this."""


def keep_freed_memory() -> bool:
    """Tell the C library to keep what is freed; returns whether it is one that can be told so (glibc)."""
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    settings = {MMAP_THRESHOLD: LARGEST_ON_HEAP, TRIM_THRESHOLD: KEPT_BYTES}
    return all(library.mallopt(name, value) == 1 for name, value in settings.items())


CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says how much a container, or a service, may take."""


def free_bytes() -> int:
    """Return the memory that this process may still take without the system having to swap.

    It is what the system calls available, which counts files' pages that it can drop, and no more than what
    is left to the container that the process runs in.
    """
    import psutil

    free = psutil.virtual_memory().available
    try:
        limit, used = ((CGROUP / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        # pages of files count as used there, and can be dropped
        return min(free, max(0, int(limit) - int(used) + int(stat.get("inactive_file", 0))))
    except (OSError, ValueError):
        return int(free)  # no container, or one without a limit ("max")


def own_bytes() -> int:
    """Return the memory that this process holds now, the pages of files that it has mapped with it."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """Return the most memory that this process has held so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
