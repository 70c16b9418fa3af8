"""A study's numbers are made again to the bit, and the first step that differs is named."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from small_study import small_study

from workbench.cli import main
from workbench.errors import InputError
from workbench.studies.compare import compare
from workbench.studies.disk.rows import pack_curve
from workbench.studies.disk.store import Store
from workbench.studies.replay import replay
from workbench.studies.runner import run

OLD = Path(__file__).parent / "old" / "format-1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replayed") / "study"
    run(small_study(seeds=(0,)), folder, threads=1).close()
    return folder


@pytest.fixture
def key(folder):
    with Store.open(folder, read_only=True) as store:
        return store.rows()[2]["key"]


@pytest.fixture
def spoiled(folder, key, tmp_path):
    """The same study in which one loss, at step 3, was another."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("manifest.json", "cells.sqlite"):
        (copy / name).write_bytes((folder / name).read_bytes())
    with Store.open(folder, read_only=True) as store:
        losses = store.curves(key)["train_loss"]
    losses[2] += 1e-7
    with closing(sqlite3.connect(copy / "cells.sqlite")) as database:
        change = (
            "UPDATE curve SET points = ? WHERE name = 'train_loss' AND "
            "cell = (SELECT id FROM cell WHERE key = ?)"
        )
        database.execute(change, (pack_curve(losses), key))
        database.commit()
    return copy


def test_every_bit_comes_out_the_same(folder):
    found = replay(folder)
    assert len(found.identical) == 5, "the zero-shot line is one of them"
    assert found.different == []
    assert found.same_arithmetic


def test_the_first_step_that_differs_is_named(spoiled, key, capsys):
    found = replay(spoiled)
    assert [(one.key, one.where, one.step) for one in found.different] == [(key, "train_loss", 3)]
    assert len(found.identical) == 4
    assert main(["replay", str(spoiled), key[:6]]) == 1
    assert f"{key}: train_loss at step 3" in capsys.readouterr().out


def test_the_zero_shot_line_is_measured_again(folder, tmp_path):
    assert replay(folder, "zero-shot").identical == ["zero-shot"]
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    with closing(sqlite3.connect(copy / "cells.sqlite")) as database:
        (text,) = database.execute("SELECT metrics FROM cell WHERE key = 'zero-shot'").fetchone()
        changed = json.loads(text) | {"loss": 1.0}
        database.execute("UPDATE cell SET metrics = ? WHERE key = 'zero-shot'", (json.dumps(changed),))
        database.commit()
    assert [(one.key, one.where) for one in replay(copy, "zero-shot").different] == [("zero-shot", "loss")]


def test_an_unknown_cell_is_refused(folder):
    with pytest.raises(InputError, match="no such cell 'zz'"):
        replay(folder, "zz")


def test_a_study_without_a_record_of_its_making_is_refused():
    with pytest.raises(InputError, match="no cell that says how it was made"):
        replay(OLD)


def test_two_studies_side_by_side(folder, spoiled, key, capsys):
    same = compare(folder, folder)
    assert len(same.identical) == 5, "the zero-shot line is one of them"
    assert (same.made_differently, same.only_first, same.only_second, same.different) == ({}, [], [], [])
    found = compare(folder, spoiled)
    assert [(one.key, one.where, one.step) for one in found.different] == [(key, "train_loss", 3)]
    assert main(["diff", str(folder), str(spoiled)]) == 1
    assert "measured differently: 1" in capsys.readouterr().out
    other = compare(folder, OLD)
    assert other.made_differently["study.sizes"] == ([8, 16], [4, 8])
    assert other.only_first
