"""How many degrees of freedom stand behind one fitted constant.

A constant that rests on differences between qualities is known by the few seeds that these differences have;
one that rests on the course of a curve, by all cells. Its variance is a sum of the parts of the noise, each
estimated with its own degrees of freedom, and Satterthwaite's formula (1946, doi:10.2307/3002019) says how
many the sum has.
"""

import numpy as np
from jaxtyping import Float

from workbench.laws.fitting import Fit
from workbench.laws.noise import Noise, part_patterns

FREEDOM_STEP = 1e-4
"""Relative step of the differences by which a fit is made linear."""


def degrees_of_freedom(fit: Fit, name: str) -> float:
    """Return the degrees of freedom behind one constant of a fit to cell means.

    A constant that its bound holds, or that nothing measured moves, has those of the whole noise.
    """
    problem = fit.problem
    assert problem.noise is not None
    assert problem.replicates is not None
    noise = problem.noise
    weight = _weights(fit, noise, name)
    if weight is None:
        return noise.freedom
    pattern = [float(weight @ k @ weight) for k in part_patterns(problem.replicates, noise)]
    squares = np.array([stratum.median for stratum in noise.strata])
    # the variances are linear in the mean squares, so unit steps give each one's share
    base = np.array(noise.variances) @ pattern
    share = []
    for j, square in enumerate(squares):
        up = squares.copy()
        up[j] = square * (1 + FREEDOM_STEP)
        moved = np.array([float(v[0]) for v in noise.parts(*up[:, None])]) @ pattern
        share.append((moved - base) / FREEDOM_STEP)
    spread = sum(
        s**2 / stratum.freedom for s, stratum in zip(share, noise.strata, strict=True) if stratum.freedom
    )
    return float(base**2 / spread) if spread > 0 else noise.freedom


def _weights(fit: Fit, noise: Noise, name: str) -> Float[np.ndarray, " cells"] | None:
    """Return how a constant's estimate moves with each cell mean."""
    free = [p for p in fit.law.parameters if p.name not in fit.fixed and p.name not in fit.at_bounds]
    names = [p.name for p in free]
    if name not in names:
        return None
    x = fit.problem.x
    columns = []
    for n in names:
        step = FREEDOM_STEP * max(abs(fit.values[n]), FREEDOM_STEP)
        up, down = (fit.law.predict({**fit.values, n: fit.values[n] + d}, x) for d in (step, -step))
        columns.append((up - down) / (2 * step))
    slope = fit.problem.whiten(np.stack(columns, axis=1))
    row = np.linalg.pinv(slope)[names.index(name)]
    root = fit.problem.root
    estimator = row @ root if root.ndim == 2 else row * root
    return estimator[: len(noise.spread)]
