"""A study in words, as a notebook and ``--dry-run`` show it."""

import math
from typing import Any

from workbench.studies.variants import value_in_words


def study_in_facts(study: Any) -> dict[str, str]:  # noqa: ANN401 - a Study, whose module imports this one
    """Return what a study is, by name: its cells, bases, data and axes, and what it was asked for besides."""
    counts = [len(axis) for axis in (study.qualities, study.sizes, study.seeds)]
    grid = "{} qualities x {} sizes x {} seeds".format(*counts)
    grid = f"{study.variants} variants x {grid}" if study.variants > 1 else grid
    facts = {
        "cells": f"{grid} = {study.variants * math.prod(counts)} cells",
        "bases" if study.further_bases else "base": ", ".join(study.bases),
        "data": ", ".join((study.data, *study.others)),
        **({"evals": ", ".join(f"{name}={file}" for name, file in study.evals)} if study.evals else {}),
        "qualities": ", ".join(quality.label for quality in study.qualities),
        "sizes": ", ".join(map(str, study.sizes)) + (" tokens" if study.size_in == "tokens" else ""),
        "seeds": ", ".join(map(str, study.seeds)),
    }
    for name, values in study.vary.items():
        facts[f"varied {name.replace('_', ' ')}"] = ", ".join(map(value_in_words, values))
    if study.metrics:
        facts["metrics"] = ", ".join(study.metrics)
    if study.grown:
        facts["grown"] = f"{sum(map(len, study.grown))} cells beside the grid"
    if study.settings:
        facts["settings"] = ", ".join(f"{name} {value}" for name, value in study.settings.items())
    return facts
