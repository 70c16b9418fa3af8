"""How far a ladder is: counted by hand on a clock of our own, and told from the first second."""

import io
import re
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console
from rich.progress import Progress

from workbench.ladder.progress import LadderProgress
from workbench.ladder.rungs import SIZELESS_PARAMETERS, LadderPlan, parameters
from workbench.ladder.training import RunStep
from workbench.views import live_line
from workbench.views.live_line import LINE_SECONDS, LiveLine

PLAN = LadderPlan(widths=(16, 32), seeds=(0, 1))


def at(run, step, loss=1.25):
    return RunStep(run, step, 10, loss)


def test_the_time_left_is_that_of_the_work_left():
    """A run's work is its tokens, each as dear as the parameters and what doesn't grow with them."""
    now = [100.0]
    progress = LadderProgress(PLAN, ["w016-r20-s0", "of another plan"], lambda: now[0])
    narrow, wide = (20 * parameters(width) * (parameters(width) + SIZELESS_PARAMETERS) for width in (16, 32))
    assert progress.counted() == "1 of 4 runs done"
    assert progress.share == pytest.approx(narrow / (2 * narrow + 2 * wide))
    assert not progress.on_step(at("w032-r20-s0", 0))
    now[0] += 40
    assert not progress.on_step(at("w032-r20-s0", 5))
    # half a wide run took 40 s; another half, a whole and a narrow one are left
    left = 40 * (1.5 * wide + narrow) / (0.5 * wide)
    assert progress.seconds_left == pytest.approx(left)
    assert progress.sentence() == (
        f"w032-r20-s0 step 5 of 10, loss 1.250; 1 of 4 runs done, about {left / 60:.0f} min left"
    )
    assert progress.on_step(at("w032-r20-s0", 10))
    assert progress.done == 2
    assert "w032" not in progress.sentence(), "it is at work no more"


def test_a_moment_tells_no_time_and_a_line_names_few_runs():
    now = [0.0]
    progress = LadderProgress(PLAN, [], lambda: now[0])
    for run in ("w032-r20-s1", "w016-r20-s0", "w016-r20-s1"):
        progress.on_step(at(run, 1))
    now[0] += 1
    assert progress.sentence() == (
        "w016-r20-s0 step 1 of 10, loss 1.250; w016-r20-s1 step 1 of 10, loss 1.250; 1 more at work; "
        "0 of 4 runs done"
    )


@pytest.mark.parametrize(("seconds", "said"), [(80, "80 s"), (600, "10 min"), (7200, "2.0 h")])
def test_a_time_as_people_say_it(seconds, said):
    now = [0.0]
    progress = LadderProgress(LadderPlan(widths=(16,), seeds=(0,)), [], lambda: now[0])
    progress.on_step(at("w016-r20-s0", 0))
    now[0] = float(seconds)
    progress.on_step(at("w016-r20-s0", 5))
    assert progress.counted() == f"0 of 1 runs done, about {said} left"


def test_a_file_gets_plain_lines_now_and_then(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(live_line.time, "monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), force_terminal=False)
    line = LiveLine(console, Progress(console=console))
    for second in range(int(LINE_SECONDS) + 1):
        now[0] = float(second)
        line.update(f"second {second}", second / 100)
    line.update("a new phase", at_once=True)
    line.say("[done] 1")
    assert console.file.getvalue().splitlines() == ["second 0", "second 15", "a new phase", "[done] 1"]


@pytest.mark.slow
def test_it_speaks_from_the_first_second_and_goes_on_after_ctrl_c(tmp_path):
    command = [sys.executable, "-m", "workbench", "ladder", "--widths", "16", "--equal", "--seeds", "0", "1"]
    command += ["--ratio", "3", "--workers", "1", "--out", str(tmp_path / "ladder")]
    began = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "loading what trains\n"
    assert time.monotonic() - began < 2, "no heavy library is loaded before"
    heard = []
    while "w016-r3-s0 is trained" not in (line := process.stderr.readline()):
        assert line, heard
        heard.append(line)
    assert re.search(r"ladder: widths 16, 13,248 parameters, 2 runs, 1 at a time, in .*; 0 of 2", heard[0])
    assert "beginning w016-r3-s0; 0 of 2 runs done\n" in heard
    while not list((tmp_path / "ladder" / "runs").glob("*s0.json")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    rest = process.communicate()[1]
    assert process.returncode == 130, rest
    assert "What was finished is kept; the same command goes on from there" in rest
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "1 of 2 runs done\nreading the words" in again.stderr
    assert "w016-r3-s0" not in again.stderr, "what is done isn't trained again"
    assert "w016-r3-s1 is trained" in again.stderr
