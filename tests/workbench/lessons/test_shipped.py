"""The study that comes with the package: of no machine, small, and made again to the bit."""

import json
from pathlib import Path

import pytest

from workbench.lessons.shipped import DATABLATIONS, TALKERS, VERBS
from workbench.lessons.talk import find_cell
from workbench.studies.disk.store import Store
from workbench.studies.replay import replay


def test_it_names_no_folder_of_the_machine_that_made_it():
    for path in VERBS.rglob("*.json"):
        assert "/" not in json.dumps(json.loads(path.read_bytes()).get("base_model_name_or_path", ""))
        assert b"/home/" not in path.read_bytes()
        assert b"/tmp/" not in path.read_bytes()
    assert sum(path.stat().st_size for path in VERBS.rglob("*")) < 1_100_000


def test_every_cell_says_how_it_was_made():
    with Store.open(VERBS, read_only=True) as store:
        assert set(store.made()) == set(store.manifest.planned())


@pytest.mark.slow
def test_its_numbers_are_made_again():
    """To the bit by the arithmetic that made them; elsewhere as far as the order of sums goes."""
    found = replay(VERBS, find_cell(VERBS, *TALKERS[0]).key())
    if found.same_arithmetic:
        assert found.different == []
    for difference in found.different:
        assert difference.step is None or difference.second == pytest.approx(difference.first, rel=1e-3)
    assert len(found.identical) + len(found.different) == 1


def test_the_published_runs_are_those_of_the_tests_with_their_licence():
    oracles = Path(__file__).resolve().parents[2] / "oracles"
    assert DATABLATIONS.read_bytes() == (oracles / DATABLATIONS.name).read_bytes()
    assert (DATABLATIONS.parent / "LICENSE").read_bytes() == (oracles / "LICENSE").read_bytes()
