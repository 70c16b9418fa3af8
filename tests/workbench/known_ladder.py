"""Ladders whose truth is known: losses of a law that is said, with the noise of seeds."""

import numpy as np

from workbench.ladder.rungs import LadderPlan, parameters
from workbench.ladder.training import Trained

TRUTH = {"E": 0.3, "A": 40.0, "alpha": 0.4, "B": 900.0, "beta": 0.5}


def loss_of(model, tokens):
    return TRUTH["E"] + TRUTH["A"] * model ** -TRUTH["alpha"] + TRUTH["B"] * tokens ** -TRUTH["beta"]


def rows_of(plan: LadderPlan, noise: float = 0.003, seed: int = 0, shift=None) -> list[Trained]:
    """Return the rows of a ladder that follows the law; ``shift`` adds to the loss of some widths."""
    generator = np.random.default_rng(seed)
    rows = []
    for number, run in enumerate(plan.runs()):
        model = parameters(run.width)
        tokens = round(run.ratio * model)
        loss = loss_of(model, tokens) + (shift or {}).get(run.width, 0.0)
        rows.append(
            Trained(
                run=run.name,
                width=run.width,
                parameters=model,
                ratio=run.ratio,
                seed=run.seed,
                steps=100,
                tokens=tokens,
                flops=6.0 * model * tokens,
                epochs=1.0,
                loss=float(loss * (1 + noise * generator.standard_normal())),
                exact_match=0.5,
                seconds=1.0,
                began=f"2026-01-02T00:00:{number // 10:02d}.{number % 10}00+00:00",
                ended="2026-01-02T01:00:00.000+00:00",
                sha256="0" * 64,
            )
        )
    return rows
