"""The example browser in a real page, over records that qualities choose: filtered, sorted, side by side."""

import json

import pytest

from workbench.config import Quality
from workbench.data.records import Dataset, Record
from workbench.views.widgets import Examples

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=document.title='taken'>"
PAGE = """<!doctype html><meta charset="utf-8"><title>still</title><style>{css}</style><div id="here"></div>
<script type="module">
const state = {state};
const code = new Blob([{code}], {{ type: "text/javascript" }});
const widget = await import(URL.createObjectURL(code));
widget.default.render({{ model: {{ get: name => state[name] }}, el: document.getElementById("here") }});
</script>"""


def in_script(value):
    """Return a JSON value that can stand in a page's script."""
    return json.dumps(value).replace("<", "\\u003c")


@pytest.fixture
def browser_of_examples(browser, tmp_path):
    """Return a page with 30 questions that two sources answer; afterwards nothing may have gone wrong."""
    train = tuple(
        Record(
            id=f"{source}{n}",
            prompt=f"question {n} {HOSTILE}",
            response=f"{source} answer {n}",
            extra={"source": source, "ifd": n / 100 + (source == "wiki") / 2},
        )
        for n in range(30)
        for source in ("wiki", "forum")
    )
    data = Dataset(name="d", train=train, heldout=(), template="plain", licence="MIT", origin="here")
    view = Examples.chosen(data, [Quality(pool="source=wiki"), Quality(pool="ifd>=0.2")])
    state, code = {"rows": view.rows, "score": view.score}, view._esm
    shown = tmp_path / "examples.html"
    shown.write_text(PAGE.format(css=view._css, state=in_script(state), code=in_script(code)))
    wrong = []
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(shown.as_uri())
    yield page
    page.screenshot(path=tmp_path / "examples.png")
    assert page.title() == "still"
    page.close()
    assert not wrong


def test_records_that_qualities_choose_are_filtered_and_sorted(browser_of_examples):
    page = browser_of_examples
    said, body = page.locator("[role=status]"), page.locator("tbody")
    expect(said).to_have_text("120 of 120 examples, page 1 of 10")
    page.locator("select.quality").select_option("source=wiki")
    page.locator("select.kind").select_option("out")
    expect(said).to_have_text("30 of 120 examples, page 1 of 3")
    first = body.locator("tr").first.inner_text()
    assert "source is forum" in first
    assert first.index("forum answer") < first.index("wiki answer"), "the other answer stands beside it"
    assert HOSTILE in first
    page.locator("select.quality").select_option("ifd>=0.2")
    expect(said).to_have_text("20 of 120 examples, page 1 of 2")
    page.locator(".by-score").click()
    page.locator(".by-score").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("ifd")
    numbers = [float(text) for text in body.locator("td.number").all_inner_texts()]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] == 0.19
    expect(body.locator("tr").first).to_contain_text("ifd is 0.19, kept are 0.2 and more")
    page.locator("select.quality").select_option("")
    page.locator("select.kind").select_option("")
    page.locator(".find").fill("wiki answer 7")
    expect(said).to_contain_text("4 of 120")  # each answer, under both qualities
