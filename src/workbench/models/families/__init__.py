"""The families of models that the decoder computes, each told by how it differs from a LLaMA.

A new one is one small file, and one line here.
"""

from workbench.models.families.family import Family
from workbench.models.families.gemma import GEMMA2, GEMMA3
from workbench.models.families.granite import GRANITE
from workbench.models.families.llama import LLAMA
from workbench.models.families.mistral import MISTRAL
from workbench.models.families.mixtral import MIXTRAL
from workbench.models.families.olmo2 import OLMO2
from workbench.models.families.phi3 import PHI3
from workbench.models.families.qwen2 import QWEN2
from workbench.models.families.qwen3 import QWEN3
from workbench.models.families.smollm3 import SMOLLM3

FAMILIES: dict[str, Family] = {
    "llama": LLAMA,
    "mistral": MISTRAL,
    "mixtral": MIXTRAL,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA3,
    "phi3": PHI3,
    "smollm3": SMOLLM3,
    "olmo2": OLMO2,
    "granite": GRANITE,
}
"""By ``model_type`` in config.json."""

GGUF_FAMILIES: dict[str, str] = {
    family.gguf: name for name, family in reversed(FAMILIES.items()) if not family.experts
}
"""By ``general.architecture`` of a GGUF, the key of its family; the first of those that share one."""

SPARSE_GGUF_FAMILIES: dict[str, str] = {
    family.gguf: name for name, family in FAMILIES.items() if family.experts
}
"""The same for a GGUF that says that it has experts."""

KNOWN_BASES = ", ".join(family.examples for family in FAMILIES.values())
"""Well-known bases of all families, for messages."""
