"""Every notebook with widgets, in a real page: clicked, dragged and typed into, at two widths and themes."""

import re

import pytest

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.slow


def cross_out(page):
    damage = page.locator(".workbench-damage")
    damage.locator(".kind").select_option(label="typo")
    damage.locator(".tell").click()
    expect(damage.locator(".examples-list")).to_contain_text("was ")
    crossing = page.locator(".workbench-crossing").last
    crossing.locator(".knob").focus()
    for _ in range(4):
        page.keyboard.press("PageDown")
    expect(crossing.locator(".say")).to_contain_text("40 of 128 crossed out")
    crossing.locator(".tell").click()
    expect(crossing.locator(".say")).to_contain_text("42 were spoiled")


def fill_in_a_hole(page):
    check = page.locator(".jp-CodeCell", has_text='"trained", trained_mine').last
    expect(check).to_contain_text("not yet")
    expect(check).to_contain_text("nothing is filled in")
    ranks = page.locator(".workbench-ranks")
    ranks.locator("input.rank").focus()
    page.keyboard.press("Home")
    expect(ranks.locator(".say")).to_contain_text("the base alone")
    expect(ranks.locator("td.good")).to_have_count(0)
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(ranks.locator("td.good")).not_to_have_count(0)


def follow_the_programs(page):
    right, own, careless = (page.locator(".workbench-touches").nth(number) for number in range(3))
    expect(right.locator("[role=status]")).to_contain_text("Program 2 loads 100 of w, 1 of factor")
    right.locator("input.program").focus()
    page.keyboard.press("ArrowRight")
    expect(right.locator("[role=status]")).to_contain_text("Program 3 loads 100 of w, 1 of factor")
    expect(right.locator(".cell-masked")).to_have_count(3)  # in w, in y, and in the legend
    expect(own.locator("[role=status]")).to_contain_text("touches nothing")
    expect(careless.locator(".alert")).to_contain_text("load outside 'w', 28 of 128 lanes")
    expect(careless.locator(".tables .cell-outside")).to_have_count(1)
    check = page.locator(".jp-CodeCell", has_text='check_kernel("scale"').last
    expect(check).to_contain_text("nothing is filled in")


def lay_the_levels(page):
    levels = page.locator(".workbench-levels")
    said = levels.locator(".say").inner_text()
    levels.locator(".level").nth(7).focus()
    page.keyboard.press("ArrowRight")
    expect(levels.locator(".say")).not_to_have_text(said)
    expect(levels.locator(".say")).to_contain_text("Your best so far")
    levels.locator(".known").last.click()
    levels.locator(".tell").click()
    expect(levels.locator(".say")).to_contain_text("The best levels there are")


def open_grid(page):
    cell = page.locator(".workbench-grid .cell").first
    cell.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".workbench-grid .detail .title").first).to_contain_text("64 examples")
    expect(page.locator(".workbench-grid .detail path.curve")).to_have_count(4)
    page.locator(".workbench-grid select").first.select_option("loss")
    expect(page.locator(".workbench-grid caption").first).to_contain_text("loss")
    examples = page.locator(".workbench-examples").first
    examples.locator(".by-score").click()
    examples.locator(".by-score").click()
    expect(examples.locator("th[aria-sort=descending]")).to_have_count(1)
    examples.locator(".kind").select_option("wrong")
    expect(examples.locator("[role=status]")).not_to_contain_text("600 of 600")


def drag_the_law(page):
    law = page.locator(".workbench-law")
    said = law.locator(".say").inner_text()
    law.locator("input.share").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(law.locator(".say")).not_to_have_text(said)
    said = law.locator(".say").inner_text()
    handle = law.locator(".handle").first.bounding_box()
    page.mouse.move(handle["x"] + 8, handle["y"] + 8)
    page.mouse.down()
    page.mouse.move(handle["x"] + 60, handle["y"] + 40, steps=4)
    page.mouse.up()
    expect(law.locator(".say")).not_to_have_text(said)
    expect(law.locator(".say")).to_contain_text("examples of which")


def guess_a_number(page, place, value, unit):
    """Type a guess, look, and return what is said."""
    guess = page.locator(".workbench-guess-number").nth(place)
    expect(guess.locator(".truth")).to_have_count(0)
    guess.locator("input.typed").fill(value)
    guess.locator("input.typed").press("Enter")
    guess.locator(".tell").press("Enter")
    said = guess.locator(".say")
    expect(said).to_contain_text(f"You guessed {value} {unit}. It is ")
    assert page.evaluate("document.activeElement.className") == "again"
    return said.inner_text()


def guess_and_wait(page):
    expect(page.locator(".workbench-guess .truth")).to_have_count(0)
    page.locator(".workbench-guess [role=slider]").first.press("PageDown")
    page.locator(".workbench-guess .tell").click()
    expect(page.locator(".workbench-guess .say")).to_contain_text("Your guess was")
    said = page.locator(".workbench-when-finished")
    expect(said).to_contain_text("Your study isn't finished")
    expect(said.locator("[role=status]")).to_contain_text("at 32 clean examples", timeout=240_000)


def slide_the_rate(page):
    assert "It is 9 spoiled ones." in guess_a_number(page, 0, "24", "spoiled ones")
    assert "It is 1.6 spoiled ones." in guess_a_number(page, 1, "2", "spoiled ones")
    rate = page.locator(".workbench-exchange")
    slider = rate.locator("input.size")
    slider.focus()
    page.keyboard.press("Home")
    first = rate.locator(".say").inner_text()
    page.keyboard.press("End")
    expect(rate.locator(".say")).not_to_have_text(first)
    rate.locator("select").select_option("1")
    expect(rate.locator(".say")).to_contain_text("25%")
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.type") == "range", "the notebook took the widget's keys"


def talk(page):
    assert "It is " in guess_a_number(page, 0, "12", "verbs")
    chat = page.locator(".workbench-chat").first
    chat.locator("input.prompt").fill("walk")
    page.keyboard.press("Enter")
    expect(chat.locator(".answer.left")).not_to_have_text("…")
    assert "clean" not in chat.locator(".columns").inner_text()
    chat.locator(".vote.left").click()
    expect(chat.locator("table tr")).to_have_count(2)
    expect(chat.locator("table")).to_contain_text("clean")
    chat.locator("input.prompt").fill("hello how are you today")
    chat.locator(".ask").click()
    expect(chat.locator(".note")).to_contain_text("one kind of question, such as 'stop'")
    chat.locator("input.prompt").fill("<img src=x onerror=alert(1)>ß")
    chat.locator(".ask").click()
    expect(chat.locator(".alert")).to_contain_text("<img src=x")


def play(page):
    assert "times too low" in guess_a_number(page, 0, "2", "coins")
    game = page.locator(".workbench-budget")
    for number in range(5):
        expect(game.locator("b").first).to_have_text(f"Round {number + 1} of 5")
        game.locator("input.share").focus()
        page.keyboard.press("End" if number % 2 else "Home")
        game.locator(".buy").click()
        expect(game.locator(".result")).to_contain_text("Regret")
        if number < 4:
            game.locator(".next").click()
    game.locator("input[type=text]").fill("<b>Ada</b>")
    game.locator(".enter").click()
    expect(game.locator("td.text").first).to_have_text("<b>Ada</b>")
    game.locator(".again").click()
    expect(game.locator("b").first).to_have_text("Round 1 of 5")
    expect(game.locator(".result")).to_have_count(0)
    assert page.evaluate("document.activeElement.className") == "share", "the focus isn't lost"


TOO_WIDE = """() => [...document.querySelectorAll(".workbench")]
  .filter(widget => widget.scrollWidth > widget.clientWidth + 1).length"""
PLAYS = {
    "00_five_minutes": guess_and_wait,
    "01_noisy_example": cross_out,
    "02_lora_by_hand": fill_in_a_hole,
    "03_four_bits_by_hand": lay_the_levels,
    "03k_kernel_lab": follow_the_programs,
    "05_grid": open_grid,
    "06_loss_surface": drag_the_law,
    "07_exchange_rate": slide_the_rate,
    "08_talk_to_them": talk,
    "09_spend_the_budget": play,
}


@pytest.mark.parametrize("name", PLAYS)
def test_a_notebook_in_the_page(make_notebook, lab, tmp_path, name):
    notebook = make_notebook(lab, height=2600).open(f"{name}.ipynb")
    notebook.run_all()
    PLAYS[name](notebook.page)
    assert not re.search("Traceback", notebook.page.locator(".jp-Notebook").inner_text())
    notebook.page.screenshot(path=tmp_path / "light-1280.png")
    notebook.page.set_viewport_size({"width": 900, "height": 2600})
    notebook.page.emulate_media(color_scheme="dark")
    notebook.page.wait_for_selector('body[data-jp-theme-light="false"]', state="attached")
    notebook.page.wait_for_timeout(500)
    notebook.page.screenshot(path=tmp_path / "dark-900.png")
    assert notebook.page.evaluate(TOO_WIDE) == 0, "a widget is wider than its place"
