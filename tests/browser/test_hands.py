"""What is moved by hand, in a page without a notebook: by mouse, by keys and by a finger."""

import re

import numpy as np
import pytest

from workbench.data.records import Record
from workbench.lessons import CrossOut, Levels
from workbench.lessons.ranks import RankAnswers
from workbench.lessons.widgets import RankCut

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.slow


def crossing():
    spoiled = [number % 3 == 0 for number in range(60)]
    records = [
        Record(id=str(n), prompt=f"<i>{n}", response=f"went{n}", spoiled="typo" if bad else None)
        for n, bad in enumerate(spoiled)
    ]
    return CrossOut(records, [n / 10 + 2 * bad for n, bad in enumerate(spoiled, start=1)], "loss")


def trait(page, name):
    return page.evaluate(f"model.get('{name}')")


def test_a_line_is_moved_by_keys_and_mouse_and_rows_by_hand(show):
    view = crossing()
    page = show(view)
    expect(page.locator(".say")).to_contain_text("0 of 60 crossed out")
    assert "spoiled" not in page.locator(".examples-list").inner_text()
    page.locator(".knob").focus()
    for key in ("PageDown", "PageDown", "ArrowDown", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    assert trait(page, "line") == 19
    bar = page.locator(".cut").bounding_box()
    page.mouse.move(bar["x"] + 40, bar["y"] + 12)
    page.mouse.down()
    page.mouse.move(bar["x"] + 40, bar["y"] + 12 + 3 * 26, steps=4)
    page.mouse.up()
    assert trait(page, "line") in (21, 22, 23)
    page.locator(".example").nth(0).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert trait(page, "by_hand") == [1]
    assert page.locator(".example.crossed").count() == trait(page, "line") - 1
    page.locator(".tell").click()
    view.line, view.by_hand, view.told = trait(page, "line"), trait(page, "by_hand"), True
    wrong = [row["spoiled"] for row in view.rows]
    hit = sum(wrong[row] for row in view.crossed)
    said = page.locator(".say")
    expect(said).to_contain_text(f"20 were spoiled, and you crossed out {hit} of them (recall {hit * 5}%)")
    expect(said).to_contain_text(f"(precision {round(100 * hit / len(view.crossed))}%)")
    expect(said).to_contain_text(f"You make {view.words().split(', ')[-1]}; the best line")
    assert page.evaluate("document.activeElement.className") == "again", "the focus isn't lost"
    page.locator(".again").click()
    assert (trait(page, "line"), trait(page, "by_hand")) == (0, [])


def test_a_finger_drags_the_line_in_the_chart(show):
    page = show(crossing(), has_touch=True)
    box = page.locator(".board svg").bounding_box()
    touch = page.context.new_cdp_session(page)
    for kind, height in (("touchStart", 0.1), ("touchMove", 0.3), ("touchMove", 0.5), ("touchEnd", None)):
        points = [] if height is None else [{"x": box["x"] + 90, "y": box["y"] + height * box["height"]}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert 25 <= trait(page, "line") <= 35


def laid():
    weights = np.random.default_rng(0).normal(size=(300, 64))
    weights /= np.abs(weights).max(axis=1, keepdims=True)
    return Levels(
        weights, {"even": np.linspace(-1, 1, 16).tolist(), "bent": (np.linspace(-1, 1, 16) ** 3).tolist()}
    )


def percents(page):
    """Return the errors that the sentence says, in its order."""
    return [float(one) for one in re.findall(r"([\d.]+)%", page.locator(".say").inner_text())]


def test_a_level_is_moved_by_keys_and_mouse_and_its_error_is_pythons(show):
    view = laid()
    page = show(view)
    assert percents(page) == [round(100 * view.error, 2)]
    page.locator(".level").nth(5).focus()
    page.keyboard.press("PageUp")
    page.keyboard.press("ArrowLeft")
    view.levels = trait(page, "levels")
    assert view.levels[5] == pytest.approx(-1 + 10 / 15 + 0.045, abs=1e-3)
    assert percents(page)[0] == pytest.approx(100 * view.error, abs=0.006)
    handle = page.locator(".level .handle").nth(8).bounding_box()
    page.mouse.move(handle["x"] + 8, handle["y"] + 8)
    page.mouse.down()
    page.mouse.move(handle["x"] + 400, handle["y"] + 8, steps=8)  # no further than its neighbour
    page.mouse.up()
    view.levels = trait(page, "levels")
    assert view.levels == sorted(view.levels)
    assert view.levels[9] - view.levels[8] == pytest.approx(0.002, abs=1e-4)
    tried = percents(page)
    assert tried[1] <= tried[0], "the best so far is kept"
    page.locator(".known").nth(1).click()
    page.locator(".tell").click()
    bent = percents(page)
    assert bent[1] == tried[1], "what a button lays is no try of one's own"
    assert bent[0] == bent[2]
    assert bent[3] == pytest.approx(100 * view.best["error"], abs=0.006)
    assert page.evaluate("document.activeElement.className") == "again", "the focus isn't lost"


def test_a_finger_drags_a_level(show):
    page = show(laid(), has_touch=True)
    box = page.locator(".level .handle").nth(6).bounding_box()
    touch = page.context.new_cdp_session(page)
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    for kind, further in (("touchStart", 0), ("touchMove", -6), ("touchMove", -12), ("touchEnd", None)):
        points = [] if further is None else [{**at, "x": at["x"] + further}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert trait(page, "levels")[6] < -0.21


def test_a_rank_redraws_matrix_and_answers(show):
    said = (("go", "be"), ("goed", "was"), ("went", "was"))
    answers = RankAnswers((0, 1, 2), (("go", "went"), ("be", "was")), said, (0.0, 0.5, 0.9), 10)
    page = show(RankCut(np.diag([3.0, 2.0, 0.0]), answers))
    ink = """name => { const one = document.querySelectorAll("canvas")[name];
      const data = one.getContext("2d").getImageData(0, 0, one.width, one.height).data;
      return [0, 4].map(place => data[4 * place + 3]); }"""
    assert page.evaluate(ink, 0)[1] > 150
    assert page.evaluate(ink, 1) == [0, 0], "nothing is left out"
    first = "document.querySelector('canvas').getContext('2d').getImageData(0, 0, 1, 1).data"
    red, _, blue = page.evaluate(f"[...{first}.slice(0, 3)]")
    assert blue > red + 50, "above zero is blue, though it was drawn before it stood in the page"
    expect(page.locator("td.good")).to_have_count(2)
    page.locator("input.rank").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".say")).to_contain_text("1 of 2 directions: 69% of the squared change")
    assert page.evaluate(ink, 0)[1] < 5, "the second direction is left out"
    assert page.evaluate(ink, 1)[1] > 150
    expect(page.locator("td.bad")).to_have_text("✗ goed")
    expect(page.locator("circle.truth")).to_have_count(2)
    page.keyboard.press("Home")
    expect(page.locator(".say")).to_contain_text("which is the base alone")
    assert page.evaluate(ink, 0) == [0, 0]
