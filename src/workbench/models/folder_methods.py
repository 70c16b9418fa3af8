"""The ways to quantize a folder that are read, by the name that config.json gives each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.models.folder_bitsandbytes import BITSANDBYTES
from workbench.models.folder_gptq import AWQ, GPTQ
from workbench.models.folder_quantized import Method, QuantizedFolder, check_method

METHODS: dict[str, Method] = {"bitsandbytes": BITSANDBYTES, "gptq": GPTQ, "awq": AWQ}
"""By ``quant_method`` of config.json's ``quantization_config``."""


def quantized_folder(path: Path, settings: Mapping[str, Any]) -> QuantizedFolder | None:
    """Return how a folder's weights are quantized, None where config.json doesn't say that they are.

    Args:
        path: Of config.json.
        settings: What it holds.

    Raises:
        InputError: If they are quantized in a way that isn't read.
    """
    found = check_method(path, settings, METHODS)
    return None if found is None else QuantizedFolder(path, METHODS[found[0]], *found)
