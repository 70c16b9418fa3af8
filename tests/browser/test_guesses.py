"""Guesses in a real page: made with keys, mouse and finger, and nothing of the truth before it is told."""

import json
from pathlib import Path

import pytest

from workbench import classmates
from workbench.classmates import join_class
from workbench.laws import analyse, read_table
from workbench.lessons import BudgetGame, Game, GuessNumber, GuessOrder
from workbench.lessons.scores import Entry, add_class_entry
from workbench.lessons.shipped import VERBS
from workbench.studies.disk.store import Store

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.slow

PAGE = """<!doctype html><meta charset="utf-8"><title>still</title>
<meta name="viewport" content="width=device-width">
<style>{css} body {{ background: {paper}; }}</style><body data-jp-theme-light="{light}"><div id="here"></div>
<script type="module">
const state = {state};
const heard = {{}};
const model = {{
  get: name => state[name],
  set: (name, value) => {{ state[name] = value; (heard[`change:${{name}}`] ?? []).forEach(one => one()); }},
  save_changes: () => {{ window.state = state; }},
  on: (event, call) => {{ (heard[event] ??= []).push(call); }},
  off: () => {{}},
}};
window.model = model;
const code = new Blob([{code}], {{ type: "text/javascript" }});
const widget = await import(URL.createObjectURL(code));
widget.default.render({{ model, el: document.getElementById("here") }});
</script>"""
DARK = "--jp-ui-font-color1: #eee; --jp-ui-font-color2: #bbb; --jp-layout-color0: #111; "
DARK += "--jp-layout-color2: #424242; --jp-border-color1: #616161"
AUDIT = Path(__file__).with_name("audit.js").read_text(encoding="utf-8")
HOSTILE = "<img src=x onerror=document.title='taken'>"
OTHERS = {"guesses": [5.0, 12.0, 40.0], "words": "3 others guessed; the middle of them 12."}


def in_script(value):
    return json.dumps(value).replace("<", "\\u003c")


@pytest.fixture
def show(browser, tmp_path):
    """Return a function that opens a guess in a page of its own; afterwards nothing may have gone wrong."""
    wrong, pages = [], []

    def show(view, *, width=900, dark=False, **options):
        traits = [
            name for name in view.keys if not name.startswith("_") and name not in ("layout", "tabbable")
        ]
        state = {name: getattr(view, name) for name in traits if name != "tooltip"}
        shown = tmp_path / "guess.html"
        css = view._css + (f".workbench {{ {DARK} }}" if dark else "")
        shown.write_text(
            PAGE.format(
                css=css,
                paper="#111" if dark else "#fff",
                light=str(not dark).lower(),
                state=in_script(state),
                code=in_script(view._esm),
            )
        )
        context = browser.new_context(viewport={"width": width, "height": 700}, **options)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(shown.as_uri())
        page.wait_for_selector(".workbench")
        pages.append((page, context))
        return page

    yield show
    for number, (page, context) in enumerate(pages):
        page.screenshot(path=tmp_path / f"end-{number}.png")
        assert page.title() == "still"
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1"), "too wide"
        context.close()
    assert not wrong


def number(**changes):
    asked = {
        "name": "n",
        "question": f"How many spoiled ones? {HOSTILE}",
        "truth": 9.3,
        "low": 1,
        "high": 100,
    }
    return GuessNumber(**{**asked, "words": "So it is.", **changes})


def order():
    truth = {"go": 44.5, "walk": 97, "be": 31, HOSTILE: 60}
    return GuessOrder("o", "Which of them is hardest?", truth, unit="%", words="So it is.")


def focused(page):
    return page.evaluate(
        "document.activeElement.getAttribute('aria-label') ?? document.activeElement.className"
    )


@pytest.mark.parametrize("log", [False, True])
def test_a_number_is_guessed_with_keys_and_told(show, log):
    page = show(number(logarithmic=log))
    mark = page.locator("[role=slider]")
    assert "9.3" not in page.locator(".workbench").inner_text(), "the truth isn't in the page yet"
    expect(page.locator(".tell")).to_have_text("Show it without a guess")
    mark.focus()
    assert mark.get_attribute("aria-valuetext") == "no guess yet"
    for key in ("ArrowLeft", "PageDown", "ArrowRight"):
        before = mark.get_attribute("aria-valuenow")
        page.keyboard.press(key)
        assert mark.get_attribute("aria-valuenow") != before, f"{key} moves nothing"
    for key, value in (("Home", "1"), ("End", "100")):
        page.keyboard.press(key)
        assert mark.get_attribute("aria-valuetext") == value
    assert focused(page).startswith("your guess: How many")
    page.locator("input.typed").fill("24")
    page.locator("input.typed").press("Enter")
    assert page.evaluate("state.guess") == 24
    expect(page.locator("svg text.mine")).to_have_text("your guess: 24")
    page.evaluate("others => model.set('others', others)", OTHERS)
    expect(page.locator(".other")).to_have_count(0)
    page.locator(".tell").press("Enter")
    say = page.locator(".say")
    off = "2.58 times too high" if log else "14.7 too high"
    expect(say).to_have_text(f"You guessed 24. It is 9.3. Your guess was {off}. So it is. {OTHERS['words']}")
    expect(page.locator(".other")).to_have_count(3)
    assert focused(page) == "again", "the focus isn't lost"
    page.keyboard.press("Enter")
    expect(page.locator(".truth")).to_have_count(0)
    assert page.evaluate("state.guess") is None
    assert focused(page).startswith("your guess: How many")


def test_a_number_that_is_typed_is_on_the_line(show):
    page = show(number(truth=1200, low=10, high=10_000, logarithmic=True, unit="examples"))
    for text, guess, says in (
        ("1,500", 1500, "Move the mark"),
        ("20000", 1500, "Type a number from 10 to 10,000."),
        ("many", 1500, "Type a number from 10 to 10,000."),
        ("2.5e2", 250, "Move the mark"),
    ):
        page.locator("input.typed").fill(text)
        page.locator("input.typed").press("Enter")
        expect(page.locator(".say")).to_contain_text(says)
        assert page.evaluate("state.guess ?? null") == guess
    page.locator(".tell").click()
    expect(page.locator(".say")).to_contain_text("You guessed 250 examples. It is 1,200 examples.")


def test_a_number_is_guessed_with_a_mouse_and_with_a_finger(show):
    for touch in (False, True):
        page = show(number(unit="%", low=0), width=600, has_touch=touch)
        mark = page.locator("[role=slider]").bounding_box()
        assert mark["width"] >= 22, "as large as a fingertip needs"
        x, y = mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2
        if touch:
            session = page.context.new_cdp_session(page)
            for kind, way in (
                ("touchStart", 0),
                *(("touchMove", -8 * n) for n in range(1, 13)),
                ("touchEnd", 0),
            ):
                points = [] if kind == "touchEnd" else [{"x": x + way, "y": y}]
                session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        else:
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x - 96, y, steps=6)
            page.mouse.up()
            page.mouse.move(x + 100, y)
        assert 25 < page.evaluate("state.guess") < 40
        expect(page.locator("svg text.mine")).to_contain_text("%")


def test_items_are_sorted_with_keys_and_buttons(show):
    page = show(order())
    assert "44" not in page.locator(".workbench").inner_text(), "no value is in the page yet"
    expect(page.locator(".tell")).to_have_text("Show it without sorting")
    down = page.get_by_role("button", name="move walk down")
    down.focus()
    page.keyboard.press("End")
    expect(page.locator(".sorted li").last).to_contain_text("walk")
    expect(page.locator(".say")).to_have_text("walk: place 4 of 4")
    assert focused(page) == "move walk down", "the focus goes with the row"
    for _ in range(3):
        page.get_by_role("button", name="move walk up").press("Enter")
    expect(page.locator(".sorted li").first).to_contain_text("walk")
    assert focused(page) == "move walk up"
    for item in (HOSTILE, "go", "be"):
        page.get_by_role("button", name=f"move {item} down").press("End")
    page.locator(".tell").press("Enter")
    expect(page.locator(".say")).to_contain_text(
        f"6 of 6 pairs stood in the right order. In order, the most first: walk 97%, {HOSTILE} 60%, go 44.5%"
    )
    expect(page.locator("table.told tr")).to_have_count(5)
    assert focused(page) == "again"
    page.keyboard.press("Enter")
    expect(page.locator("table.told")).to_have_count(0)
    assert focused(page).startswith("move ")


def test_items_are_sorted_with_a_mouse_and_with_a_finger(show):
    for touch in (False, True):
        page = show(order(), width=600, has_touch=touch)
        first = page.evaluate("model.get('guess')")
        grip = page.locator(".sorted li .grip").first.bounding_box()
        x, y = grip["x"] + 12, grip["y"] + 12
        way = page.locator(".sorted li").nth(2).bounding_box()["y"] - grip["y"] + 24
        if touch:
            session = page.context.new_cdp_session(page)
            for kind, part in (
                ("touchStart", 0),
                *(("touchMove", n / 10) for n in range(1, 11)),
                ("touchEnd", 1),
            ):
                points = [] if kind == "touchEnd" else [{"x": x, "y": y + way * part}]
                session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        else:
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x, y + way, steps=12)
            page.mouse.up()
            page.mouse.move(x, y)
        assert page.evaluate("state.guess") == [*first[1:3], first[0], first[3]]
        expect(page.locator(".sorted li").nth(2)).to_have_text(f"{first[0]}↑↓")
        expect(page.locator(".held")).to_have_count(0)


def test_the_class_has_a_board_that_can_be_looked_at_again(show, tmp_path, monkeypatch):
    for variable in (classmates.CLASS_FOLDER, classmates.CLASS_NAME):
        monkeypatch.setenv(variable, "")
    with Store.open(VERBS, read_only=True) as store:
        exact = analyse(read_table(store.table()), "exact_match", bootstraps=60)
    game = Game(exact, worse="50% other_form")
    for name, regret in ((HOSTILE[:40], 0.25), ("Bob", 0.125)):
        add_class_entry(
            join_class(tmp_path, name), Entry(name=name, rounds=5, regret=regret, game=game.key())
        )
    (tmp_path / "scores" / "Zed.csv").write_text("name,rounds,regret\nZed,five,0\n")
    view = BudgetGame(game)
    page = show(view)
    caption = "Scoreboard of the class. You play as Bob; the first game of each counts."
    expect(page.locator("caption")).to_have_text(caption)
    expect(page.locator("tr").nth(1)).to_have_text("1Bob0.125")
    expect(page.locator("tr").nth(2)).to_have_text(f"2{HOSTILE[:40]}0.250")
    expect(page.locator(".damaged")).to_contain_text("Zed.csv: line 2 is no name, rounds and regret")
    expect(page.get_by_role("textbox", name="your name")).to_be_hidden()
    look = page.get_by_role("button", name="Look at the board again")
    look.press("Enter")
    assert page.evaluate("state.looked") == 1
    assert focused(page) == "look"


@pytest.mark.parametrize("dark", [False, True])
def test_the_audit_finds_nothing(show, dark):
    for width in (1280, 600):
        for name, view in (("number", number(logarithmic=True, unit="times")), ("order", order())):
            page = show(view, width=width, dark=dark)
            assert page.evaluate(AUDIT, {}) == [], (name, width, "asked")
            if name == "number":
                page.evaluate("model.set('guess', 24)")
                page.evaluate("others => model.set('others', others)", OTHERS)
            else:
                page.locator(".sorted button").first.press("End")
            page.locator(".tell").click()
            assert page.evaluate(AUDIT, {}) == [], (name, width, "told")
