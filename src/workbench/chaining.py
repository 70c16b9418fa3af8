"""One adapter after the other: each stage learns a task on the base with all earlier adapters in it.

After every stage each task is measured on records that no stage trains on: tasks x stages, from which one
reads what a later stage takes from an earlier one. Beside it stands one adapter that learns all tasks at
once, in as many steps as all stages together.

An earlier adapter is frozen by adding it to the base's weights in float32 (``workbench export-model``, with
its gate), so a stage is an ordinary study of one cell on an ordinary base, and can be resumed as one.

Source of the measure: Lopez-Paz and Ranzato, "Gradient Episodic Memory" (arXiv:1706.08840), whose backward
transfer is the mean, over all tasks but the last, of the score at the end less that after the task's stage.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from workbench.adapters.formats import load_adapter
from workbench.data.records import Record
from workbench.data.sources import load_dataset
from workbench.errors import InputError
from workbench.exporting.exporter import export_model
from workbench.files import write_atomically
from workbench.metrics import HELDOUT, set_and_metric
from workbench.models.loaders import load_base
from workbench.showing import Shown, padded
from workbench.studies import runner
from workbench.studies.choices import study
from workbench.studies.disk.adapters import adapter_folder
from workbench.studies.grid import Study

TOGETHER = "together"
"""The stage that learns all tasks at once."""
BARE = "base"
"""What stands for the time before the first stage."""

OnStage = Callable[[str], None]
"""(what happens now, in a few words) -> None."""


@dataclass(frozen=True, slots=True, repr=False)
class Chain(Shown):
    """What each task scored after each stage."""

    tasks: tuple[str, ...]
    """In the order of their stages."""
    seeds: tuple[int, ...]
    scores: Mapping[tuple[str, str, int, str], float]
    """(task, stage, seed, metric) -> value; stages are :data:`BARE`, the tasks and :data:`TOGETHER`."""

    @property
    def stages(self) -> tuple[str, ...]:
        """The columns of the matrix."""
        return (BARE, *self.tasks, TOGETHER)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What was measured everywhere, in the order of the first task's."""
        names = dict.fromkeys(metric for *_, metric in self.scores)
        count = len(self.tasks) * len(self.stages) * len(self.seeds)
        return tuple(name for name in names if sum(key[3] == name for key in self.scores) == count)

    def mean(self, task: str, stage: str, metric: str = "loss") -> float:
        """Return a metric's mean over the seeds.

        Raises:
            KeyError: If it wasn't measured there.
        """
        return fmean(self.scores[task, stage, seed, metric] for seed in self.seeds)

    def forgetting(self, task: str, metric: str = "loss") -> float:
        """Return the metric after the last stage less that after the task's own; 0 for the last task.

        Of a loss more is worse, of a share of right answers less.
        """
        return self.mean(task, self.tasks[-1], metric) - self.mean(task, task, metric)

    def lines(self, metric: str = "loss") -> list[str]:
        """Return the forgetting matrix as the lines of a table."""
        columns = [BARE, *(f"after {task}" for task in self.tasks), "all at once", "forgetting"]
        rows = [
            (
                task,
                *(f"{self.mean(task, stage, metric):.3f}" for stage in self.stages),
                f"{self.forgetting(task, metric):+.3f}",
            )
            for task in self.tasks
        ]
        return padded([(metric, *columns), *rows], numbers=True)

    def table(self) -> str:
        """Return every number as CSV: task, stage, seed, metric, value."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("task", "stage", "seed", "metric", "value"))
        writer.writerows((*key, repr(value)) for key, value in self.scores.items())
        return text.getvalue()

    def _shown(self) -> tuple[str, dict[str, str]]:
        words = {
            task: f"{self.mean(task, BARE):.3f} on the base, {self.mean(task, task):.3f} after its stage, "
            f"{self.mean(task, self.tasks[-1]):.3f} at the end, {self.mean(task, TOGETHER):.3f} all at once"
            for task in self.tasks
        }
        return f"Chain of {' -> '.join(self.tasks)}", words


def run_chain(
    base: str | Path,
    tasks: Mapping[str, str | Path],
    folder: str | Path,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 100,
    size: int | None = None,
    heldout: int | None = None,
    template: str | None = None,
    on_stage: OnStage = lambda what: None,
    reading: Mapping[str, Any] | None = None,
    **settings: Any,  # noqa: ANN401 - fields of a cell
) -> Chain:
    """Learn tasks one after the other and all at once, and measure every task after every stage.

    Args:
        base: Where the chain begins.
        tasks: Each task's name and its file of records, in the order of the stages.
        folder: Where studies and bases of the stages are kept; the same call goes on where it stopped.
        seeds: A chain for each.
        steps: Of each stage; all at once takes as many as all stages together.
        size: Most records of each task that are trained on; all by default.
        heldout: Records of each task to measure on; the reader's default by default.
        template: How records become text; the base's chat template, or plain text where it has none.
        on_stage: Told what begins.
        reading: How the files are read: mapping, read_as, on_empty, on_bad.
        settings: Of every cell: adapter, rank, alpha, targets, learning_rate, batch_size.

    Raises:
        InputError: If there are fewer than two tasks, a name can't be one, a file can't be used, or the
            folder holds another chain.
    """
    if len(tasks) < 2:
        raise InputError(f"a chain has at least two tasks, and this one has {len(tasks)}; give more files")
    for name in tasks:
        if name in (BARE, TOGETHER) or not name.isidentifier():
            raise InputError(
                f"{name!r} can't be a task's name; give another one, of letters and digits: dialogue=FILE"
            )
    folder = Path(folder)
    files = _split(tasks, folder / "data", size, heldout, reading or {})
    first = load_base(base)
    template = template or ("chat" if first.tokenizer.chat_template else "plain")
    scores: dict[tuple[str, str, int, str], float] = {}

    def asked(name: str, on: str | Path, count: int, seed: int, length: int) -> Study:
        others = {task: str(held) for task, (_, held) in files.items() if task != name}
        trained, held = files[name]
        found = study(
            str(trained),
            base=on,
            qualities=["clean"],
            sizes=[count],
            seeds=[seed],
            heldout_file=held,
            evals=others,
            template=template,
            steps=length,
            **settings,
        )
        return replace(found, name=name)

    def measure(stage: str, own: str, metrics: Mapping[str, float | None], seed: int) -> None:
        for task in tasks:
            for metric, value in metrics.items():
                there, name = set_and_metric(metric)
                if value is not None and there == (HELDOUT if task == own else task):
                    scores[task, stage, seed, name] = value

    counts = {name: _count(trained) for name, (trained, _) in files.items()}
    for seed in seeds:
        place, on = folder / f"seed-{seed}", str(base)
        for number, task in enumerate(tasks, start=1):
            on_stage(f"seed {seed}, stage {number} of {len(tasks)}: {task}")
            here = place / f"{number}-{task}"
            key, own, bare = _trained(asked(task, on, counts[task], seed, steps), here)
            if number == 1:
                measure(BARE, task, bare, seed)
            measure(task, task, own, seed)
            if number < len(tasks):
                on = _frozen(on, adapter_folder(here, key), place / f"{number}-{task}.gguf")
        on_stage(f"seed {seed}: all at once")
        lead = next(iter(tasks))
        at_once = replace(
            asked(lead, base, counts[lead], seed, steps * len(tasks)),
            name=TOGETHER,
            data=str(folder / "data" / f"{TOGETHER}.jsonl"),
            sizes=(sum(counts.values()),),
        )
        _, own, _ = _trained(at_once, place / TOGETHER)
        measure(TOGETHER, lead, own, seed)
    found = Chain(tuple(tasks), tuple(seeds), scores)
    write_atomically(folder / "forgetting.csv", found.table().encode())
    return found


def _trained(asked: Study, folder: Path) -> tuple[str, dict[str, float | None], dict[str, float | None]]:
    """Run a study of one cell; return its key, what it measured and what the base did."""
    with runner.run(asked, folder) as store:
        measured = {key: (status, metrics) for key, status, metrics in store.measurements()}
        rows, bare = store.rows(), store.zero_shot()
        attempts = store.attempts()
    if not rows or measured[rows[0]["key"]][0] != "done":
        why = rows[0].get("failure") if rows else attempts[-1]["detail"].strip().splitlines()[0]
        raise InputError(f"{folder}: the stage has no result: {why}; the same command tries it again")
    key = rows[0]["key"]
    return key, dict(measured[key][1]), dict(bare)


def _frozen(base: str | Path, adapter: Path, path: Path) -> str:
    """Write the base with an adapter in it, where it isn't there yet; return its path."""
    if not path.is_file():
        loaded = load_base(base)
        export_model(loaded, path, "f32", adapter=load_adapter(adapter, loaded))
    return str(path)


def _split(
    tasks: Mapping[str, str | Path],
    folder: Path,
    size: int | None,
    heldout: int | None,
    reading: Mapping[str, Any],
) -> dict[str, tuple[Path, Path]]:
    """Write each task's records to train on and to measure on, and all that are trained on together."""
    found, everything = {}, b""
    for name, file in tasks.items():
        dataset = load_dataset(file, heldout=heldout, **reading)
        kept = dataset.train if size is None else dataset.train[:size]
        trained, held = folder / f"{name}.jsonl", folder / f"{name}.heldout.jsonl"
        for path, records in ((trained, kept), (held, dataset.heldout)):
            _write_same(path, _lines(records))
        everything += _lines(kept)
        found[name] = (trained, held)
    _write_same(folder / f"{TOGETHER}.jsonl", everything)
    return found


def _write_same(path: Path, content: bytes) -> None:
    """Write a file, or leave one that holds the same.

    Raises:
        InputError: If there is one that holds something else: it is another chain's.
    """
    if path.is_file() and path.read_bytes() != content:
        raise InputError(
            f"{path} holds other records than these files give: another chain was run here; give another "
            "folder with --out"
        )
    write_atomically(path, content)


def _lines(records: Sequence[Record]) -> bytes:
    lines = []
    for one in records:
        further = {"system": one.system, "history": one.history, "choices": one.choices}
        values = {"prompt": one.prompt, "response": one.response}
        values |= {key: value for key, value in further.items() if value}  # type: ignore[misc]
        lines.append(json.dumps(values, ensure_ascii=False) + "\n")
    return "".join(lines).encode()


def _count(path: Path) -> int:
    return path.read_bytes().count(b"\n")
