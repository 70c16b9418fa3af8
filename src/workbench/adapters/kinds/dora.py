"""DoRA: LoRA changes the direction of each row of a weight, and its length is trained by itself."""

from workbench.adapters.kinds.kind import AdapterKind

DORA = AdapterKind(
    about="LoRA for the direction of each row of W, and a trained length for each",
    source='Liu et al., "DoRA: Weight-Decomposed Low-Rank Adaptation", arXiv:2402.09353',
    magnitudes=True,
)
