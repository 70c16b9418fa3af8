"""LoRA+: the same matrices, B learning faster than A."""

from workbench.adapters.kinds.kind import AdapterKind

RATIO = 16.0
"""The ratio of the two rates that the paper recommends where nothing is tuned (its section 5)."""

LORA_PLUS = AdapterKind(
    about=f"LoRA in which B's learning rate is {RATIO:g} times A's",
    source='Hayou et al., "LoRA+", arXiv:2402.12354',
    b_rate=RATIO,
)
