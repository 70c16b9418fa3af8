"""The laws that can be fitted, each with its formula, source, parameters and where a fit starts.

Every law here is a sum of terms, each a positive coefficient times a function of the inputs and of a few
shape parameters. Given the shapes the coefficients follow by linear least squares, so a fit searches the
shapes only (variable projection). A law that can't be written so lists no coefficients: its prediction is
then the plain sum of its terms.

A *law* is such a formula with its constants; a *curve* is what is known of one quality of a study: a law's
fit and how far the truth may stray from it. The fitter and the page of the law explorer take formula, limits
and source from here.

To add a law write its terms in ``terms`` and one entry of ``LAWS``, and its true study in
``simulate.TRUTHS``; CONTRIBUTING.md lists the values worked by hand that the tests ask for. ``nests`` names
the simpler laws that it contains, with which ``nested`` compares it. A formula is written with + - / ^ and
a space; one with a function, such as exp, goes into ``NO_TREE`` of the tests.
"""

from dataclasses import replace

import numpy as np

from workbench.errors import InputError
from workbench.laws import terms
from workbench.laws.law import Inputs, Law, Parameter, Shapes
from workbench.laws.terms import effective

__all__ = ["FREE", "LAWS", "Inputs", "Law", "Parameter", "Shapes", "effective"]


def _lines_between(x: Inputs) -> Law:
    """Return the law of straight lines in log size between the sizes measured, each end held beyond it."""
    knots = np.unique(x["size"])

    def between(_: Shapes, at: Inputs) -> np.ndarray:
        return np.stack(
            [np.interp(np.log(at["size"]), np.log(knots), hat) for hat in np.eye(len(knots))], axis=-1
        )

    levels = tuple(Parameter(f"at {n:g}", "metric", 0.0, np.inf, scale="linear") for n in knots)
    return replace(LAWS[FREE], coefficients=levels, terms=between, made_for=None)


def _no_sizes_yet(_: Shapes, __: Inputs) -> np.ndarray:
    raise InputError("law 'free' has no terms before it is bound to a table's sizes.")


FREE = "free"
"""The law that is none: the values measured."""
EXPONENTS = (0.1, 0.25, 0.45, 0.8, 1.4)
FLOOR = Parameter("E", "metric", 0.0, np.inf, scale="linear")


def _exponent(name: str, of: str) -> Parameter:
    return Parameter(name, f"exponent of {of}", 0.01, 4.0, EXPONENTS)


def _gain(name: str) -> Parameter:
    return Parameter(name, "metric", 0.0, np.inf, scale="linear")


REPEATS = (0.5, 2.0, 8.0, 30.0, 120.0)
FEWER = (0.2, 0.6)
"""Starts of an exponent in a law of many shapes, whose starts are tried in all combinations."""
SHARE_GAMMA = Parameter("gamma", "exponent of share", -6.0, 6.0, (0.4,), scale="linear")
"""On a linear scale, for 0 is a simpler law, and below it spoiled data has the smaller coefficient."""
SHARE_KAPPA = Parameter("kappa", "exponent of share", -3.0, 3.0, (0.0, 1.0), scale="linear")


def _few_starts(name: str, of: str) -> Parameter:
    return Parameter(name, f"exponent of {of}", 0.01, 4.0, FEWER)


QUALITY_SOURCE = "this project: Subramanyam et al. 2026, arXiv:2510.03313, with more that the share may move"
PENALTY_SOURCE = "after Lovelace et al. 2026, arXiv:2605.01640 (an additive penalty), at one model size"

LAWS: dict[str, Law] = {
    "power": Law(
        name="power",
        formula="E + B n^-beta",
        source="Hestness et al. 2017, arXiv:1712.00409",
        inputs=("size",),
        metric="loss",
        shapes=(_exponent("beta", "size"),),
        coefficients=(FLOOR, _gain("B")),
        terms=terms.power,
    ),
    "rectified": Law(
        name="rectified",
        formula="E + B / (D_l + n^beta)",
        source="Lin et al. 2024, arXiv:2402.02314",
        inputs=("size",),
        metric="loss",
        shapes=(
            Parameter("learned", "size to the beta", 1e-2, 1e12, (1.0, 30.0, 1e3, 3e4, 1e6, 1e9)),
            _exponent("beta", "size"),
        ),
        coefficients=(FLOOR, _gain("B")),
        terms=terms.rectified,
    ),
    "multiplicative": Law(
        name="multiplicative",
        formula="E + A X^-alpha n^-beta",
        source="Zhang et al. 2024, arXiv:2402.17193",
        inputs=("model", "size"),
        metric="loss",
        shapes=(_exponent("alpha", "model size"), _exponent("beta", "size")),
        coefficients=(FLOOR, _gain("A")),
        terms=terms.multiplicative,
    ),
    "chinchilla": Law(
        name="chinchilla",
        formula="E + A N^-alpha + B D^-beta",
        source="Hoffmann et al. 2022, arXiv:2203.15556; Besiroglu et al. 2024, arXiv:2404.10102",
        inputs=("model", "size"),
        metric="loss",
        shapes=(_exponent("alpha", "model size"), _exponent("beta", "size")),
        coefficients=(FLOOR, _gain("A"), _gain("B")),
        terms=terms.chinchilla,
    ),
    "quality_exponent": Law(
        name="quality_exponent",
        formula="E + B n^-beta share^-gamma",
        source="Subramanyam et al. 2026, arXiv:2510.03313, without the model term",
        inputs=("size", "share"),
        metric="loss",
        shapes=(
            _exponent("beta", "size"),
            Parameter("gamma", "exponent of share", 0.001, 6.0, (0.1, 0.4, 1.2, 3.0)),
        ),
        coefficients=(FLOOR, _gain("B")),
        terms=terms.quality_exponent,
    ),
    "noise_floor": Law(
        name="noise_floor",
        formula="E + F (1 - share) + B n^-beta",
        source="this project: the part of the loss that data of a quality does not buy back",
        inputs=("size", "share"),
        metric="loss",
        shapes=(_exponent("beta", "size"),),
        coefficients=(FLOOR, _gain("F"), _gain("B")),
        terms=terms.noise_floor,
    ),
    "repetition": Law(
        name="repetition",
        formula="E + B (unique (1 + R_D (1 - exp(-repeats / R_D))))^-beta",
        source="Muennighoff et al. 2023, arXiv:2305.16264, at one model size",
        inputs=("size", "unique"),
        metric="loss",
        shapes=(Parameter("R_D", "repeats", 0.05, 5e3, REPEATS), _exponent("beta", "effective size")),
        coefficients=(FLOOR, _gain("B")),
        terms=terms.repetition,
    ),
    "data_constrained": Law(
        name="data_constrained",
        formula="E + A N_eff^-alpha + B D_eff^-beta",
        source="Muennighoff et al. 2023, arXiv:2305.16264, equation 6",
        inputs=("size", "unique", "model"),
        metric="loss",
        shapes=(
            Parameter("R_D", "repeats", 0.05, 5e3, REPEATS),
            Parameter("R_N", "repeats", 0.05, 5e3, (0.5, 5.0, 50.0)),
            Parameter("alpha", "exponent of effective model size", 0.01, 4.0, (0.25, 0.5)),
            Parameter("beta", "exponent of effective size", 0.01, 4.0, (0.25, 0.5)),
            Parameter("E", "metric", 1e-3, 10.0, (1.5,)),
            Parameter("A", "metric", 1e-2, 1e9, (500.0,)),
            Parameter("B", "metric", 1e-2, 1e9, (2000.0,)),
        ),
        coefficients=(),
        terms=terms.data_constrained,
    ),
    "floor_coefficient": Law(
        name="floor_coefficient",
        formula="E + F (1 - share) + B share^-gamma n^-beta",
        source=QUALITY_SOURCE,
        inputs=("size", "share"),
        metric="loss",
        shapes=(_exponent("beta", "size"), SHARE_GAMMA),
        coefficients=(FLOOR, _gain("F"), _gain("B")),
        terms=terms.floor_coefficient,
        nests={"noise_floor": {"gamma": 0.0}, "quality_exponent": {"F": 0.0}},
    ),
    "coefficient_exponent": Law(
        name="coefficient_exponent",
        formula="E + B share^-gamma n^-(beta share^kappa)",
        source=QUALITY_SOURCE,
        inputs=("size", "share"),
        metric="loss",
        shapes=(_few_starts("beta", "size"), SHARE_GAMMA, SHARE_KAPPA),
        coefficients=(FLOOR, _gain("B")),
        terms=terms.coefficient_exponent,
        nests={"quality_exponent": {"kappa": 0.0}},
    ),
    "floor_coefficient_exponent": Law(
        name="floor_coefficient_exponent",
        formula="E + F (1 - share) + B share^-gamma n^-(beta share^kappa)",
        source=QUALITY_SOURCE,
        inputs=("size", "share"),
        metric="loss",
        shapes=(_few_starts("beta", "size"), SHARE_GAMMA, SHARE_KAPPA),
        coefficients=(FLOOR, _gain("F"), _gain("B")),
        terms=terms.floor_coefficient_exponent,
        nests={"floor_coefficient": {"kappa": 0.0}, "coefficient_exponent": {"F": 0.0}},
    ),
    "quality_exponent_model": Law(
        name="quality_exponent_model",
        formula="E + A N^-alpha + B D^-beta share^-gamma",
        source="Subramanyam et al. 2026, arXiv:2510.03313",
        inputs=("model", "size", "share"),
        metric="loss",
        shapes=(_few_starts("alpha", "model size"), _few_starts("beta", "size"), SHARE_GAMMA),
        coefficients=(FLOOR, _gain("A"), _gain("B")),
        terms=terms.quality_exponent_model,
        nests={"chinchilla": {"gamma": 0.0}},
    ),
    "floor_coefficient_model": Law(
        name="floor_coefficient_model",
        formula="E + A N^-alpha + F (1 - share) + B D^-beta share^-gamma",
        source=QUALITY_SOURCE,
        inputs=("model", "size", "share"),
        metric="loss",
        shapes=(_few_starts("alpha", "model size"), _few_starts("beta", "size"), SHARE_GAMMA),
        coefficients=(FLOOR, _gain("A"), _gain("F"), _gain("B")),
        terms=terms.floor_coefficient_model,
        nests={"quality_exponent_model": {"F": 0.0}},
    ),
    "floor_coefficient_exponent_model": Law(
        name="floor_coefficient_exponent_model",
        formula="E + A N^-alpha + F (1 - share) + B share^-gamma D^-(beta share^kappa)",
        source=QUALITY_SOURCE,
        inputs=("model", "size", "share"),
        metric="loss",
        shapes=(_few_starts("alpha", "model size"), _few_starts("beta", "size"), SHARE_GAMMA, SHARE_KAPPA),
        coefficients=(FLOOR, _gain("A"), _gain("F"), _gain("B")),
        terms=terms.floor_coefficient_exponent_model,
        nests={"floor_coefficient_model": {"kappa": 0.0}},
    ),
    "overfitting": Law(
        name="overfitting",
        formula="E + B n^-beta + C (n / unique - 1)^rho unique^-delta",
        source=PENALTY_SOURCE,
        inputs=("size", "unique"),
        metric="loss",
        shapes=(
            _few_starts("beta", "size"),
            Parameter("rho", "exponent of repeats", 0.05, 4.0, (0.5, 1.5)),
            Parameter("delta", "exponent of unique", 0.01, 4.0, (0.2, 0.8)),
        ),
        coefficients=(FLOOR, _gain("B"), _gain("C")),
        terms=terms.overfitting,
    ),
    "noisy_overfitting": Law(
        name="noisy_overfitting",
        formula="E + F (1 - share) + B share^-gamma n^-beta "
        "+ (C + G (1 - share)) (n / unique - 1)^rho unique^-delta",
        source=f"this project: floor_coefficient and, {PENALTY_SOURCE}",
        inputs=("size", "unique", "share"),
        metric="loss",
        shapes=(
            _few_starts("beta", "size"),
            SHARE_GAMMA,
            Parameter("rho", "exponent of repeats", 0.05, 4.0, (0.5, 1.5)),
            Parameter("delta", "exponent of unique", 0.01, 4.0, (0.2, 0.8)),
        ),
        coefficients=(FLOOR, _gain("F"), _gain("B"), _gain("C"), _gain("G")),
        terms=terms.noisy_overfitting,
        nests={"overfitting": {"gamma": 0.0, "F": 0.0, "G": 0.0}, "floor_coefficient": {"C": 0.0, "G": 0.0}},
    ),
    "bounded": Law(
        name="bounded",
        formula="floor + (ceiling - floor) / (1 + (n / half)^-steepness)",
        source="Hill 1910, J. Physiol. 40, iv-vii",
        inputs=("size",),
        metric="accuracy",
        shapes=(
            Parameter("half", "size", 1e-1, 1e8, (10.0, 100.0, 1e3, 1e4, 1e5)),
            Parameter("steepness", "per factor e of size", 0.1, 8.0, (0.5, 1.0, 2.0)),
        ),
        coefficients=(
            Parameter("floor", "metric", 0.0, 1.0, scale="linear"),
            Parameter("ceiling", "metric", 0.0, 1.0, scale="linear"),
        ),
        terms=terms.bounded,
    ),
    FREE: Law(
        name=FREE,
        formula="one value per size, straight lines in log size between them",
        source="the null model: no law, and no forecast but the last value",
        inputs=("size",),
        metric="loss",
        shapes=(),
        coefficients=(),
        terms=_no_sizes_yet,
        made_for=_lines_between,
        model_free=True,
    ),
}
"""Every law by name."""
