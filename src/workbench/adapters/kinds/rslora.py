"""Rank-stabilized LoRA: the same matrices, scaled so that a higher rank does not learn more slowly."""

from workbench.adapters.kinds.kind import AdapterKind


def by_root_of_rank(alpha: float, rank: int) -> float:
    """Return alpha divided by the square root of the rank."""
    return float(alpha / rank**0.5)


RSLORA = AdapterKind(
    about="LoRA scaled by alpha / sqrt(rank)",
    source='Kalajdzievski, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA", arXiv:2312.03732',
    scale=by_root_of_rank,
)
