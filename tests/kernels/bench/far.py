"""Tensors whose rows lie gigabytes apart, in a machine without gigabytes.

An offset computed in 32 bits goes wrong beyond 2^31 elements: the most repeated bug of this field. Pages of
an anonymous mapping exist only once they are touched, so a tensor of three rows 2^31 elements apart costs
three pages.
"""

import mmap

import torch
from torch import Tensor

NO_RESERVE = 0x4000  # Linux MAP_NORESERVE: don't count the mapping against the machine's memory
FAR = 2**31


def far_apart(rows: Tensor, distance: int = FAR) -> Tensor:
    """A copy of a matrix with the same values whose rows start ``distance`` elements apart."""
    count, width = rows.shape
    size = ((count - 1) * distance + width) * rows.element_size()
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE)
    flat = torch.frombuffer(memory, dtype=rows.dtype)
    return flat.as_strided((count, width), (distance, 1)).copy_(rows)
