"""Bootstrap of a fitted law: the same fit on studies that could as well have been measured.

With seeds the resamples are made from the noise that seeds, qualities and cells show, around the fitted law;
the noise's own uncertainty is drawn too. Without seeds the residuals tell the noise, and for the robust loss
the rows are drawn with replacement, as in the published fits. Each resample starts from the fit's own values.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float

from workbench.errors import InputError
from workbench.laws.fitting import Fit, Problem, fit_law, fit_values
from workbench.laws.library import Inputs
from workbench.laws.noise import resample_means
from workbench.laws.thresholds import LEVEL

WORTH_A_POOL = 5.0
"""Seconds of work below which starting a second process costs more than it saves."""
CHUNK = 20
MOST_VALUES = 200_000
"""Values of resamples that are fitted together."""

OnResample = Callable[[int, int], None]
"""Called with the resamples done and the resamples wanted."""


@dataclass(frozen=True)
class Resamples:
    """Fitted values of every resample, by parameter."""

    fit: Fit
    values: dict[str, Float[np.ndarray, " resamples"]]

    def interval(self, name: str, level: float = LEVEL) -> tuple[float, float]:
        """Return a parameter's percentile interval."""
        low, high = np.quantile(self.values[name], [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def predict(self, x: Inputs) -> np.ndarray:
        """Return every resample's prediction, (resamples, rows)."""
        count = len(next(iter(self.values.values())))
        by_draw = ({name: float(v[i]) for name, v in self.values.items()} for i in range(count))
        return np.stack([self.fit.law.predict(values, x) for values in by_draw])

    def band(self, x: Inputs, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
        """Return the percentile band of the prediction at each row of ``x``."""
        low, high = np.quantile(self.predict(x), [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high


def bootstrap(
    fit: Fit,
    resamples: int = 400,
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: OnResample | None = None,
) -> Resamples:
    """Fit resampled studies.

    Args:
        fit: The fit to resample.
        resamples: How many.
        seed: Seed of the resamples; the result does not depend on ``workers``.
        workers: Processes; None takes all cores when the work is worth it, 1 stays in this process.
        progress: Called after every chunk.

    Raises:
        InputError: If several processes are asked for and the law can't be sent to them.
    """
    # squares are fitted many at a time
    chunk = (
        CHUNK
        if fit.problem.delta is not None
        else max(CHUNK, min(resamples, MOST_VALUES // len(fit.problem.y)))
    )
    chunks = [range(i, min(i + chunk, resamples)) for i in range(0, resamples, chunk)]
    work = partial(_chunk, fit, seed)
    started = time.perf_counter()
    parts = [work(chunks[0])]
    if progress:
        progress(len(chunks[0]), resamples)
    expected = (time.perf_counter() - started) * (len(chunks) - 1)
    if workers is None:
        workers = (os.cpu_count() or 1) if expected > WORTH_A_POOL and _travels(fit) else 1
    elif workers > 1 and not _travels(fit):
        raise InputError(
            f"law {fit.law.name!r} can't be sent to another process: define its terms in a module, or use "
            "workers=1."
        )
    for part in _spread(work, chunks[1:], workers):
        parts.append(part)
        if progress:
            progress(min(len(parts) * chunk, resamples), resamples)
    names = list(fit.values)
    table = np.concatenate(parts)
    return Resamples(fit, {name: table[:, j] for j, name in enumerate(names)})


def _spread(
    work: Callable[[range], np.ndarray], chunks: Sequence[range], workers: int
) -> Iterator[np.ndarray]:
    if workers == 1 or not chunks:
        yield from map(work, chunks)
        return
    # spawned and not forked: a notebook's process holds threads that a fork would break
    with (
        _one_thread_each(),
        ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        yield from pool.map(work, chunks)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Keep new processes to one thread of linear algebra: on small matrices more only get in the way."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _travels(fit: Fit) -> bool:
    """Say whether another process can import the law's terms by their name."""
    terms = fit.law.terms
    module = getattr(terms, "__module__", "__main__")
    found: object = sys.modules.get(module)
    for name in getattr(terms, "__qualname__", "").split("."):
        found = getattr(found, name, None)
    return module != "__main__" and found is terms


def _chunk(fit: Fit, seed: int, which: range) -> Float[np.ndarray, "resamples parameters"]:
    problems = [resampled(fit, np.random.default_rng([seed, i])) for i in which]
    start = {name: value for name, value in fit.values.items() if name not in fit.fixed}
    if fit.problem.delta is None:
        found = fit_values(fit, np.stack([problem.y for problem in problems]))
        return np.stack([found[name] for name in fit.values], axis=1)
    again = [fit_law(fit.law, problem, fixed=fit.fixed, starts=[start]) for problem in problems]
    return np.array([[one.values[name] for name in fit.values] for one in again], dtype=float)


def resampled(fit: Fit, generator: np.random.Generator) -> Problem:
    """Return the problem of one study that could as well have been measured."""
    problem = fit.problem
    if problem.delta is not None:
        return _rows_again(problem, generator)
    if problem.replicates is not None and problem.noise is not None:
        data = problem.replicates
        joint = len(set(data.quality)) > 1
        moved = resample_means(data, problem.noise, 1, generator, joint=joint)[0] - data.mean
        drawn = problem.y.copy()
        drawn[: len(moved)] = fit.predict(problem.x)[: len(moved)] + moved
        return replace(problem, y=drawn)
    noise = generator.standard_normal(len(problem.y))
    freedom, variance = problem.freedom, 1.0
    if freedom is None:
        freedom = float(max(len(problem.y) - fit.free, 1))
        variance = 2 * fit.objective / freedom
    noise *= np.sqrt(variance * freedom / generator.chisquare(freedom))
    coloured = np.linalg.solve(problem.root, noise) if problem.root.ndim == 2 else noise / problem.root
    return replace(problem, y=fit.predict(problem.x) + coloured)


def _rows_again(problem: Problem, generator: np.random.Generator) -> Problem:
    rows = generator.integers(len(problem.y), size=len(problem.y))
    return replace(
        problem,
        x={name: column[rows] for name, column in problem.x.items()},
        y=problem.y[rows],
        root=problem.root[rows],
        bound_only=None if problem.bound_only is None else problem.bound_only[rows],
    )
