"""What models say beside their curves, as a page shows it: the step to go back to, marks, and who is told."""

from itertools import pairwise

import pytest

from workbench.studies.background import BackgroundRun
from workbench.views.widgets import LiveStudy

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.slow
CLEAN, HALF = (
    {"quality": quality, "index": index, "size": 512, "unit": "examples"}
    for index, quality in enumerate(("clean", "50% other form"))
)
SAID = {
    "prompts": [["walk", "walked"], ["go", "went"]],
    "cells": [CLEAN, HALF],
    "frames": [
        {"step": 1, "said": [["walk", "go"], ["walk", ""]]},
        {"step": 5, "said": [["walked", "goed"], ["walking", "going"]]},
    ],
}


def curves(upto):
    x = list(range(1, upto + 1))
    return [
        {**cell, "seed": 0, "width": width, "size": size, "x": x, "y": [2 / step for step in x]}
        for cell in (CLEAN, HALF)
        for size, width in ((32, 1), (512, 2.5))
    ]


@pytest.fixture
def page(show, tmp_path):
    view = LiveStudy(BackgroundRun(tmp_path / "none"))
    view.curves, view.said = curves(5), SAID
    view.status = {**view.status, "state": "running", "words": "step 5", "steps": 60, "button": "Stop"}
    return show(view)


def test_keys_go_back_to_what_was_said_and_a_newer_step_does_not_take_it_away(page):
    row = page.locator(".answers tbody tr").first
    expect(row).to_have_text("walkwalked✓ walked✗ walking")
    expect(page.locator(".answers .score")).to_have_text(["1 of 2 right", "0 of 2 right"])
    slider = page.locator(".saying .back")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(row).to_have_text("walkwalked✗ walk✗ walk")
    expect(slider).to_have_attribute("aria-valuetext", "step 1")
    assert page.evaluate("document.activeElement.className") == "back"
    newer = {
        **SAID,
        "frames": [*SAID["frames"], {"step": 10, "said": [["walked", "went"], ["walked", "went"]]}],
    }
    page.evaluate("said => window.model.set('said', said)", newer)
    expect(row).to_have_text("walkwalked✗ walk✗ walk")
    page.keyboard.press("End")
    expect(page.locator(".answers .score")).to_have_text(["2 of 2 right", "2 of 2 right"])
    expect(page.locator(".answers [title='walk → walking → walked']")).to_have_count(1)
    expect(page.get_by_role("img", name="right: ")).to_have_count(4)


def test_labels_stand_at_the_ends_of_their_lines_and_apart(page):
    boxes = [one.bounding_box() for one in page.locator(".ends text").all()]
    assert len(boxes) == 4
    last = max(
        one.bounding_box()["x"] + one.bounding_box()["width"] for one in page.locator("path.curve").all()
    )
    assert all(0 < box["x"] - last < 40 for box in boxes), "beside the lines, which end at step 5 of 60"
    ordered = sorted(box["y"] for box in boxes)
    assert all(after - one >= 13 for one, after in pairwise(ordered))
    ticks = page.locator(".axes text").all()
    low = max(box["y"] + box["height"] for box in boxes)
    below = [tick.bounding_box()["y"] for tick in ticks if tick.inner_html() == "60"]
    assert low <= below[0], "the lowest label doesn't meet the number below the axis"


def test_a_screen_reader_hears_a_new_state_and_not_each_step(page):
    spoken = page.locator("[role=status]")
    expect(spoken).to_have_text("step 5")
    tell = "words => window.model.set('status', { ...window.model.get('status'), ...words })"
    page.evaluate(tell, {"words": "step 6"})
    expect(page.locator(".status")).to_have_text("step 6")
    expect(spoken).to_have_text("step 5")
    page.evaluate(tell, {"words": "finished", "state": "finished"})
    expect(spoken).to_have_text("finished")
