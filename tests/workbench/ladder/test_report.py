"""The report of a ladder: a known truth with its intervals, curves by hand, a page, figures, tables."""

import csv
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from known_ladder import TRUTH, rows_of
from tiny_ladder import PLAN

from workbench.errors import InputError
from workbench.ladder import report
from workbench.ladder.folder import LadderFolder
from workbench.ladder.report import curves_of, ladder_findings, write_ladder_report
from workbench.ladder.rungs import LadderPlan, parameters
from workbench.views.ladder_figures import Forecasted, ladder_figure, rounding_figure, valley_figure
from workbench.views.style import to_bytes

LUNCH = LadderPlan(widths=(32, 40, 48, 56, 64, 80, 96), equal=(32, 40, 48, 56, 64), equal_seeds=(0, 1, 2))
"""Enough cells to tell the constants apart."""


@pytest.fixture(scope="module")
def law():
    return report._law(rows_of(LUNCH, noise=0.001))


def test_the_truth_lies_in_the_intervals(law):
    for one in law.constants:
        assert one.low <= TRUTH[one.name] <= one.high, one
        assert one.low < one.value < one.high
    assert law.misfit > 0.05
    assert "the runs agree with the law" in " ".join(law.sentences())


def test_a_law_that_does_not_hold_is_said_to_stray():
    rows = rows_of(LUNCH, noise=0.001, shift={56: 0.1})
    said = " ".join(report._law(rows).sentences())
    assert "stray from the law by more than their seeds do" in said


def test_too_few_runs_give_no_law():
    assert report._law(rows_of(LadderPlan(widths=(32, 40, 48)))) is None
    one_seed = replace(LUNCH, seeds=(0,), equal_seeds=(0,))
    assert report._law(rows_of(one_seed)) is None, "nothing tells the noise"


def test_curves_of_equal_arithmetic_hold_equal_arithmetic():
    curves = curves_of(rows_of(LUNCH))
    assert len(curves) == len(LUNCH.equal)
    for width, own in zip(LUNCH.equal, curves.values(), strict=True):
        flops = np.array([row.flops for row in own])
        assert flops == pytest.approx(120 * parameters(width) ** 2, rel=0.01)
        assert len({row.width for row in own}) >= 4


def test_the_whole_report(short_ladder, few_lessons, tmp_path):
    made, _ = short_ladder
    folder = LadderFolder(tmp_path / "ladder")
    for path in made.path.rglob("*"):
        if path.is_file() and path.name != "lock":
            target = folder.path / path.relative_to(made.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    found = ladder_findings(folder, PLAN, few_lessons)
    page = write_ladder_report(folder, found).read_text()
    for part in ("w016-r0.02-s0", "The additive law", "What fewer bits cost", "Divergence from float32"):
        assert part in page
    assert page.count('<svg role="img" aria-label="') == page.count("<svg") == page.count("<figcaption>") >= 2
    bits = page.index("<h2>What fewer bits cost")
    assert bits < page.index('aria-label="Divergence from float32') < page.index("<h2>When it was predicted")
    assert not re.search(r'(?:src|href)="(?!#)', page), "it loads nothing"
    with open(folder.path / "report" / "bits.csv", newline="") as file:
        bits = list(csv.DictReader(file))
    assert len(bits) == len(PLAN.widths) * len(PLAN.seeds) * 4
    assert {"ladder.pdf", "ladder.svg", "bits.png"} <= {p.name for p in (folder.path / "report").iterdir()}
    before = {p.name: p.read_bytes() for p in (folder.path / "report").iterdir()}
    write_ladder_report(folder, ladder_findings(folder, PLAN, few_lessons))
    assert {p.name: p.read_bytes() for p in (folder.path / "report").iterdir()} == before, "the same bytes"


def test_an_empty_ladder_is_told(tmp_path):
    with pytest.raises(InputError, match="has no finished run yet; go on with `workbench ladder`"):
        ladder_findings(LadderFolder(tmp_path), PLAN)


def test_figures_show_what_they_are_given(law):
    rows = [
        {"parameters": row.parameters, "ratio": row.ratio, "flops": row.flops, "loss": row.loss}
        for row in rows_of(LUNCH)
    ]
    figure = ladder_figure(rows, 20.0, law.fit, [Forecasted(1e13, 0.8, 0.7, 0.9)])
    (axes,) = figure.axes
    drawn = {line.get_label(): line for line in axes.lines}
    assert len(drawn["20 tokens a parameter"].get_xdata()) == len(LUNCH.widths) * 3
    assert len(drawn["other ratios"].get_xdata()) == len(rows) - len(LUNCH.widths) * 3
    x, y = drawn["additive law"].get_data()
    model = np.sqrt(x[7] / 120)
    assert y[7] == pytest.approx(law.fit.predict({"model": model[None], "size": 20 * model[None]})[0])
    assert len(to_bytes(figure, "pdf")) > 1000
    for draw, nothing in ((valley_figure, []), (rounding_figure, [])):
        with pytest.raises(InputError):
            draw(nothing)
    with pytest.raises(InputError, match="no finished run"):
        ladder_figure([], 20.0, None, [])
    bits = [
        {"parameters": size, "kind": kind, "seed": seed, "kl": value * (1 + seed)}
        for size in (1000, 2000)
        for kind, value in (("q8_0", 1e-5), ("q4_1", 1e-2))
        for seed in (0, 1)
    ]
    (axes,) = rounding_figure(bits).axes
    assert next(line.get_ydata() for line in axes.lines) == pytest.approx([1.5e-5, 1.5e-5])
    many = [{"parameters": 1000.0 * 1.05**n, "kind": "q8_0", "seed": 0, "kl": 1e-5} for n in range(20)]
    figure = rounding_figure(many)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels() if label.get_text()]
    assert len(boxes) > 2
    assert all(one.x1 < two.x0 for one, two in pairwise(boxes)), "labels of sizes touch"
    found = report._valleys(rows_of(LUNCH, noise=0.001))
    (axes,) = valley_figure(found).axes
    assert len(axes.lines) == 2 * len(LUNCH.equal)
