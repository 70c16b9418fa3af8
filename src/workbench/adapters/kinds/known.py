"""The kinds of adapter by the names that ``--adapter`` takes."""

from workbench.adapters.kinds.dora import DORA
from workbench.adapters.kinds.kind import AdapterKind
from workbench.adapters.kinds.llama_adapter import ADAPTION_PROMPT, LLAMA_ADAPTER
from workbench.adapters.kinds.lora import LORA
from workbench.adapters.kinds.lora_plus import LORA_PLUS
from workbench.adapters.kinds.olora import OLORA
from workbench.adapters.kinds.pissa import PISSA
from workbench.adapters.kinds.rslora import RSLORA

ADAPTER_KINDS: dict[str, AdapterKind] = {
    "lora": LORA,
    "rslora": RSLORA,
    "lora+": LORA_PLUS,
    "dora": DORA,
    "pissa": PISSA,
    "olora": OLORA,
    "llama-adapter": LLAMA_ADAPTER,
    "adaption-prompt": ADAPTION_PROMPT,
}
"""By name, as ``workbench.config.KINDS_OF_ADAPTER`` has them; a new kind is one file and a line in each."""
