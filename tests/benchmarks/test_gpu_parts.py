"""Each part of `make gpu-check` rehearsed on the CPU, and what it would say where something is wrong."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from gpucheck import memory, operators, throughput, waiting
from gpucheck.bases import REAL, TINY, random_decoder, random_packed
from gpucheck.hardware import at_once, counted, hardware_tests, told_by
from gpucheck.limits import LIMITS
from gpucheck.parts import PARTS
from gpucheck.place import Place
from gpucheck.record import HEADER
from gpucheck.sections import SECTIONS
from gpucheck.study import study
from gpucheck.targets import SHAPES, TARGETS
from gpucheck.training import cells_of, chosen, labels_in, texts, train_stack

from qlora_kernels import decode_once_triton
from workbench.data.batches import Pool
from workbench.training import loop

ROOT = Path(__file__).resolve().parents[2]
CPU = Place(torch.device("cpu"), rehearsal=True)


@pytest.fixture
def kept():
    return []


def test_every_part_has_a_limit_a_section_and_a_function():
    assert list(PARTS) == list(LIMITS) == list(SECTIONS)
    assert {target.part for target in TARGETS} == set(PARTS)
    assert tuple(REAL) == tuple(TINY) == SHAPES


def test_the_operators(monkeypatch, kept):
    monkeypatch.setattr(operators, "FORMATS", ("q4_1",))
    monkeypatch.setattr(operators, "TINY", {"8B": TINY["8B"]})
    result = operators.operators(CPU, kept.append)
    assert [one["rows"] for one in kept] == [result["rows"]]
    rows = {(one["operator"], one["rows"]): one for one in result["rows"]}
    passes = {("S", 33), ("dS and dB", 33), ("dA", 33), ("rms_norm", 33), ("rope", 33), ("swiglu", 33)}
    products = {(name, count) for name in ("forward", "input gradient") for count in (1, 32, 40)}
    assert set(rows) == passes | products | {("cross entropy", 5), ("decode", 192)}
    assert {(one["K"], one["N"]) for one in result["rows"]} == {(128, 192), (128, 128)}
    assert rows["forward", 40]["target"] == "sm_80"
    assert {rows[name]["taken"] for name in products} <= {"fused", "decoded"}
    for one in result["rows"]:
        assert one["share_of_bound"] > 0
        assert one["tflops"] > 0
        assert one["gbs"] > 0
    # a q4_1 weight is 5 bits: 192 x 128 x 5 / 8 bytes, and 2 for each number of 40 rows of 128 and 192
    best = min(rows["forward", 40][name] for name in ("fused_ms", "decoded_ms"))
    assert rows["forward", 40]["gbs"] == pytest.approx((15_360 + 2 * 40 * 320) / best / 1e6)
    assert result["profile"]  # on a CPU every target is missed


def test_bytes_that_passes_have_to_move():
    """Inputs and outputs once each, counted from the tensors themselves."""
    count, shape = 33, TINY["8B"]
    config = shape.config
    calls = operators.pass_calls(CPU, shape, count)
    width, wide, rank = config.width, config.feed_forward, operators.RANK
    assert calls["S"][0] == count * width + rank * width + count * rank
    assert calls["dA"][0] == count * rank + count * width + rank * width
    # dy, b, s in; ds, db out
    assert calls["dS and dB"][0] == count * wide + wide * rank + count * rank + count * rank + wide * rank
    assert calls["rms_norm"][0] == 2 * count * width + width
    assert calls["swiglu"][0] == 3 * count * wide
    assert calls["rope"][0] == 2 * count * config.heads * config.head_size
    assert [calls[name][1] for name in ("S", "dA", "dS and dB")] == [
        2 * count * rank * width,
        2 * count * rank * width,
        4 * count * rank * wide,
    ]


def test_routes_that_disagree_are_not_timed(monkeypatch, kept):
    monkeypatch.setattr(decode_once_triton, "launch_decoded_forward", lambda x, *rest: torch.ones(1, 192))
    result = {"copy_gbs": 1.0, "target": "sm_80"}
    with pytest.raises(RuntimeError, match=r"forward on nf4, 1 rows of 8B: the two routes are .* apart"):
        list(operators.products(CPU, TINY["8B"], "nf4", 1, result))
    nothing = torch.full((2,), float("nan"))
    with pytest.raises(RuntimeError, match="nan"):
        operators.check_agree("a", nothing, nothing)


@pytest.mark.parametrize("format", operators.FORMATS)
def test_random_weights_are_as_large_as_trained_ones(format):
    weight = random_packed(format, 192, 256, torch.device("cpu"), torch.Generator().manual_seed(0))
    numbers = weight.dequantize()
    assert float(numbers.std()) == pytest.approx(256**-0.5, rel=0.03)
    assert abs(float(numbers.mean())) < 0.12 * 256**-0.5  # the levels of q4_0 are -8 to 7
    bits = {"nf4": 4.5, "q4_1": 5.0, "q4_0": 4.5, "q8_0": 8.5}[format]
    assert weight.nbytes == 192 * 256 * bits / 8


def test_the_shapes_are_those_of_the_models_that_they_are_named_for():
    """Numbers of weights as the models' authors give them: 134.5 million, 1.24 and 8.03 billion."""
    counts = {
        name: sum(torch.Size(size).numel() for size in shape.config.shapes(tied=shape.tied).values())
        for name, shape in REAL.items()
    }
    assert counts == {"SmolLM2-135M": 134_515_008, "1B": 1_235_814_400, "8B": 8_030_261_248}


def test_texts_are_as_long_as_instruction_data():
    drawn = texts(1000, 2000)
    lengths = sorted(len(one.token_ids) for one in drawn)
    assert sum(lengths) / len(lengths) == pytest.approx(100, rel=0.05)
    assert lengths[1000] < 95  # a long tail: the median is below the mean
    assert lengths[-1] > 300
    assert sum(len(one.labels) for one in drawn) / sum(lengths) == pytest.approx(0.4, abs=0.02)
    assert drawn == texts(1000, 2000)


def test_labels_are_those_of_all_cells_in_the_steps_that_are_timed():
    drawn = texts(50, 12, 10.0)
    cells = cells_of(3, len(drawn), 5, rank=2, batch=4)
    pool = Pool(drawn)
    by_batches = [len(pool.batch(chosen(cells, len(drawn), step)).labels) for step in range(5)]
    assert labels_in(cells, drawn, range(2, 5)) == sum(by_batches[2:])
    found = train_stack(CPU, random_decoder(CPU, TINY["1B"], "nf4"), texts(100, 12, 10.0), cells)
    assert (found.steps, found.labels) == (3, labels_in(cells, texts(100, 12, 10.0), range(2, 5)))
    assert len(found.losses) == 5


def test_the_throughput_compares_what_is_the_same(kept):
    result = throughput.throughput(CPU, kept.append)
    assert result["largest_distance"] < 1e-4
    assert [(one["who"], one["cells"]) for one in result["rows"]] == [
        (throughput.PEFT, 1),
        (throughput.GROUPED, 1),
        ("workbench, q4_1", 1),
        ("workbench, q4_1", 3),
        ("workbench, nf4", 3),
    ]
    loop_rate = result["rows"][0]["rate"]
    for one in result["rows"][1:]:
        assert one["ratio"] == pytest.approx(one["labels"] / one["seconds"] / loop_rate)
    one, three = result["rows"][2], result["rows"][3]
    assert one["labels"] == result["rows"][0]["labels"]
    assert 2 * one["labels"] < three["labels"] < 5 * one["labels"]


def test_a_throughput_of_other_training_is_refused(monkeypatch, kept):
    monkeypatch.setattr(throughput, "start_alike", lambda model, adapter: None)
    monkeypatch.setattr(throughput, "LOSS_TOLERANCE", 1e-4)
    with pytest.raises(RuntimeError, match=r"nats apart, allowed 0\.0001: compare"):
        throughput.throughput(CPU, kept.append)
    assert kept[-1]["losses"]["PEFT"] != kept[-1]["losses"]["workbench"]


def test_the_memory(kept):
    result = memory.memory(CPU, kept.append)
    assert [(one["shape"], one["who"]) for one in result["rows"]] == [
        (shape, who) for shape in ("1B", "8B") for who in memory.CONTESTANTS
    ]
    ours, plain, packed = (one["weight_bytes"] for one in result["rows"][3:])
    assert packed < ours < plain  # the rehearsal's own embedding is in 32 bits
    for one in result["rows"]:
        assert one["skipped"] == "the CPU's memory isn't counted"
        assert one["losses"][-1] < one["losses"][0]
    # 4 texts that come to 512 tokens
    real = memory.step_texts(Place(torch.device("cpu")), TINY["1B"])
    assert (len(real), sum(len(one.token_ids) for one in real)) == (4, 512)


def test_a_contestant_that_cant_run_says_why(monkeypatch):
    def missing(place, shape):
        import no_such_library  # noqa: F401

    def too_large(place, shape):
        raise torch.cuda.OutOfMemoryError("no")

    assert memory.measured(CPU, TINY["1B"], missing) == {"skipped": "not installed: no_such_library"}
    card = type("", (), {"total_memory": 16 * 10**9})()
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    assert memory.measured(CPU, TINY["1B"], too_large) == {"skipped": "needs more than the card's 16 GB"}


def test_waits_are_counted_in_one_step(monkeypatch, kept):
    real = loop.step_gradient

    def waits_once(*arguments):
        warnings.warn("called a synchronizing CUDA operation (Triggered internally)", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
        return real(*arguments)

    monkeypatch.setattr(loop, "step_gradient", waits_once)
    result = waiting.synchronizations(CPU, kept.append)
    assert result["count"] is None  # there is no device to wait for
    (place,) = result["places"]
    assert place.startswith("test_gpu_parts.py, line ")
    assert place.endswith(": 1")


def test_the_device_is_told_to_warn_and_told_to_stop(monkeypatch):
    modes = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    with waiting.told_of_waits(Place(torch.device("cuda"))):
        assert modes == ["warn"]
    assert modes == ["warn", "default"]


def test_the_study_gives_the_same_cells_twice(kept):
    result = study(CPU, kept.append)
    assert result["cells"] == len(result["rows"]) == 2
    assert result["largest"] == 0.0  # the same processor
    assert result["spread"] > 0
    assert set(result["seconds"]) == {"cpu", "gpu"}
    assert [one["seed"] for one in result["rows"]] == [0, 1]


def test_the_hardware_tests_are_found_and_each_needs_a_gpu(kept):
    result = hardware_tests(CPU, kept.append)
    if torch.cuda.is_available():
        pytest.skip("here they run: see tests/kernels/test_hardware.py")
    assert (result["passed"], result["failed"], result["errors"]) == (0, 0, 0)
    assert result["skipped"] > 40
    assert result["whole"]


TESTS = """
import pytest, time
@pytest.fixture
def broken():
    yield
    raise OSError("after it")
def test_good(): pass
@pytest.mark.parametrize("x", [1])
def test_bad(x): assert x == 2
def test_skips(): pytest.skip("no")
def test_breaks(broken): pass
"""


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["one process", "two workers"])
def test_tests_are_counted_with_the_names_of_what_failed(options, tmp_path):
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "test_other.py").write_text("import no_such_library")
    command = [sys.executable, "-m", "pytest", str(tmp_path), "-c", os.devnull, f"--rootdir={tmp_path}"]
    found = told_by([*command, *options], 100.0)
    names = sorted(found.pop("names"))
    assert found == {"whole": True, "passed": 1, "failed": 1, "errors": 2, "skipped": 1}
    assert names == [
        "test_it.py::test_bad[1]: assert 1 == 2",
        "test_it.py::test_breaks: OSError: after it",
        "test_other.py: ModuleNotFoundError: No module named 'no_such_library'",
    ]


def test_tests_that_take_too_long_are_ended_and_what_has_run_counts(tmp_path):
    test = tmp_path / "test_it.py"
    test.write_text("import time\ndef test_a(): pass\ndef test_b(): time.sleep(600)\n")
    found = told_by([sys.executable, "-m", "pytest", str(test), "-c", os.devnull], 12.0)
    assert found == {"whole": False, "passed": 1, "failed": 0, "errors": 0, "skipped": 0, "names": []}
    with pytest.raises(RuntimeError, match="pytest ended with status 4 and ran no test"):
        told_by([sys.executable, "-m", "pytest", str(tmp_path / "none"), "-c", os.devnull], 60.0)


def test_several_processes_only_on_a_machine_that_has_them(monkeypatch):
    real = Place(torch.device("cuda"))
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert at_once(real) == ["-n", "8", "--dist", "load"]
    assert at_once(CPU) == []
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert at_once(real) == []


def test_a_test_counts_once_as_the_worst_that_came_of_it():
    lines = [
        {"name": "a", "outcome": "errors", "why": "x"},
        {"name": "a", "outcome": "passed", "why": ""},
        {"name": "b", "outcome": "passed", "why": ""},
    ]
    assert counted(lines) == {"passed": 1, "skipped": 0, "failed": 0, "errors": 1, "names": ["a: x"]}


def command(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    script = str(ROOT / "benchmarks" / "gpu_check.py")
    return subprocess.run(
        [sys.executable, script, *words], capture_output=True, text=True, env={**os.environ, **variables}
    )


def test_without_a_gpu_nothing_is_run(tmp_path):
    record = tmp_path / "record.json"
    found = command("--output", str(record), CUDA_VISIBLE_DEVICES="")
    assert found.returncode == 2
    assert "sees no CUDA or ROCm device; run it on a machine with a GPU, or rehearse it" in found.stderr
    assert found.stderr.count("\n") == 1
    assert not record.exists()


def test_an_unknown_part_is_refused():
    found = command("--rehearse", "--only", "speed")
    assert found.returncode == 2
    assert "there is no part 'speed'; there are hardware_tests, throughput" in found.stderr


@pytest.mark.slow
def test_the_whole_rehearsal_is_one_complete_record(tmp_path):
    record = tmp_path / "record.json"
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    found = command("--rehearse", "--output", str(record), WORKBENCH_COMMIT="a1b2c3")
    assert found.returncode == 0, found.stdout + found.stderr
    written = json.loads(record.read_text(encoding="utf-8"))
    assert set(HEADER) | {"rehearsal", "parts", "seconds", "targets"} == set(written)
    assert (written["card"], written["rehearsal"], written["commit"]) == ("CPU", True, "a1b2c3")
    assert list(written["parts"]) == list(LIMITS)
    for part in written["parts"].values():
        assert set(part) == {"status", "seconds", "limit", "error", "result", "date", "commit"}
        assert (part["status"], part["error"], part["commit"]) == ("done", None, "a1b2c3")
        assert part["result"]
    assert len(written["parts"]["operators"]["result"]["rows"]) == 105
    assert len(written["targets"]) == len(TARGETS)
    assert (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8") == page
    assert command("--output", str(record), "--rehearse", "--only", "synchronizations").returncode == 0
    again = json.loads(record.read_text(encoding="utf-8"))
    assert again["parts"]["operators"] == written["parts"]["operators"]
