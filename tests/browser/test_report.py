"""The report in a real page: pointed at, walked through, dragged, sorted, printed, and without its script."""

import re
import shutil

import pytest

from workbench.lessons.shipped import VERBS
from workbench.views.report import write_report

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.slow

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=document.title='taken'>"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    study = tmp_path_factory.mktemp("report") / "verbs"
    shutil.copytree(VERBS, study, ignore=shutil.ignore_patterns("adapters"))
    manifest = study / "manifest.json"
    name = HOSTILE.replace("'", "\\u0027")
    manifest.write_text(manifest.read_text().replace('"name": "verbs"', f'"name": "{name}"'))
    return write_report(study).page


@pytest.fixture
def open_report(browser, report):
    """Return a function that opens the report; afterwards nothing may have gone wrong or out."""
    opened, wrong = [], []

    def make(width=1280, shown=report, **options):
        context = browser.new_context(viewport={"width": width, "height": 1000}, **options)
        page = context.new_page()
        opened.append(context)
        page.on("request", lambda one: one.url.startswith("file:") or wrong.append(one.url))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(shown.as_uri())
        return page

    yield make
    for context in opened:
        context.close()
    assert not wrong


def test_pointing_and_walking_read_out_the_numbers(open_report):
    page = open_report()
    quality = page.locator(".workbench-quality")
    expect(quality.locator(".say")).to_contain_text("Point at a measurement")
    point = quality.locator("svg .point").first.bounding_box()
    page.mouse.move(point["x"] + 2, point["y"] + 1)
    expect(quality.locator(".say")).to_contain_text("clean, 32 examples: exact match 0.873 (mean of 4 seeds")
    quality.locator("svg[tabindex]").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(quality.locator(".say")).to_contain_text("10% other form, 64 examples: exact match")
    for _ in range(9):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    expect(quality.locator(".say")).to_contain_text("50% other form, 2,048 examples")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "img", "the focus stays"


def test_qualities_and_metrics_are_switched(open_report):
    page = open_report()
    quality = page.locator(".workbench-quality")
    expect(quality.locator("svg .quality")).to_have_count(8)
    quality.locator("button.toggle", has_text="50%").focus()
    page.keyboard.press("Space")
    expect(quality.locator("svg .quality")).to_have_count(6)
    quality.locator("select.metric").select_option("loss")
    expect(quality.locator("svg .quality")).to_have_count(3)
    expect(quality.locator("svg[tabindex]")).to_have_count(1)
    for button in quality.locator("button.toggle").all():
        if button.get_attribute("aria-pressed") == "true":
            button.click()
    expect(quality).to_contain_text("every quality is switched off")


def test_a_drag_moves_size_and_rate(open_report):
    page = open_report()
    rate = page.locator(".workbench-exchange")
    read, said = rate.locator(".reading").inner_text(), rate.locator(".say").inner_text()
    rate.locator(".board").scroll_into_view_if_needed()
    handle = rate.locator(".handle").first.bounding_box()
    page.mouse.move(handle["x"] + 7, handle["y"] + 7)
    page.mouse.down()
    page.mouse.move(handle["x"] - 80, handle["y"] + 20, steps=5)
    page.mouse.up()
    expect(rate.locator(".reading")).not_to_have_text(read)
    expect(rate.locator(".say")).not_to_have_text(said)
    read = rate.locator(".reading").inner_text()
    page.mouse.move(handle["x"] + 90, handle["y"])
    expect(rate.locator(".reading")).to_have_text(read)
    rate.locator("input.size").focus()
    page.keyboard.press("End")
    expect(rate.locator(".reading")).to_contain_text("With 2,048 clean examples: exact match")
    expect(rate.locator(".reading")).to_contain_text("95% interval")


def column(page, number):
    return page.locator(f"table.sortable >> nth=0 >> tbody tr td:nth-child({number})").all_inner_texts()


def test_a_table_is_sorted(open_report):
    page = open_report()
    head = page.locator("table.sortable >> nth=0 >> th").nth(1)
    head.locator("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    sizes = [int(text.replace(",", "")) for text in column(page, 2)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 2048
    loss = page.locator("table.sortable >> nth=0 >> th").nth(4)
    loss.locator("button").press("Enter")
    loss.locator("button").press("Enter")
    expect(loss).to_have_attribute("aria-sort", "descending")
    values = [float(re.match(r"[\d.]+", text)[0]) for text in column(page, 5)]
    assert values == sorted(values, reverse=True)


def test_what_a_record_holds_is_shown_as_text(open_report):
    page = open_report()
    assert page.title().startswith(HOSTILE)
    assert page.locator("h1").inner_text().startswith(HOSTILE)
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("width", [1280, 900, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits(open_report, tmp_path, width, scheme):
    page = open_report(width=width, color_scheme=scheme)
    page.screenshot(path=tmp_path / "top.png")
    charts = page.locator(".workbench svg[role=img]")
    expect(charts).to_have_count(4)
    assert all(chart.bounding_box()["width"] <= width for chart in charts.all())
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_paper_and_no_script_show_the_figure_that_stands_still(open_report):
    page = open_report()
    expect(page.locator(".still")).to_be_hidden()
    page.emulate_media(media="print")
    expect(page.locator(".still")).to_be_visible()
    expect(page.locator(".workbench").first).to_be_hidden()
    plain = open_report(java_script_enabled=False)
    expect(plain.locator(".still svg:visible")).to_have_count(1)
    expect(plain.locator(".workbench")).to_have_count(0)
    expect(plain.locator("tbody tr").first).to_be_visible()


def test_a_band_that_leaves_the_panel_is_cut_off_at_its_edge(open_report, report, tmp_path):
    text, changed = re.subn(r'"high": \[[\d.]+', '"high": [99', report.read_text(encoding="utf-8"), count=1)
    assert changed == 1
    far = tmp_path / "far.html"
    far.write_text(text, encoding="utf-8")
    quality = open_report(shown=far).locator(".workbench-quality svg[role=img]").first
    panel = quality.bounding_box()
    for band in quality.locator(".quality path").all():
        box = band.bounding_box()
        assert panel["y"] <= box["y"]
        assert box["y"] + box["height"] <= panel["y"] + panel["height"]
