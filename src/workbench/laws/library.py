"""The laws that can be fitted, each with its formula, source, parameters and where a fit starts.

Every law here is a sum of terms, each a positive coefficient times a function of the inputs and of a few
shape parameters. Given the shapes the coefficients follow by linear least squares, so a fit searches the
shapes only (variable projection). A law that can't be written so lists no coefficients: its prediction is
then the plain sum of its terms.

A *law* is such a formula with its constants; a *curve* is a law fitted to one quality of a study. Both
fitters and the page of the law explorer take formula, limits and source from here: ``fitting`` fits any law,
``curves`` a law of size alone to thousands of resampled studies at once.

To add a law write its ``terms`` and one entry of ``LAWS``, and its true study in ``simulate.TRUTHS``;
CONTRIBUTING.md lists the values worked by hand that the tests ask for. A loss of size alone that is to be a
curve has two terms, the constant 1 and then what falls, the coefficients ``E`` and ``B``, and a ``grid`` for
each shape. A formula is written with + - / ^ and a space; one with a function, such as exp, goes into
``NO_TREE`` of the tests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from workbench.errors import InputError

Inputs = Mapping[str, np.ndarray]
Shapes = Mapping[str, Any]
"""Each shape parameter's value: a number, or trial values with a last axis of length 1 for the rows."""


@dataclass(frozen=True)
class Parameter:
    """One fitted constant.

    Attributes:
        low: Least value; the search of ``fitting`` and every profile end there.
        high: Largest value.
        starts: Where a search starts; those of several parameters are tried in all combinations.
        scale: On which scale it is searched and profiled.
        grid: The ends between which ``curves`` lays its grid; None where it lays none. They are narrower than
            ``low`` and ``high``: a grid has a fixed number of points, which wide ends would set far apart,
            while a descent loses nothing by wide ends and a profile that meets one has no end to give.
    """

    name: str
    unit: str
    low: float
    high: float
    starts: tuple[float, ...] = ()
    scale: Literal["log", "linear"] = "log"
    grid: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Law:
    """A prediction of a metric from columns of a table.

    Attributes:
        formula: The law in the names of its parameters, n or D for the size, X or N for the model; a space
            multiplies. For a law of size and share the page of the law explorer computes what stands here.
        inputs: Columns it needs. "size" counts examples or tokens, "model" parameters, "share" the share of
            examples left as they were, "unique" the distinct examples among "size" seen.
        metric: What it predicts: a loss that falls, or an accuracy that rises.
        shapes: Parameters inside the terms.
        coefficients: One per term, or none.
        terms: Shapes and inputs to an array (rows, terms).
        made_for: For a law whose terms depend on the inputs that were measured: makes the law for those.
        model_free: Whether it is no law but the values measured: it suits either kind of metric, fits any
            values, and is no candidate of a forecast.
    """

    name: str
    formula: str
    source: str
    inputs: tuple[str, ...]
    metric: Literal["loss", "accuracy"]
    shapes: tuple[Parameter, ...]
    coefficients: tuple[Parameter, ...]
    terms: Callable[[Shapes, Inputs], np.ndarray]
    made_for: Callable[[Inputs], "Law"] | None = None
    model_free: bool = False

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Shapes, then coefficients."""
        return self.shapes + self.coefficients

    @property
    def joint(self) -> bool:
        """Whether the law itself tells qualities apart, so that one fit covers them all."""
        return "share" in self.inputs

    @property
    def fits_curves(self) -> bool:
        """Whether ``curves`` can fit it to one quality: a law of size alone whose shapes all have a grid."""
        return self.inputs == ("size",) and bool(self.shapes) and all(p.grid for p in self.shapes)

    def suits(self, kind: str) -> bool:
        """Say whether it predicts this kind of metric, "loss" or "accuracy"."""
        return self.model_free or self.metric == kind

    def measured_at(self, x: Inputs) -> "Law":
        """Return the law with its terms for the inputs that were measured."""
        return self.made_for(x) if self.made_for else self

    def predict(self, values: Mapping[str, float], x: Inputs) -> np.ndarray:
        """Return the metric (rows,) for parameter values by name."""
        terms = self.terms(values, x)
        if not self.coefficients:
            return terms.sum(axis=1)
        return terms @ np.array([values[p.name] for p in self.coefficients])


def _columns(*terms: np.ndarray | float) -> np.ndarray:
    return np.stack(np.broadcast_arrays(*terms), axis=-1)


def _power(s: Shapes, x: Inputs) -> np.ndarray:
    return _columns(1.0, x["size"] ** -s["beta"])


def _rectified(s: Shapes, x: Inputs) -> np.ndarray:
    return _columns(1.0, 1 / (s["learned"] + x["size"] ** s["beta"]))


def _multiplicative(s: Shapes, x: Inputs) -> np.ndarray:
    return _columns(1.0, x["model"] ** -s["alpha"] * x["size"] ** -s["beta"])


def _chinchilla(s: Shapes, x: Inputs) -> np.ndarray:
    return _columns(1.0, x["model"] ** -s["alpha"], x["size"] ** -s["beta"])


def _quality_exponent(s: Shapes, x: Inputs) -> np.ndarray:
    if np.any(x["share"] <= 0):
        raise InputError(
            "law 'quality_exponent': a share of 0 means no effective data at any size. Leave the rows of "
            "that quality out, or take another law: --law noise_floor."
        )
    return _columns(1.0, x["size"] ** -s["beta"] * x["share"] ** -s["gamma"])


def _noise_floor(s: Shapes, x: Inputs) -> np.ndarray:
    return _columns(1.0, 1 - x["share"], x["size"] ** -s["beta"])


def effective(unique: np.ndarray, seen: np.ndarray, decay: float | np.ndarray) -> np.ndarray:
    """Return what ``seen`` examples are worth when only ``unique`` are distinct (Muennighoff et al., eq. 5).

    Each repeat is worth less than the one before; ``decay`` is R*, the number of repeats after which
    their worth has fallen by a factor e.
    """
    unique = np.minimum(unique, seen)
    repeats = seen / unique - 1
    return unique * (1 + decay * -np.expm1(-repeats / decay))


def _repetition(s: Shapes, x: Inputs) -> np.ndarray:
    return _columns(1.0, effective(x["unique"], x["size"], s["R_D"]) ** -s["beta"])


def _data_constrained(s: Shapes, x: Inputs) -> np.ndarray:
    """Return the three terms; the model size is worth no more than the unique data can use."""
    ratio = (s["alpha"] * s["A"] / (s["beta"] * s["B"])) ** (1 / (s["alpha"] + s["beta"]))
    usable = ratio * (ratio * np.minimum(x["unique"], x["size"])) ** (s["beta"] / s["alpha"])
    parameters = effective(usable, x["model"], s["R_N"])
    data = effective(x["unique"], x["size"], s["R_D"])
    return _columns(s["E"], s["A"] * parameters ** -s["alpha"], s["B"] * data ** -s["beta"])


def _bounded(s: Shapes, x: Inputs) -> np.ndarray:
    gain = 1 / (1 + (np.maximum(x["size"], 1e-9) / s["half"]) ** -s["steepness"])
    return _columns(1 - gain, gain)


def _lines_between(x: Inputs) -> Law:
    """Return the law of straight lines in log size between the sizes measured, each end held beyond it."""
    knots = np.unique(x["size"])

    def terms(_: Shapes, at: Inputs) -> np.ndarray:
        return np.stack(
            [np.interp(np.log(at["size"]), np.log(knots), hat) for hat in np.eye(len(knots))], axis=-1
        )

    levels = tuple(Parameter(f"at {n:g}", "metric", 0.0, np.inf, scale="linear") for n in knots)
    return replace(LAWS[FREE], coefficients=levels, terms=terms, made_for=None)


def _no_sizes_yet(_: Shapes, __: Inputs) -> np.ndarray:
    raise InputError("law 'free' has no terms before it is bound to a table's sizes.")


FREE = "free"
"""The law that is none: the values measured."""
EXPONENTS = (0.1, 0.25, 0.45, 0.8, 1.4)
FLOOR = Parameter("E", "metric", 0.0, np.inf, scale="linear")


def _exponent(name: str, of: str, grid: tuple[float, float] | None = None) -> Parameter:
    return Parameter(name, f"exponent of {of}", 0.01, 4.0, EXPONENTS, grid=grid)


def _gain(name: str) -> Parameter:
    return Parameter(name, "metric", 0.0, np.inf, scale="linear")


REPEATS = (0.5, 2.0, 8.0, 30.0, 120.0)

LAWS: dict[str, Law] = {
    "power": Law(
        name="power",
        formula="E + B n^-beta",
        source="Hestness et al. 2017, arXiv:1712.00409",
        inputs=("size",),
        metric="loss",
        shapes=(_exponent("beta", "size", grid=(0.02, 3.0)),),
        coefficients=(FLOOR, _gain("B")),
        terms=_power,
    ),
    "rectified": Law(
        name="rectified",
        formula="E + B / (D_l + n^beta)",
        source="Lin et al. 2024, arXiv:2402.02314",
        inputs=("size",),
        metric="loss",
        shapes=(
            Parameter(
                "learned", "size to the beta", 1e-2, 1e12, (1.0, 30.0, 1e3, 3e4, 1e6, 1e9), grid=(1.0, 1e6)
            ),
            _exponent("beta", "size", grid=(0.05, 3.0)),
        ),
        coefficients=(FLOOR, _gain("B")),
        terms=_rectified,
    ),
    "multiplicative": Law(
        name="multiplicative",
        formula="E + A X^-alpha n^-beta",
        source="Zhang et al. 2024, arXiv:2402.17193",
        inputs=("model", "size"),
        metric="loss",
        shapes=(_exponent("alpha", "model size"), _exponent("beta", "size")),
        coefficients=(FLOOR, _gain("A")),
        terms=_multiplicative,
    ),
    "chinchilla": Law(
        name="chinchilla",
        formula="E + A N^-alpha + B D^-beta",
        source="Hoffmann et al. 2022, arXiv:2203.15556; Besiroglu et al. 2024, arXiv:2404.10102",
        inputs=("model", "size"),
        metric="loss",
        shapes=(_exponent("alpha", "model size"), _exponent("beta", "size")),
        coefficients=(FLOOR, _gain("A"), _gain("B")),
        terms=_chinchilla,
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
        terms=_quality_exponent,
    ),
    "noise_floor": Law(
        name="noise_floor",
        formula="E + F (1 - share) + B n^-beta",
        source="this project: the part of the loss that data of a quality does not buy back",
        inputs=("size", "share"),
        metric="loss",
        shapes=(_exponent("beta", "size"),),
        coefficients=(FLOOR, _gain("F"), _gain("B")),
        terms=_noise_floor,
    ),
    "repetition": Law(
        name="repetition",
        formula="E + B (unique (1 + R_D (1 - exp(-repeats / R_D))))^-beta",
        source="Muennighoff et al. 2023, arXiv:2305.16264, at one model size",
        inputs=("size", "unique"),
        metric="loss",
        shapes=(Parameter("R_D", "repeats", 0.05, 5e3, REPEATS), _exponent("beta", "effective size")),
        coefficients=(FLOOR, _gain("B")),
        terms=_repetition,
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
        terms=_data_constrained,
    ),
    "bounded": Law(
        name="bounded",
        formula="floor + (ceiling - floor) / (1 + (n / half)^-steepness)",
        source="Hill 1910, J. Physiol. 40, iv-vii",
        inputs=("size",),
        metric="accuracy",
        shapes=(
            Parameter("half", "size", 1e-1, 1e8, (10.0, 100.0, 1e3, 1e4, 1e5), grid=(1.0, 1e6)),
            Parameter("steepness", "per factor e of size", 0.1, 8.0, (0.5, 1.0, 2.0), grid=(0.2, 6.0)),
        ),
        coefficients=(
            Parameter("floor", "metric", 0.0, 1.0, scale="linear"),
            Parameter("ceiling", "metric", 0.0, 1.0, scale="linear"),
        ),
        terms=_bounded,
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
