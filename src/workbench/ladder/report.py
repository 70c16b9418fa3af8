"""What a ladder shows: the law with intervals, curves of equal arithmetic, predictions, the cost of few bits.

All of it is made from the ladder's folder, so it can be made again at any time.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from workbench.columns import Columns
from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.ladder.folder import LadderFolder
from workbench.ladder.forecast import ADDITIVE, MetPrediction, met_predictions, table_of
from workbench.ladder.four_bits import RoundingCost, cost_of_rounding, sentence_on_order, sentence_on_size
from workbench.ladder.rungs import LadderPlan
from workbench.ladder.training import Lessons, Trained
from workbench.laws.bootstrap import bootstrap
from workbench.laws.fitting import Fit
from workbench.laws.isoflop import FEWEST_ON_A_CURVE, Valley, valleys
from workbench.laws.library import LAWS
from workbench.laws.problems import fit_table, misfit
from workbench.laws.table import read_table
from workbench.laws.thresholds import LEVEL, trusted
from workbench.models.loaders import load_base
from workbench.views.ladder_figures import Forecasted, ladder_figure, rounding_figure, valley_figure
from workbench.views.style import save_figure

SAME_FLOPS = 0.02
"""Runs whose operations differ by less than this share stand on one curve of equal arithmetic."""
LADDER_RESAMPLES = 400
LAW_HEADING, PREDICTIONS_HEADING, CURVES_HEADING, BITS_HEADING = (
    "The additive law",
    "Rungs predicted before they were trained",
    "Curves of equal arithmetic",
    "What fewer bits cost",
)
"""The headings of what is said."""
ABOUT_FIGURES = {
    "ladder": (
        PREDICTIONS_HEADING,
        "Held-out loss against operations of training, with the additive law and the predictions",
    ),
    "equal-arithmetic": (
        CURVES_HEADING,
        "Held-out loss against model size, a parabola for each curve of equal arithmetic",
    ),
    "bits": (
        BITS_HEADING,
        "Divergence from float32 against model size, one line a kind of numbers; a bar spans the seeds",
    ),
}
"""Under which heading each figure stands, and what it shows, in words."""
NO_LAW = "the additive law has five constants and needs more runs than it has"


@dataclass(frozen=True, slots=True)
class Constant:
    """A fitted constant with its interval."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FoundLaw:
    """The additive law of a ladder."""

    fit: Fit
    constants: tuple[Constant, ...]
    misfit: float | None

    def sentences(self) -> Iterator[str]:
        """Say the law, its constants, and how far to trust it."""
        fit = self.fit
        yield f"{fit.law.formula}, N parameters, D tokens: " + "; ".join(
            f"{one.name} = {one.value:.4g} ({one.low:.4g} to {one.high:.4g})" for one in self.constants
        )
        yield (
            f"fitted to {len(fit.problem.y)} cells, each a mean over seeds at one size and amount; "
            f"{fit.agreeing:.0%} of {fit.starts} starts of the search end there"
        )
        if fit.at_bounds:
            yield f"at a bound, which chose the value: {', '.join(fit.at_bounds)}"
        if self.misfit is None:
            yield "nothing is left over to disagree with the law"
        elif trusted(self.misfit):
            yield f"misfit p = {self.misfit:.2g}: the runs agree with the law, as far as their seeds tell"
        else:
            yield (
                f"misfit p = {self.misfit:.2g}: the runs stray from the law by more than their seeds do, so "
                "these intervals are too narrow; the predictions' allow for a smooth deviation, not for jumps"
            )


@dataclass(frozen=True, slots=True)
class LadderFindings:
    """All that a ladder says."""

    rows: tuple[Trained, ...]
    ratio: float
    law: FoundLaw | None
    valleys: tuple[Valley, ...]
    outcomes: tuple[MetPrediction, ...]
    costs: tuple[RoundingCost, ...]

    def sections(self) -> dict[str, list[str]]:
        """Return what is said, by heading."""
        return {
            LAW_HEADING: [*self.law.sentences()] if self.law else [NO_LAW],
            PREDICTIONS_HEADING: [one.sentence() for one in self.outcomes]
            or ["none yet: the first three rungs are what a prediction is made from"],
            CURVES_HEADING: [one.sentence() for one in self.valleys]
            or [f"none has {FEWEST_ON_A_CURVE} models"],
            BITS_HEADING: [sentence_on_order(self.costs), sentence_on_size(self.costs)]
            if self.costs
            else ["not measured"],
        }


def ladder_findings(folder: LadderFolder, plan: LadderPlan, known: Lessons | None = None) -> LadderFindings:
    """Return what a ladder says.

    Args:
        folder: With at least one run.
        plan: Whose ratio says which runs are the ladder's own.
        known: The held-out words, to measure the cost of few bits by; None leaves that out.

    Raises:
        InputError: If no run is done.
    """
    rows = folder.rows()
    if not rows:
        raise InputError(f"{folder.path} has no finished run yet; go on with `workbench ladder`")
    return LadderFindings(
        tuple(rows),
        plan.ratio,
        _law(rows),
        tuple(_valleys(rows)),
        tuple(met_predictions(folder, plan)),
        () if known is None else tuple(rounding_costs(folder, rows, plan, known)),
    )


def _law(rows: Sequence[Trained]) -> FoundLaw | None:
    cells = {(row.parameters, row.tokens) for row in rows}
    fewest = len(LAWS[ADDITIVE].parameters)
    if len(cells) <= fewest or len({row.parameters for row in rows}) < 3 or len(cells) == len(rows):
        return None
    fit = fit_table(table_of(rows), "loss", ADDITIVE)
    draws = bootstrap(fit, LADDER_RESAMPLES, workers=1)
    constants = [Constant(name, value, *draws.interval(name)) for name, value in fit.values.items()]
    return FoundLaw(fit, tuple(constants), misfit(fit))


def curves_of(rows: Sequence[Trained]) -> dict[str, list[Trained]]:
    """Return the runs of each curve of equal arithmetic that has enough models, the cheapest first."""
    curves: list[list[Trained]] = []
    for row in sorted(rows, key=lambda row: row.flops):
        if curves and row.flops <= curves[-1][0].flops * (1 + SAME_FLOPS):
            curves[-1].append(row)
        else:
            curves.append([row])
    kept = [own for own in curves if len({row.parameters for row in own}) >= FEWEST_ON_A_CURVE]
    return {f"{np.mean([row.flops for row in own]):.4g} operations": own for own in kept}


def _valleys(rows: Sequence[Trained]) -> list[Valley]:
    curves = curves_of(rows)
    if not curves:
        return []
    cells = [(name, row) for name, own in curves.items() for row in own]
    table = read_table(
        Columns(
            [
                {
                    "quality": name,
                    "model": row.parameters,
                    "size": row.tokens,
                    "seed": row.seed,
                    "loss": row.loss,
                }
                for name, row in cells
            ],
            measured_here=True,
        ),
        name="curves of equal arithmetic",
    )
    flops = {name: float(np.mean([row.flops for row in own])) for name, own in curves.items()}
    return valleys(table, "loss", flops, LADDER_RESAMPLES)


def rounding_costs(
    folder: LadderFolder, rows: Sequence[Trained], plan: LadderPlan, known: Lessons
) -> Iterator[RoundingCost]:
    """Yield what each kind of numbers costs each rung's seeds, measured on the held-out words."""
    own = [row for row in rows if row.ratio == plan.ratio]
    for width in dict.fromkeys(row.width for row in own):
        seeds = [row for row in own if row.width == width]
        found = [
            cost_of_rounding(load_base(folder.weights_of(row.run)).decoder, known.data.heldout)
            for row in seeds
        ]
        by_kind = {kind: tuple(one[kind] for one in found) for kind in found[0]}
        yield RoundingCost(seeds[0].parameters, by_kind)


def write_ladder_report(folder: LadderFolder, found: LadderFindings) -> Path:
    """Write ``report/`` into a ladder's folder, page, figures and tables; return the page's path.

    Raises:
        InputError: If it can't be written.
    """
    target = folder.path / "report"
    drawn_predictions = [
        Forecasted(6.0 * p.tokens * p.parameters, p.expected, p.low, p.high)
        for p in (one.predicted for one in found.outcomes)
    ]
    bits = list(_bits(found.costs))
    figures = {
        "ladder": ladder_figure(
            [asdict(row) for row in found.rows],
            found.ratio,
            found.law.fit if found.law else None,
            drawn_predictions,
        )
    }
    if found.valleys:
        figures["equal-arithmetic"] = valley_figure(found.valleys)
    if bits:
        figures["bits"] = rounding_figure(bits)
        write_atomically(target / "bits.csv", _csv(bits))
    drawn = {name: save_figure(figure, target, name)[1] for name, figure in figures.items()}
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["when"] = _when
    manifest = folder.manifest()
    page = environment.get_template("page.html").render(
        sections=found.sections(),
        figures=dict(_placed(drawn)),
        rows=found.rows,
        bits=bits,
        level=f"{LEVEL:.0%}",
        ratio=f"{found.ratio:g}",
        predictions=found.outcomes,
        facts={**manifest["settings"], **manifest["data"], **manifest["versions"]},
    )
    write_atomically(target / "index.html", page.encode())
    return target / "index.html"


def _placed(drawn: Mapping[str, Path]) -> Iterator[tuple[str, list[tuple[str, Markup]]]]:
    """Yield each heading with its figures and what they show."""
    for name, path in drawn.items():
        heading, about = ABOUT_FIGURES[name]
        yield heading, [(about, _inline(path, about))]


def _when(moment: str) -> str:
    """Return a time of the table as people read it."""
    return moment.replace("T", " ").replace("+00:00", " UTC")


def _inline(path: Path, about: str) -> Markup:
    """Return an SVG as an element of the page, with what it shows for those who don't see it."""
    text = path.read_text(encoding="utf-8")
    body = text[text.index("<svg") :].removeprefix("<svg")
    return Markup('<svg role="img" aria-label="{}"').format(about) + Markup(body)


def _bits(costs: Sequence[RoundingCost]) -> Iterator[Mapping[str, Any]]:
    for cost in costs:
        for kind, values in cost.by_kind.items():
            for seed, value in enumerate(values):
                yield {"parameters": cost.parameters, "kind": kind, "seed": seed, "kl": value}


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()
