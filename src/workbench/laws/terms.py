"""The terms of each law: shape parameters and inputs to an array with one column per coefficient.

A term broadcasts: a shape parameter is a number or an array of trial values whose last axis has length 1 for
the rows. ``library`` has the formula, source and limits beside each.
"""

import numpy as np

from workbench.errors import InputError
from workbench.laws.law import Inputs, Shapes


def columns(*terms: np.ndarray | float) -> np.ndarray:
    """Stack terms as columns; a number stands for itself in every row."""
    shape = np.broadcast_shapes(*(np.shape(term) for term in terms))
    stacked = np.empty((*shape, len(terms)))
    for j, term in enumerate(terms):
        stacked[..., j] = term
    return stacked


def power(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1 and n^-beta."""
    return columns(1.0, x["size"] ** -s["beta"])


def rectified(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1 and 1 / (D_l + n^beta)."""
    return columns(1.0, 1 / (s["learned"] + x["size"] ** s["beta"]))


def multiplicative(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1 and X^-alpha n^-beta."""
    return columns(1.0, x["model"] ** -s["alpha"] * x["size"] ** -s["beta"])


def chinchilla(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1, N^-alpha and D^-beta."""
    return columns(1.0, x["model"] ** -s["alpha"], x["size"] ** -s["beta"])


def quality_exponent(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1 and n^-beta share^-gamma."""
    _refuse_no_clean(x, "quality_exponent", "noise_floor")
    return columns(1.0, x["size"] ** -s["beta"] * x["share"] ** -s["gamma"])


def _refuse_no_clean(x: Inputs, law: str, instead: str | None = None) -> None:
    if np.any(x["share"] <= 0):
        other = f", or take another law: --law {instead}" if instead else ""
        raise InputError(
            f"law {law!r}: a share of 0 means no effective data at any size. Leave the rows of "
            f"that quality out{other}."
        )


def noise_floor(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1, 1 - share and n^-beta."""
    return columns(1.0, 1 - x["share"], x["size"] ** -s["beta"])


def effective(unique: np.ndarray, seen: np.ndarray, decay: float | np.ndarray) -> np.ndarray:
    """Return what ``seen`` examples are worth when only ``unique`` are distinct (Muennighoff et al., eq. 5).

    Each repeat is worth less than the one before; ``decay`` is R*, the number of repeats after which
    their worth has fallen by a factor e.
    """
    unique = np.minimum(unique, seen)
    repeats = seen / unique - 1
    return unique * (1 + decay * -np.expm1(-repeats / decay))


def repetition(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1 and the effective size to the -beta."""
    return columns(1.0, effective(x["unique"], x["size"], s["R_D"]) ** -s["beta"])


def data_constrained(s: Shapes, x: Inputs) -> np.ndarray:
    """Return the three terms; the model size is worth no more than the unique data can use."""
    ratio = (s["alpha"] * s["A"] / (s["beta"] * s["B"])) ** (1 / (s["alpha"] + s["beta"]))
    usable = ratio * (ratio * np.minimum(x["unique"], x["size"])) ** (s["beta"] / s["alpha"])
    parameters = effective(usable, x["model"], s["R_N"])
    data = effective(x["unique"], x["size"], s["R_D"])
    return columns(s["E"], s["A"] * parameters ** -s["alpha"], s["B"] * data ** -s["beta"])


def bounded(s: Shapes, x: Inputs) -> np.ndarray:
    """Return what weighs the floor and what weighs the ceiling."""
    gain = 1 / (1 + (np.maximum(x["size"], 1e-9) / s["half"]) ** -s["steepness"])
    return columns(1 - gain, gain)


# The family of quality: floor, coefficient and exponent, each with or without a part that the share moves.


def _falling(s: Shapes, x: Inputs) -> np.ndarray:
    """Return share^-gamma n^-(beta share^kappa); without a kappa the exponent is the same for all shares."""
    exponent = s["beta"] * x["share"] ** s["kappa"] if "kappa" in s else s["beta"]
    return np.asarray(x["share"] ** -s["gamma"] * x["size"] ** -exponent)


def floor_coefficient(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1, 1 - share and share^-gamma n^-beta."""
    _refuse_no_clean(x, "floor_coefficient", "noise_floor")
    return columns(1.0, 1 - x["share"], _falling(s, x))


def coefficient_exponent(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1 and share^-gamma n^-(beta share^kappa)."""
    _refuse_no_clean(x, "coefficient_exponent", "noise_floor")
    return columns(1.0, _falling(s, x))


def floor_coefficient_exponent(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1, 1 - share and share^-gamma n^-(beta share^kappa)."""
    _refuse_no_clean(x, "floor_coefficient_exponent", "noise_floor")
    return columns(1.0, 1 - x["share"], _falling(s, x))


def quality_exponent_model(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1, N^-alpha and share^-gamma D^-beta."""
    _refuse_no_clean(x, "quality_exponent_model")
    return columns(1.0, x["model"] ** -s["alpha"], _falling(s, x))


def floor_coefficient_model(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1, N^-alpha, 1 - share and share^-gamma D^-beta."""
    _refuse_no_clean(x, "floor_coefficient_model")
    return columns(1.0, x["model"] ** -s["alpha"], 1 - x["share"], _falling(s, x))


def floor_coefficient_exponent_model(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1, N^-alpha, 1 - share and share^-gamma D^-(beta share^kappa)."""
    _refuse_no_clean(x, "floor_coefficient_exponent_model")
    return columns(1.0, x["model"] ** -s["alpha"], 1 - x["share"], _falling(s, x))


# Repeats that can hurt.


def _penalty(s: Shapes, x: Inputs) -> np.ndarray:
    """Return repeats^rho unique^-delta: 0 without repeats, and growing without end."""
    unique = np.minimum(x["unique"], x["size"])
    return np.asarray((x["size"] / unique - 1) ** s["rho"] * unique ** -s["delta"])


def overfitting(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1, n^-beta and what repeats cost."""
    return columns(1.0, x["size"] ** -s["beta"], _penalty(s, x))


def noisy_overfitting(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1, 1 - share, share^-gamma n^-beta, what repeats cost, and that times 1 - share."""
    _refuse_no_clean(x, "noisy_overfitting")
    spoiled, penalty = 1 - x["share"], _penalty(s, x)
    return columns(1.0, spoiled, _falling(s, x), penalty, spoiled * penalty)
