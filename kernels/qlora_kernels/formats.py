"""The formats by name. A new one is a `Format` in one of these dictionaries; the tests run over all."""

from qlora_kernels.formats_gguf import GGUF_FORMATS
from qlora_kernels.formats_gguf_bits import BIT_FORMATS
from qlora_kernels.formats_gguf_tables import TABLE_FORMATS
from qlora_kernels.formats_integer import INTEGER_FORMATS
from qlora_kernels.formats_layout import Format
from qlora_kernels.formats_nf4 import NF4_FORMATS

FORMATS: dict[str, Format] = {
    **GGUF_FORMATS,
    **BIT_FORMATS,
    **TABLE_FORMATS,
    **NF4_FORMATS,
    **INTEGER_FORMATS,
}


def known_format(name: str) -> Format:
    """Return the format called ``name``.

    Raises:
        ValueError: If there is none.
    """
    if name not in FORMATS:
        raise ValueError(f"unknown format {name!r}. Known: {', '.join(FORMATS)}.")
    return FORMATS[name]
