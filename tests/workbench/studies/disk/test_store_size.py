"""The store with 10,000 cells: how fast, how large; and old studies still open."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.errors import InputError
from workbench.studies.disk.store import Store

OLD = Path(__file__).parents[1] / "old"

BENCHMARK = Path(__file__).resolve().parents[4] / "benchmarks" / "store.py"


@pytest.mark.slow
def test_10_000_cells_are_loaded_and_grouped_in_a_second(tmp_path):
    program = [sys.executable, BENCHMARK, tmp_path / "study"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    found = json.loads(done.stdout)
    assert (found["cells"], found["groups"]) == (10_000, 50)
    # on a machine that does nothing else the clock says the same
    assert found["loaded and grouped, processor seconds"] < 1.0
    assert found["cells.sqlite, bytes"] < 10_000 * 6000


WRITERS = """
import json, os, sys
from workbench.config import CellConfig
from workbench.studies.disk.store import Store
from workbench.training.results import CellResult

def write(number):
    cell = CellConfig(data="d", base="b", size=1)
    own = shared = 0
    with Store.open(sys.argv[1]) as store:
        for index in range(25):
            curves = {"train_loss": [float(index)] * 200}
            result = CellResult(cell=cell, metrics={"loss": float(index)}, curves=curves)
            own += store.commit({f"{number} {index}": result})
            shared += store.commit({f"shared {index}": result})
    os.write(1, json.dumps([own, shared]).encode() + b"\\n")

children = []
for number in range(8):
    if not (child := os.fork()):
        write(number)
        os._exit(0)
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
"""


def test_8_writers_lose_nothing_and_store_nothing_twice(tmp_path):
    Store.create(tmp_path / "study", {}).close()
    program = [sys.executable, "-c", WRITERS, tmp_path / "study"]
    done = subprocess.run(program, stdout=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [own for own, _ in told] == [25] * 8
    assert sum(shared for _, shared in told) == 25, "each shared cell was new for exactly one"
    with Store.open(tmp_path / "study", read_only=True) as store:
        assert len(store.done()) == 8 * 25 + 25
        store.check_whole()


@pytest.mark.parametrize("read_only", [True, False], ids=["read", "write"])
def test_a_study_of_format_1_opens(tmp_path, read_only):
    folder = tmp_path / "study"
    shutil.copytree(OLD / "format-1", folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with Store.open(folder, read_only=read_only) as store:
        rows = store.rows()
        assert len(rows) == 4
        assert {row["status"] for row in rows} == {"done"}
        assert all(row["loss"] > 0 for row in rows)
        assert "flops" not in rows[0], "what format 1 did not record is missing, not 0"
        assert len(store.curves(rows[0]["key"])["train_loss"]) == 3
        assert (store.made(), store.attempts(), store.damaged()) == ({}, [], [])
        store.check_whole()
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert (before == after) is read_only
    assert json.loads(after["manifest.json"])["format"] == (1 if read_only else 2)
    with Store.open(folder, read_only=True) as again:
        assert again.rows() == rows


def test_pinned_keys_of_an_old_study():
    with Store.open(OLD / "format-1", read_only=True) as store:
        for key, cell in store.configurations().items():
            assert cell.key() == key, "a field that was added renamed the cells of older studies"


def test_an_old_file_with_a_table_too_many_is_refused(tmp_path):
    shutil.copytree(OLD / "format-1", tmp_path / "study")
    with sqlite3.connect(tmp_path / "study" / "cells.sqlite") as database:
        database.execute("CREATE TABLE other(x)")
    with pytest.raises(InputError, match="doesn't have the tables of format 1 and nothing else"):
        Store.open(tmp_path / "study")
