"""A finished study with made-up numbers, for the pictures and pages."""

import random
from dataclasses import replace

import pytest

from workbench.config import CellConfig, Quality
from workbench.studies.disk.store import ZERO_SHOT, Store
from workbench.training.results import CellResult

ACCURACY = {1.0: (0.70, 0.86, 0.90, 0.92), 0.75: (0.45, 0.62, 0.80, 0.88), 0.5: (0.24, 0.33, 0.68, 0.82)}
SIZES = (32, 128, 512, 2048)
MANIFEST = {
    "started": "2026-11-22T17:20:00+0000",
    "study": {"name": "verbs", "qualities": [{}, {}, {}], "sizes": list(SIZES), "seeds": [0, 1, 2]},
    "data": {"name": "verbs", "origin": "made up", "licence": "MIT", "heldout_records": 600},
    "base": {"name": "classroom", "licence": "MIT"},
    "prediction": {"seconds": 312.0, "peak_bytes": 900_000_000},
    "actual": {"seconds": 298.0, "peak_bytes": 1_300_000_000},
    "examples": [
        {
            "prompt": "<script>alert(1)</script>",
            "before": "sang",
            "response": "sings",
            "quality": "50% other_form",
        }
    ],
}


def results(seeds=3, broken=(), changed=None):
    """Return the cells' results by key; those in ``broken`` failed, ``changed`` has other fields by key."""
    noise = random.Random(0)
    found = {ZERO_SHOT: CellResult(cell=None, metrics={"loss": 4.2, "exact_match": 0.0})}
    for share, accuracies in ACCURACY.items():
        quality = Quality() if share == 1 else Quality(corruption="other_form", share=share)
        for size, accuracy in zip(SIZES, accuracies, strict=True):
            for seed in range(seeds):
                cell = CellConfig(data="verbs", base="classroom", quality=quality, size=size, seed=seed)
                exact = accuracy + noise.gauss(0, 0.02)
                metrics = {"loss": 1.3 * (1 - exact), "exact_match": exact}
                key = f"{share} {size} {seed}"
                curves = {"train_loss": [2.0 - exact * step / 4 for step in range(5)]}
                found[key] = CellResult(cell=cell, metrics=metrics, seconds=3.2, curves=curves)
                if key in broken:
                    failure = "the training loss was not a number at step 17 of 100"
                    found[key] = CellResult(cell=cell, status="failed", failure=failure)
    for key, fields in (changed or {}).items():
        found[key] = replace(found[key], **fields)
    return found


def write_study(folder, manifest=MANIFEST, **options):
    with Store.create(folder, manifest) as store:
        store.commit(results(**options))
    return folder


@pytest.fixture
def make_study(tmp_path):
    """Return a function that writes a study of its own and returns its folder."""
    return lambda name="study", **options: write_study(tmp_path / name, **options)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Return the folder of a finished study that all tests share."""
    return write_study(tmp_path_factory.mktemp("studies") / "verbs")


@pytest.fixture(scope="session")
def table(study):
    with Store.open(study) as store:
        return store.table()
