"""Runs that are killed, at any instant, go on to the table of an undisturbed one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_study import measured

from workbench.studies.disk.store import Store

SCRIPT = Path(__file__).with_name("small_study.py")


@pytest.mark.parametrize(
    ("kills", "seeds"),
    [pytest.param(3, 1, id="3 kills"), pytest.param(50, 3, marks=pytest.mark.slow, id="50 kills")],
)
def test_killed_at_random_instants_the_table_is_the_same(tmp_path, kills, seeds):
    program = [sys.executable, SCRIPT, tmp_path, str(kills), "20261122", str(seeds)]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    studies = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(study["kills"] for study in studies) == kills
    with Store.open(tmp_path / "whole", read_only=True) as whole:
        expected = measured(whole)
    assert len(expected) == 4 * seeds
    for study in studies:
        with Store.open(tmp_path / study["folder"], read_only=True) as store:
            assert measured(store) == expected
            assert store.damaged() == []
        assert not (tmp_path / study["folder"] / "checkpoints").exists()
        assert adapters(tmp_path / study["folder"]) == adapters(tmp_path / "whole")


def adapters(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("adapters/*/*.*")}
