"""The study's manifest.json: read with suspicion, typed, never changed in place, written whole."""

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench.config import CellConfig, Quality
from workbench.errors import InputError
from workbench.studies.disk.facts import NO_FACT, Facts, WrongFact, read_facts
from workbench.studies.disk.filtering_facts import FilteringFacts
from workbench.studies.disk.schema import FORMAT
from workbench.studies.grid import Study
from workbench.studies.states import Outcome

MANIFEST = "manifest.json"
LARGEST_MANIFEST = 64 * 2**20
"""Bytes; 100,000 cells need about 10 MB."""
HOW_TO_RESTORE = "copy it back from a backup, or move the study's folder away and run it again"


@dataclass(frozen=True, kw_only=True)
class StudyFacts(Facts):
    """The grid that was asked for, in part; :meth:`parsed` has all of it."""

    name: str | None = None
    qualities: tuple[Mapping[str, Any], ...] = ()
    sizes: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()
    date: str | None = None
    grown: tuple[tuple[Mapping[str, Any], ...], ...] = ()
    """What the study has grown by, batch by batch; see ``studies/growth.py``."""

    @property
    def cells(self) -> int:
        """How many cells the study is to have; 0 where the manifest doesn't say."""
        if self.grown:
            return self.variants * sum(map(len, self.parsed().batches()))
        return self.variants * math.prod(map(len, (self.qualities, self.sizes, self.seeds)))

    @property
    def variants(self) -> int:
        """How often the grid is trained: for each base and each combination of varied settings."""
        return self.parsed().variants if self.written.keys() & {"further_bases", "vary"} else 1

    def parsed(self) -> Study:
        """Return the study.

        Raises:
            InputError: If it can't be understood.
        """
        # versions that didn't record a precision knew one only, and one way to hold a base
        return Study.from_dict({"precision": "float32", "hold": "decoded", **self.written})


@dataclass(frozen=True, kw_only=True)
class EvaluationSetFacts(Facts):
    """A further evaluation set."""

    records: int | None = None
    sha256: str | None = None
    answers: Mapping[str, int] | None = None
    """How many of its records have each answer; None where answers hardly recur."""


@dataclass(frozen=True, kw_only=True)
class DataFacts(Facts):
    """The records."""

    name: str | None = None
    origin: str | None = None
    licence: str | None = None
    sha256: str | None = None
    train_records: int | None = None
    train_sha256: str | None = None
    heldout_records: int | None = None
    heldout_sha256: str | None = None
    heldout_answers: Mapping[str, int] | None = None
    """How many held-out records have each answer; None where answers hardly recur."""
    evals: Mapping[str, EvaluationSetFacts] = field(default_factory=dict)
    """Further evaluation sets, by their names."""
    pools: Mapping[str, int] = field(default_factory=dict)
    """How many records each pool has, of a study whose qualities draw from pools."""
    response_tokens: Mapping[str, int] = field(default_factory=dict)
    """How many each quality has, by its label, of a study whose sizes count them."""
    notes: tuple[str, ...] = ()
    """What was left out of the input or changed."""


@dataclass(frozen=True, kw_only=True)
class BaseFacts(Facts):
    """The frozen model."""

    name: str | None = None
    sha256: str | None = None
    text_sha256: str | None = None
    """Of the files that say how a text begins, ends and is written as a chat; None where the weights' file
    has it all."""
    licence: str | None = None
    layers: int | None = None
    asked: str | None = None
    """What it was asked for by, of a study of several bases; so the next two."""
    label: str | None = None
    parameters: int | None = None
    """Number of its weights."""


@dataclass(frozen=True, kw_only=True)
class ArithmeticFacts(Facts):
    """What the numbers depend on beside the cells; see ``studies/arithmetic.py``."""

    name: str | None = None
    device: str | None = None
    """The processor ("cpu") or the card that the study was begun on."""
    precision: str | None = None
    threads: int | None = None


@dataclass(frozen=True, kw_only=True)
class HardwareFacts(Facts):
    """The machine on which the study was begun."""

    processor: str | None = None
    cores: int | None = None
    card: str | None = None
    """The GPU; None where none was used."""
    card_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class PredictedCost(Facts):
    """What a run was expected to cost; see :class:`workbench.studies.predict.Prediction`."""

    seconds: float | None = None
    peak_bytes: int | None = None
    raw_seconds: float | None = None
    learned_from: int | None = None
    card_bytes: int | None = None
    card_memory: int | None = None


@dataclass(frozen=True, kw_only=True)
class ActualCost(Facts):
    """What a run cost."""

    seconds: float | None = None
    peak_bytes: int | None = None
    joules: float | None = None
    shared_flops: float | None = None
    card_peak_bytes: int | None = None
    """Most that the process had allocated on its card; None where workers trained, or on a processor."""


@dataclass(frozen=True, kw_only=True)
class Session(Facts):
    """One run of the study."""

    processor: str | None = None
    cores: int | None = None
    base: str | None = None
    executor: str | None = None
    workers: int | None = None
    threads: int | None = None
    card: str | None = None
    """The GPU that it trained on; None for the processor."""
    started: str | None = None
    ended: str | None = None
    outcome: Outcome | None = None
    prediction: PredictedCost = field(default_factory=PredictedCost)
    actual: ActualCost | None = None
    """None for a run that was killed, or goes on."""


@dataclass(frozen=True, kw_only=True)
class DecisionFacts(Facts):
    """One decision of a rule by which the study grows."""

    rule: str | None = None
    """As the command line says it."""
    size: int | None = None
    """Reference examples at which the rate was asked for; None in records of an earlier version."""
    factor: float | None = None
    """The factor that its interval was to reach; None where time alone was to end the study."""
    metric: str | None = None
    at: str | None = None
    """When."""
    after: int | None = None
    """Cells that had a result."""
    minutes: float | None = None
    """That these have trained."""
    cells: int | None = None
    """How many were chosen; 0 where the rule ended the study."""
    low: float | None = None
    """End of the interval that it saw; None where it is open."""
    high: float | None = None
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class GrowthFacts(Facts):
    """How the study has grown."""

    decisions: tuple[DecisionFacts, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Manifest(Facts):
    """What a study says about itself. What it doesn't say is None or empty."""

    format: int = FORMAT
    started: str | None = None
    study: StudyFacts = field(default_factory=StudyFacts)
    data: DataFacts = field(default_factory=DataFacts)
    subsets: Mapping[str, str] = field(default_factory=dict)
    """The hash of each cell's training records, by the cell's key."""
    base: BaseFacts = field(default_factory=BaseFacts)
    bases: tuple[BaseFacts, ...] = ()
    """All bases of a study that has several, those of its cells so far among them."""
    examples: tuple[Mapping[str, str], ...] = ()
    arithmetic: ArithmeticFacts = field(default_factory=ArithmeticFacts)
    code_sha256: str | None = None
    own_metrics: Mapping[str, str | None] = field(default_factory=dict)
    """The hash of each metric that is a function of the user's own; None where its text couldn't be read."""
    versions: Mapping[str, str | None] = field(default_factory=dict)
    hardware: HardwareFacts = field(default_factory=HardwareFacts)
    growth: GrowthFacts = field(default_factory=GrowthFacts)
    """Empty for a study whose every cell was asked for."""
    filtering: FilteringFacts = field(default_factory=FilteringFacts)
    sessions: tuple[Session, ...] = ()
    outcome: Outcome | None = None
    """Of the latest run."""
    prediction: PredictedCost = field(default_factory=PredictedCost)
    """Of the latest run, as what it cost is."""
    actual: ActualCost = field(default_factory=ActualCost)
    place: str = field(default=MANIFEST, compare=False, metadata=NO_FACT)
    """What errors call it: its file, where it has one."""

    @classmethod
    def of(cls, values: Mapping[str, Any], place: str = MANIFEST) -> "Manifest":
        """Return the manifest that JSON values are.

        Raises:
            InputError: If they have no format number, a newer one, or a fact that isn't what it has to be.
        """
        version = values.get("format")
        if type(version) is not int:
            raise InputError(f"{place} is no manifest of a study: it has no format number")
        if version > FORMAT:
            raise InputError(
                f"{place} has format {version}; this version reads up to {FORMAT}. Install a newer workbench."
            )
        try:
            return replace(read_facts(cls, copy.deepcopy(dict(values))), place=place)
        except (WrongFact, RecursionError) as error:
            raise InputError(f"{place} is damaged: {error}; {HOW_TO_RESTORE}") from error

    @property
    def day(self) -> str | None:
        """The day that the study's chat template gets, where it writes one, such as "2026-11-28".

        Older studies did not record it; theirs is the day on which they began.
        """
        return self.study.date or (self.started or "")[:10] or None

    def with_(self, **values: Any) -> "Manifest":  # noqa: ANN401 - any JSON value
        """Return it with parts added or replaced; JSON values.

        Raises:
            InputError: If one isn't what it has to be.
        """
        return self.of({**self.written, **values}, self.place)

    def planned(self) -> dict[str, CellConfig]:
        """Return the cells that the study is to have, by their keys.

        Raises:
            InputError: If the manifest lacks what names them.
        """
        return {key: cell for _, cells in self.planned_parts() for key, cell in cells.items()}

    def planned_parts(self) -> list[tuple[Study, dict[str, CellConfig]]]:
        """Return the same, part by part; see ``studies/variants.py``."""
        study = self.study.parsed() if "study" in self.written else None
        if study is None or self.data.sha256 is None or self.base.sha256 is None:
            part = "study" if study is None else "data.sha256" if self.data.sha256 is None else "base.sha256"
            raise self.lacks(part)
        found = []
        for one in study.parts():
            base = self._asked(one.base) if study.further_bases else self.base
            cells = one.cells(
                data_fingerprint=self.data.sha256,
                base_sha256=base.sha256,
                template=study.template,
                first_layer=one.first_layer(base.layers or 0),
            )
            found.append((one, {cell.key(): cell for cell in cells}))
        return found

    def _asked(self, base: str) -> BaseFacts:
        found = next((one for one in self.bases if one.asked == base and one.sha256), None)
        if found is None:
            raise self.lacks(f"bases, with the sha256 of {base}")
        return found

    def base_of(self, sha256: str | None) -> BaseFacts:
        """Return what is known of one of the study's bases, by its hash."""
        return next((one for one in self.bases if one.sha256 == sha256), self.base)

    def limits(self) -> dict[str, int]:
        """Return the largest size that a quality can have, by its label, where not all can have the same."""
        if self.data.response_tokens:
            return dict(self.data.response_tokens)
        qualities = [Quality(**one) for one in self.study.qualities]
        return {q.label: self.data.pools[q.pool] for q in qualities if q.pool in self.data.pools}

    def largest_size(self) -> int | None:
        """Return the largest size that any quality can have; None where that wasn't recorded."""
        return max(self.data.response_tokens.values(), default=self.data.train_records)

    def lacks(self, part: str) -> InputError:
        """Say that a part is missing without which nothing can be done, such as "data.sha256"."""
        return InputError(f"{self.place} is damaged: it has no {part!r}; copy it back from a backup")

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        text = json.dumps(self.written, indent=2, ensure_ascii=False, allow_nan=False)
        return (text + "\n").encode()


def read_manifest(folder: Path | str) -> Manifest:
    """Read a study's manifest without opening its results.

    Raises:
        InputError: If there is none, or if it is damaged or of a newer format.
    """
    path = Path(folder) / MANIFEST
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            raise InputError(
                f"{path} is larger than {LARGEST_MANIFEST >> 20} MiB; it is no manifest of a study"
            )
        return parse_manifest(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise InputError(
            f"{folder} holds no study: it has no manifest.json; `workbench list FOLDER` names those in it"
        ) from None
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from error


def parse_manifest(data: bytes, place: str) -> Manifest:
    """Return the manifest that ``data`` holds; ``place`` is what errors call it.

    Raises:
        InputError: If it is damaged or of a newer format.
    """
    try:
        values = json.loads(data, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is damaged: it is not JSON ({error}); {HOW_TO_RESTORE}") from error
    return Manifest.of(values if isinstance(values, dict) else {}, place)


def _finite(text: str) -> float:
    """Read a number; the ones that no manifest holds could not be written again."""
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no finite number")
    return number
