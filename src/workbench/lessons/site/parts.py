"""What the page's parts show: everything that a kernel would compute, as JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import InputError
from workbench.studies.disk.store import Store
from workbench.views.answers import Answers
from workbench.views.explore import guess_question
from workbench.views.points import TableRow, readable
from workbench.views.variants import explored, refuse_several


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
    study = next((one for one in told.answers.studies.values() if one.silent is None), None)
    if study is None:
        raise InputError("no metric says anything yet; the answer above says why")
    question = guess_question(told.table, study)
    changed = [
        one for one in told.store.manifest.examples if readable(one["quality"]) == question["names"][1]
    ]
    example = next((dict(one) for one in changed if "before" in one), None)
    return {"question": question, "example": example}


SITE_PARTS: dict[str, tuple[str, Callable[[Told], Any]]] = {
    "guess": ("The guess", guess_part),
    "explore": ("The charts to explore", explore_part),
    "exchange": ("The exchange rate to slide along", exchange_part),
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
