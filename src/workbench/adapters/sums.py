"""One adapter out of several, with a weight each: exactly their sum, or one of the approximations people use.

What each way computes is what PEFT's ``add_weighted_adapter`` computes, tested against it. Only ``cat``
and, up to its rank, ``svd`` are the sum; the others combine A's and B's apart, which has cross terms:
(B1 + B2) (A1 + A2) also multiplies B1 with A2.

Shape letters: S adapters, K inputs, N outputs, R rank.

Sources: PEFT 0.21, ``tuners/lora/model.py`` and ``utils/merge_utils.py``; Yadav et al., "TIES-Merging",
arXiv:2306.01708; Yu et al., "DARE", arXiv:2311.03099.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from workbench.adapters.adapter import LoraAdapter
from workbench.errors import InputError, unknown_name

LayerPart = tuple[Tensor, Tensor, float | int]
"""A, shape (R, K), B, shape (N, R), both with a convolution's window behind, and weight times scale."""


@dataclass(frozen=True, slots=True)
class Options:
    """What some of the ways also need."""

    rank: int | None = None
    """Of the result, for svd; the largest of the adapters' by default."""
    density: float | int = 0.5
    """Share of the numbers that ties and dare keep."""
    chance: torch.Generator = field(default_factory=torch.Generator)
    """From which dare draws what it keeps."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A way to combine adapters."""

    about: str
    combine: Callable[[Sequence[LayerPart], Options], tuple[Tensor, Tensor]]
    """(a layer's parts, options) -> A and B, to be multiplied with scale 1."""
    equal_ranks: bool = False
    """Whether it needs adapters of one rank."""


def concatenated(parts: Sequence[LayerPart], options: Options) -> tuple[Tensor, Tensor]:
    """Put the A's on top of each other and the B's side by side: the exact sum, of the sum of the ranks."""
    return torch.cat([scale * a for a, _, scale in parts]), torch.cat([b for _, b, _ in parts], dim=1)


def truncated(parts: Sequence[LayerPart], options: Options) -> tuple[Tensor, Tensor]:
    """Take the nearest matrix of a given rank to the exact sum, B holding the singular values.

    Computed from the factors, A = Qa Ra and B = Qb Rb, by the small matrix Rb Ra^T: the sum itself, of
    shape (N, K), isn't needed.
    """
    a, b = concatenated(parts, options)
    most = options.rank or max(len(a) for a, _, _ in parts)
    qb, values, qa = factored(a.flatten(1), b.flatten(1))
    rank = min(most, len(values))
    down, up = qa[:, :rank].T, qb[:, :rank] * values[:rank]
    return down.reshape(rank, *a.shape[1:]), up.reshape(len(b), rank, *b.shape[2:])


def factored(
    a: Float[Tensor, "R K"], b: Float[Tensor, "N R"]
) -> tuple[Float[Tensor, "N M"], Float[Tensor, " M"], Float[Tensor, "K M"]]:
    """Return the singular value decomposition of B A: columns on the left, values, columns on the right."""
    left, rb = torch.linalg.qr(b)
    right, ra = torch.linalg.qr(a.T)
    u, values, v = torch.linalg.svd(einsum(rb, ra, "n R, k R -> n k"), full_matrices=False)
    return left @ u, values, right @ v.T


def linear(parts: Sequence[LayerPart], options: Options) -> tuple[Tensor, Tensor]:
    """Add A's and B's apart, each with the root of its weight: not the sum, it has cross terms."""
    return _apart(parts, _weighted)


def ties(parts: Sequence[LayerPart], options: Options) -> tuple[Tensor, Tensor]:
    """Trim A's and B's to their largest, elect a sign for each place, average those that have it."""

    def combine(numbers: Tensor, weights: Tensor) -> Tensor:
        kept = torch.stack([_largest(one, options.density) for one in numbers])
        elected = torch.where(kept.sum(dim=0) >= 0, 1, -1)
        agree = kept.sign() == elected
        return _weighted(kept * agree, weights) / agree.sum(dim=0).clamp(min=1)

    return _apart(parts, combine)


def dare(parts: Sequence[LayerPart], options: Options) -> tuple[Tensor, Tensor]:
    """Drop numbers of A's and B's by chance, enlarge the others so that the mean stays, add them apart."""

    def combine(numbers: Tensor, weights: Tensor) -> Tensor:
        return _weighted(torch.stack([_dropped(one, options) for one in numbers]), weights)

    return _apart(parts, combine)


SUMS = {
    "cat": Sum("exactly the sum; its rank is the sum of the ranks", concatenated),
    "svd": Sum("the nearest adapter of a chosen rank to the sum", truncated),
    "linear": Sum("A's and B's added apart: has cross terms, not the sum", linear, equal_ranks=True),
    "ties": Sum("A's and B's trimmed, one sign elected, those of this sign averaged", ties, equal_ranks=True),
    "dare": Sum("numbers dropped by chance and the rest enlarged, then as linear", dare, equal_ranks=True),
}
"""Ways to make one adapter of several, by name."""


def combine(
    adapters: Sequence[LoraAdapter],
    weights: Sequence[float | int],
    how: str = "cat",
    *,
    rank: int | None = None,
    density: float | int = 0.5,
    seed: int = 0,
) -> LoraAdapter:
    """Make one adapter of several over one base.

    Args:
        adapters: They may adapt different layers; a layer takes those that have it.
        weights: One for each, which its update is multiplied by; may be negative.
        how: Key of ``SUMS``.
        rank: Of the result, for svd; the largest of the adapters' by default.
        density: Share of the numbers that ties and dare keep.
        seed: Of what dare drops.

    Returns:
        An adapter with scale 1 in every layer, in float32.

    Raises:
        InputError: If they don't fit each other, one is DoRA, or the way can't be had with these ranks.
    """
    if how not in SUMS:
        raise unknown_name("way to combine", how, SUMS, "workbench.adapters.sums")
    if not adapters or len(adapters) != len(weights):
        raise InputError(
            f"{len(adapters)} adapters and {len(weights)} weights; give a weight for each adapter"
        )
    if not 0 < density <= 1:
        raise InputError(f"density is {density}; choose a number above 0 and up to 1")
    if rank is not None and rank < 1:
        raise InputError(f"rank is {rank}; choose a rank of at least 1")
    _check_alike(adapters)
    options = Options(rank, density, torch.Generator().manual_seed(seed))
    layers = LoraAdapter(
        name="",
        base="",
        rank=1,
        alpha=1.0,
        tensors={k: v for one in adapters for k, v in one.tensors.items()},
    ).layers
    tensors: dict[str, Tensor] = {}
    for layer in layers:
        parts = [
            (*_float32(adapter, layer), float(weight * adapter.scale(layer)))
            for adapter, weight in zip(adapters, weights, strict=True)
            if f"{layer}.lora_A" in adapter.tensors
        ]
        if SUMS[how].equal_ranks and len({len(a) for a, _, _ in parts}) > 1:
            ranks = ", ".join(str(len(a)) for a, _, _ in parts)
            raise InputError(
                f"{layer} has the ranks {ranks}, and {how} adds matrices of one rank; take --how cat or svd"
            )
        a, b = SUMS[how].combine(parts, options)
        tensors |= {f"{layer}.lora_A": a.contiguous(), f"{layer}.lora_B": b.contiguous()}
    ranks_of = {layer: len(tensors[f"{layer}.lora_A"]) for layer in layers}
    most = max(ranks_of.values())
    lead = adapters[0]
    return LoraAdapter(
        name=" + ".join(f"{w:g} * {one.name}" for one, w in zip(adapters, weights, strict=True)),
        base=lead.base,
        rank=most,
        alpha=float(most),
        alphas={layer: float(rank) for layer, rank in ranks_of.items() if rank != most},
        tensors=tensors,
        base_sha256=next((one.base_sha256 for one in adapters if one.base_sha256), None),
        heads=next((one.heads for one in adapters if one.heads), None),
        architecture=adapters[0].architecture,
        extras={name: vector for one in adapters for name, vector in one.extras.items()},
        facts={key: text for one in reversed(adapters) for key, text in one.facts.items()},
    )


def _check_alike(adapters: Sequence[LoraAdapter]) -> None:
    """Refuse adapters that can't be added."""
    lead = adapters[0]
    shapes: dict[str, tuple[str, list[tuple[int, ...]]]] = {}
    for one in adapters:
        if one.dora:
            raise InputError(
                f"{one.name} is DoRA, which rescales the base's rows besides adding to them, so it can't be "
                "added to others; leave it out"
            )
        if one.of_decoder != lead.of_decoder:
            raise InputError(f"{one.name} and {lead.name} are of different kinds of models; leave one out")
        for layer in one.layers:
            a, b = (one.tensors[f"{layer}.{half}"] for half in ("lora_A", "lora_B"))
            shape = [tuple(a.shape[1:]), (len(b), *b.shape[2:])]
            other, expected = shapes.setdefault(layer, (one.name, shape))
            if shape != expected:
                raise InputError(
                    f"{layer} has inputs and outputs {shape} in {one.name} and {expected} in {other}; take "
                    "adapters of one base"
                )
    hashes = {one.base_sha256: one.name for one in adapters if one.base_sha256}
    if len(hashes) > 1:
        first, second = list(hashes.values())[:2]
        raise InputError(
            f"{first} and {second} were trained on bases with different hashes; take adapters of one base"
        )
    seen: dict[str, Tensor] = {}
    for one in adapters:
        for name, vector in one.extras.items():
            if not torch.equal(seen.setdefault(name, vector), vector):
                raise InputError(f"two adapters have different vectors of the token {name}; leave one out")


def _float32(adapter: LoraAdapter, layer: str) -> tuple[Tensor, Tensor]:
    return adapter.tensors[f"{layer}.lora_A"].float(), adapter.tensors[f"{layer}.lora_B"].float()


def _apart(
    parts: Sequence[LayerPart], combine_one: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Combine the A's, then the B's, each with the root of its weight; a negative sign goes to A."""
    scales = [scale for _, _, scale in parts]
    roots = torch.tensor([math.sqrt(abs(scale)) for scale in scales])
    signs = torch.tensor([1.0 if scale >= 0 else -1.0 for scale in scales])
    a = combine_one(torch.stack([a for a, _, _ in parts]), roots * signs)
    return a, combine_one(torch.stack([b for _, b, _ in parts]), roots)


def _weighted(numbers: Float[Tensor, "S *shape"], weights: Float[Tensor, " S"]) -> Float[Tensor, "*shape"]:
    return einsum(weights, numbers, "S, S ... -> ...")


def _largest(numbers: Tensor, density: float | int) -> Tensor:
    """Set all but a share of the numbers, the largest ones, to zero."""
    if density >= 1:
        return numbers
    flat = numbers.flatten()
    kept = torch.zeros_like(flat)
    kept[flat.abs().topk(int(density * len(flat))).indices] = 1
    return numbers * kept.view_as(numbers)


def _dropped(numbers: Tensor, options: Options) -> Tensor:
    if options.density >= 1:
        return numbers
    kept = torch.bernoulli(torch.full_like(numbers, options.density), generator=options.chance)
    return numbers * kept / options.density
