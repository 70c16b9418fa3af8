"""A study's page, opened from the disk as people open it: guessed, dragged, played with keys and fingers."""

import json
import shutil
from pathlib import Path

import pytest

from workbench.lessons.shipped import VERBS
from workbench.lessons.site import write_site

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.slow

AUDIT = Path(__file__).with_name("audit.js").read_text(encoding="utf-8")
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=document.title='taken'>"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the page of the shipped study, whose name and examples try to run."""
    study = tmp_path_factory.mktemp("site") / "verbs"
    shutil.copytree(VERBS, study, ignore=shutil.ignore_patterns("adapters"))
    manifest = study / "manifest.json"
    told = json.loads(manifest.read_text())
    told["study"]["name"] = HOSTILE
    told["examples"] = [*told["examples"], dict.fromkeys(("prompt", "before", "response"), HOSTILE)]
    told["examples"][-1]["quality"] = "25% other_form"
    manifest.write_text(json.dumps(told))
    return write_site(study).page


@pytest.fixture
def open_site(browser, site):
    """Return a function that opens the page; afterwards nothing may have gone wrong or out."""
    opened, wrong = [], []

    def make(width=1280, shown=site, fragment="", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        page = context.new_page()
        opened.append(context)
        page.on("request", lambda one: one.url.startswith("file:") or wrong.append(one.url))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(shown.as_uri() + fragment)
        return page

    yield make
    for context in opened:
        context.close()
    assert not wrong


def finger(page, start, *ways):
    """Press a finger down, move it and lift it, as a touch screen does."""
    session = page.context.new_cdp_session(page)
    at = [start[0], start[1]]

    def send(kind):
        points = [] if kind == "touchEnd" else [{"x": at[0], "y": at[1]}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    send("touchStart")
    for x, y in ways:
        for _ in range(8):
            at[0], at[1] = at[0] + x / 8, at[1] + y / 8
            send("touchMove")
    send("touchEnd")


def middle(box):
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_answer_waits_for_the_guess(open_site, site):
    page = open_site()
    answer = page.locator(".answer")
    expect(answer).to_be_hidden()
    expect(page.locator(".workbench-guess .truth")).to_have_count(0)
    page.locator(".workbench-guess [role=slider]").first.focus()
    for key in ("PageDown", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    said = page.locator(".workbench-guess [role=slider]").first.get_attribute("aria-valuetext")
    page.locator(".tell").press("Enter")
    expect(answer).to_be_visible()
    told = page.locator(".workbench-guess .say")
    expect(told).to_contain_text("exact match 0.505 at 32 examples, 0.867 at 2,048 examples")
    expect(told).to_contain_text("most at 64 examples: you said 0.899, measured was 0.485")
    assert said.startswith("exact match 0.")
    assert page.evaluate("document.activeElement.className") == "again", "the focus isn't lost"
    page.keyboard.press("Enter")
    expect(page.locator(".workbench-guess .truth")).to_have_count(0)
    assert page.evaluate("document.activeElement.getAttribute('role')") == "slider"


def test_a_stroke_draws_the_guess_with_a_mouse_and_with_a_finger(open_site):
    for touch in (False, True):
        page = open_site(width=900, has_touch=touch)
        sliders = page.locator(".workbench-guess [role=slider]")
        first, last = (middle(sliders.nth(at).bounding_box()) for at in (0, 6))
        if touch:
            finger(page, first, (0, 90), (last[0] - first[0], 0))
        else:
            page.mouse.move(*first)
            page.mouse.down()
            page.mouse.move(first[0], first[1] + 90, steps=4)
            page.mouse.move(last[0], first[1] + 90, steps=30)
            page.mouse.up()
        values = [float(one.get_attribute("aria-valuenow")) for one in sliders.all()]
        assert max(values) < 0.75, "every column was drawn"
        assert max(values) - min(values) < 0.02, "at one height"


def test_an_address_can_lead_straight_to_the_answer(open_site):
    page = open_site(fragment="#answer")
    expect(page.locator(".answer")).to_be_visible()


def test_the_rate_follows_a_finger_and_keys(open_site):
    page = open_site(width=600, has_touch=True, fragment="#answer")
    rate = page.locator(".workbench-exchange")
    rate.locator(".board").scroll_into_view_if_needed()
    read = rate.locator(".reading").inner_text()
    finger(page, middle(rate.locator(".handle").first.bounding_box()), (-90, 10))
    expect(rate.locator(".reading")).not_to_have_text(read)
    rate.locator("input.size").focus()
    page.keyboard.press("End")
    expect(rate.locator(".reading")).to_contain_text("With 2,048 clean examples")
    rate.locator("select").select_option("0")
    expect(rate.locator(".say")).to_contain_text("50% other form")


def test_the_charts_are_walked_through(open_site):
    page = open_site(fragment="#answer")
    chart = page.locator(".workbench-quality svg[tabindex]").first
    chart.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".workbench-quality .say")).to_contain_text(
        "clean, 64 examples: exact match 0.899 (mean of 4 seeds"
    )


def test_the_game_is_played_with_the_keyboard_alone_and_again(open_site):
    page = open_site(fragment="#answer", width=600)
    game = page.locator("#game")
    game.locator("input.share").focus()
    page.keyboard.press("Home")
    expect(game.locator(".say")).to_contain_text("0% for cleaning")
    for number in range(1, 6):
        expect(game.locator("b")).to_have_text(f"Round {number} of 5")
        for key in ("ArrowRight", "Tab", "Enter"):
            page.keyboard.press(key)
        expect(game.locator(".result")).to_contain_text("Regret")
        expect(game.locator("path.truth")).to_have_count(1)
        if number < 5:
            page.keyboard.press("Enter")
    rules = json.loads(page.locator("script#study").inner_text())["game"]
    regret = sum(own[place]["regret"] for own, place in zip(rules["plays"], range(1, 6), strict=True))
    expect(game.locator(".result")).to_contain_text(f"so far {regret:.3f}.")
    page.keyboard.press("Enter")
    expect(game.locator("b")).to_have_text("Round 1 of 5")
    expect(game.locator(".result")).to_have_count(0)
    assert page.evaluate("document.activeElement.className") == "share", "the focus isn't lost"


def test_the_map_opens_with_keys_and_changes_its_metric(open_site):
    page = open_site(fragment="#answer")
    page.locator("#map .cell").first.focus()
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#map .title")).to_have_text("10% other form, 64 examples")
    expect(page.locator("#map path.curve")).to_have_count(4)
    page.locator("#map select").select_option("loss")
    expect(page.locator("#map caption")).to_contain_text("held-out loss")
    expect(page.locator("#map .cell b").first).to_have_text("0.123")


def test_examples_are_found(open_site):
    page = open_site(fragment="#answer")
    examples = page.locator("#examples")
    examples.locator(".find").fill("fumig")
    expect(examples.locator("tbody tr")).to_have_count(1)
    expect(examples.locator("tbody")).to_contain_text("fumigated")
    examples.locator(".find").fill("")
    examples.locator(".quality").select_option("50% other form")
    expect(examples.locator("tbody tr")).to_have_count(3)


def test_what_a_record_holds_is_shown_as_text(open_site):
    page = open_site(fragment="#answer")
    assert page.title().startswith(HOSTILE)
    assert page.locator("h1").inner_text().startswith(HOSTILE)
    assert page.locator("img").count() == 0
    expect(page.locator("#examples tbody")).to_contain_text(HOSTILE)


@pytest.mark.parametrize("width", [1280, 900, 600, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_and_all_can_be_read_and_named(open_site, width, scheme):
    page = open_site(width=width, color_scheme=scheme)
    found = page.evaluate(AUDIT, {})
    page.locator(".workbench-guess [role=slider]").nth(1).press("PageDown")
    page.locator(".tell").click()
    for part in page.locator("summary").all():
        part.click()
    page.locator(".workbench-quality button.toggle").first.click()
    page.locator("#map .cell").nth(9).click()
    page.locator("#game .buy").click()
    found += page.evaluate(AUDIT, {})
    # on a telephone a chart is as small as its screen, and is enlarged with two fingers
    assert [one for one in found if width >= 600 or not one.startswith("small letters")] == []


def test_the_audit_finds_what_is_planted(open_site):
    page = open_site(fragment="#answer", width=600)
    page.evaluate("""() => {
      document.querySelector(".answer").style.opacity = 0.5;
      document.querySelector("h1").style.cssText = "white-space: nowrap; overflow: hidden";
      document.querySelector(".facts").style.cssText = "position: relative; left: -60px";
      document.querySelectorAll("svg[role] text").forEach(one => one.setAttribute("x", 100));
      document.querySelector("button.toggle").style.cssText = "height: 20px; min-height: 0";
    }""")
    found = " ".join(page.evaluate(AUDIT, {}))
    for kind in ("contrast 3.", "cut off: H1", "outside: 4 qualities", "overlap: ", "small: clean is 20"):
        assert kind in found, kind


def test_without_its_script_the_page_still_answers(open_site):
    page = open_site(java_script_enabled=False)
    expect(page.locator(".answer")).to_be_visible()
    expect(page.locator(".workbench")).to_have_count(0)
    expect(page.locator("main")).not_to_contain_text("First, your guess", use_inner_text=True)
