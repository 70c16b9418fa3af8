"""What a ladder's runs say of the next rung: the additive law, its prediction before the rung is trained.

Each prediction is written with the time at which it was made and the runs that it was made from, before the
first run of its rung begins. Beside it stand two rules that need no law.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from workbench.columns import Columns
from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.ladder.folder import PREDICTIONS, LadderFolder
from workbench.ladder.rungs import LadderPlan, parameters
from workbench.ladder.training import Trained, moment
from workbench.laws.analysis import analyse
from workbench.laws.baselines import LAST_VALUE, LINE, Courses, last_value, line
from workbench.laws.measurement import Measurement
from workbench.laws.table import Table, read_table
from workbench.laws.thresholds import LEVEL, TAILS

ADDITIVE = "chinchilla"
"""The law of model size and tokens: E + A N^-alpha + B D^-beta."""


def table_of(rows: Sequence[Trained]) -> Table:
    """Return a ladder's runs as a table that laws read: model, size in tokens, seed, loss."""
    return read_table(
        Columns(
            [
                {"model": row.parameters, "size": row.tokens, "seed": row.seed, "loss": row.loss}
                for row in rows
            ],
            measured_here=True,
        ),
        name="the ladder",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Predicted:
    """A rung's loss as it was predicted.

    Attributes:
        tokens: Of each of its runs.
        made: When, before the rung was trained.
        made_from: The runs that were done then.
        law, constants: The most probable fit.
        expected: Of the mean over the rung's seeds.
        low, high: Interval of ``LEVEL`` of that mean: of the law, and of the noise of so many seeds.
        rules: What rules without a law say, by their names.
    """

    width: int
    parameters: int
    tokens: float
    seeds: int
    made: str
    made_from: tuple[str, ...]
    law: str
    constants: dict[str, float]
    expected: float
    low: float
    high: float
    rules: dict[str, float]


@dataclass(frozen=True, slots=True)
class MetPrediction:
    """A prediction and what was measured then."""

    predicted: Predicted
    losses: tuple[float, ...]
    """Of the rung's seeds at the ladder's own tokens a parameter."""
    began: str
    """When the first run of the rung began."""

    @property
    def measured(self) -> float:
        """The mean over the seeds."""
        return float(np.mean(self.losses))

    @property
    def error(self) -> float:
        """How far the prediction was off, as a share of what was measured; above 0 it was too high."""
        return self.predicted.expected / self.measured - 1

    @property
    def within(self) -> bool:
        """Whether the mean measured lies in the interval."""
        return self.predicted.low <= self.measured <= self.predicted.high

    def errors_of_rules(self) -> dict[str, float]:
        """Return by how far each rule without a law was off, in the same way."""
        return {name: value / self.measured - 1 for name, value in self.predicted.rules.items()}

    def sentence(self) -> str:
        """Say what was predicted, and what came."""
        one, seeds = self.predicted, len(self.losses)
        rules = ", ".join(f"{name} {error:+.1%}" for name, error in self.errors_of_rules().items())
        return (
            f"{one.parameters:,} parameters: predicted {one.expected:.4f} ({one.low:.4f} to {one.high:.4f}), "
            f"measured {self.measured:.4f} over {seeds} seed{'s' * (seeds > 1)}: off by {self.error:+.2%}, "
            f"{'within' if self.within else 'outside'} the {LEVEL:.0%} interval. Without a law: {rules}"
        )


def predict_rung(rows: Sequence[Trained], plan: LadderPlan, width: int) -> Predicted:
    """Predict the mean loss of a rung from runs of smaller ones.

    Raises:
        InputError: If the runs are too few for the law.
    """
    model = parameters(width)
    tokens = plan.ratio * model
    table = table_of(rows)
    analysis = analyse(table, "loss", law=ADDITIVE)
    (curve,) = analysis.curves.values()
    if analysis.law is None or analysis.noise is None:
        why = analysis.silent or "the runs are too few"
        raise InputError(f"nothing can be predicted of width {width}: {why}; add seeds or rungs")
    assert curve.model is not None
    drawn = curve.predict([tokens], model=float(model))[1:, 0]
    spread = float(analysis.noise.spread[np.argmax(curve.model == np.max(curve.model))])
    noise = np.random.default_rng(0).standard_normal(len(drawn)) * spread / len(plan.seeds) ** 0.5
    low, high = np.quantile(drawn + noise, TAILS)
    return Predicted(
        width=width,
        parameters=model,
        tokens=tokens,
        seeds=len(plan.seeds),
        made=moment(),
        made_from=tuple(row.run for row in rows),
        law=analysis.law.formula,
        constants=analysis.constants(curve.quality) or {},
        expected=float(np.median(drawn)),
        low=float(low),
        high=float(high),
        rules=rules_of(rows, plan, 6.0 * tokens * model),
    )


def rules_of(rows: Sequence[Trained], plan: LadderPlan, flops: float) -> dict[str, float]:
    """Return what rules without a law say of a rung that costs so many operations."""
    own = [row for row in rows if row.ratio == plan.ratio]
    cost = {row.width: row.flops for row in own}
    sizes = np.array(list(cost.values()))
    means = np.array([np.mean([row.loss for row in own if row.width == width]) for width in cost])
    asked = Measurement(quality="all", size=flops, seed=None, status="done", evaluation="", values={}, line=0)
    courses: Courses = {("all",): (sizes, means)}
    pairs = [(asked, ("all",))]
    return {
        LAST_VALUE: float(last_value(courses, pairs)[0]),
        LINE: float(line(courses, pairs, falling=True)[0]),
    }


def read_predictions(folder: LadderFolder) -> list[Predicted]:
    """Return the predictions of a ladder, in the order in which they were made.

    Raises:
        InputError: If the file is damaged.
    """
    path = folder.path / PREDICTIONS
    if not path.is_file():
        return []
    try:
        found = [_read(values) for values in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} is damaged: {error}; restore it: a prediction can't be made again afterwards"
        ) from error
    return found


def _read(values: Any) -> Predicted:  # noqa: ANN401 - whatever the file holds
    names = {field.name for field in fields(Predicted)}
    if not isinstance(values, dict) or set(values) != names:
        raise ValueError(f"{json.dumps(values)[:60]} is no prediction")
    return Predicted(**{**values, "made_from": tuple(values["made_from"])})


def predict_before(folder: LadderFolder, plan: LadderPlan, width: int) -> Predicted:
    """Predict a rung from all smaller ones and write it down; what was predicted before stays."""
    known = read_predictions(folder)
    for one in known:
        if one.width == width:
            return one
    made = predict_rung([row for row in folder.rows() if row.width < width], plan, width)
    text = json.dumps([asdict(one) for one in (*known, made)], indent=2) + "\n"
    write_atomically(folder.path / PREDICTIONS, text.encode())
    return made


def met_predictions(folder: LadderFolder, plan: LadderPlan) -> list[MetPrediction]:
    """Return the predictions whose rungs were trained since, with what was measured.

    Raises:
        InputError: If a run of a rung began before the rung was predicted: then it wasn't predicted.
    """
    rows, found = folder.rows(), []
    for one in read_predictions(folder):
        own = [row for row in rows if row.width == one.width]
        measured = [row.loss for row in own if row.ratio == plan.ratio]
        if len(measured) < one.seeds:
            continue
        began = min(row.began for row in own)
        if began <= one.made:
            raise InputError(
                f"{folder.path / PREDICTIONS}: width {one.width} is said to be predicted at {one.made}, and "
                f"a run of it began at {began}; that is no prediction: restore the file"
            )
        found.append(MetPrediction(one, tuple(measured), began))
    return found
