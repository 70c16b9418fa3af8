"""Figures look as they did when they were last looked at, and are the same bytes under the same matplotlib.

The numbers are made up and no law is fitted, so no processor's rounding is in them. A picture may differ by
what another version of matplotlib or FreeType draws; the bytes are compared where matplotlib's version is the
one that ``golden/hashes.json`` names. After a change that is meant, look at the new pictures:

    python tests/workbench/views/test_golden_figures.py
"""

import hashlib
import json
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from workbench.laws import Band, ExchangeRate, RateCurve
from workbench.views.board_figures import Line, heat_map, training_curves
from workbench.views.figures import quality_by_size
from workbench.views.law_figures import exchange_rate_curve
from workbench.views.style import COLUMN_INCHES, PAGE_INCHES, resize, to_bytes

GOLDEN = Path(__file__).parent / "golden"
DOTS = 100
"""An inch of the pictures that are kept."""
BLOCK = 10
"""Pixels a side of the blocks whose mean grey is compared: about a letter, so that edges don't count."""
CLOSE = 20.0
"""Of 255: how far a block may be off under another version of matplotlib; a letter that moves is further."""
SIZES = (32, 128, 512, 2048)
MEANS = {"clean": (0.70, 0.86, 0.90, 0.92), "50% other_form": (0.24, 0.33, 0.68, 0.82)}


def table():
    zero = {"quality": None, "size": 0, "status": "done", "loss": 1.8, "exact_match": 0.0}
    cells = [
        {
            "quality": quality,
            "size": size,
            "seed": seed,
            "status": "done",
            "exact_match": value,
            "loss": 1.25 - value,
        }
        for quality, means in MEANS.items()
        for size, mean in zip(SIZES, means, strict=True)
        for seed, value in enumerate((mean - 0.03125, mean, mean + 0.03125))
    ]
    return [zero, *cells]


def bands():
    sizes, spread = np.array(SIZES, dtype=float), np.full(4, 0.03125)
    return {
        quality: Band(quality, "fitted", sizes, mean, mean - spread, mean + spread, sizes, mean, spread)
        for quality, mean in ((quality, np.array(means)) for quality, means in MEANS.items())
    }


def rate():
    lost = np.inf
    curve = RateCurve(
        size=np.array(SIZES, dtype=float),
        median=np.array([4.0, 6.0, lost, lost]),
        low=np.array([2.0, 3.0, 5.0, lost]),
        high=np.array([8.0, lost, lost, lost]),
        sure_low=np.array([2.0, 3.0, 5.0, lost]),
        sure_high=np.array([8.0, lost, lost, lost]),
        not_reached=np.array([0.0, 0.2, 0.7, 1.0]),
        at_most=np.zeros(4),
    )
    return ExchangeRate(
        reference="clean",
        other="50% other_form",
        metric="exact_match",
        evaluation="heldout",
        smallest=32.0,
        tried=4096.0,
        rates=curve,
        useless=np.zeros(4),
        misfit=0.5,
        notes=(),
    )


def drawings():
    grid = {
        "qualities": list(MEANS),
        "sizes": list(SIZES),
        "axis": "training examples",
        "cells": [{"mean": mean} for means in MEANS.values() for mean in means],
        "title": "exact match",
        "better": "high",
    }
    curve = [2.0 / (1 + step / 8) for step in range(64)]
    return {
        "quality-by-size": (
            quality_by_size(table(), "exact_match", fits={"exact_match": bands()}),
            COLUMN_INCHES,
        ),
        "both-metrics": (quality_by_size(table()), PAGE_INCHES),
        "exchange-rate": (exchange_rate_curve(rate()), COLUMN_INCHES),
        "heat-map": (heat_map(grid), COLUMN_INCHES),
        "training-curves": (
            training_curves([Line(name="clean", group=0, x=range(64), y=curve)], logarithmic=True),
            COLUMN_INCHES,
        ),
    }


def files(figure, width):
    """Return the small picture that is kept, and the hash of each kind of file."""
    resize(figure, width)
    hashes = {kind: hashlib.sha256(to_bytes(figure, kind)).hexdigest() for kind in ("pdf", "svg", "png")}
    return to_bytes(figure, "png", dots=DOTS), hashes


def grey(picture):
    return np.asarray(picture.convert("L").reduce(BLOCK), dtype=float)


def farthest(before, now):
    assert before.size == now.size
    return float(np.abs(grey(before) - grey(now)).max())


@pytest.fixture(scope="module")
def made():
    return {name: files(*drawing) for name, drawing in drawings().items()}


@pytest.fixture(scope="module")
def kept():
    return json.loads((GOLDEN / "hashes.json").read_text())


NAMES = ("quality-by-size", "both-metrics", "exchange-rate", "heat-map", "training-curves")


@pytest.mark.parametrize("name", NAMES)
def test_it_looks_the_same(made, name):
    difference = farthest(Image.open(GOLDEN / f"{name}.png"), Image.open(BytesIO(made[name][0])))
    assert difference < CLOSE, f"{name} looks different: one place by {difference:.0f} of 255"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_same_bytes(made, kept, name):
    if kept["matplotlib"] != matplotlib.__version__:
        pytest.skip(f"the hashes are of matplotlib {kept['matplotlib']}, this is {matplotlib.__version__}")
    assert made[name][1] == kept["sha256"][name]


def test_every_picture_is_compared(made, kept):
    assert set(NAMES) == set(made) == set(kept["sha256"]) == {path.stem for path in GOLDEN.glob("*.png")}


def test_a_label_that_moved_is_seen(made):
    now = Image.open(BytesIO(made["heat-map"][0]))
    moved = now.copy()
    moved.paste(now.crop((0, 60, 80, 80)), (0, 68))
    assert farthest(now, moved) > CLOSE


if __name__ == "__main__":
    found = {name: files(*drawing) for name, drawing in drawings().items()}
    for name, (picture, _) in found.items():
        (GOLDEN / f"{name}.png").write_bytes(picture)
    hashes = {"matplotlib": matplotlib.__version__, "sha256": {name: one for name, (_, one) in found.items()}}
    (GOLDEN / "hashes.json").write_text(json.dumps(hashes, indent=1) + "\n")
