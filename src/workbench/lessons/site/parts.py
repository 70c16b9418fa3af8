"""What the page's parts show: everything that a kernel would compute, as JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import InputError
from workbench.laws import Analysis, read_table
from workbench.laws.bootstrap import bootstrap
from workbench.laws.in_words import readable
from workbench.laws.problems import fit_table, misfit
from workbench.laws.thresholds import trusted
from workbench.lessons.budget import SLIDER_STEPS, Game
from workbench.studies.disk.store import Store
from workbench.views.answers import Answers
from workbench.views.cell_map import CellMap
from workbench.views.explore import example_row, guess_question
from workbench.views.law_state import law_state
from workbench.views.points import TableRow, axis_words
from workbench.views.variants import explored, refuse_several

LAWS_OF_SHARE = ("noise_floor", "quality_exponent")
"""Laws of size and quality of which the one that fits better is explored, as in notebook 6."""
RESAMPLES = 100
"""Resamples behind its bands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SitePart:
    """One part of the page."""

    name: str
    data: Any = None
    """JSON values."""
    why_not: str = ""
    """Why this study has no such part, in a sentence; empty where it has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A study, and what was found in it."""

    store: Store
    table: Sequence[TableRow]
    answers: Answers
    page: dict[str, Any] = field(default_factory=dict)
    """What the report's page shows; see ``explore.page_data``."""


def explore_part(told: Told) -> Any:  # noqa: ANN401 - JSON values
    """Return the charts to explore."""
    if not told.page["metrics"]:
        raise InputError("nothing was measured")
    return told.page["metrics"]


def exchange_part(told: Told) -> Any:  # noqa: ANN401 - JSON values
    """Return the exchange rates, and the pair and size to begin with."""
    pairs = told.page["pairs"]
    if not pairs:
        raise InputError("no rate can be given; the answer above says why")
    place = len(pairs[0]["size"]) // 2
    reached = [at for at, pair in enumerate(pairs) if pair["median"][place] is not None]
    return {"pairs": pairs, "pair": reached[0] if reached else 0, "place": place}


def guess_part(told: Told) -> Any:  # noqa: ANN401 - JSON values
    """Return the line that people guess before they see the answer, with an example of what it is about.

    It is of the first metric that says something, and of the quality that the first sentence is about.
    """
    refuse_several(told.store.manifest, "a guess")
    question = guess_question(told.table, _speaking(told))
    changed = [
        one for one in told.store.manifest.examples if readable(one["quality"]) == question["names"][1]
    ]
    example = next((dict(one) for one in changed if "before" in one), None)
    return {"question": question, "example": example}


def game_part(told: Told) -> Any:  # noqa: ANN401 - JSON values
    """Return the budget game with what every decision leads to: each round, at each step of the slider."""
    refuse_several(told.store.manifest, "the budget game")
    study = _speaking(told)
    reference, *others = study.curves
    if not others:
        raise InputError("there is one quality, so nothing to choose between")
    game = Game(study, clean=reference, worse=others[-1])
    plays = [
        [game.play(one, step / SLIDER_STEPS).to_json() for step in range(SLIDER_STEPS + 1)]
        for one in game.rounds
    ]
    # the curve behind a round is the same for each decision
    curves = [own[0]["curve"] for own in plays]
    for decision in (decision for own in plays for decision in own):
        del decision["curve"]
    return {"rules": game.rules(saves=False), "plays": plays, "curves": curves}


def law_part(told: Told) -> Any:  # noqa: ANN401 - JSON values
    """Return one law for all qualities, with what the page needs to compute it anywhere.

    A law that misses the measurements is left out: its rates would contradict the answer on the same page.
    """
    refuse_several(told.store.manifest, "one law of size and quality")
    if len({row["quality"] for row in told.table if row["size"] > 0}) < 2:
        raise InputError("there is one quality, so nothing to vary")
    table = read_table(told.table, name=str(told.store.folder))
    fits = [fit_table(table, "loss", law) for law in LAWS_OF_SHARE]
    best = min(fits, key=lambda fit: fit.objective)
    probability = misfit(best)
    if not trusted(probability):
        raise InputError(
            f"the better of {' and '.join(LAWS_OF_SHARE)} misses the measurements by more than their noise "
            f"explains (p = {probability:.2g}), so its rates would contradict the answer above"
        )
    return law_state(bootstrap(best, RESAMPLES, workers=1))


def examples_part(told: Told) -> Any:  # noqa: ANN401 - JSON values
    """Return the examples of what qualities do that the study has recorded."""
    found = told.store.manifest.examples
    if not found:
        raise InputError("the study has recorded none")
    return [example_row({**one, "quality": readable(one["quality"])}) for one in found]


def map_part(told: Told) -> Any:  # noqa: ANN401 - JSON values
    """Return every metric's map of quality and size, and the runs behind each cell."""
    refuse_several(told.store.manifest, "a map of the cells")
    cells = CellMap.read(told.store)
    return {
        "metrics": [[name, axis_words(name)] for name in cells.metrics],
        "metric": next(iter(told.answers.studies), cells.metrics[0]),
        "grids": {name: cells.grid(name) for name in cells.metrics},
        "details": [
            [cells.detail(row, column, told.store) for column in range(len(cells.sizes))]
            for row in range(len(cells.qualities))
        ],
    }


def _speaking(told: Told) -> Analysis:
    """Return the analysis of the first metric that says something."""
    study = next((one for one in told.answers.studies.values() if one.silent is None), None)
    if study is None:
        raise InputError("no metric says anything yet; the answer above says why")
    return study


SITE_PARTS: dict[str, tuple[str, Callable[[Told], Any]]] = {
    "guess": ("The guess", guess_part),
    "explore": ("The charts to explore", explore_part),
    "exchange": ("The exchange rate to slide along", exchange_part),
    "game": ("The budget game", game_part),
    "law": ("One law for all qualities", law_part),
    "map": ("The map of all cells", map_part),
    "examples": ("Examples of the data", examples_part),
}
"""Each part with what it is called where it is left out, and what makes it."""


def site_parts(store: Store, table: Sequence[TableRow], found: Answers) -> tuple[SitePart, ...]:
    """Return every part of a study's page; one that the study can't have says why."""
    told = Told(store=store, table=table, answers=found, page=explored(table, found))
    parts = []
    for name, (title, make) in SITE_PARTS.items():
        try:
            parts.append(SitePart(name=name, data=make(told)))
        except InputError as error:
            parts.append(SitePart(name=name, why_not=f"{title}: {str(error).rstrip('.')}."))
    return tuple(parts)
