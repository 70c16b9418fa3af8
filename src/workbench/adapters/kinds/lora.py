"""LoRA: a frozen weight and a product of two thin matrices beside it."""

from workbench.adapters.kinds.kind import AdapterKind

LORA = AdapterKind(
    about="W + alpha / rank * B A, with A drawn at random and B zero",
    source='Hu et al., "LoRA", arXiv:2106.09685',
)
