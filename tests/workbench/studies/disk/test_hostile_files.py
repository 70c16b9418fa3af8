"""Every reader of a study's files, fed with anything: a sentence, or the right content, and never code."""

import json
import sqlite3

import pytest
import torch
from anything import JSON, changes
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.studies.disk.adapters import CONFIG, WEIGHTS, check_adapter, write_adapter
from workbench.studies.disk.checkpoints import Checkpoint
from workbench.studies.disk.listing import find_studies
from workbench.studies.disk.manifest import parse_manifest
from workbench.studies.disk.store import Store
from workbench.studies.grid import Study
from workbench.training.loop import TrainState
from workbench.training.results import CellResult

CELL = CellConfig(data="d", base="b", size=4, rank=2)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_manifest_of_anything(content):
    try:
        manifest = parse_manifest(content, "manifest.json")
    except InputError:
        return
    assert isinstance(manifest.format, int)


@pytest.mark.parametrize(
    "content", [b"[" * 200_000, b'{"format": 1e999}', b'{"format": true}', b"\xff\xfe{\x00"]
)
def test_a_manifest_that_is_none(content):
    with pytest.raises(InputError, match=r"is damaged|has no format number"):
        parse_manifest(content, "manifest.json")


@settings(max_examples=100, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(("name", "data", "base", "qualities", "sizes", "seeds"), JSON)))
def test_a_study_of_anything(values):
    try:
        Study.from_dict(values)
    except InputError:
        return


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_changed_checkpoint(data, tmp_path_factory):
    checkpoint = Checkpoint(tmp_path_factory.mktemp("checkpoint"), [CELL], "here")

    zeros = torch.zeros(1, 6)
    state = TrainState(2, zeros, zeros + 1, zeros + 2, torch.ones(3, 1), torch.ones(3, 1), torch.tensor([-1]))
    checkpoint.write(state)
    whole = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(changes(data, whole))
    try:
        again = checkpoint.read()
    except InputError:
        return
    assert again is not None
    assert again.step == 2
    assert torch.equal(again.mean, state.mean)


@settings(max_examples=50, deadline=None)
@given(data=st.data(), name=st.sampled_from([WEIGHTS, CONFIG]))
def test_a_changed_adapter(data, name, tmp_path_factory):
    study = tmp_path_factory.mktemp("adapter")
    write_adapter(
        study, CELL, {"layers.0.q_proj.lora_A": torch.ones(2, 8), "layers.0.q_proj.lora_B": torch.ones(8, 2)}
    )
    path = study / "adapters" / CELL.key() / name
    path.write_bytes(changes(data, path.read_bytes()))
    try:
        check_adapter(study, CELL.key())
    except InputError:
        return


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "study"
    with Store.create(folder, {"study": {"sizes": [4]}}) as store:
        result = CellResult(cell=CELL, metrics={"loss": 0.5}, curves={"train_loss": [2.0, 1.0]}, seconds=1.0)
        store.commit(
            {CELL.key(): result}, {CELL.key(): {"flops": 2.0}}, {"stack": [CELL.key()], "threads": 1}
        )
        return folder, (folder / "cells.sqlite").read_bytes(), store.rows()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), read_only=st.booleans())
def test_changed_results(data, read_only, stored, tmp_path_factory):
    folder, whole, rows = stored
    copy = tmp_path_factory.mktemp("changed")
    (copy / "manifest.json").write_bytes((folder / "manifest.json").read_bytes())
    (copy / "cells.sqlite").write_bytes(changes(data, whole))
    try:
        with Store.open(copy, read_only=read_only) as store:
            store.check_whole()
            found = store.table()
            store.curves(CELL.key())
            store.made()
            store.attempts()
    except InputError:
        return
    times = ("seconds", "flops")
    for one, two in zip(found, rows, strict=True):
        assert {name: one[name] for name in two if name not in times} == {
            name: two[name] for name in two if name not in times
        }


@settings(max_examples=60, deadline=None)
@given(column=st.sampled_from(["config", "metrics", "costs", "made"]), value=JSON)
def test_records_of_anything(column, value, stored, tmp_path_factory):
    folder, whole, _ = stored
    copy = tmp_path_factory.mktemp("records")
    (copy / "manifest.json").write_bytes((folder / "manifest.json").read_bytes())
    (copy / "cells.sqlite").write_bytes(whole)
    with sqlite3.connect(copy / "cells.sqlite") as database:
        text = json.dumps(value)
        database.execute(f"UPDATE cell SET sha256 = NULL, {column} = ?", (text.encode("ascii").decode(),))
    database.close()
    try:
        with Store.open(copy, read_only=True) as store:
            store.table()
            store.made()
            store.configurations()
    except InputError:
        return


def test_names_that_would_be_something_elsewhere(tmp_path):
    for name in (
        "a b",
        "50%",
        "what?",
        "a#b",
        "-rf",
        "$(touch x)",
        "<img src=x onerror=alert(1)>",
        "name\nwith line",
    ):
        with Store.create(tmp_path / name, {"study": {"name": name}}) as store:
            store.commit({"k": CellResult(cell=CELL, metrics={"loss": 1.0})})
        with Store.open(tmp_path / name, read_only=True) as store:
            assert len(store.rows()) == 1
    assert len(find_studies(tmp_path)) == 8
    assert not (tmp_path / "x").exists()
