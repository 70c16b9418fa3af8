"""A study in MLflow, the tracker that many teams run. Nothing is sent anywhere unless somebody asks for it.

The study becomes a run with its manifest, card and table as artifacts; each cell becomes a run below it, with
its configuration as parameters, its measurements as metrics and its curves step by step. Exporting again adds
what is new and doubles nothing, also after an export that was killed.

Source: the MLflow 3 documentation, "Tracking", "Backend stores" and "Usage tracking".
"""

import csv
import hashlib
import io
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import InputError, how_to_install
from workbench.studies.disk.manifest import MANIFEST
from workbench.studies.disk.store import Store
from workbench.studies.sharing.card import card
from workbench.training.generated import metrics_in

MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing leaves the machine but what is exported
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a server that isn't there is told within seconds
}
LOGGED_CURVES = ("train_loss", "gradient_norm")
"""Curves with one value a step; those with one a held-out item are no course of time."""
STUDY_TAG, CELL_TAG, PARENT_TAG = "workbench.study", "workbench.cell", "mlflow.parentRunId"
SQLITE = "sqlite:///"
BATCH = 1000
"""Metrics in one request; MLflow takes no more."""
LONGEST_PARAMETER = 6000
"""Characters of a parameter that MLflow takes."""


def export_to_mlflow(folder: Path, uri: str, experiment: str | None = None) -> int:
    """Write a study to MLflow and return how many of its cells were new there.

    Args:
        folder: The study; it isn't changed.
        uri: Of a tracking server, or of a file: "sqlite:///mlflow.db" needs no network. Artifacts of a file
            lie beside it in ``mlartifacts``.
        experiment: Name of the experiment; by default the study's.

    Raises:
        InputError: If MLflow isn't installed or the server can't be reached, or the study can't be read.
    """
    client = _client(uri)
    from mlflow.exceptions import MlflowException

    with Store.open(folder, read_only=True) as store:
        name = experiment or store.manifest.study.name or folder.name
        try:
            return _export(client, store, _experiment(client, name, uri))
        except MlflowException as error:
            raise InputError(
                f"MLflow at {uri} refused the export: {str(error)[:500]}; a file such as sqlite:///mlflow.db "
                "needs no server"
            ) from error


def _client(uri: str) -> Any:  # noqa: ANN401 - MLflow has no types here
    for name, value in MLFLOW_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise InputError(
            f"the export to MLflow needs MLflow, which isn't installed; run {how_to_install('tracker')}"
        ) from error
    try:
        return MlflowClient(tracking_uri=uri)
    except (MlflowException, ImportError) as error:
        raise InputError(
            f"MLflow can't use {uri}: {str(error)[:500]}; a file such as sqlite:///mlflow.db needs no server"
        ) from error


def _experiment(client: Any, name: str, uri: str) -> str:  # noqa: ANN401
    if found := client.get_experiment_by_name(name):
        return found.experiment_id
    place = None
    if uri.startswith(SQLITE):
        place = (Path(uri.removeprefix(SQLITE)).absolute().parent / "mlartifacts" / name).as_uri()
    return client.create_experiment(name, artifact_location=place)


def _export(client: Any, store: Store, experiment: str) -> int:  # noqa: ANN401
    study = _study_run(client, store, experiment)
    there = _cells_there(client, experiment, study)
    new = [row for row in store.rows() if row["key"] not in there]
    configurations = store.configurations()
    for row in new:
        metrics = {
            **_numbers(row),
            **{name: store.curves(row["key"]).get(name, []) for name in LOGGED_CURVES},
        }
        _cell_run(client, experiment, study, row, configurations[row["key"]].to_dict(), metrics)
    client.set_terminated(study, "FINISHED")
    return len(new)


def _study_run(client: Any, store: Store, experiment: str) -> str:  # noqa: ANN401
    """Return the study's run, made if it isn't there, with its artifacts brought up to date."""
    manifest = store.manifest
    parts = [manifest.written.get(part) for part in ("started", "data", "base")]
    identity = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    found = client.search_runs([experiment], f"tags.`{STUDY_TAG}` = '{identity}'", max_results=1)
    if found:
        run = found[0].info.run_id
    else:
        name = manifest.study.name or store.folder.name
        run = client.create_run(experiment, tags={STUDY_TAG: identity}, run_name=name).info.run_id
    client.log_text(run, json.dumps(manifest.written, indent=2), MANIFEST)
    client.log_text(run, card(store), "CARD.md")
    client.log_text(run, _csv(store.table()), "cells.csv")
    zero = {f"zero_shot_{name}": value for name, value in store.zero_shot().items()}
    _log(client, run, zero, {})
    return run


def _cells_there(client: Any, experiment: str, study: str) -> set[str]:  # noqa: ANN401
    """Return the keys of the cells that were exported whole; delete the others."""
    there: set[str] = set()
    token = None
    while True:
        query = f"tags.`{PARENT_TAG}` = '{study}'"
        page = client.search_runs([experiment], query, max_results=BATCH, page_token=token)
        for run in page:
            if run.info.status == "RUNNING":  # its export was killed
                client.delete_run(run.info.run_id)
            else:
                there.add(run.data.tags[CELL_TAG])
        if not (token := page.token):
            return there


def _cell_run(
    client: Any,  # noqa: ANN401
    experiment: str,
    study: str,
    row: Mapping[str, Any],
    configuration: Mapping[str, Any],
    metrics: Mapping[str, float | list[float] | None],
) -> None:
    tags = {PARENT_TAG: study, CELL_TAG: row["key"], "status": row["status"]}
    if row["failure"]:
        tags["failure"] = row["failure"]
    name = f"{row['quality']}, {row['size']}, seed {row['seed']}"
    name = f"{row['vary']}: {name}" if "vary" in row else name
    run = client.create_run(experiment, tags=tags, run_name=name).info.run_id
    _log(client, run, metrics, {**configuration, "quality": row["quality"]})
    client.set_terminated(run, "FAILED" if row["status"] == "failed" else "FINISHED")


def _log(
    client: Any,  # noqa: ANN401
    run: str,
    metrics: Mapping[str, float | list[float] | None],
    parameters: Mapping[str, Any],
) -> None:
    from mlflow.entities import Metric, Param

    now = int(1000 * time.time())
    points = [Metric(name, value, now, step) for name, value, step in _points(metrics)]
    given = [Param(name, str(value)[:LONGEST_PARAMETER]) for name, value in parameters.items()]
    for first in range(0, max(1, len(points)), BATCH):
        client.log_batch(run, metrics=points[first : first + BATCH], params=given if first == 0 else [])


def _points(metrics: Mapping[str, float | list[float] | None]) -> Iterator[tuple[str, float, int]]:
    """Yield (name, value, step) of every number that exists; steps count from 1, a lone value has step 0."""
    for name, values in metrics.items():
        points = enumerate(values, start=1) if isinstance(values, list) else [(0, values)]
        for step, value in points:
            if value is not None and math.isfinite(value):
                yield name, float(value), step


def _numbers(row: Mapping[str, Any]) -> dict[str, float | None]:
    """Return what a row measured and cost, without its configuration."""
    return {name: row.get(name) for name in (*metrics_in(list(row)), "seconds", "predicted_seconds", "flops")}


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
