"""Freed memory stays with the process.

A training step frees and asks for the same few hundred buffers of some megabytes, thousands of times. The C
library's defaults give many of them back to the operating system each time, which then clears the pages that
it hands out again: on small passes over activations that costs more than the arithmetic.
"""

import ctypes
import platform

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
