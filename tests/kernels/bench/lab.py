"""Run somebody's attempt at a kernel and say how it went, without raising: for the kernel lab."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from bench.accuracy import FROBENIUS, relative_error
from bench.trace import Trace, traced
from torch import Tensor


@dataclass(frozen=True)
class Attempt:
    """How a kernel did."""

    verdict: str
    correct: bool
    trace: Trace

    def __repr__(self) -> str:
        """The verdict, for the end of a notebook cell."""
        return self.verdict


def attempt(launch: Callable[[], Tensor], truth: Tensor) -> Attempt:
    """Interpret ``launch`` and compare what it returns with ``truth``, the einsum in float64."""
    trace = Trace()
    try:
        with traced() as trace:
            result = launch()
    except Exception as error:  # whatever a learner's kernel raises is an answer, not an accident
        return Attempt(f"not yet: {type(error).__name__}: {error}", False, trace)
    problem = _problem(result, truth, trace)
    if problem:
        return Attempt(f"not yet: {problem}", False, trace)
    return Attempt(f"correct; relative error {relative_error(result, truth):.1e}", True, trace)


def _problem(result: Tensor, truth: Tensor, trace: Trace) -> str | None:
    if not any(region.stored for launch in trace.launches for region in launch.regions):
        return "nothing was written"
    for launch in trace.launches:
        for region in launch.regions:
            if left := region.unwritten():
                return f"{left} elements of {region.name!r} were never written"
        if launch.races:
            return "; ".join(sorted(launch.races))
    if not torch.isfinite(result).all():
        return (
            f"{int((~torch.isfinite(result)).sum())} results are not numbers: a masked load without `other`?"
        )
    error = relative_error(result, truth)
    if error > FROBENIUS.get(result.dtype, 0.0):
        return f"the result is off by {error:.1e} of its size"
    return None
