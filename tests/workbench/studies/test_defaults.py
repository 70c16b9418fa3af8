"""One place for every default, and no option that is taken and then ignored."""

import argparse
import inspect
import math
import re
from pathlib import Path

import pytest

import workbench
from workbench.cli import main
from workbench.cli.run import add_parser, chosen_study
from workbench.errors import InputError
from workbench.studies import defaults, runner
from workbench.studies.disk.checkpoints import Checkpoint
from workbench.studies.executors import EXECUTORS, make_executor
from workbench.studies.executors.in_process import InProcess
from workbench.studies.executors.processes import Processes
from workbench.studies.grid import raters
from workbench.studies.own_data import study_of_file

REFUSED = r"workers is 4, but the executor in-process trains one stack at a time; leave it out or choose .*"


def parsed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    return parser.parse_args(["run", *options])


def test_workers_that_this_process_can_t_be_are_refused_from_python(study, tmp_path):
    with pytest.raises(InputError, match=REFUSED) as refusal:
        runner.run(study, tmp_path / "study", workers=4)
    assert not (tmp_path / "study").exists()
    option = re.search(r"--executor (\S+) --workers (\d+)$", str(refusal.value))
    executor = make_executor(option[1], int(option[2]))
    assert executor.workers == 4


def test_workers_that_this_process_can_t_be_are_refused_by_the_command(tmp_path, capsys):
    assert main(["run", "verbs", "--workers", "4", "--out", str(tmp_path / "study")]) == 2
    assert re.search(REFUSED, capsys.readouterr().err.replace("\n", " "))
    assert list(tmp_path.iterdir()) == []


def test_workers_of_an_executor_that_was_made_are_its_own(study, tmp_path):
    for executor in (InProcess(), Processes(2)):
        with pytest.raises(
            InputError, match=rf"workers is 3, but .* trains {executor.workers} at once; leave"
        ):
            runner.run(study, tmp_path / "study", executor=executor, workers=3)
    assert not (tmp_path / "study").exists()
    runner.run(study, tmp_path / "study", executor=InProcess(), workers=1).close()


@pytest.mark.parametrize("name", ["in-process", "processes"])
@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers_are_too_few(name, workers):
    with pytest.raises(InputError, match=f"workers is {workers}; at least 1 is needed: --workers 1"):
        make_executor(name, workers)
    assert make_executor(name, 1).workers == 1


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_seconds_that_no_checkpoint_can_wait_for_are_refused(study, tmp_path, seconds):
    with pytest.raises(InputError, match=f"{seconds} seconds can't lie between .* --checkpoint-every 60$"):
        runner.run(study, tmp_path / "study", checkpoint_seconds=seconds)
    assert not (tmp_path / "study").exists()


def test_the_command_and_python_take_the_same():
    given = inspect.signature(runner.run).parameters
    options = parsed("verbs")
    assert options.executor == given["executor"].default == defaults.EXECUTOR
    assert options.checkpoint_every == given["checkpoint_seconds"].default == defaults.CHECKPOINT_SECONDS
    assert inspect.signature(Checkpoint).parameters["every"].default == defaults.CHECKPOINT_SECONDS
    assert defaults.EXECUTOR in EXECUTORS


def test_an_own_file_gets_what_the_named_study_on_that_base_gets(tmp_path):
    (tmp_path / "mine.jsonl").write_text(
        "".join(f'{{"prompt": "{n}", "response": "a"}}\n' for n in range(40))
    )
    own = chosen_study(parsed(str(tmp_path / "mine.jsonl")))
    assert own == study_of_file(str(tmp_path / "mine.jsonl"), "coffee", base=defaults.OWN_BASE)
    assert {one.corruption for one in own.qualities} == {"none", defaults.OWN_CORRUPTION}
    named = raters("coffee")
    assert (named.base, named.settings, named.adapted_layers) == (own.base, own.settings, own.adapted_layers)


def test_a_trunk_sees_each_example_once():
    settings = chosen_study(parsed("verbs", "--schedule", "trunk")).settings
    assert settings == {"schedule": "trunk", "steps": None, **defaults.TRUNK_SETTINGS}


@pytest.mark.parametrize("value", ['"in-process"', '"other_record"', '"warmup_steps": 10', 'Path("runs")'])
def test_a_default_is_written_once(value):
    package = Path(workbench.__file__).parent
    files = [path for part in ("studies", "cli", "training") for path in (package / part).rglob("*.py")]
    found = [path.name for path in files if value in path.read_text(encoding="utf-8")]
    # a name in a registry is the name itself
    assert [name for name in found if name != "__init__.py"] == ["defaults.py"]
