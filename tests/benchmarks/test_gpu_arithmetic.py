"""From times to rates, shares and targets, worked by hand; and clocks that wait for the device."""

import pytest
import torch
from gpucheck import clock
from gpucheck.clock import Stopwatch, copy_rate, device_ms, table_lines
from gpucheck.operator_rows import decode_row, gbs, head_row, moved_row, product_flops, product_row, tflops
from gpucheck.place import Place
from gpucheck.study import compared
from gpucheck.targets import targets, worst_share
from gpucheck.throughput import distance, row
from gpucheck.training import Timed, finite

CPU = Place(torch.device("cpu"), rehearsal=True)


def test_a_product_is_two_operations_a_term():
    # y[2, 3] = x[2, 5] W^T: each of 6 numbers is 5 multiplications and 5 additions
    assert product_flops(2, 3, 5) == 60
    assert tflops(60e12, 2000.0) == pytest.approx(30.0)
    assert gbs(3e9, 1500.0) == pytest.approx(2.0)
    # a copy of 1 GB in 1 ms reads and writes it
    assert copy_rate(10**9, 1.0) == pytest.approx(2000.0)


KNOWN = {"operator": "forward", "shape": "8B", "format": "nf4", "target": "sm_90"}


def test_with_many_rows_the_bound_is_the_dense_product():
    # 1000 rows, K 2000, N 3000: 12e9 operations; the better route takes 4 ms, the dense product 3
    found = product_row(KNOWN, (1000, 3000, 2000), 3_000_000, 2, (6.0, 4.0, 3.0), 1000.0)
    assert (found["rows"], found["K"], found["N"]) == (1000, 2000, 3000)
    assert found["share_of_bound"] == pytest.approx(0.75)
    assert found["bound"] == "the dense product"
    assert found["tflops"] == pytest.approx(12e9 / 4e-3 / 1e12)
    # the packed weight, and 2 bytes for each of 1000 x (2000 + 3000) numbers
    assert found["gbs"] == pytest.approx((3_000_000 + 10_000_000) / 4e-3 / 1e9)
    assert found["fused_ms"], found["decoded_ms"] == (6.0, 4.0)


def test_with_few_rows_it_is_reading_the_packed_weight():
    # 4 MB in 10 microseconds are 400 GB/s, of 800 that copying moves
    found = product_row(KNOWN, (32, 3000, 2000), 4_000_000, 2, (0.01, 0.02, 0.001), 800.0)
    assert found["share_of_bound"] == pytest.approx(0.5)
    assert found["bound"] == "copying"
    assert (
        product_row(KNOWN, (33, 3000, 2000), 1, 2, (0.01, 0.02, 0.001), 1.0)["bound"] == "the dense product"
    )


def test_what_has_no_product_is_bounded_by_what_it_moves():
    # 5 bytes a weight of 1000 x 2000 at 0.02 ms: 500 GB/s of 2000
    found = decode_row(KNOWN, (1000, 2000), 6_000_000, 2, 0.02, 2000.0)
    assert found["gbs"] == pytest.approx(500.0)
    assert found["share_of_bound"] == pytest.approx(0.25)
    assert moved_row(KNOWN, 10**9, 10**12, 1000.0, 4.0)["share_of_bound"] == pytest.approx(0.25)
    # a head of 10 labels, 30 words, width 20: logits and their way back, 2 x 2 x 10 x 30 x 20 operations
    head = head_row(KNOWN, (10, 30, 20), 2, 1e-3, 0.5e-3)
    assert head["tflops"] == pytest.approx(24_000 / 1e-6 / 1e12)
    assert head["gbs"] == pytest.approx(2 * (30 * 20 + 2 * 10 * 20) / 1e-6 / 1e9)
    assert head["share_of_bound"] == pytest.approx(0.5)


def timed(labels, seconds):
    return Timed(seconds=seconds, steps=5, labels=labels, losses=[])


def test_a_ratio_is_ours_over_the_loop_and_of_all_cells():
    # 64 cells with 300 labels each in 4 s, a loop with 300 labels of one cell in 1.5 s: 64 x 1.5 / 4
    found = row("workbench", 64, timed(64 * 300, 4.0), timed(300, 1.5))
    assert found["ratio"] == pytest.approx(24.0)
    assert found["rate"] == pytest.approx(4800.0)
    assert "ratio" not in row("PEFT", 1, timed(300, 1.5), None)


def test_losses_are_compared_where_they_are_furthest_apart():
    assert distance([1.0, 2.0, 3.0, 4.0], [1.0, 2.25, 3.0, 3.9]) == 0.25
    assert finite([1.0, 2.0]) == [1.0, 2.0]
    with pytest.raises(RuntimeError, match="the loss of step 2 is nan"):
        finite([1.0, float("nan")])


def test_cells_are_compared_one_by_one_beside_the_spread_of_seeds():
    cpu = {("clean", 32, 0): 1.0, ("clean", 32, 1): 3.0, ("typo", 32, 0): 5.0, ("typo", 32, 1): 5.5}
    gpu = {("typo", 32, 1): 5.6, ("clean", 32, 0): 1.0, ("clean", 32, 1): 2.7, ("typo", 32, 0): 5.0}
    found = compared(cpu, gpu)
    assert found["largest"] == pytest.approx(0.3)
    assert found["median"] == pytest.approx(0.05)  # of 0, 0, 0.1 and 0.3
    # standard deviations of 1 and 3, and of 5 and 5.5: sqrt(2) and sqrt(2) / 4; half of their sum
    assert found["spread"] == pytest.approx(2**0.5 * 1.25 / 2)
    assert found["rows"][1] == {"quality": "clean", "size": 32, "seed": 1, "cpu": 3.0, "gpu": 2.7}
    with pytest.raises(RuntimeError, match="other cells"):
        compared(cpu, dict(list(gpu.items())[:3]))


def product(shape, rows, share, operator="forward"):
    return {"operator": operator, "shape": shape, "rows": rows, "share_of_bound": share}


def part(**result):
    return {"status": "done", "seconds": 1.0, "limit": 2.0, "error": None, "result": result}


def found_by(name, **parts):
    return next(one for one in targets(parts) if name in one["name"])


def test_a_shape_is_as_good_as_its_worst_product():
    rows = [
        product("8B", 2048, 0.9),
        product("8B", 8192, 0.71, "input gradient"),
        product("8B", 512, 0.1),
        product("8B", 32, 0.61),
        product("8B", 1, 0.55, "input gradient"),
        product("1B", 8192, 0.2),
        product("8B", 8192, 0.0, "decode"),
    ]
    assert worst_share({"rows": rows}, "8B", many=True) == 0.71
    assert worst_share({"rows": rows}, "8B", many=False) == 0.55
    assert worst_share({"rows": rows}, "SmolLM2-135M", many=True) is None
    assert found_by("8B: share of the dense", operators=part(rows=rows))["reached"] is True
    assert found_by("8B: share of the copy", operators=part(rows=rows))["reached"] is False
    assert found_by("SmolLM2-135M: share of the dense", operators=part(rows=rows))["reached"] is None


@pytest.mark.parametrize(("peak", "reached"), [(11.9e9, True), (12.5e9, False)])
def test_a_gigabyte_is_a_thousand_million_bytes(peak, reached):
    rows = [
        {"shape": "8B", "who": "PEFT, a base in 16 bits", "peak_bytes": 20e9},
        {"shape": "1B", "who": "workbench, nf4", "peak_bytes": 2e9},
        {"shape": "8B", "who": "workbench, nf4", "peak_bytes": peak},
    ]
    found = found_by("8B shape", memory=part(rows=rows))
    assert (found["measured"], found["unit"], found["reached"]) == (pytest.approx(peak / 1e9), "GB", reached)


@pytest.mark.parametrize(("ratio", "reached"), [(10.0, True), (9.9, False)])
def test_the_stack_of_64_decides(ratio, reached):
    rows = [{"cells": 1}, {"cells": 16, "ratio": 90.0}, {"cells": 64, "ratio": ratio}]
    assert found_by("64 cells", throughput=part(rows=rows))["reached"] is reached
    assert found_by("64 cells", throughput=part(rows=rows[:2]))["reached"] is None


def test_the_other_targets():
    assert found_by("synchronizations", synchronizations=part(count=1))["reached"] is True
    assert found_by("synchronizations", synchronizations=part(count=2))["reached"] is False
    assert found_by("synchronizations", synchronizations=part(count=None))["reached"] is None
    found = found_by("spread of seeds", study=part(median=0.3, spread=0.2))
    assert (found["measured"], found["reached"]) == (pytest.approx(1.5), False)


class Machine:
    """A device that works by itself: a call is over before its work is."""

    def __init__(self):
        self.clock, self.pending, self.log = 0.0, 0.0, []

    def hand_over(self, seconds):
        self.pending += seconds
        self.log.append("work")

    def synchronize(self):
        self.clock, self.pending = self.clock + self.pending, 0.0
        self.log.append("wait")

    def now(self):
        return self.clock


def test_the_stopwatch_counts_its_own_work_and_all_of_it():
    machine = Machine()
    watch = Stopwatch(machine.synchronize, machine.now)
    with pytest.raises(RuntimeError, match="wasn't started"):
        watch.seconds()
    machine.hand_over(5.0)  # of what came before
    watch.start()
    machine.hand_over(3.0)
    assert watch.seconds() == 3.0


class Marked:
    """Stands for an event of CUDA on a `Machine`."""

    def __init__(self, machine):
        self.machine, self.at = machine, None

    def record(self):
        self.at = self.machine.clock + self.machine.pending
        self.machine.log.append("mark")

    def elapsed_time(self, other):
        assert self.machine.log[-1] == "wait", "the device wasn't waited for"
        return 1000 * (other.at - self.at)


def test_a_device_is_timed_with_cold_caches_and_the_host_ahead(monkeypatch):
    machine, seconds = Machine(), iter([9.0, 9.0, 3.0, 1.0, 2.0])  # the first two compile
    place = type("", (), {"cuda": True, "device": torch.device("cpu"), "synchronize": machine.synchronize})()
    flushed = type("", (), {"zero_": lambda self: machine.log.append("flush")})()
    monkeypatch.setattr(clock, "_flushed", lambda device: flushed)
    monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: Marked(machine))
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: machine.log.append("sleep"))
    assert device_ms(lambda: machine.hand_over(next(seconds)), place, timed=3) == pytest.approx(2000.0)
    assert machine.log == [*["work"] * 2, *["flush", "sleep", "mark", "work", "mark"] * 3, "wait"]


def test_on_a_cpu_calls_are_timed_by_the_wall():
    calls = []
    assert device_ms(lambda: calls.append(1), CPU) > 0
    assert len(calls) == clock.WARM + 1


def test_a_profile_shows_what_takes_the_most():
    events = [
        type("", (), {"key": name, "count": 2, "self_device_time_total": time})()
        for name, time in (("little", 1000.0), ("much", 3000.0))
    ]
    lines = table_lines(events, "self_device_time_total", cuda=True)
    assert [line.split() for line in lines[1:]] == [
        ["3.000", "75.0%", "2", "much"],
        ["1.000", "25.0%", "2", "little"],
    ]
