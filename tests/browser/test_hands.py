"""What is moved by hand, in a page without a notebook: by mouse, by keys and by a finger."""

import pytest

from workbench.data.records import Record
from workbench.lessons import CrossOut

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
