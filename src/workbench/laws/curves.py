"""The curve of each quality as it may truly be: many draws of it, each a law's fit plus a deviation from it.

A draw takes one way in which the data may have come about (``deviation``), moves the measured means by the
noise, takes a random deviation, fits the law to what is left and adds what the measurements then say about
the deviation (randomize, then optimize: Bardsley et al. 2014, doi:10.1137/140964023). With a law that holds
exactly this is the bootstrap of its fit.

Shape letters: draws, cells, grid (sizes at which a deviation is kept), points (sizes asked for).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from workbench.laws.candidates import Candidate, Cells
from workbench.laws.deviation import JITTER, Space, Way, matern, noise_of
from workbench.laws.fitting import MOST_TOGETHER, Fit
from workbench.laws.noise import inverse_root
from workbench.laws.squares import Squares

GRID = 48
"""Sizes between the ends at which a deviation is kept; between them it is interpolated in log size."""
BEYOND = 8.0
"""Factor beyond the largest size up to which a curve can be asked for."""
ENOUGH_FALL = 1e-6
"""Share of the objective below which a fall ends the fit of a draw: its noise is far larger."""


@dataclass(frozen=True)
class Curve:
    """One quality: its measurements, and draws of the curve behind them.

    Row 0 of what it predicts is the best single curve, the rest are draws; one row without an interval.

    Attributes:
        size: Sizes measured, by cell; with several models, model by model.
        model: Model sizes of the cells; None where all are one model.
        mean: Means over seeds.
        count: Seeds behind each mean.
        parts: Draws by law; empty where the quality has too few sizes for any.
        measured: Means as they may as well have been measured, (draws + 1, cells).
    """

    quality: str
    size: Float[np.ndarray, " cells"]
    model: Float[np.ndarray, " cells"] | None
    mean: Float[np.ndarray, " cells"]
    count: Float[np.ndarray, " cells"]
    parts: tuple["LawDraws", ...]
    measured: Float[np.ndarray, "draws cells"]
    ends: tuple[float, float]
    """The least and the largest value that the metric can have."""

    def predict(
        self, at: Sequence[float | int] | np.ndarray, *, model: float | None = None
    ) -> Float[np.ndarray, "draws points"]:
        """Return the metric at the given sizes, up to ``BEYOND`` times the largest one measured.

        Where the quality has too few sizes for any law, only the sizes measured are known; the rest is NaN.

        Args:
            at: Sizes.
            model: Model size, where the study has several; by default the largest.
        """
        at = np.asarray(at, dtype=float)
        chosen = None if self.model is None else float(self.model.max() if model is None else model)
        out = np.full((len(self.measured), len(at)), np.nan)
        if not self.parts:
            here = np.ones(len(self.size), dtype=bool) if self.model is None else self.model == chosen
            for j, size in enumerate(at):
                found = np.flatnonzero(here & np.isclose(self.size, size, rtol=1e-9))
                if len(found):
                    out[:, j] = self.measured[:, found[0]]
            return out
        for part in self.parts:
            out[part.rows] = part.predict(at, chosen)
        return np.clip(out, *self.ends)

    @property
    def sizes(self) -> Float[np.ndarray, " sizes"]:
        """The different sizes, ascending."""
        return np.unique(self.size)


@dataclass(frozen=True)
class LawDraws:
    """The draws of one curve that share a law: its constants, and the deviation on a grid of sizes.

    Attributes:
        rows: Which draws of the curve these are.
        values: The law's constants by name.
        stray: The deviation over models and grid; None where it is 0.
    """

    candidate: Candidate
    setting: Mapping[str, float]
    rows: np.ndarray
    values: Mapping[str, Float[np.ndarray, " draws"]]
    grid: Float[np.ndarray, " grid"]
    models: Float[np.ndarray, " models"] | None
    stray: Float[np.ndarray, "draws models grid"] | None

    def predict(self, at: np.ndarray, model: float | None) -> Float[np.ndarray, "draws points"]:
        """Return the metric of these draws at some sizes, for a model where there are several."""
        x = {name: np.full(len(at), value) for name, value in self.setting.items()}
        x |= {"size": at} if model is None else {"size": at, "model": np.full(len(at), model)}
        curve = _predictions(self.candidate, self.values, x)
        if self.stray is None:
            return curve
        stray = self.stray[:, 0]
        if self.models is not None and model is not None:
            near = np.interp(np.log(model), np.log(self.models), np.arange(len(self.models)))
            low = int(near)
            high = min(low + 1, len(self.models) - 1)
            stray = (1 - (near - low)) * self.stray[:, low] + (near - low) * self.stray[:, high]
        position = np.interp(np.log(at), np.log(self.grid), np.arange(len(self.grid)))
        left = np.minimum(position.astype(int), len(self.grid) - 2)
        share = position - left
        return curve + stray[:, left] * (1 - share) + stray[:, left + 1] * share


def grid_of(cells: Cells) -> Float[np.ndarray, " grid"]:
    """Return the sizes at which deviations are kept: those measured, others between, and some beyond."""
    size = cells.x["size"]
    low, high = float(size.min()), float(size.max())
    between = np.geomspace(low, high, GRID)
    beyond = np.geomspace(high, BEYOND * high, 9)[1:]
    return np.unique(np.concatenate([between, np.unique(size), beyond]))


@dataclass(frozen=True)
class CurveSampler:
    """What the draws of all qualities share.

    Attributes:
        chosen: Which way each draw takes.
        means: The means as they may as well have been measured.
    """

    cells: Cells
    ways: Sequence[Way]
    space: Space
    chosen: np.ndarray
    means: Float[np.ndarray, "draws cells"]
    generator: np.random.Generator

    def parts(self, quality: str) -> tuple[LawDraws, ...]:
        """Return a quality's draws, law by law; none where it has too few cells for the laws."""
        by_candidate: dict[int, list[int]] = {}
        for i in sorted({int(i) for i in self.chosen}):
            by_candidate.setdefault(id(self.ways[i].candidate), []).append(i)
        if any(quality not in self.ways[group[0]].candidate.fits for group in by_candidate.values()):
            return ()
        return tuple(self._part(quality, group) for group in by_candidate.values())

    def _part(self, quality: str, group: Sequence[int]) -> LawDraws:
        """Draw the curves that take the ways of one law."""
        candidate = self.ways[group[0]].candidate
        fit = candidate.fits[quality]
        x = fit.problem.x
        rows = np.flatnonzero(np.isin(self.chosen, group))
        grid = grid_of(self.cells)
        models = np.unique(x["model"]) if "model" in self.space.low else None
        goal = self.space.place(_crossed(grid, models))
        place = self.space.place(x)
        at = np.arange(len(self.cells.data.size)) if candidate.law.joint else self.cells.of(quality)
        y = self.means[rows][:, at]
        stray = np.zeros((len(rows), len(goal)))
        roots, gains = [], []
        for i in group:
            own = np.flatnonzero(self.chosen[rows] == i)
            root, gain, both = self._way(fit, self.ways[i], place, goal)
            roots.append((own, root))
            if both is None or gain is None:
                continue
            drawn = self.generator.standard_normal((len(own), len(both))) @ both.T
            drawn[rows[own] == 0] = 0.0  # the best single curve strays by what was measured alone
            y[own] -= drawn[:, : len(place)]
            stray[own] = drawn[:, len(place) :]
            gains.append((own, root, gain))
        values = _fit_draws(fit, y, roots)
        left = y - _predictions(candidate, values, x)
        for own, root, gain in gains:
            stray[own] += left[own] @ root.T @ root @ gain.T
        setting = {n: float(x[n][fit.problem.quality.index(quality)]) for n in ("share",) if n in x}
        shaped = stray.reshape(len(rows), 1 if models is None else len(models), len(grid)) if gains else None
        return LawDraws(candidate, setting, rows, values, grid, models, shaped)

    def _way(
        self, fit: Fit, way: Way, place: np.ndarray, goal: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Return what whitens the measurements, what they tell of the grid, and a root of both's covariance.

        Without a deviation the last two are None.
        """
        noise = way.level**2 * noise_of(fit)
        if not way.share:
            return inverse_root(noise), None, None
        spread = (way.share * self.space.rise) ** 2
        every = np.concatenate([place, goal])
        whole = spread * matern(every, every, way.length)
        count = len(place)
        root = inverse_root(noise + whole[:count, :count])
        both = np.linalg.cholesky(whole + JITTER * spread * np.eye(len(whole)))
        return root, whole[count:, :count], both


def _crossed(grid: np.ndarray, models: np.ndarray | None) -> dict[str, np.ndarray]:
    if models is None:
        return {"size": grid}
    return {"size": np.tile(grid, len(models)), "model": np.repeat(models, len(grid))}


def _fit_draws(
    fit: Fit, y: Float[np.ndarray, "draws cells"], roots: Sequence[tuple[np.ndarray, np.ndarray]]
) -> dict[str, Float[np.ndarray, " draws"]]:
    """Fit the law to every draw, each with its way's whitening; many cells by their own noise alone."""
    cells = y.shape[1]
    if cells <= MOST_TOGETHER:
        whitening = np.empty((len(y), cells, cells))
        for own, root in roots:
            whitening[own] = root
        jobs = [(np.arange(len(y)), whitening)]
    else:
        # the noise that cells share costs little precision here, and its matrix much time
        jobs = [(own, 1 / np.linalg.norm(np.linalg.inv(root), axis=1)) for own, root in roots]
    values = {name: np.empty(len(y)) for name in fit.values}
    for own, root in jobs:
        squares = Squares(fit.law, fit.problem.x, y[own], root, dict(fit.fixed))
        start = {p.name: np.full(len(own), fit.values[p.name]) for p in squares.searched}
        for name, column in squares.fit(start, enough=ENOUGH_FALL)[0].items():
            values[name][own] = column
    return values


def _predictions(
    candidate: Candidate, values: Mapping[str, np.ndarray], x: Mapping[str, np.ndarray]
) -> Float[np.ndarray, "draws cells"]:
    law = candidate.law
    terms = law.terms({name: value[:, None] for name, value in values.items()}, x)
    weights = np.stack([values[p.name] for p in law.coefficients], axis=1)
    return np.einsum("dnt,dt->dn", np.broadcast_to(terms, (len(weights), *terms.shape[-2:])), weights)
