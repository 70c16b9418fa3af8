"""The store: exactly once, whole or not at all, and a sentence for every file that it can't use."""

import json
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import pytest

from workbench.config import CellConfig, Quality
from workbench.errors import InputError
from workbench.studies.disk.store import ZERO_SHOT, Store
from workbench.training.results import CellResult

CELL = CellConfig(data="verbs", base="classroom", size=32)


def stack(**changes):
    """Return results by key: each a plain one, with the fields given for it changed."""
    plain = {"cell": CELL, "metrics": {"loss": 0.5, "exact_match": None}, "seconds": 1.25}
    curves = {"train_loss": [3.0, 2.0, 1.5]}
    return {key: CellResult(**{**plain, "curves": curves, **fields}) for key, fields in changes.items()}


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "study", {"name": "verbs"}) as store:
        yield store


def test_what_was_stored_is_read_back(store):
    assert store.commit(stack(a={}, b={"cell": replace(CELL, size=64)})) == 2
    with Store.open(store.folder, read_only=True) as other:
        assert other.manifest.written["name"] == "verbs"
        assert other.done() == {"a", "b"}
        assert other.curves("a") == {"train_loss": [3.0, 2.0, 1.5]}
        first = other.rows()[0]
    assert (first["quality"], first["size"], first["loss"], first["status"]) == ("clean", 32, 0.5, "done")
    assert first["exact_match"] is None, "a missing number stays missing"
    assert (first["steps"], first["epochs"], first["evaluation"]) == (100, 50.0, "heldout")


def test_a_cell_is_stored_once(store):
    store.commit(stack(a={}))
    assert store.commit(stack(a={"metrics": {"loss": 9.0}}, b={})) == 1
    losses = {row["key"]: row["loss"] for row in store.rows()}
    assert losses["a"] == 0.5, "the first result stays"
    assert store.curves("a") == {"train_loss": [3.0, 2.0, 1.5]}


def test_a_stack_is_stored_whole_or_not_at_all(store):
    with pytest.raises(ValueError, match="JSON compliant"):
        store.commit(stack(a={}, b={"metrics": {"loss": math.nan}}))
    assert store.done() == set()
    assert store.commit(stack(c={})) == 1, "the store works on after a refused stack"


def nudged(points: bytes) -> bytes:
    """The same number of bytes, of which one differs."""
    return points[:-8] + bytes([points[-8] ^ 1]) + points[-7:]


CHANGES = {
    "a bit of a curve": ("curve", "points", nudged),
    "a curve's name": ("curve", "name", lambda name: f"{name}s"),
    "the metrics": ("cell", "metrics", lambda text: text.replace("0.5", "0.6")),
    "the configuration": ("cell", "config", lambda text: text.replace('"size": 32', '"size": 64')),
    "the status": ("cell", "status", lambda _: "failed"),
    "why it failed": ("cell", "failure", lambda _: "another reason"),
    "its name": ("cell", "key", lambda _: "b"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_cell_s_hash_is_of_all_that_was_measured(store, what):
    """Whatever differs afterwards, in the file itself, is noticed; an unchanged cell and its times aren't."""
    store.commit(stack(a={}))
    assert store.damaged() == []
    table, column, change = CHANGES[what]
    with closing(sqlite3.connect(store.folder / "cells.sqlite")) as database:
        database.execute("UPDATE cell SET seconds = 9.0")
        database.commit()
        assert store.damaged() == []
        (value,) = database.execute(f"SELECT {column} FROM {table}").fetchone()
        changed = change(value)
        assert changed != value
        database.execute(f"UPDATE {table} SET {column} = ?", (changed,))
        database.commit()
    assert len(store.damaged()) == 1
    with pytest.raises(InputError, match="1 cells don't match their hashes"):
        store.check_whole()


def test_a_curve_that_is_gone_is_noticed(store):
    store.commit(stack(a={}))
    with closing(sqlite3.connect(store.folder / "cells.sqlite")) as database:
        database.execute("DELETE FROM curve")
        database.commit()
    assert store.damaged() == ["a"]


def test_a_curve_comes_back_to_the_bit(store):
    points = [0.1, 1 / 3, 2.0**-1074, 1.7976931348623157e308, -0.0]
    store.commit(stack(a={"curves": {"train_loss": points}}))
    assert [point.hex() for point in store.curves("a")["train_loss"]] == [point.hex() for point in points]


def test_curves_of_many_cells_are_as_wide_as_the_longest(store):
    store.commit(stack(a={"curves": {"x": [1.0, 2.0, 3.0]}}, b={"curves": {"x": [4.0]}}, c={"curves": {}}))
    keys, values = store.curve_arrays("x")
    assert keys == ["a", "b"]
    assert values[0].tolist() == [1.0, 2.0, 3.0]
    assert values[1][0] == 4.0
    assert all(map(math.isnan, values[1][1:])), "what isn't there is missing, not 0"


def test_the_table_says_what_was_trained_and_not_what_was_asked_for(store):
    cells = {"a": CELL.with_(size=100), "b": CELL.with_(size=110, steps=None, epochs=2.0)}
    store.commit(stack(**{key: {"cell": cell} for key, cell in cells.items()}))
    found = {row["key"]: (row["steps"], row["epochs"]) for row in store.rows(of_one=False)}
    assert found == {"a": (100, 16.0), "b": (14, 14 * 16 / 110)}


def test_a_failed_cell_is_a_result_with_its_reason(store):
    failure = "loss is not finite at step 17"
    store.commit(
        stack(a={"status": "failed", "metrics": {"loss": None}, "failure": failure, "seconds": None})
    )
    row = store.rows()[0]
    assert (row["status"], row["failure"], row["loss"], row["seconds"]) == ("failed", failure, None, None)
    assert store.done() == {"a"}
    assert store.counts() == {"failed": 1}


def test_a_curve_keeps_nan_and_infinity(store):
    store.commit(stack(a={"curves": {"train_loss": [1.0, math.nan, math.inf], "empty": []}}))
    curves = store.curves("a")
    assert curves["empty"] == []
    assert curves["train_loss"][0] == 1.0
    assert math.isnan(curves["train_loss"][1])
    assert curves["train_loss"][2] == math.inf


def test_the_zero_shot_line_is_no_cell(store):
    assert store.zero_shot() == {}
    store.commit({ZERO_SHOT: CellResult(cell=None, metrics={"loss": 4.0})})
    assert store.zero_shot() == {"loss": 4.0}
    assert store.rows() == []
    assert store.counts() == {}
    store.commit(stack(a={}))
    first, second = store.table()
    assert (first["size"], first["loss"], first["quality"], first["seed"]) == (0, 4.0, None, None)
    assert list(first) == list(second)


def test_the_table_does_not_depend_on_the_order_of_training(tmp_path):
    qualities = [Quality(), Quality(corruption="typo", share=0.5), Quality(corruption="typo", share=0.75)]
    cells = [
        replace(CELL, quality=quality, size=size, seed=seed)
        for quality in qualities
        for size in (512, 32)
        for seed in (1, 0)
    ]
    results = stack(**{f"key {index}": {"cell": cell} for index, cell in enumerate(cells)})
    with Store.create(tmp_path / "one", {}) as one, Store.create(tmp_path / "two", {}) as two:
        one.commit(results)
        two.commit(dict(reversed(results.items())))
        assert one.rows() == two.rows()
        assert [row["quality"] for row in one.rows()[::4]] == ["clean", "25% typo", "50% typo"]
        assert [(row["size"], row["seed"]) for row in one.rows()[:4]] == [
            (32, 0),
            (32, 1),
            (512, 0),
            (512, 1),
        ]


def test_a_study_is_not_overwritten(store):
    with pytest.raises(InputError, match="already holds a study"):
        Store.create(store.folder, {})


def test_the_manifest_is_updated_whole(store):
    store.update_manifest(actual={"seconds": 3.5})
    assert json.loads((store.folder / "manifest.json").read_bytes()) == {
        "format": 2,
        "name": "verbs",
        "actual": {"seconds": 3.5},
    }


def test_creation_that_was_cut_short_is_taken_up(store):
    (store.folder / "manifest.json").unlink()
    assert not Store.exists(store.folder)
    with Store.create(store.folder, {"name": "again"}) as again:
        assert again.manifest.written["name"] == "again"


def garble(folder):
    path = folder / "cells.sqlite"
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192)


def make_foreign(folder):
    (folder / "cells.sqlite").unlink()
    with closing(sqlite3.connect(folder / "cells.sqlite")) as database:
        database.execute("CREATE TABLE other(x)")


def make_newer(folder):
    with closing(sqlite3.connect(folder / "cells.sqlite")) as database:
        database.execute("PRAGMA user_version=7")


DAMAGES = {
    "no-study": (lambda folder: (folder / "manifest.json").unlink(), "holds no study"),
    "manifest-cut": (
        lambda folder: (folder / "manifest.json").write_text('{"for'),
        "is damaged: it is not JSON",
    ),
    "manifest-foreign": (
        lambda folder: (folder / "manifest.json").write_text('{"a": 1}'),
        "no format number",
    ),
    "manifest-newer": (
        lambda folder: (folder / "manifest.json").write_text('{"format": 9}'),
        "has format 9; this version reads up to 2",
    ),
    "no-results": (lambda folder: (folder / "cells.sqlite").unlink(), "but no cells.sqlite"),
    "not-sqlite": (lambda folder: (folder / "cells.sqlite").write_text("text " * 99), "not an SQLite file"),
    "garbled": (garble, "is damaged; copy it back"),
    "foreign": (make_foreign, "was not written by the workbench"),
    "newer": (make_newer, "has format 7; this version reads up to 2"),
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("read_only", [True, False], ids=["read", "write"])
def test_a_file_that_is_no_study_is_refused_in_a_sentence(store, name, read_only):
    damage, sentence = DAMAGES[name]
    store.commit(stack(a={"curves": {"train_loss": [0.0] * 5000}}))
    store.close()
    damage(store.folder)
    with pytest.raises(InputError, match=sentence), Store.open(store.folder, read_only=read_only) as opened:
        opened.rows()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't make the folder"):
        Store.create(tmp_path / "file" / "study", {})


def test_a_full_disk_is_said_and_loses_nothing(store):
    store.commit(stack(a={}))
    pages = store._database.execute("PRAGMA page_count").fetchone()[0]
    store._database.execute(f"PRAGMA max_page_count={pages + 1}")  # SQLite's own way to be full
    with pytest.raises(InputError, match="because the disk is full; free some space"):
        store.commit(stack(b={}, c={"curves": {"train_loss": [0.0] * 10_000}}))
    assert store.done() == {"a"}
    store._database.execute("PRAGMA max_page_count=1000000")
    assert store.commit(stack(b={})) == 1, "the same store works on once there is room"


def test_a_study_opened_to_read_cannot_be_written(store):
    with (
        Store.open(store.folder, read_only=True) as reader,
        pytest.raises(InputError, match="can't be written"),
    ):
        reader.commit(stack(a={}))


def test_a_store_that_another_process_is_writing_says_so(store):
    store._database.execute("PRAGMA busy_timeout=10")
    with closing(sqlite3.connect(store.folder / "cells.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(InputError, match="another process"):
            store.commit(stack(a={}))


WRITER = """
import sys
from workbench.config import CellConfig
from workbench.studies.disk.store import Store
from workbench.training.results import CellResult
store = Store.open(sys.argv[1])
cell = CellConfig(data="verbs", base="classroom", size=32)
stack = 0
while True:
    result = CellResult(cell=cell, metrics={"loss": 1.0}, curves={"train_loss": [float(stack)] * 400})
    store.commit({f"{sys.argv[2]} {stack} {number}": result for number in range(3)})
    print(stack, flush=True)
    stack += 1
"""


def test_a_kill_while_committing_leaves_whole_stacks(store):
    store.close()
    acknowledged = {}
    for attempt in range(4):
        arguments = [sys.executable, "-c", WRITER, store.folder, str(attempt)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.05 + 0.03 * attempt)
            os.kill(writer.pid, signal.SIGKILL)
            said = writer.stdout.read().split()
        acknowledged[attempt] = int(said[-1]) if said else 0
    with Store.open(store.folder) as survivor:
        keys = survivor.done()
        for attempt, last in acknowledged.items():
            stacks = {int(key.split()[1]) for key in keys if key.startswith(f"{attempt} ")}
            assert stacks == set(range(len(stacks))), "no stack is missing"
            assert len(stacks) >= last + 1, "what was acknowledged is there"
        for key in keys:
            stack = float(key.split()[1])
            assert survivor.curves(key) == {"train_loss": [stack] * 400}
        assert len(keys) % 3 == 0, "no stack is half there"
        assert survivor._database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_commit_that_was_cut_short_is_rolled_back_for_readers_too(store, tmp_path):
    store.commit(stack(a={}))
    copy = tmp_path / "killed"
    with closing(sqlite3.connect(store.folder / "cells.sqlite", isolation_level=None)) as database:
        # a cache of a page is written into the file at once, and the journal holds what was there
        database.execute("PRAGMA cache_size=1")
        database.execute("BEGIN IMMEDIATE")
        database.execute("DELETE FROM curve")
        database.execute("DELETE FROM cell")
        database.execute("CREATE TABLE large(bytes BLOB)")
        database.executemany("INSERT INTO large VALUES(?)", [(bytes(5000),)] * 50)
        shutil.copytree(store.folder, copy)  # as a kill leaves it: nobody holds the lock
        database.execute("ROLLBACK")
    assert (copy / "cells.sqlite-journal").stat().st_size > 0
    with Store.open(copy, read_only=True) as again:
        assert again.done() == {"a"}
    assert not (copy / "cells.sqlite-journal").exists()
