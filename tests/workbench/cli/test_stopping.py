"""Asked to stop while it prepares, a run ends at once and leaves nothing; later, at the next step."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from workbench.cli.stopping import SIGNALS, stop_on_signals

PROMPTS = 20_000
"""So many that reading and tokenizing them outlasts the signal by far."""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "large.jsonl"
    lines = ({"prompt": f"number {at}", "response": f"{at:b}"} for at in range(PROMPTS))
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_run_that_prepares_ends_at_once(number, large, tmp_path):
    program = [
        sys.executable,
        "-m",
        "workbench",
        "run",
        large,
        "--base",
        "classroom",
        "--template",
        "verbatim",
    ]
    program += ["--sizes", str(PROMPTS // 2), "--out", "study"]
    with subprocess.Popen(
        program, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout
        assert run.stdout.readline().startswith("large: 2 qualities x 1 sizes x 3 seeds on classroom")
        run.send_signal(number)
        _, told = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "stopped. What was finished is kept; the same command goes on from there." in told
    assert "Traceback" not in told
    # a study is made when all is prepared: this run was stopped on the way there, not at its first step
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_before_the_first_step_the_first_signal_interrupts(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stop_on_signals():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", SIGNALS)
def test_while_it_trains_the_first_signal_asks_and_the_second_interrupts(number):
    def train():
        with stop_on_signals() as should_stop:
            assert not should_stop()
            os.kill(os.getpid(), number)
            assert should_stop()
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        train()


def test_an_interrupt_that_is_lost_ends_the_run_at_its_first_step():
    with stop_on_signals() as should_stop:
        with suppress(KeyboardInterrupt):  # as Python does with one that a destructor raises
            os.kill(os.getpid(), signal.SIGTERM)
        assert should_stop()


def test_an_error_that_an_interrupted_library_raises_instead_is_no_error():
    def load():
        with stop_on_signals():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except KeyboardInterrupt as interrupt:
                raise ImportError("numpy.core failed to import") from interrupt

    with pytest.raises(KeyboardInterrupt):
        load()


def test_an_error_while_a_run_ends_in_order_is_told():
    def train():
        with stop_on_signals() as should_stop:
            should_stop()
            os.kill(os.getpid(), signal.SIGTERM)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        train()
