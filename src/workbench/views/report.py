"""A study's report: one page to read and explore without a network, the figure for a paper, and the table.

Everything is made from the study's folder, so it can be made again at any time, on any machine.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.laws.in_words import readable
from workbench.laws.thresholds import LEVEL
from workbench.studies.disk.manifest import Manifest
from workbench.studies.disk.store import Store
from workbench.views.advice import CELL_HEADINGS, AdvicePart, advice_part
from workbench.views.answers import Answers, by_worth, check_finished
from workbench.views.board_figures import empty
from workbench.views.explore import inline_json, page_style, script, sha256_source
from workbench.views.figures import quality_by_size
from workbench.views.filter_figures import by_seconds
from workbench.views.filters import Filters, filters_of
from workbench.views.inline import inline_figure
from workbench.views.points import Point, TableRow, axis_words, digits, measured, points, unit_in
from workbench.views.style import save_figure
from workbench.views.variants import explored, refuse_several, study_answers, with_variant
from workbench.views.words import bytes_in_words, flat, seconds_in_words

SHOWN_APART = ("examples", "prediction", "actual", "filtering")
"""Parts of the manifest that the page shows in their own place, not among the facts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Where a report is and what it says first."""

    page: Path
    figure: Path
    table: Path
    sentence: str
    further: tuple[str, ...]
    """What else it says first: where evaluation sets say the opposite, and the answer of each further one."""
    silences: tuple[str, ...]
    """Which metrics say nothing about the qualities, why, and what to judge by instead."""


def write_report(folder: Path | str) -> Report:
    """Write ``report/`` into a study's folder: index.html, figure.pdf, .svg, .png and table.csv.

    Raises:
        InputError: If the folder holds no study, it has no finished cell yet, or it can't be written. A study
            whose every cell failed is finished too.
    """
    folder = Path(folder)
    with Store.open(folder, read_only=True) as store:
        manifest, table = store.manifest, store.table()
        check_finished(folder, manifest, table)
        found = study_answers(store, table)
        advice = _advice(store, found)
        filters = None if found.variants else filters_of(store, table, found.studies)
    target = folder / "report"
    facets = {label: one.fits for label, one in found.variants.items()}
    drawn = quality_by_size(table, fits=found.fits, facets=facets) if by_worth(table) else None
    figure = drawn or empty("no finished cell")
    pdf, *_ = save_figure(figure, target)
    write_atomically(target / "table.csv", table_csv(table))
    compared = None if filters is None else _filters(filters, table, target)
    page = render_report(manifest, table, found, advice, inline_figure(figure, styled=False), compared)
    write_atomically(target / "index.html", page.encode())
    return Report(
        page=target / "index.html",
        figure=pdf,
        table=target / "table.csv",
        sentence=found.leads[0],
        further=found.leads[1:],
        silences=found.silences,
    )


def render_report(
    manifest: Manifest,
    table: Sequence[TableRow],
    found: Answers,
    advice: AdvicePart,
    figure: str,
    filters: dict[str, Any] | None = None,
) -> str:
    """Return the page, with ``figure`` as HTML in it; every text that comes from data is escaped."""
    cells = [row for row in table if row["size"] > 0]
    zero = [row for row in table if row["size"] == 0]
    metrics = measured(table)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    code = script()
    return environment.get_template("report.html").render(
        title=f"{manifest.study.name or 'Study'}: clean the data, or collect more of it?",
        grid=grid_in_words(manifest, cells),
        unit=unit_in(cells),
        headline=found.headline,
        details=found.details,
        sentences=found.sentences[1:],
        silences=found.silences,
        warnings=list(_warnings(with_variant(cells))),
        figure=Markup(figure),
        caption=caption_in_words(manifest, cells),
        filters=filters,
        tables=found.tables,
        level=f"{LEVEL:.0%}",
        notes=found.notes,
        advice=advice,
        advice_headings=CELL_HEADINGS,
        data=Markup(inline_json(explored(table, found))),
        script=Markup(code),
        script_source=Markup(sha256_source(code)),
        page_style=Markup(page_style()),
        metrics=[axis_words(metric) for metric in metrics],
        zero_shot=[_share(zero[0].get(metric)) for metric in metrics] if zero else [],
        lines=list(_lines(with_variant(cells), metrics)),
        cells=[_cell(row, metrics) for row in with_variant(cells)],
        costs=list(_costs(manifest)),
        changed=[example for example in _examples(manifest) if "before" in example],
        chosen=[example for example in _examples(manifest) if "reason" in example],
        left_out=manifest.data.notes,
        licences=list(licences(manifest)),
        facts=list(flat(_facts(manifest))),
    )


def _advice(store: Store, found: Answers) -> AdvicePart:
    """Return what to do next; why nothing is planned where the study has several variants."""
    try:
        refuse_several(store.manifest, "planning the next cells")
    except InputError as error:
        return AdvicePart(sentences=(f"{str(error)[0].upper()}{str(error)[1:]}.",))
    return advice_part(store, found.studies)


def _filters(filters: Filters, table: Sequence[TableRow], target: Path) -> dict[str, Any]:
    """Write the figure about filters and return what the page says of them."""
    timed = any(one.price is not None for one in filters.answers)
    figure = by_seconds(table, filters) if timed else None
    if figure:
        save_figure(figure, target, "filters")
    return {
        "headings": filters.headings,
        "rows": filters.rows,
        "sentences": filters.sentences,
        "notes": filters.notes,
        "names": [one.name for one in filters.answers],
        "by_size": filters.by_size,
        "figure": figure and Markup(inline_figure(figure, styled=False)),
    }


def table_csv(table: Sequence[TableRow]) -> bytes:
    """Return the table as CSV, without what differs between two runs of one study: the seconds."""
    buffer = io.StringIO()
    names = [name for name in table[0] if name != "seconds"]
    writer = csv.DictWriter(buffer, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return buffer.getvalue().encode()


def grid_in_words(manifest: Manifest, cells: Sequence[TableRow]) -> str:
    """Return in a line what a study is: its grid, its base, how much of it is done, when it began."""
    counts = {name: len({row[name] for row in cells}) for name in ("quality", "size", "seed")}
    qualities = "quality" if counts["quality"] == 1 else "qualities"
    done = sum(row["status"] == "done" for row in cells)
    base = ", ".join(one.name or "" for one in manifest.bases) or manifest.base.name or cells[0]["base"]
    variants = f"{manifest.study.variants} variants × " if manifest.study.variants > 1 else ""
    grid = f"{variants}{counts['quality']} {qualities} × {counts['size']} sizes × {counts['seed']} seeds"
    begun = (manifest.started or "")[:16].replace("T", " ")
    return (
        f"{grid} on {base}: "
        f"{done} of {manifest.study.cells or len(cells)} cells done. {begun}"
        f"{_growth(manifest)}"
    )


def _growth(manifest: Manifest) -> str:
    """Say by which rules a study grew and how that ended; nothing for one whose every cell was asked for."""
    decisions = manifest.growth.decisions
    if not decisions:
        return ""
    rules = ", then ".join(dict.fromkeys(one.rule or "a rule that was not recorded" for one in decisions))
    chosen, last = sum(one.cells or 0 for one in decisions), decisions[-1]
    ending = f"The last look: {last.why}." if last.cells else f"It ended: {last.why}."
    return f" Not a full grid: {chosen} of the cells were chosen while it ran, by {rules}. {ending}"


def _warnings(cells: Sequence[TableRow]) -> Iterator[str]:
    for row in cells:
        if row["status"] != "done":
            cell = f"{readable(row['quality'])}, {row['size']} {unit_in([row]).many}, seed {row['seed']}"
            yield f"{cell} {row['status']}: {row['failure'] or 'no reason was recorded'}."


def caption_in_words(manifest: Manifest, cells: Sequence[TableRow]) -> str:
    """Return what stands below the figure: on what cells are judged, and how they were trained."""
    heldout = manifest.data.heldout_records
    judged = f"{heldout} held-out records" if heldout else "held-out records"
    for name, one in manifest.data.evals.items():
        judged += f" and {one.records or 'the'} records of {name!r}"
    steps = sorted({row["steps"] for row in cells})
    amount = f"{steps[0]}" if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
    ranks = sorted({row["rank"] for row in cells})
    rank = f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}"
    facets = " One row a variant." if "vary" in cells[0] else ""
    return (
        f"Quality against size, judged on {judged}.{facets} Every cell trained a rank-{rank} adapter for "
        f"{amount} steps. The dotted line is the base without training."
    )


def _lines(cells: Sequence[TableRow], metrics: Sequence[str]) -> Iterator[dict[str, Any]]:
    by_metric = {metric: points(cells, metric) for metric in metrics}
    epochs: dict[tuple[str, int], list[float]] = {}
    seeds: dict[tuple[str, int], int] = {}
    for row in cells:
        epochs.setdefault((row["quality"], row["size"]), []).append(row["epochs"])
        if row["status"] == "done":
            seeds[row["quality"], row["size"]] = seeds.get((row["quality"], row["size"]), 0) + 1
    previous = None
    for quality, size in epochs:
        yield {
            "first": quality != previous,
            "quality": readable(quality),
            "size": size,
            "seeds": seeds.get((quality, size), 0),
            "epochs": f"{fmean(epochs[quality, size]):.2g}",
            "metrics": [_range(by_metric[metric].get(quality, []), size) for metric in metrics],
        }
        previous = quality


def _range(line: Sequence[Point], size: int) -> str:
    for point in line:
        if point.size == size:
            return f"{digits(point.mean)} ({digits(point.low)} to {digits(point.high)})"
    return "missing"


def _cell(row: TableRow, metrics: Sequence[str]) -> dict[str, Any]:
    seconds = row["seconds"]
    return {
        "quality": readable(row["quality"]),
        "size": row["size"],
        "seed": row["seed"],
        "metrics": [_share(row.get(metric)) for metric in metrics],
        "seconds": "" if seconds is None else f"{seconds:.1f}",
        "status": row["status"],
    }


def _share(value: float | None) -> str:
    return "missing" if value is None else digits(value)


def _costs(manifest: Manifest) -> Iterator[tuple[str, str, str, str]]:
    predicted, actual = manifest.prediction, manifest.actual
    for name, one, two, words in (
        ("wall time", predicted.seconds, actual.seconds, seconds_in_words),
        ("peak memory", predicted.peak_bytes, actual.peak_bytes, bytes_in_words),
        ("peak memory of the card", predicted.card_bytes, actual.card_peak_bytes, bytes_in_words),
    ):
        if one is not None or two is not None:
            said = ["not recorded" if value is None else words(value) for value in (one, two)]
            yield name, said[0], said[1], f"{one / two:.2f}" if one and two else ""


def _facts(manifest: Manifest) -> dict[str, Any]:
    """Return what the page shows among the facts: all that has no place of its own."""
    facts = {name: value for name, value in manifest.to_json().items() if name not in SHOWN_APART}
    if "notes" in facts.get("data", {}):
        facts["data"] = {name: value for name, value in facts["data"].items() if name != "notes"}
    return facts


def _examples(manifest: Manifest) -> list[dict[str, str]]:
    return [{**example, "quality": readable(example["quality"])} for example in manifest.examples]


def licences(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield the data, each base and the workbench with what they are and under which licence."""
    data, base = manifest.data, manifest.base
    for part, texts in (
        ("data", (data.name, data.origin, data.licence)),
        *(("base", (one.name, one.licence)) for one in manifest.bases or (base,)),
    ):
        yield part, ". ".join(text for text in texts if text) or "not recorded"
    yield "workbench", "MIT"
