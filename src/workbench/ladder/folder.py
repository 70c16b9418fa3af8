"""The folder of a ladder: a manifest, a file of weights and a row for each run, predictions, a table.

    ladder.json        how it is trained, on what, with which versions, on which machine
    runs/NAME.gguf     the weights in float32: a base for a study
    runs/NAME.json     what came of the run; it is written last, so it says that the run is done
    predictions.json   what was predicted of each rung before any run of it began
    table.csv          all runs, one a row

A killed ladder goes on with the runs that have no row. Each file is there whole or not at all.
"""

import csv
import io
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.files import not_read, sha256_of, write_atomically
from workbench.ladder.rungs import LadderPlan, Run
from workbench.ladder.training import Lessons, PretrainConfig, Trained, moment

LADDER = "ladder.json"
RUNS_FOLDER = "runs"
PREDICTIONS = "predictions.json"
TABLE_FILE = "table.csv"
LADDER_FORMAT = 1
DECIDING_PACKAGES = ("torch", "numpy", "lemminflect")
"""Packages whose version can change a loss; where one differs a ladder isn't continued."""


@dataclass(frozen=True, slots=True)
class LadderFolder:
    """A ladder on the disk."""

    path: Path

    def weights_of(self, run: Run | str) -> Path:
        """Return where a run's weights are or will be."""
        return self._run_file(run, "gguf")

    def row_of(self, run: Run | str) -> Path:
        """Return where a run's row is or will be."""
        return self._run_file(run, "json")

    def _run_file(self, run: Run | str, ending: str) -> Path:
        name = run if isinstance(run, str) else run.name
        return self.path / RUNS_FOLDER / f"{name}.{ending}"

    @property
    def exists(self) -> bool:
        """Whether the folder holds a ladder."""
        return (self.path / LADDER).is_file()

    def manifest(self) -> dict[str, Any]:
        """Return the manifest.

        Raises:
            InputError: If there is none, or it can't be read.
        """
        if not self.exists:
            raise InputError(
                f"{self.path} holds no ladder: {LADDER} is missing; train one with `workbench ladder --out "
                f"{self.path}`, or give the folder of one"
            )
        manifest = _json(self.path / LADDER)
        if not isinstance(manifest, dict) or manifest.get("format") != LADDER_FORMAT:
            raise InputError(
                f"{self.path / LADDER} isn't a ladder of format {LADDER_FORMAT}; another version wrote it, "
                "or something else did: train a ladder in another folder"
            )
        return manifest

    def plan(self) -> LadderPlan:
        """Return the plan with which the ladder was last trained.

        Raises:
            InputError: If the folder holds no ladder.
        """
        found = self.manifest()["plan"]
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
        return LadderPlan(**values)

    def begin(self, plan: LadderPlan, settings: PretrainConfig, known: Lessons) -> None:
        """Write the manifest, or check that a ladder which is there was made in the same way.

        The plan may grow: further widths, seeds and curves are added to what is there.

        Raises:
            InputError: If the ladder has other settings, words or versions.
        """
        made = {
            "settings": asdict(settings),
            "data": known.facts,
            "versions": {name: _version(name) for name in DECIDING_PACKAGES},
        }
        began = moment()
        if self.exists:
            before = self.manifest()
            began = before["began"]
            for part, own in made.items():
                self._refuse_other(part, before[part], own)
        manifest = {
            "format": LADDER_FORMAT,
            "began": began,
            "plan": asdict(plan),
            **made,
            "workbench": _version("lora-scaling-workbench"),
            "machine": {"processor": platform.machine(), "system": platform.system()},
        }
        write_atomically(self.path / LADDER, (json.dumps(manifest, indent=2) + "\n").encode())

    def _refuse_other(self, part: str, before: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        before, own = json.loads(json.dumps(before)), json.loads(json.dumps(own))
        for name in dict.fromkeys((*before, *own)):
            if before.get(name) != own.get(name):
                raise InputError(
                    f"{self.path} holds a ladder whose {part} have {name} {before.get(name)}, and here it is "
                    f"{own.get(name)}; one table can't hold both: choose another folder with --out"
                )

    def rows(self) -> list[Trained]:
        """Return what came of the finished runs, by width, tokens and seed.

        Raises:
            InputError: If a row is damaged, or its weights are gone.
        """
        found = [self._read_row(path) for path in sorted((self.path / RUNS_FOLDER).glob("*.json"))]
        return sorted(found, key=lambda row: (row.width, row.tokens, row.seed))

    def _read_row(self, path: Path) -> Trained:
        values = _json(path)
        names = {field.name for field in fields(Trained)}
        if not isinstance(values, dict) or set(values) != names or values["run"] != path.stem:
            raise InputError(f"{path} isn't the row of a run; delete it, and the run is trained again")
        if not self.weights_of(path.stem).is_file():
            raise InputError(
                f"{self.weights_of(path.stem)} is missing; delete {path.name} beside it, and the run is "
                "trained again"
            )
        return Trained(**values)

    def keep(self, row: Trained) -> None:
        """Write a run's row: from then on it is done."""
        write_atomically(self.row_of(row.run), (json.dumps(asdict(row), indent=2) + "\n").encode())

    def missing(self, runs: Iterable[Run]) -> list[Run]:
        """Return those of some runs that aren't done."""
        done = {row.run for row in self.rows()}
        return [run for run in runs if run.name not in done]

    def write_table(self) -> Path:
        """Write the table of all finished runs and return its path."""
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, [field.name for field in fields(Trained)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in self.rows())
        write_atomically(self.path / TABLE_FILE, buffer.getvalue().encode())
        return self.path / TABLE_FILE

    def check(self) -> list[str]:
        """Return the names of the runs whose weights aren't those that were trained."""
        return [row.run for row in self.rows() if sha256_of(self.weights_of(row.run)) != row.sha256]


def _json(path: Path) -> Any:  # noqa: ANN401 - whatever it holds
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise not_read(path, error) from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}; restore it, or delete it to make it again") from error


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
