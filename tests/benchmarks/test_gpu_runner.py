"""A part of `make gpu-check` that fails, hangs or dies takes no other along, and the record stays whole."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gpucheck.limits import LIMITS, MODULES, SECONDS, WHEELS
from gpucheck.record import HEADER, STATUSES, merged, read_records, slug, without_paths, write_json
from gpucheck.runner import run_parts
from gpucheck.targets import TARGETS, targets

SCRIPT = Path(__file__).with_name("parts_that_fail.py")
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
NAMES = ("raises", "hangs", "kills_itself", "says_nothing", "works")


@pytest.fixture
def command(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(BENCHMARKS), os.environ.get("PYTHONPATH", "")]))
    return [sys.executable, str(SCRIPT), "NAME", "INTO"]


def test_each_part_fails_for_itself(command, tmp_path):
    told = []
    limits = {name: 3.0 if name == "hangs" else 60.0 for name in NAMES}
    found = run_parts(command, limits, 300.0, lambda name, part: told.append(name), tmp_path)
    assert list(found) == told == list(NAMES)
    assert {name: part["status"] for name, part in found.items()} == {
        "raises": "failed",
        "hangs": "out of time",
        "kills_itself": "killed",
        "says_nothing": "failed",
        "works": "done",
    }
    assert {part["status"] for part in found.values()} <= set(STATUSES)
    assert (
        "ValueError: a part that raises, from tests/benchmarks/parts_that_fail.py" in found["raises"]["error"]
    )
    assert "ended with status 1" in found["raises"]["error"]
    assert "SIGSEGV" in found["kills_itself"]["error"]
    assert found["says_nothing"]["error"] == "it ended without a result"
    assert found["works"] | {"seconds": 0, "date": "", "commit": ""} == {
        "status": "done",
        "seconds": 0,
        "limit": 60.0,
        "error": None,
        "result": {"answer": 42},
        "date": "",
        "commit": "",
    }


def test_a_part_that_hangs_keeps_what_it_had_and_leaves_no_process(command, tmp_path):
    found = run_parts(command, {"hangs": 3.0}, 300.0, lambda name, part: None, tmp_path)["hangs"]
    assert found["result"] == {"rows": [1]}
    assert "ended after 3 seconds" in found["error"]
    assert 3.0 <= found["seconds"] < 30.0
    child = int((tmp_path / "left.txt").read_text())
    for _ in range(100):
        if not is_running(child):
            break
        time.sleep(0.05)
    assert not is_running(child)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_what_doesnt_fit_into_the_whole_time_is_not_run(command, tmp_path):
    found = run_parts(command, {"hangs": 60.0, "works": 60.0}, 2.0, lambda name, part: None, tmp_path)
    assert found["hangs"]["status"] == "out of time"
    assert found["hangs"]["limit"] <= 2.0
    assert found["works"]["status"] == "not run"
    assert "the 2 seconds of the check were over" in found["works"]["error"]


def test_the_parts_fit_into_seven_minutes():
    assert SECONDS <= 7 * 60
    assert sum(LIMITS.values()) <= SECONDS - 10  # the card is asked for its name before
    assert set(WHEELS) <= set(MODULES)


def part(seconds, **result):
    return {"status": "done", "seconds": seconds, "limit": 9.0, "error": None, "result": result}


def test_parts_that_ran_again_replace_their_own_alone(tmp_path):
    header = dict.fromkeys(HEADER) | {"card": "NVIDIA H200", "rehearsal": False}
    first = merged(None, header, {"study": part(2.0, cells=1), "memory": part(3.0, rows=[])})
    second = merged(first, header | {"torch": "9"}, {"study": part(4.5, cells=2)})
    assert second["torch"] == "9"
    assert second["parts"] == {"study": part(4.5, cells=2), "memory": part(3.0, rows=[])}
    assert second["seconds"] == 7.5
    with pytest.raises(ValueError, match="is of 'NVIDIA H200', this machine has 'T4'"):
        merged(first, header | {"card": "T4"}, {})


def test_a_record_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "records" / f"{slug('NVIDIA H200 (80 GB)')}.json"
    write_json(path, {"card": 1})
    assert read_records(path.parent) == [{"card": 1}]
    assert path.name == "nvidia-h200-80-gb.json"
    for wrong in (float("nan"), object()):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, {"card": wrong})
    assert json.loads(path.read_text()) == {"card": 1}
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_record_names_no_folder_of_the_machine():
    trace = 'File "/opt/torch/.venv/lib/python3.12/site-packages/torch/cuda.py", line 3, https://a.b/c: 3/4'
    assert without_paths(trace) == 'File "cuda.py", line 3, https://a.b/c: 3/4'
    assert without_paths(f'File "{SCRIPT}"') == 'File "tests/benchmarks/parts_that_fail.py"'


def test_what_was_not_measured_is_neither_reached_nor_missed():
    found = targets({})
    assert len(found) == len(TARGETS)
    assert {(one["measured"], one["reached"]) for one in found} == {(None, None)}
    # nor is a check whose tests were all skipped
    skipped = part(1.0, passed=0, failed=0, errors=0, skipped=3, whole=True, names=[])
    assert targets({"hardware_tests": skipped})[0]["reached"] is None
    for count, reached in ((0, True), (1, False)):
        result = part(1.0, passed=3, failed=0, errors=count, skipped=0, whole=True, names=[])
        assert targets({"hardware_tests": result})[0]["reached"] is reached
        result["result"]["whole"] = False  # nor is one that was interrupted
        assert targets({"hardware_tests": result})[0]["reached"] is None


def test_make_runs_the_python_that_is_named_with_what_lies_beside_it():
    root = BENCHMARKS.parent
    command = ["make", "--dry-run", "--no-print-directory", "-C", str(root), "gpu-check", "gpu-check-wheels"]
    done = subprocess.run([*command, "PYTHON=another"], capture_output=True, text=True, check=True)
    paths = ":".join(str(root / name) for name in ("src", "kernels", "build/site"))
    assert f"PYTHONPATH={paths} another benchmarks/gpu_check.py" in done.stdout
    for line in done.stdout.splitlines():
        if " install " in line:
            assert "another -m pip install" in line
            assert "--no-index" in line
    exact = (root / "constraints.txt").read_text(encoding="utf-8")
    for name in WHEELS:
        assert f"\n{name}==" in exact
