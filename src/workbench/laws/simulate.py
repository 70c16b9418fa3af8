"""Studies whose truth is known, with noise as real ones have it: for calibration and for the tests.

Its size is measured: in the shipped ``verbs`` study (budget coffee, 3 seeds, 600 held-out verbs) the median
standard deviation over seeds is 0.014 of the loss, in nats a token, and 0.025 of exact match, and in the
smallest cells it is up to three times as large. In the 182 public runs of Muennighoff et al. 2023
(arXiv:2305.16264) four seeds of a loss near 2 differ by 0.001 to 0.026. How much of it seeds share is
assumed: a quarter by all cells of a seed and a seventh by the cells of a seed and quality. ``verbs`` shows
none of either, which is the easier case.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.laws.library import LAWS
from workbench.laws.table import Table, read_table

LOSS_SPREAD, ACCURACY_SPREAD = 0.014, 0.025
"""Standard deviation of a measurement over seeds, at the larger sizes."""
SEED_SHARE, QUALITY_SHARE = 0.25, 0.15
DOUBLINGS = tuple(32.0 * 2**k for k in range(7))


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A law with its constants, the cells that a study measures, and the noise of one measurement.

    ``spread`` is the noise of one measurement at the largest size; at the smallest it is twice as large.
    ``settings`` are the inputs other than size, by quality; ``own`` are constants of one quality where the
    law is fitted to each quality apart. ``reference`` and ``other`` are the qualities whose rate is asked
    for at ``reachable``, and at ``unreachable``, where no size tried is enough.
    """

    law: str
    values: Mapping[str, float]
    settings: Mapping[str, Mapping[str, float]]
    spread: float
    reference: str
    other: str
    reachable: float
    unreachable: float
    sizes: tuple[float, ...] = DOUBLINGS
    own: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    judged: str = ""
    """The quality whose predictions are judged; the reference where it is empty."""

    @property
    def metric(self) -> str:
        """The metric that the law predicts."""
        return "loss" if LAWS[self.law].metric == "loss" else "exact_match"

    def noise_at(self, size: float) -> float:
        """Return a measurement's standard deviation: twice as large at the smallest size as far above."""
        return float(self.spread * (1 + np.sqrt(self.sizes[0] / size)))

    def predict(self, quality: str, sizes: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return the true metric of a quality at the given sizes."""
        size = np.asarray(sizes, dtype=float)
        x = {"size": size, **{k: np.full(len(size), v) for k, v in self.settings[quality].items()}}
        return LAWS[self.law].predict({**self.values, **self.own.get(quality, {})}, x)


def simulated(truth: Truth, seed: int, *, seeds: int = 3) -> Table:
    """Return one simulated study as a table, with its zero-shot row where the law has a value at size 0."""
    rng = np.random.default_rng(seed)
    shared = np.sqrt(SEED_SHARE) * rng.standard_normal(seeds)
    rows: list[dict[str, object]] = []
    if "floor" in truth.values:
        rows.append({"quality": None, "size": 0, "seed": 0, truth.metric: truth.values["floor"]})
    for quality, setting in truth.settings.items():
        of_quality = np.sqrt(QUALITY_SHARE) * rng.standard_normal(seeds)
        for size, value in zip(truth.sizes, truth.predict(quality, truth.sizes), strict=True):
            rest = np.sqrt(1 - SEED_SHARE - QUALITY_SHARE) * rng.standard_normal(seeds)
            spread = truth.noise_at(size)
            for k, noise in enumerate(shared + of_quality + rest):
                measured = float(value + spread * noise)
                if truth.metric != "loss":
                    measured = min(max(measured, 0.0), 1.0)
                rows.append({"quality": quality, "size": size, "seed": k, **setting, truth.metric: measured})
    return read_table(rows, name=f"simulated {truth.law}")


def grown(truth: Truth, study: int, cells: Iterable[tuple[str, float, int]]) -> Table:
    """Return the table of a study that chooses its cells: quality, size and seed.

    What a cell measures is a function of itself and of the study's number, so a study that grows keeps what
    it has measured. The noise is that of :func:`simulated`.
    """
    qualities = list(truth.settings)

    def drawn(*place: int) -> float:
        return float(np.random.default_rng([study, *place]).standard_normal())

    rows: list[dict[str, object]] = []
    if "floor" in truth.values:
        rows.append({"quality": None, "size": 0, "seed": 0, truth.metric: truth.values["floor"]})
    for quality, size, seed in sorted(cells, key=lambda cell: (qualities.index(cell[0]), *cell[1:])):
        number = qualities.index(quality)
        noise = (
            np.sqrt(SEED_SHARE) * drawn(0, seed)
            + np.sqrt(QUALITY_SHARE) * drawn(1, number, seed)
            + np.sqrt(1 - SEED_SHARE - QUALITY_SHARE) * drawn(2, number, round(size), seed)
        )
        spread = truth.noise_at(size)
        measured = float(truth.predict(quality, [size])[0] + spread * noise)
        if truth.metric != "loss":
            measured = min(max(measured, 0.0), 1.0)
        rows.append(
            {
                "quality": quality,
                "size": size,
                "seed": seed,
                **truth.settings[quality],
                truth.metric: measured,
            }
        )
    return read_table(rows, name=f"simulated {truth.law}")


TWO: dict[str, dict[str, float]] = {"clean": {}, "noisy": {}}
"""Two qualities that no input tells apart."""
SHARES = {"clean": {"share": 1.0}, "30% spoiled": {"share": 0.7}, "60% spoiled": {"share": 0.4}}
MODELS = {f"{m:g}M": {"model": m * 1e6} for m in (20, 60, 180, 540, 1600)}
SHARES_AND_MODELS = {
    f"{quality}, {m:g}M": {**share, "model": m * 1e6}
    for quality, share in SHARES.items()
    for m in (20, 180, 1600)
}
EPOCHS = tuple(100.0 * 2**k for k in range(9))
UNIQUE = {f"{u:g} unique": {"unique": u} for u in (100.0, 400.0, 1600.0, 25600.0)}
SHARES_AND_UNIQUE = {
    f"{quality}, {u:g} unique": {**share, "unique": u}
    for quality, share in SHARES.items()
    for u in (100.0, 400.0, 25600.0)
}

TRUTHS: dict[str, Truth] = {
    "power": Truth(
        law="power",
        values={"beta": 0.45, "E": 1.0, "B": 3.0},
        settings=TWO,
        spread=LOSS_SPREAD,
        reference="clean",
        other="noisy",
        reachable=256.0,
        unreachable=2048.0,
        own={"noisy": {"B": 5.0}},
    ),
    "rectified": Truth(
        law="rectified",
        values={"learned": 60.0, "beta": 0.7, "E": 1.0, "B": 120.0},
        settings=TWO,
        spread=LOSS_SPREAD,
        reference="clean",
        other="noisy",
        reachable=1024.0,
        unreachable=16384.0,
        sizes=tuple(32.0 * 2**k for k in range(10)),
        own={"noisy": {"B": 160.0}},
    ),
    "bounded": Truth(
        law="bounded",
        values={"half": 60.0, "steepness": 1.1, "floor": 0.05, "ceiling": 0.9},
        settings=TWO,
        spread=ACCURACY_SPREAD,
        reference="clean",
        other="noisy",
        reachable=64.0,
        unreachable=2048.0,
        sizes=tuple(8.0 * 2**k for k in range(9)),
        own={"noisy": {"half": 200.0, "ceiling": 0.85}},
    ),
    "multiplicative": Truth(
        law="multiplicative",
        values={"alpha": 0.25, "beta": 0.35, "E": 1.2, "A": 400.0},
        settings=MODELS,
        spread=LOSS_SPREAD,
        reference="540M",
        other="180M",
        reachable=256.0,
        unreachable=2048.0,
    ),
    "chinchilla": Truth(
        law="chinchilla",
        values={"alpha": 0.35, "beta": 0.4, "E": 1.5, "A": 500.0, "B": 6.0},
        settings=MODELS,
        spread=LOSS_SPREAD,
        reference="1600M",
        other="540M",
        reachable=128.0,
        unreachable=2048.0,
    ),
    "quality_exponent": Truth(
        law="quality_exponent",
        values={"beta": 0.4, "gamma": 0.5, "E": 1.0, "B": 4.0},
        settings=SHARES,
        spread=LOSS_SPREAD,
        reference="clean",
        other="60% spoiled",
        reachable=256.0,
        unreachable=2048.0,
    ),
    "noise_floor": Truth(
        law="noise_floor",
        values={"beta": 0.4, "E": 1.0, "F": 0.3, "B": 4.0},
        settings=SHARES,
        spread=LOSS_SPREAD,
        reference="clean",
        other="30% spoiled",
        reachable=128.0,
        unreachable=2048.0,
    ),
    "floor_coefficient": Truth(
        law="floor_coefficient",
        values={"beta": 0.4, "gamma": 0.6, "E": 1.0, "F": 0.3, "B": 4.0},
        settings=SHARES,
        spread=LOSS_SPREAD,
        reference="clean",
        other="30% spoiled",
        reachable=64.0,
        unreachable=2048.0,
    ),
    "coefficient_exponent": Truth(
        law="coefficient_exponent",
        values={"beta": 0.45, "gamma": 0.1, "kappa": 0.4, "E": 1.0, "B": 4.0},
        settings=SHARES,
        spread=LOSS_SPREAD,
        reference="clean",
        other="60% spoiled",
        reachable=64.0,
        unreachable=2048.0,
    ),
    "floor_coefficient_exponent": Truth(
        law="floor_coefficient_exponent",
        values={"beta": 0.45, "gamma": 0.2, "kappa": 0.4, "E": 1.0, "F": 0.15, "B": 4.0},
        settings=SHARES,
        spread=LOSS_SPREAD,
        reference="clean",
        other="30% spoiled",
        reachable=64.0,
        unreachable=2048.0,
    ),
    "quality_exponent_model": Truth(
        law="quality_exponent_model",
        values={"alpha": 0.35, "beta": 0.4, "gamma": 0.5, "E": 1.5, "A": 500.0, "B": 6.0},
        settings=SHARES_AND_MODELS,
        spread=LOSS_SPREAD,
        reference="clean, 180M",
        other="60% spoiled, 180M",
        reachable=256.0,
        unreachable=2048.0,
    ),
    "floor_coefficient_model": Truth(
        law="floor_coefficient_model",
        values={"alpha": 0.35, "beta": 0.4, "gamma": 0.5, "E": 1.5, "A": 500.0, "F": 0.3, "B": 6.0},
        settings=SHARES_AND_MODELS,
        spread=LOSS_SPREAD,
        reference="clean, 180M",
        other="30% spoiled, 180M",
        reachable=64.0,
        unreachable=2048.0,
    ),
    "floor_coefficient_exponent_model": Truth(
        law="floor_coefficient_exponent_model",
        values={
            "alpha": 0.35,
            "beta": 0.45,
            "gamma": 0.2,
            "kappa": 0.4,
            "E": 1.5,
            "A": 500.0,
            "F": 0.2,
            "B": 6.0,
        },
        settings=SHARES_AND_MODELS,
        spread=LOSS_SPREAD,
        reference="clean, 180M",
        other="30% spoiled, 180M",
        reachable=64.0,
        unreachable=2048.0,
    ),
    "overfitting": Truth(
        law="overfitting",
        values={"beta": 0.4, "rho": 0.6, "delta": 0.5, "E": 1.0, "B": 6.0, "C": 0.2},
        settings=UNIQUE,
        spread=LOSS_SPREAD,
        reference="25600 unique",
        other="400 unique",
        reachable=1600.0,
        unreachable=25600.0,
        sizes=EPOCHS,
        judged="400 unique",
    ),
    "noisy_overfitting": Truth(
        law="noisy_overfitting",
        values={
            "beta": 0.4,
            "gamma": 0.4,
            "rho": 0.6,
            "delta": 0.5,
            "E": 1.0,
            "F": 0.2,
            "B": 6.0,
            "C": 0.15,
            "G": 0.4,
        },
        settings=SHARES_AND_UNIQUE,
        spread=LOSS_SPREAD,
        reference="clean, 25600 unique",
        other="30% spoiled, 400 unique",
        reachable=800.0,
        unreachable=25600.0,
        sizes=EPOCHS,
        judged="30% spoiled, 400 unique",
    ),
    "repetition": Truth(
        law="repetition",
        values={"R_D": 8.0, "beta": 0.4, "E": 1.0, "B": 6.0},
        settings=UNIQUE,
        spread=LOSS_SPREAD,
        reference="25600 unique",
        other="400 unique",
        reachable=1600.0,
        unreachable=25600.0,
        sizes=EPOCHS,
    ),
    "data_constrained": Truth(
        law="data_constrained",
        values={"R_D": 8.0, "R_N": 4.0, "alpha": 0.35, "beta": 0.35, "E": 1.5, "A": 300.0, "B": 600.0},
        settings={
            f"{u:g}M unique, {m:g}M": {"unique": u * 1e6, "model": m * 1e6}
            for u in (50, 200, 12800)
            for m in (10, 40, 160)
        },
        spread=LOSS_SPREAD,
        reference="12800M unique, 160M",
        other="200M unique, 160M",
        reachable=8e8,
        unreachable=12.8e9,
        sizes=tuple(5e7 * 2**k for k in range(9)),
        fixed=("alpha", "beta", "E", "A", "B"),
        # the reference repeats nothing and has a model of the right size: no fitted constant counts there
        judged="200M unique, 160M",
    ),
}
"""One true study per law, at the noise of small real studies."""
