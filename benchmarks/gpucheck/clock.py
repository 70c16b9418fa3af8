"""Two clocks: the device's, for one operator, and the wall's, for training. Neither may be read too early."""

import functools
import statistics
import time
from collections.abc import Callable, Iterable

import torch

from gpucheck.place import Place
from gpucheck.record import Record

FLUSH_BYTES = 256 * 2**20
"""Written before each timed call: more than any cache holds, so that operands come from memory."""
AHEAD_CYCLES = 1_500_000
"""Cycles that the device sleeps before each timed call, about a millisecond: time for the host to hand over
the whole call, so that what is measured is the device's work and not the host's."""
WARM, TIMED = 2, 7
"""Calls before the clock is read (they compile), and calls of which the median counts."""
PROFILE_ROWS = 12


def device_ms(call: Callable[[], object], place: Place, timed: int = TIMED) -> float:
    """Return the median milliseconds that the device works on a call, with cold caches."""
    for _ in range(WARM):
        call()
    if not place.cuda:
        return statistics.median(_wall_ms(call) for _ in range(place.pick(timed, 1)))
    pairs = [tuple(torch.cuda.Event(enable_timing=True) for _ in range(2)) for _ in range(timed)]
    for start, end in pairs:
        _flushed(place.device).zero_()
        torch.cuda._sleep(AHEAD_CYCLES)
        start.record()
        call()
        end.record()
    place.synchronize()
    return statistics.median(start.elapsed_time(end) for start, end in pairs)


@functools.cache
def _flushed(device: torch.device) -> torch.Tensor:
    return torch.empty(FLUSH_BYTES, dtype=torch.uint8, device=device)


def _wall_ms(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


class Stopwatch:
    """Wall time of work that a device does by itself: it waits for that before each look at the clock."""

    def __init__(self, synchronize: Callable[[], None], now: Callable[[], float] = time.perf_counter) -> None:
        self.synchronize, self.now = synchronize, now
        self.started: float | None = None

    def start(self) -> None:
        """Begin to measure, once earlier work is done."""
        self.synchronize()
        self.started = self.now()

    def seconds(self) -> float:
        """Return the seconds since the start, once the work is done.

        Raises:
            RuntimeError: If it wasn't started.
        """
        if self.started is None:
            raise RuntimeError("the stopwatch wasn't started")
        self.synchronize()
        return self.now() - self.started


def copy_gbs(place: Place) -> float:
    """Return the rate of copying within the device's memory in GB/s: bytes read plus bytes written."""
    source = torch.empty(place.pick(2**30, 2**20), dtype=torch.uint8, device=place.device)
    target = torch.empty_like(source)
    return copy_rate(source.nbytes, device_ms(lambda: target.copy_(source), place))


def copy_rate(size: int, ms: float) -> float:
    """Return the GB/s of a copy of ``size`` bytes in ``ms`` milliseconds: each is read and written."""
    return 2 * size / (ms / 1e3) / 1e9


def profiled(call: Callable[[], object], place: Place) -> list[str]:
    """Return the lines of the profiler's table of one call, what takes the most first."""
    from torch.profiler import ProfilerActivity, profile

    kinds = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * place.cuda]
    place.synchronize()
    with profile(activities=kinds) as found:
        call()
        place.synchronize()
    key = "self_device_time_total" if place.cuda else "self_cpu_time_total"
    return table_lines(found.key_averages(), key, place.cuda)


def table_lines(events: Iterable, key: str, cuda: bool) -> list[str]:
    """Return a narrow table of the profiler's events: name, calls and milliseconds by itself."""
    ordered = sorted(events, key=lambda event: getattr(event, key), reverse=True)
    total = sum(getattr(event, key) for event in ordered) or 1.0
    lines = [f"{'ms':>10} {'share':>6} {'calls':>6}  on the {'device' if cuda else 'processor'}"]
    for event in ordered[:PROFILE_ROWS]:
        own = getattr(event, key)
        lines.append(f"{own / 1e3:10.3f} {own / total:6.1%} {event.count:6d}  {event.key[:70]}")
    return lines


def with_profile(result: Record, missed: bool, call: Callable[[], object], place: Place) -> Record:
    """Add a profile of ``call`` to a result that misses its target."""
    return {**result, "profile": profiled(call, place)} if missed else result
