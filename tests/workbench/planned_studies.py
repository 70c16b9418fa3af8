"""Studies of known results, as a run would have left them, for plans."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.config import CellConfig
from workbench.studies.disk.store import Store
from workbench.studies.grid import Study, verbs
from workbench.training.results import CellResult
from workbench.views.answers import Answers
from workbench.views.points import TableRow
from workbench.views.variants import study_answers

SIZES = (32, 128, 512, 2048)
RECORDS = 3000
LAYERS = 4


@pytest.fixture(scope="module", autouse=True)
def answer_once() -> Iterator[None]:
    """Analyse each study once, in the modules that import this: their studies don't change."""
    known: dict[Path, Answers] = {}

    def answers(store: Store, table: Sequence[TableRow]) -> Answers:
        if store.folder not in known:
            known[store.folder] = study_answers(store, table)
        return known[store.folder]

    with pytest.MonkeyPatch.context() as once:
        once.setattr("workbench.results.study_answers", answers)
        yield


def planned(**changes: object) -> Study:
    two = (verbs("coffee").qualities[0], verbs("coffee").qualities[-1])
    return replace(verbs("coffee"), **{"qualities": two, "sizes": SIZES, "precision": "float32"} | changes)


def loss(cell: CellConfig) -> float:
    """Return a loss by a power law, with noise that hangs on the cell alone."""
    rise = 3.0 if cell.quality.share == 1 else 4.5
    noise = ((cell.size * 31 + cell.seed * 17 + round(10 * cell.quality.share) * 7) % 13 - 6) / 6
    return 1 + rise * cell.size**-0.4 + 0.012 * noise


def write_planned(
    folder: Path,
    study: Study,
    *,
    value: Callable[[CellConfig], float] = loss,
    done: int | None = None,
    seconds: float | None = 6.0,
    **facts: object,
) -> Path:
    """Write a study whose first ``done`` cells, or all, have a result."""
    cells = study.cells(
        data_fingerprint="d", base_sha256="b", template="verbs", first_layer=study.first_layer(LAYERS)
    )[:done]
    manifest = {
        "study": study.to_dict() | {"template": "verbs"},
        "data": {"sha256": "d", "train_records": RECORDS},
        "base": {"sha256": "b", "layers": LAYERS},
    }
    results = {
        cell.key(): CellResult(cell=cell, metrics={"loss": value(cell)}, seconds=seconds) for cell in cells
    }
    costs = {key: {"flops": 1e12 + 1e9 * result.cell.size} for key, result in results.items()}
    with Store.create(folder, manifest | facts) as store:
        store.commit(results, costs, {"stack": list(results), "threads": 1})
    return folder
