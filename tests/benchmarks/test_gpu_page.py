"""docs/gpu.md says what the records say, and can't be written from a rehearsal."""

import copy
import importlib.util
import re
import sys
from pathlib import Path

import gpu_check
import pytest
from gpucheck.limits import LIMITS
from gpucheck.page import PAGE, page
from gpucheck.record import read_records
from gpucheck.sections import SECTIONS
from gpucheck.targets import targets

ROOT = Path(__file__).resolve().parents[2]


def product(name, rows, **times):
    known = {"operator": name, "shape": "8B", "format": "nf4", "target": "sm_90", "rows": rows}
    known |= {"K": 4096, "N": 14336, "tflops": 512.25, "gbs": 1234.5, "bound": "the dense product"}
    return {
        **known,
        "fused_ms": 2.5,
        "decoded_ms": 1.25,
        "dense_ms": 1.0,
        "share_of_bound": 0.8,
        "taken": "decoded",
        **times,
    }


RESULTS = {
    "hardware_tests": {
        "passed": 52,
        "failed": 1,
        "errors": 0,
        "skipped": 2,
        "whole": False,
        "names": ["test_a[x]: assert 1"],
    },
    "throughput": {
        "about": "About the texts.",
        "rows": [
            {"who": "PEFT", "cells": 1, "labels": 320, "steps": 10, "seconds": 0.5, "rate": 640.0},
            {
                "who": "ours",
                "cells": 64,
                "labels": 9,
                "steps": 8,
                "seconds": 2.0,
                "rate": 7040.0,
                "ratio": 11.0,
            },
            {"who": "ours", "cells": 128, "skipped": "needs more than the card's 16 GB"},
        ],
        "largest_distance": 0.0123,
    },
    "operators": {
        "copy_gbs": 4321.0,
        "target": "sm_90",
        "rows": [
            product("forward", 2048),
            product("input gradient", 8192, share_of_bound=0.6),
            product("S", 512, decoded_ms=None, dense_ms=None, format=None, taken="", share_of_bound=0.25),
        ],
        "profile": ["input gradient on nf4", "   1.000  99.0%  linear_input_gradient"],
    },
    "memory": {
        "about": "About the steps.",
        "rows": [
            {
                "shape": "8B",
                "who": "workbench, nf4",
                "peak_bytes": 7.5e9,
                "weight_bytes": 6e9,
                "step_seconds": 0.3,
            },
            {"shape": "8B", "who": "bitsandbytes", "skipped": "not installed: bitsandbytes"},
        ],
    },
    "synchronizations": {"about": "a stack of 4 cells", "count": 2, "places": ["loop.py, line 7: 2"]},
    "study": {
        "budget": "coffee",
        "cells": 36,
        "cpu_about": "16 cores",
        "seconds": {"cpu": 44.4, "gpu": 22.2},
        "largest": 0.012,
        "median": 0.003,
        "spread": 0.02,
    },
}
HEADER = {"card": "NVIDIA H200", "rehearsal": False, "driver": "580.1", "memory_bytes": 150_000_000_000}
HEADER |= {"torch": "2.11.0", "triton": "3.6.0", "cuda": "13.0", "python": "3.12.3", "date": "2026-12-01"}
HEADER |= {"commit": "a1b2c3d4e5f6", "seconds": 371.6}


@pytest.fixture
def record():
    parts = {
        name: {
            "status": "done",
            "seconds": 10.0,
            "limit": 20.0,
            "error": None,
            "date": "2026-12-01",
            "result": found,
        }
        for name, found in copy.deepcopy(RESULTS).items()
    }
    return {**HEADER, "parts": parts, "targets": targets(parts)}


def test_the_page_says_what_the_record_says(record):
    text = page([record])
    assert "## NVIDIA H200\n" in text
    assert "2026-12-01, commit a1b2c3d4e5f6; memory 150 GB, driver 580.1" in text
    assert "All parts together took 372 s." in text
    for section in SECTIONS.values():
        assert f"### {section.title}\n" in text
    for line in (
        "52 passed, 1 failed, 0 errors, 2 skipped.",
        "- test_a[x]: assert 1",
        "The tests were interrupted",
        "| PEFT | 1 | 640 | 50.0 ms | 1 |",
        "| ours | 64 | 7040 | 250.0 ms | 11.0 |",
        "| ours | 128 | needs more than the card's 16 GB |  |  |",
        "within 0.012 nats of PEFT's",
        "Copying moves 4321 GB/s",
        "| forward | nf4 | 2048 | 4096 | 14336 | 2.500 ms | 1.250 ms | 1.000 ms | decoded | 512 | 1.23e+03 "
        "| 80% of the dense product |",
        "| S |  | 512 | 4096 | 14336 | 2.500 ms |  |  |  | 512 | 1.23e+03 | 25% of the dense product |",
        "   1.000  99.0%  linear_input_gradient",
        "| 8B | workbench, nf4 | 7.50 GB | 6.00 GB | 0.30 s |",
        "| 8B | bitsandbytes | not installed: bitsandbytes |  |  |",
        "2 in one training step of a stack of 4 cells.",
        "- loop.py, line 7: 2",
        "CPU 44.4 s (16 cores), GPU 22.2 s.",
        "differ by 0.003 nats in the median and 0.012 at most",
        "spread by 0.02",
    ):
        assert line in text, line
    assert "No machine with a GPU" not in text


def test_targets_are_reached_missed_or_not_measured(record):
    text = page([record])
    assert "| 64 cells in a stack, times a loop of PEFT's | at least 10 | 11 | reached |" in text
    assert "| peak memory, NF4 training at the 8B shape | at most 12 GB | 7.5 GB | reached |" in text
    assert "| synchronizations in a step | at most 1 | 2 | missed |" in text
    assert "| hardware tests that failed | at most 0 |  | not measured |" in text
    assert re.search(r"\| 8B: share of the dense product.*\| at least 0.7 \| 0.6 \| missed \|", text)
    assert re.search(r"\| 1B: share of the dense product.*\| at least 0.7 \|  \| not measured \|", text)


def test_a_part_that_failed_is_told_with_what_it_had(record):
    operators, study = record["parts"]["operators"], record["parts"]["study"]
    operators |= {"status": "out of time", "error": "it was ended after 80 seconds"}
    study |= {"status": "failed", "error": "its process ended with status 1\nValueError: no", "result": None}
    del record["parts"]["memory"]
    text = page([record])
    assert 'This part ended as "out of time" after 10 s: it was ended after 80 seconds' in text
    assert "Copying moves 4321 GB/s" in text
    assert 'This part ended as "failed" after 10 s: ValueError: no' in text
    assert "### Memory\n\nNot run.\n" in text


@pytest.mark.parametrize("name", LIMITS)
def test_a_part_that_kept_only_its_beginning_is_told_too(name, record):
    """The first thing that a part keeps, before it was ended: the page has to be written all the same."""
    beginnings = {
        "throughput": {
            "about": "Texts.",
            "rows": RESULTS["throughput"]["rows"][:1],
            "largest_distance": None,
        },
        "study": {"budget": "coffee", "cells": 36, "cpu_about": "16 cores", "seconds": {"cpu": 44.4}},
    }
    early = {"status": "out of time", "error": "it was ended", "result": beginnings.get(name, RESULTS[name])}
    record["parts"][name] |= early
    record["targets"] = targets(record["parts"])
    assert 'This part ended as "out of time"' in page([record])


def test_without_a_record_the_page_says_so():
    text = page([])
    assert "## No machine with a GPU was at hand" in text
    for name in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (ROOT / name).exists(), name
    for name in LIMITS:
        assert f"| `{name}` |" in text


def test_a_rehearsal_is_never_on_the_page(record):
    with pytest.raises(ValueError, match="a rehearsal is no measurement"):
        page([record | {"rehearsal": True}])
    assert not any(one["rehearsal"] for one in read_records())


def test_the_committed_page_is_that_of_the_committed_records():
    assert PAGE.read_text(encoding="utf-8") == page(read_records())


def test_a_stale_page_is_found_by_the_check_of_the_documents(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    spec = importlib.util.spec_from_file_location("tables_of_documents", ROOT / "docs" / "tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert "docs/gpu.md" in tables.DOCUMENTS
    stale = tmp_path / "gpu.md"
    (write,) = tables.WRITTEN.values()
    monkeypatch.setitem(tables.WRITTEN, stale, write)
    monkeypatch.setattr(sys, "argv", ["tables.py", str(stale), "--check"])
    assert tables.main() == 1  # missing
    stale.write_text(PAGE.read_text(encoding="utf-8") + "and more")
    assert tables.main() == 1
    monkeypatch.setattr(sys, "argv", ["tables.py", str(stale)])
    assert tables.main() == 0
    assert stale.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


def test_only_a_real_run_writes_the_page(tmp_path, monkeypatch, record):
    """The runner's own parts are stood in for; what is looked at is which files are written."""
    monkeypatch.setattr(gpu_check, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(gpu_check, "PAGE", tmp_path / "gpu.md")
    monkeypatch.setattr(gpu_check, "REHEARSAL", tmp_path / "rehearsal.json")
    monkeypatch.setattr(gpu_check, "read_records", lambda: read_records(tmp_path / "records"))
    header = {name: value for name, value in HEADER.items() if name != "seconds"}

    def run_part(command, name, limit, folder):
        rehearsal = "--rehearse" in command
        told = header | {"card": "CPU" if rehearsal else header["card"], "rehearsal": rehearsal}
        return {"status": "done", "error": None, "result": told}

    def run_parts(command, limits, seconds, tell):
        for name in limits:
            tell(name, record["parts"][name])

    monkeypatch.setattr(gpu_check, "run_part", run_part)
    monkeypatch.setattr(gpu_check, "run_parts", run_parts)
    assert gpu_check.check(None, True, None) == 0
    assert [one.name for one in tmp_path.iterdir()] == ["rehearsal.json"]
    assert gpu_check.check(["memory"], False, None) == 0
    assert [one.name for one in (tmp_path / "records").iterdir()] == ["nvidia-h200.json"]
    written = (tmp_path / "gpu.md").read_text()
    assert "7.50 GB" in written
    assert "Copying moves" not in written
    assert gpu_check.check(["operators"], False, None) == 0
    assert "7.50 GB" in (tmp_path / "gpu.md").read_text()
    assert "Copying moves" in (tmp_path / "gpu.md").read_text()
    # a record of another card is not written over
    assert gpu_check.check(None, True, tmp_path / "records" / "nvidia-h200.json") == 2
