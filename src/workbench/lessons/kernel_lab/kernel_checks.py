"""Check a learner's kernel: its numbers against the right ones, and its loads and stores against the rules.

Nothing here raises, as in ``workbench.lessons.exercises``, whose score counts these verdicts, too.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from qlora_kernels.lab.accuracy import FROBENIUS, relative_error
from qlora_kernels.lab.trace import StrayError
from workbench.lessons.exercises import (
    SECONDS_PER_CALL,
    VERDICTS,
    Attempt,
    Verdict,
    cell_that_failed,
    said_of,
    shape_of,
)
from workbench.lessons.kernel_lab.kernel_list import KERNEL_EXERCISES, KernelExercise
from workbench.lessons.kernel_lab.touched import Watched, watched

_ALIKE = 1e-5
"""Largest difference, as a share of the size, at which a result is taken for that of a known mistake."""
MASK = "Blocks are powers of two, and rows are not: a mask has to switch off the lanes behind the edge."
NO_OTHER = "What a masked lane loads can be anything: other=0.0 makes it zero."
HALF_TOTAL = "It has the digits of 16 bits: keep the total in float32."


def check_kernel(
    name: str,
    launch: Callable[..., object],
    kernel: object,
    *,
    seconds: float | int = 3 * SECONDS_PER_CALL,
) -> Verdict:
    """Try a learner's kernel in the interpreter and remember how it went; never raises.

    Args:
        name: Of the exercise, one of ``KERNEL_EXERCISES``; for the score, too.
        launch: Launches a kernel: called with it and with a case's arguments, it returns the result.
        kernel: The learner's kernel.
        seconds: What each case gets.
    """
    try:
        problem = cell_that_failed() or _problem(KERNEL_EXERCISES[name], launch, kernel, seconds)
    except Exception as error:  # a check that ends a lesson has failed, whatever the reason
        problem = f"this check could not be run ({said_of(error)}); restart the kernel and run all cells"
    VERDICTS[name] = Verdict(name, not problem, f"not yet: {problem}" if problem else "correct")
    return VERDICTS[name]


def _problem(
    exercise: KernelExercise, launch: Callable[..., object], kernel: object, seconds: float | int
) -> str | None:
    """Return what is wrong with a kernel, or nothing."""
    cases = exercise.cases()
    for number, arguments in enumerate(cases):
        seen: list[Watched] = []

        def run(arguments: tuple[Any, ...] = arguments, seen: list[Watched] = seen) -> float:
            torch.set_num_threads(1)  # the check runs in a thread of its own, which would start others
            seen.append(watched(lambda: launch(kernel, *arguments), stop=False))
            return 0.0

        problem = Attempt(run, ()).problem(seconds) or _fault(exercise, seen[0], arguments)
        if problem:
            return f"right for {number} of {len(cases)} cases, then {problem}" if number else problem
    return None


def _fault(exercise: KernelExercise, seen: Watched, arguments: tuple[Any, ...]) -> str | None:
    """Return what is wrong with a launch that came to an end, or raised."""
    if isinstance(seen.error, StrayError):
        return _strayed(exercise, seen.error)
    if seen.error is not None:
        return f"it raises {said_of(seen.error)}"
    launches = seen.trace.launches
    if not any(region.stored for launch in launches for region in launch.regions):
        return "nothing is filled in: the kernel stores nothing"
    if any(launch.races for launch in launches):
        return f"two programs write the same element. {exercise.twice}"
    for region in (region for launch in launches for region in launch.regions):
        if left := region.unwritten():
            return f"{left:,} elements of {region.name} are never written. {exercise.unwritten}"
    result = _as_one(seen.result)
    if result is None:
        return f"the launch returns a {type(seen.result).__name__}, where tensors are expected"
    if (empty := _left_empty(seen)) is not None:
        return f"nothing is stored in {empty}"
    return _wrong(exercise, result, arguments)


def _strayed(exercise: KernelExercise, error: StrayError) -> str:
    words = (
        f"program {error.program} {error.what}s outside of {error.tensor}: {error.outside:,} of its "
        f"{error.lanes:,} lanes"
    )
    all_outside = error.outside == error.active
    masked = error.active < error.lanes
    edge = masked and 2 * error.outside < error.active  # less than half of what the mask lets through
    # with a mask, or with every lane outside, it isn't the edge but the address that is wrong
    address = error.tensor in exercise.no_mask or ((all_outside or masked) and not edge)
    hint = exercise.outside.get(error.tensor, "")
    return f"{words}. {hint if hint and address else MASK}"


def _as_one(result: object) -> Tensor | None:
    """Return a result as one tensor: several become columns of a table."""
    if isinstance(result, Tensor):
        return result
    if isinstance(result, tuple) and result and all(isinstance(one, Tensor) for one in result):
        return torch.cat([one.double().reshape(len(one), -1) for one in result], 1)
    return None


def _left_empty(seen: Watched) -> str | None:
    """Return the name of a result in which nothing was stored, though it was in another."""
    launch = seen.trace.launches[-1]
    results = seen.result if isinstance(seen.result, tuple) else ()
    shapes = [tuple(one.shape) for one in results]
    for region in launch.regions:
        if not region.loaded and not region.stored and tuple(region.tensors[0].shape) in shapes:
            return region.name
    return None


def _wrong(exercise: KernelExercise, result: Tensor, arguments: tuple[Any, ...]) -> str | None:
    truth = exercise.truth(*arguments)
    if result.shape != truth.shape:
        return f"its shape is {shape_of(result.numpy())}, expected {shape_of(truth.numpy())}"
    if unknown := int((~torch.isfinite(result)).sum()):
        return f"{unknown:,} of {result.numel():,} results are not a number. {NO_OTHER}"
    error = relative_error(result, truth)
    if error <= FROBENIUS[torch.float32]:
        return None
    for wrong, hint in exercise.mistakes:
        try:
            there = (
                relative_error(result, wrong(*arguments)) if wrong(*arguments).any() else result.abs().max()
            )
        except Exception:  # a mistake that doesn't work for these arguments isn't the one that was made
            continue
        if there <= _ALIKE and there < error:
            return (
                hint
                if hint.startswith("nothing")
                else f"the result is off by {error:.1e} of its size. {hint}"
            )
    digits = next(
        (t for t in (torch.float16, torch.bfloat16) if result.to(t).to(result.dtype).equal(result)), 0
    )
    return f"the result is off by {error:.1e} of its size. {HALF_TOTAL if digits else ''}".rstrip()
