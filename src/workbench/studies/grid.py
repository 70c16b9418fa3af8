"""Which cells a study has: quality x size x seed, from one dial.

The three budgets are the same grid, wider: more qualities, more sizes, more seeds. Everything that a
study doesn't vary is one :class:`CellConfig`, so a default lives in one place.
"""

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from workbench.config import HOLDS, LOSS_ON, PRECISIONS, SIZES_IN, CellConfig, Quality, check_device
from workbench.data.lengths import POLICIES as ON_LONG
from workbench.data.lengths import OnLong
from workbench.data.pools import columns_read, with_columns
from workbench.data.records import Dataset
from workbench.data.sources import load_dataset
from workbench.data.sources.evaluation_sets import check_sets
from workbench.data.sources.layouts.choice import check_mapping
from workbench.errors import InputError, unknown_name
from workbench.showing import Shown
from workbench.studies.defaults import LARGE_BASE_LAYERS, LARGE_BASE_SETTINGS
from workbench.studies.described import study_in_facts
from workbench.studies.variants import (
    CELL_SETTINGS,
    OF_PART,
    check_vary,
    combinations,
    with_settings,
)
from workbench.training.text_metrics import check_metrics

Budget = Literal["coffee", "lunch", "night"]
BUDGETS: tuple[Budget, ...] = ("coffee", "lunch", "night")
USUAL = {"loss_on": "last", "on_shared": "error", "size_in": "examples", "hold": "auto"}
"""Fields of a study that are left out of its description where they have this value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a cell stands in a study; all else its cells share."""

    quality: Quality
    size: int
    seed: int

    def __post_init__(self) -> None:
        """Refuse what is no place, as a damaged record may hold it."""
        if not isinstance(self.quality, Quality) or type(self.size) is not int or type(self.seed) is not int:
            raise InputError("the study's description can't be read: a place has no quality, size or seed")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"quality": self.quality.to_dict(), "size": self.size, "seed": self.seed}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Place":
        """Read what a study's ``to_dict`` wrote."""
        return cls(**{**values, "quality": Quality(**values["quality"])})


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Study(Shown):
    """A grid of cells over one data set and one base, before either is loaded."""

    name: str
    data: str
    """A key of ``SOURCES``, or the path of the user's own file."""
    base: str
    """A name that ``load_base`` knows, or a path."""
    qualities: tuple[Quality, ...]
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    size_in: str = "examples"
    """What sizes count, one of ``config.SIZES_IN``: "tokens" counts those of responses."""
    heldout: int | None = None
    """Records held out for the evaluation, never trained on and never spoiled; None takes the source's
    default: 600, or a fifth of a small file."""
    heldout_file: str | None = None
    """Another file whose records are held out instead; None holds out some of the data."""
    evals: tuple[tuple[str, str], ...] = ()
    """Further evaluation sets, each its name and its file; see ``data/sources/evaluation_sets.py``."""
    metrics: tuple[str, ...] = ()
    """Keys of ``TEXT_METRICS`` by which what every cell writes is judged, on every evaluation set."""
    others: tuple[str, ...] = ()
    """Further files of the user's own; each is drawn from as ``file:LABEL`` (see ``data/pools.py``)."""
    pair_key: str | None = None
    """Column that says which records answer one question; None takes those that are asked the same."""
    on_empty: Literal["error", "drop"] = "error"
    """What to do with records of an own file whose prompt or response is empty."""
    on_bad: Literal["error", "drop"] = "error"
    """What to do with records of an own file that can't be read."""
    on_shared: Literal["error", "drop"] = "error"
    """What to do where a held-out file and the data share records."""
    mapping: dict[str, str] = field(default_factory=dict)
    """Fields of a record, each with the key under which an own file has it, whatever its layout says."""
    read_as: str | None = None
    """Key of ``LAYOUTS`` by which an own file is read; None finds the layout by the file's keys."""
    on_long: OnLong = "error"
    """What to do with records that the base can't read whole: "truncate" cuts prompts from the left, "split"
    makes several records of a conversation."""
    date: str | None = None
    """The day, such as "2026-11-28", that a chat template which writes one gets; None takes the day on
    which the study begins."""
    template: str | None = None
    """Key of ``TEMPLATES``; None takes the data set's own."""
    loss_on: str = "last"
    """Which answers of a conversation count in the loss, one of ``config.LOSS_ON``: "last" is the response,
    "all" is every answer. A corruption spoils the response alone."""
    adapted_layers: int | None = None
    """How many of the base's topmost blocks carry adapters; None adapts all of them."""
    precision: str = "auto"
    """How the products with the frozen base are computed, one of ``config.PRECISIONS``; "auto" takes the
    faster one of bfloat16 and float32 here, and the record says so (``models/precision.py``)."""
    device: str = "auto"
    """Where cells are trained, one of ``config.DEVICES``; "auto" takes a GPU where one can be used."""
    hold: str = "auto"
    """How a processor holds the base, one of ``config.HOLDS``; the record says what "auto" has taken."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Those of :data:`CELL_SETTINGS` that differ from the defaults of :class:`CellConfig`, for every cell."""
    grown: tuple[tuple[Place, ...], ...] = ()
    """Cells beside the grid, batch by batch as a rule chose them; see ``studies/growth.py``."""
    further_bases: tuple[str, ...] = ()
    """Bases beside the first, each with the whole grid; see ``studies/variants.py``."""
    vary: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """The values of each setting that varies, each with the whole grid."""

    def __post_init__(self) -> None:
        """Refuse an empty or doubled axis."""
        for axis in ("qualities", "sizes", "seeds", "bases"):
            values = getattr(self, axis)
            if not values:
                raise InputError(f"the study has no {axis}; give at least one")
            if len(set(values)) != len(values):
                raise InputError(
                    f"{axis} names one value twice: {', '.join(map(str, values))}; give each once"
                )
        labels = [quality.label for quality in self.qualities]
        if doubled := next((label for label in labels if labels.count(label) > 1), None):
            raise InputError(f"two qualities are both called {doubled!r}; rename a file, or leave one out")
        for name in self.settings:
            if name not in CELL_SETTINGS:
                raise unknown_name("setting", name, CELL_SETTINGS, "src/workbench/config.py")
        check_vary(self.vary, self.settings)
        check_mapping(self.mapping, self.read_as)
        check_sets(self.evals)
        # a user's own function may be asked for in another process than the one that opens the study
        check_metrics(self.metrics, known_here=False)
        if self.precision != "auto" and self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, ["auto", *PRECISIONS], "src/workbench/config.py")
        check_device(self.device)
        if self.hold not in HOLDS:
            raise unknown_name("hold", self.hold, HOLDS, "src/workbench/config.py")
        if self.loss_on not in LOSS_ON:
            raise unknown_name("loss_on", self.loss_on, LOSS_ON, "src/workbench/config.py")
        if self.size_in not in SIZES_IN:
            raise unknown_name("size_in", self.size_in, SIZES_IN, "src/workbench/config.py")
        if self.on_long not in ON_LONG:
            raise InputError(f"on_long is {self.on_long!r}; it has to be one of {', '.join(ON_LONG)}")
        if self.date is not None:
            try:
                datetime.date.fromisoformat(self.date)
            except (TypeError, ValueError):
                raise InputError(f"date is {self.date!r}; write it as 2026-11-28") from None
        if self.adapted_layers is not None and self.adapted_layers < 1:
            raise InputError(
                f"adapted_layers is {self.adapted_layers}; at least 1 block has to carry adapters: "
                "--adapted-layers 1"
            )

    def _shown(self) -> tuple[str, dict[str, str]]:
        return f"Study {self.name}", study_in_facts(self)

    @property
    def bases(self) -> tuple[str, ...]:
        """All bases, the first one first."""
        return (self.base, *self.further_bases)

    @property
    def variants(self) -> int:
        """How often the grid is trained: once for each base and combination of varied settings."""
        return len(self.bases) * len(combinations(self.vary))

    def parts(self) -> "list[Study]":
        """Return the studies of one base and one value of what is prepared together; often itself."""
        shared = {name: values for name, values in self.vary.items() if name in OF_PART}
        if not (shared or self.further_bases):
            return [self]
        rest = {name: values for name, values in self.vary.items() if name not in OF_PART}
        return [
            replace(self, base=base, further_bases=(), vary=rest, **own)
            for base in self.bases
            for own in combinations(shared)
        ]

    @property
    def day(self) -> datetime.date | None:
        """The day of :attr:`date`."""
        return None if self.date is None else datetime.date.fromisoformat(self.date)

    def dataset(self) -> Dataset:
        """Read the data.

        Raises:
            InputError: If it can't be used.
        """
        separate = None if self.heldout_file is None else Path(self.heldout_file)
        count = self.heldout if separate is None else None
        found = load_dataset(
            self.data,
            heldout=count,
            heldout_file=separate,
            others=self.others,
            on_empty=self.on_empty,
            on_bad=self.on_bad,
            on_shared=self.on_shared,
            mapping=self.mapping or None,
            read_as=self.read_as,
            evals=self.evals,
        )
        return with_columns(found, columns_read(self.qualities), self.pair_key)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, from which :meth:`from_dict` makes an equal study."""
        values = asdict(self) | {"qualities": [quality.to_dict() for quality in self.qualities]}
        values["grown"] = [[place.to_dict() for place in batch] for batch in self.grown]
        later = ("grown", "others", "pair_key", "mapping", "read_as", "evals", "metrics")
        for name in (*later, "further_bases", "vary"):
            if not values[name]:
                del values[name]  # earlier versions read every study that doesn't need it
        for name, usual in USUAL.items():
            if values[name] == usual:
                del values[name]  # and every one that does what they did
        return json.loads(json.dumps(values))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Study":
        """Read :meth:`to_dict`'s form; fields that it lacks take their defaults.

        Raises:
            InputError: If a field is unknown or has an impossible value.
        """
        try:
            axes = {axis: tuple(values[axis]) for axis in ("sizes", "seeds")}
            axes |= {name: tuple(values.get(name, ())) for name in ("others", "metrics", "further_bases")}
            axes["evals"] = tuple((str(name), str(file)) for name, file in values.get("evals", ()))
            qualities = tuple(Quality(**quality) for quality in values["qualities"])
            settings = dict(values.get("settings", {}))
            if "targets" in settings:
                settings["targets"] = tuple(settings["targets"])
            grown = tuple(tuple(map(Place.from_dict, batch)) for batch in values.get("grown", ()))
            vary = {
                name: tuple(tuple(one) if isinstance(one, list) else one for one in own)
                for name, own in values.get("vary", {}).items()
            }
            read = {"qualities": qualities, "settings": settings, "grown": grown, "vary": vary}
            study = cls(**{**values, **axes, **read})
        except InputError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(f"the study's description can't be read: {error}") from error
        texts = (study.name, study.data, *study.bases, *study.others)
        if not all(isinstance(text, str) for text in texts) or not all(
            isinstance(number, int) for number in (*study.sizes, *study.seeds)
        ):
            raise InputError("the study's description can't be read: a name is no text, or a size no number")
        return study

    def first_layer(self, layers: int) -> int:
        """Return the lowest block with an adapter, on a base of so many blocks."""
        return max(0, layers - (self.adapted_layers or layers))

    def cells(self, **common: Any) -> list[CellConfig]:  # noqa: ANN401 - fields of CellConfig
        """Return every cell: part by part the grid, sizes innermost, then what the study has grown by.

        ``common`` adds what is known after loading; where the bases are several, ask each of :meth:`parts`. A
        precision of "auto" counts as float32 until :func:`workbench.studies.plan.plan` has chosen one.
        """
        return [
            CellConfig(
                data=part.data,
                base=part.base,
                quality=place.quality,
                size=place.size,
                seed=place.seed,
                size_in=part.size_in,
                **{
                    "precision": "float32" if part.precision == "auto" else part.precision,
                    "loss_on": part.loss_on,
                    **with_settings(part.settings, own),
                    **common,
                },
            )
            for part in self.parts()
            for batch in part.batches()
            for own in combinations(part.vary)
            for place in batch
        ]

    def batches(self) -> list[list[Place]]:
        """Return the places of the grid, then those of each batch that it has grown by; none twice."""
        grid = [
            Place(quality=quality, size=size, seed=seed)
            for quality in self.qualities
            for seed in self.seeds
            for size in self.sizes
        ]
        seen: set[Place] = set()
        batches = []
        for batch in (grid, *self.grown):
            new = [place for place in batch if place not in seen]
            seen.update(new)
            batches += [new] if new else []
        return batches


def place_of(cell: CellConfig) -> Place:
    """Return where a cell stands in its study."""
    return Place(quality=cell.quality, size=cell.size, seed=cell.seed)


def by_budget(budget: str, coffee: Any, lunch: Any, night: Any) -> Any:  # noqa: ANN401 - any value per budget
    """Return the value of one budget."""
    if budget not in BUDGETS:
        raise unknown_name("budget", budget, BUDGETS, "src/workbench/studies/grid.py")
    return {"coffee": coffee, "lunch": lunch, "night": night}[budget]


def damaged_qualities(corruption: str, shares: Sequence[float]) -> tuple[Quality, ...]:
    """Return the clean quality and one for each share of examples left as they were."""
    return (Quality(), *(Quality(corruption=corruption, share=share) for share in shares))


def seeds(budget: str) -> tuple[int, ...]:
    """Return the seeds of a budget; three are the fewest that show their own noise."""
    return tuple(range(by_budget(budget, 3, 4, 5)))


def verbs(budget: str) -> Study:
    """Return the classroom study: English past tense on the shipped character model."""
    shares = by_budget(budget, (0.75, 0.5), (0.9, 0.75, 0.5), (0.95, 0.9, 0.75, 0.5, 0.25))
    sizes = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
    return Study(
        name="verbs",
        data="verbs",
        base="classroom",
        qualities=damaged_qualities("other_form", shares),
        sizes=by_budget(budget, sizes[1:8:2], sizes[1:8], sizes),
        seeds=seeds(budget),
        template="verbs",
    )


def raters(budget: str) -> Study:
    """Return the study on human labels: how many raters for each of how many texts."""
    counts = by_budget(budget, (1, 3, None), (1, 2, 3, 5, None), (1, 2, 3, 5, 10, None))
    flips = by_budget(budget, (), (0.8,), (0.9, 0.8, 0.6))
    sizes = (32, 64, 128, 256, 512, 1024, 2048, 4096)
    return Study(
        name="raters",
        data="raters",
        base="smollm2-135m",
        qualities=(
            *(Quality(raters=count) for count in counts),
            *(Quality(corruption="flip", share=share) for share in flips),
        ),
        sizes=by_budget(budget, sizes[::2][:3], sizes[::2], sizes),
        seeds=seeds(budget),
        template="verbatim",
        adapted_layers=LARGE_BASE_LAYERS,
        settings=dict(LARGE_BASE_SETTINGS),
    )


def gsm8k(budget: str) -> Study:
    """Return the study on solutions of school mathematics: the right against the wrong, in pairs."""
    mixed = by_budget(budget, (), (0.5,), (0.75, 0.5, 0.25))
    right, wrong = "solution=right", "solution=wrong"
    sizes = (8, 16, 32, 64, 128, 256)
    return Study(
        name="gsm8k",
        data="gsm8k",
        base="smollm2-135m",
        qualities=(
            Quality(pool=right),
            *(Quality(pool=f"{share:g}*{right}+{1 - share:g}*{wrong}") for share in mixed),
            Quality(pool=wrong),
        ),
        sizes=by_budget(budget, sizes[1::2], sizes[1:], sizes),
        seeds=seeds(budget),
        adapted_layers=LARGE_BASE_LAYERS,
        # solutions are long: half of the examples in a step make it a study of minutes
        settings={**LARGE_BASE_SETTINGS, "batch_size": 4},
    )


STUDIES = {"verbs": verbs, "raters": raters, "gsm8k": gsm8k}
