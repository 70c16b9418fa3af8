"""Figures: what is in them, their size and fonts, and the same bytes every time."""

import hashlib
import json
import re
import subprocess
import sys
from html import escape
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from IPython.display import display
from IPython.utils.capture import capture_output

from workbench.errors import InputError
from workbench.laws import fit_curves, read_table
from workbench.views.figures import below, quality_by_size, spread
from workbench.views.points import points
from workbench.views.style import (
    COLUMN_INCHES,
    HEIGHT_INCHES,
    LABEL_POINTS,
    PAGE_INCHES,
    save_figure,
    to_bytes,
)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_points_span_their_seeds(table):
    clean = points(table, "exact_match")["clean"]
    values = [row["exact_match"] for row in table if row["quality"] == "clean" and row["size"] == 32]
    assert (clean[0].low, clean[0].high, clean[0].seeds) == (min(values), max(values), 3)
    assert clean[0].mean == pytest.approx(sum(values) / 3)
    assert list(points(table, "exact_match")) == ["clean", "25% other_form", "50% other_form"]


def test_a_failed_cell_is_no_point(table):
    broken = [row | {"status": "failed", "loss": None} if row["size"] == 128 else row for row in table]
    assert [point.size for point in points(broken, "loss")["clean"]] == [32, 512, 2048]


def test_loss_and_accuracy_stand_side_by_side(table):
    figure = quality_by_size(table)
    assert figure.get_size_inches().tolist() == [PAGE_INCHES, HEIGHT_INCHES]
    loss, accuracy = figure.axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("held-out loss (nats a token)", "exact match")
    assert loss.get_xscale() == "log"
    assert texts(accuracy) == ["zero-shot 0.00", "clean", "25% other form", "50% other form"]
    assert "zero-shot 4.20" in texts(loss)
    assert loss.get_title(loc="left") == "lines: mean of 3 seeds; bands: their range"


@pytest.mark.parametrize(("zero", "text"), [(4.2, "zero-shot 4.20"), (40.0, "zero-shot 40.00 ↑")])
def test_a_zero_shot_loss_far_away_is_an_arrow(table, zero, text):
    assert text in texts(quality_by_size(table, "loss", zero_shot={"loss": zero}).axes[0])


def test_the_band_is_the_range_of_the_seeds(table):
    axes = quality_by_size(table, "exact_match").axes[0]
    clean = points(table, "exact_match")["clean"]
    corners = axes.collections[0].get_paths()[0].vertices
    at_32 = corners[corners[:, 0] == 32][:, 1]
    assert (at_32.min(), at_32.max()) == pytest.approx((clean[0].low, clean[0].high))


def test_one_metric_is_one_column_wide(table):
    figure = quality_by_size(table, "exact_match")
    assert figure.get_size_inches().tolist() == [COLUMN_INCHES, HEIGHT_INCHES]


def test_a_fit_is_drawn_with_its_interval_and_the_seeds_as_bars(table):
    fits = {"exact_match": fit_curves(read_table(table), "exact_match")}
    axes = quality_by_size(table, "exact_match", fits=fits).axes[0]
    curves = [line for line in axes.lines if len(line.get_xdata()) == len(fits["exact_match"]["clean"].size)]
    assert len(curves) == 3
    assert "95% interval" in axes.get_title(loc="left")


def test_one_seed_has_no_band_and_says_so(table):
    axes = quality_by_size([row for row in table if row["seed"] in (0, None)], "exact_match").axes[0]
    assert axes.get_title(loc="left") == "lines: 1 seed"


@pytest.mark.parametrize(
    ("metric", "sentence"), [("bleu", "has no bleu; it has loss, exact_match"), (None, "no finished")]
)
def test_a_table_without_the_numbers_is_refused(table, metric, sentence):
    rows = table if metric else [row | {"loss": None, "exact_match": None} for row in table]
    with pytest.raises(InputError, match=sentence):
        quality_by_size(rows, metric)


def test_the_pdf_is_made_for_print(table):
    pdf = to_bytes(quality_by_size(table, "exact_match"), "pdf")
    assert re.search(rb"/MediaBox \[ 0 0 234 165\.6 \]", pdf), "exactly 3.25 x 2.3 inches"
    assert b"/FontFile2" in pdf, "TrueType, which editors and printers take"
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf


DRAW = """
import hashlib, json, sys
from workbench.views.figures import quality_by_size
from workbench.views.style import to_bytes
figure = quality_by_size(json.load(sys.stdin))
print(*(hashlib.sha256(to_bytes(figure, kind)).hexdigest() for kind in ("pdf", "svg", "png")))
"""


def test_another_process_draws_the_same_bytes(table, tmp_path):
    other = subprocess.run(
        [sys.executable, "-c", DRAW], input=json.dumps(table), capture_output=True, text=True, check=True
    )
    paths = save_figure(quality_by_size(table), tmp_path)
    assert [path.name for path in paths] == ["figure.pdf", "figure.svg", "figure.png"]
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths] == other.stdout.split()


def test_a_notebook_shows_it_at_print_size(table):
    shell = InteractiveShell.instance()
    select_figure_formats(shell, {"png"})  # what pyplot brings along must not take over
    with capture_output() as shown:
        display(quality_by_size(table, "exact_match"))
    InteractiveShell.clear_instance()
    (output,) = shown.outputs
    assert output.data["image/png"].startswith(b"\x89PNG")
    alt = output.metadata["image/png"].pop("alt")
    assert output.metadata["image/png"] == {"width": 488, "height": 345}
    assert alt.startswith("Chart: lines: mean of 3 seeds bands: their range: exact match against training")
    assert alt.endswith("zero-shot 0.00, clean, 25% other form, 50% other form")
    assert escape(alt) in output.data["text/html"]
    assert output.data["text/plain"] == alt


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8), st.floats(0.5, 20))
def test_labels_are_moved_apart_and_no_further(places, gap):
    moved = spread(places, gap)
    order = sorted(range(len(places)), key=lambda index: places[index])
    for lower, upper in pairwise(order):
        assert moved[upper] - moved[lower] >= gap - 1e-6
    assert sum(moved) == pytest.approx(sum(places), abs=1e-6)
    if all(places[upper] - places[lower] >= gap for lower, upper in pairwise(order)):
        assert moved == pytest.approx(places)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8), st.floats(0.5, 20), st.floats(-100, 100))
def test_labels_stay_below_the_top_and_are_moved_down_no_further(places, gap, top):
    moved = below(top, places, gap)
    order = sorted(range(len(places)), key=lambda index: -places[index])
    assert all(now <= before for now, before in zip(moved, places, strict=True))
    assert max(moved) <= top
    for upper, lower in pairwise(order):
        assert moved[upper] - moved[lower] >= gap - 1e-9
        # a label that moved lies against the one above it, or at the top
        assert moved[lower] in (places[lower], moved[upper] - gap)
    assert moved[order[0]] == min(places[order[0]], top)


def test_labels_at_the_top_of_a_panel_do_not_overlap(table):
    rows = [row | {"exact_match": 0.97} if row["size"] == 2048 else row for row in table]
    figure = quality_by_size(rows, "exact_match")
    (axes,) = figure.axes
    figure.draw_without_rendering()
    labels = [text for text in axes.texts if text.get_text() in ("clean", "25% other form", "50% other form")]
    boxes = sorted((text.get_window_extent() for text in labels), key=lambda box: box.y0)
    assert len(boxes) == 3
    assert all(lower.y1 <= upper.y0 for lower, upper in pairwise(boxes))
    middles = [(box.y0 + box.y1) / 2 * 72 / figure.dpi for box in boxes]
    assert all(two - one >= 1.15 * LABEL_POINTS for one, two in pairwise(middles))
    assert middles[-1] * figure.dpi / 72 <= axes.get_window_extent().y1 + 1


def test_each_label_stands_beside_the_end_of_its_own_line(table):
    figure = quality_by_size(table, "exact_match")
    (axes,) = figure.axes
    height = axes.get_window_extent().height * 72 / figure.dpi
    ends = {quality: line[-1].mean for quality, line in points(table, "exact_match").items()}
    found = {text.get_text(): text.xy for text in axes.texts}
    low, high = axes.get_ylim()
    for quality, end in ends.items():
        size, place = found[quality.replace("_", " ")]
        assert size == 2048
        assert place == pytest.approx((end - low) / (high - low), abs=1.2 * LABEL_POINTS / height)
    assert len({text.get_color() for text in axes.texts if text.get_text() != "zero-shot 0.00"}) == 3


@pytest.mark.parametrize(("zero", "drawn"), [(9.0, True), (0.02, True), (40.0, False), (0.001, False)])
def test_a_zero_shot_loss_up_to_ten_times_the_others_has_its_line(table, zero, drawn):
    losses = [point.mean for line in points(table, "loss").values() for point in line]
    assert (min(losses) / 10 <= zero <= max(losses) * 10) == drawn
    axes = quality_by_size(table, "loss", zero_shot={"loss": zero}).axes[0]
    assert any(set(line.get_ydata()) == {zero} for line in axes.lines) == drawn


def test_a_law_is_dashed_beyond_the_largest_size_measured(table):
    band = fit_curves(read_table(table), "exact_match")["clean"]
    few = [row for row in table if row["size"] <= 512]
    axes = quality_by_size(few, "exact_match", fits={"exact_match": {"clean": band}}).axes[0]
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert min(dashed[0].get_xdata()) == max(size for size in band.size if size <= 512 * 1.001)
    (at_512,) = {p.mean for p in points(few, "exact_match")["clean"] if p.size == 512}
    means = next(line for line in axes.lines if line.get_linestyle() == "None")
    assert means.get_ydata()[-1] == at_512
