"""The report: what it says, that it asks nobody for anything, and that data can't write into it or run."""

import base64
import csv
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from planned_studies import planned, write_planned

from workbench.config import Quality
from workbench.errors import InputError
from workbench.laws import exchange_rate, read_table
from workbench.results import open_study
from workbench.studies.disk.store import Store
from workbench.views.answers import answers
from workbench.views.explore import inline_json
from workbench.views.points import points
from workbench.views.report import write_report


class Page(HTMLParser):
    """Collect the text, the tags and what would be loaded."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.links, self.words = [], [], []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [
            value for name, value in attrs if name in ("src", "href", "xlink:href", "data", "action")
        ]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def report(study):
    return write_report(study)


def test_the_answer_comes_first(report):
    page = Page(report.page.read_text(encoding="utf-8"))
    rate = exchange_rate(
        read_table(report.table), "exact_match", reference="clean", other="50% other_form", items=600
    )
    assert report.sentence == rate.sentence().replace("on heldout", "on 600 held-out records")
    assert page.text.index(report.sentence) < page.text.index("Exchange rates")


def test_the_loss_comes_first_where_hardly_any_answer_is_matched(table):
    few = [{**row, "exact_match": row["exact_match"] / 20} for row in table]
    assert "Judged by loss on 600 held-out records" in answers(few, "few", 600).sentences[0]
    assert "Judged by exact match" in answers(table, "many", 600).sentences[0]


def test_it_shows_what_a_reader_needs(report):
    text = Page(report.page.read_text(encoding="utf-8")).text
    for expected in (
        "36 of 36 cells done",
        "not reached",
        "zero-shot 0 4.200 0.000",
        "wall time 5.2 min 5.0 min 1.05",
        "data verbs. made up. MIT",
        "50% other form <script>alert(1)</script> sang sings",
        "data heldout_records 600",
        "50% other form 2,048 3 0.78",
    ):
        assert expected in text, expected


def test_it_says_what_to_do_next(tmp_path):
    folder = write_planned(tmp_path / "study", planned())
    text = Page(write_report(folder).page.read_text(encoding="utf-8")).text
    advice = open_study(folder).plan()
    part = text[text.index("What to do next") : text.index("What was measured")]
    assert f"{advice.now} In the next hour: train {len(advice.cells)} cells" in part
    for quality, *rest in advice.cell_lines():
        assert " ".join([quality.replace("_", " "), *rest]) in part
    assert advice.price in part


@pytest.mark.parametrize(
    ("changes", "options", "says"),
    [
        ({"seeds": (0,)}, {}, "One seed a cell shows no noise, and a plan weighs cells by it; run the study"),
        ({}, {"done": 14}, "14 of 24 cells have a result, and a plan needs all; the command that began it"),
        ({"sizes": (32, 64)}, {}, "Nothing can be planned: Judged by loss"),
        ({}, {"value": lambda cell: 2.0}, "Nothing can be planned: Loss is 2 in every cell"),
        ({"qualities": (Quality(),)}, {}, "The study has one quality, and a plan compares two"),
    ],
)
def test_what_cannot_be_planned_is_said_in_a_sentence(tmp_path, changes, options, says):
    folder = write_planned(tmp_path / "study", planned(**changes), **options)
    text = Page(write_report(folder).page.read_text(encoding="utf-8")).text
    part = text[text.index("What to do next") : text.index("What was measured")]
    assert part.removeprefix("What to do next ").startswith(says.partition("; the command")[0])
    assert part.strip().endswith(".")
    assert ".." not in part


def test_what_was_left_out_is_told(make_study, report):
    hostile = "a.jsonl: ignored key '<script>alert(2)</script>' (3 records)"
    notes = ["a.jsonl: 2 of 60 records left out: not JSON (lines 4 and 8)", hostile]
    folder = make_study()
    with Store.open(folder) as store:
        store.update_manifest(data=store.manifest.to_json()["data"] | {"notes": notes})
    html = write_report(folder).page.read_text(encoding="utf-8")
    text = Page(html).text
    assert "What was left out or changed a.jsonl: 2 of 60 records left out: not JSON (lines 4 and 8)" in text
    assert text.count(hostile) == 1
    assert "<script>alert(2)" not in html
    assert "left out or changed" not in report.page.read_text(encoding="utf-8")


def test_records_that_qualities_choose_stand_with_their_reasons(make_study, report):
    hostile = "<b>alert(3)</b>"
    one = {"quality": "source=wiki", "prompt": hostile, "response": "so", "reason": f"in: is {hostile}"}
    two = one | {"quality": "clean", "reason": "out: from scraped"}
    folder = make_study()
    for pair in ({}, {"other": f"not so {hostile}", "other_reason": "in: from clean"}):
        with Store.open(folder) as store:
            store.update_manifest(examples=[one, two | pair])
        html = write_report(folder).page.read_text(encoding="utf-8")
        text = Page(html).text
        assert f"source=wiki in: is {hostile} {hostile} so clean out: from scraped {hostile} so" in text
        assert (f"so not so {hostile} (in: from clean)" in text) == bool(pair)
        assert ("the other answer" in text) == bool(pair)
        assert "<b>alert(3)" not in html
        assert "What the damage looks like" not in text
    assert "What the qualities choose" not in report.page.read_text(encoding="utf-8")


def test_it_loads_nothing(report):
    page = Page(report.page.read_text(encoding="utf-8"))
    assert "svg" in page.tags
    assert not {"link", "img", "iframe", "object", "form"} & set(page.tags)
    outside = [link for link in page.links if not link.startswith("#") and "://" not in link]
    assert sorted(outside) == ["figure.pdf", "figure.png", "figure.svg", "table.csv"]
    assert not [link for link in page.links if "://" in link]
    assert all((report.page.parent / name).is_file() for name in outside)
    assert "default-src 'none'" in report.page.read_text(encoding="utf-8"), "a browser is told so too"


def scripts(html):
    return re.findall(r"<script([^>]*)>(.*?)</script>", html, flags=re.DOTALL)


def test_it_runs_its_own_script_and_no_other(report):
    html = report.page.read_text(encoding="utf-8")
    (data, numbers), (module, code) = scripts(html)
    assert (data, module) == (' type="application/json" id="study"', ' type="module"')
    assert json.loads(numbers)["pairs"][0]["names"] == ["clean", "50% other form"]
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert "unsafe-inline'; script-src 'sha256" in html


def test_a_name_that_ends_a_script_ends_none():
    hostile = "</script><script>alert(1)</script><!-- & "
    text = inline_json({hostile: [hostile]})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {hostile: [hostile]}


def test_the_page_has_the_numbers_of_the_table(report, table):
    (_, numbers), _ = scripts(report.page.read_text(encoding="utf-8"))
    metrics = {metric["name"]: metric for metric in json.loads(numbers)["metrics"]}
    for name, metric in metrics.items():
        for quality, line in zip(metric["qualities"], points(table, name).values(), strict=True):
            assert [(p["size"], p["mean"], p["low"], p["high"]) for p in quality["points"]] == [
                (p.size, p.mean, p.low, p.high) for p in line
            ]


def test_a_report_is_the_same_every_time(report):
    before = {path.name: path.read_bytes() for path in report.page.parent.iterdir()}
    write_report(report.page.parent.parent)
    assert {path.name: path.read_bytes() for path in report.page.parent.iterdir()} == before


def test_the_figure_takes_the_colour_of_the_page(report):
    html = report.page.read_text(encoding="utf-8")
    assert "var(--ink)" in html
    assert "#1a1a1a" not in html[html.index("<svg") : html.index("</svg>")]
    assert html.index("--ink: var(--jp-ui-font-color1, #1a1a1a)") < html.index("<svg")


def test_the_table_is_the_store_without_seconds(report):
    with open(report.table, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with Store.open(report.page.parent.parent) as store:
        table = store.table()
    assert len(rows) == len(table) == 37
    assert "seconds" not in rows[0]
    assert [float(row["exact_match"]) for row in rows] == [row["exact_match"] for row in table]
    assert rows[0]["seed"] == "", "missing is empty, not 0"


def test_a_failed_cell_is_named_with_its_reason(make_study):
    report = write_report(make_study(broken=("0.5 128 2",)))
    text = Page(report.page.read_text(encoding="utf-8")).text
    assert (
        "50% other form, 128 examples, seed 2 failed: the training loss was not a number at step 17" in text
    )
    assert "35 of 36 cells done" in text


def test_a_study_with_one_seed_says_where_its_noise_is_from(make_study):
    report = write_report(make_study(seeds=1))
    assert "with one run a cell: the noise is what the laws leave" in report.sentence


def test_a_bare_manifest_is_enough(make_study):
    report = write_report(make_study(manifest={}))
    assert "not recorded" in Page(report.page.read_text(encoding="utf-8")).text


def test_a_study_without_a_finished_cell_has_no_report(tmp_path):
    Store.create(tmp_path / "empty", {}).close()
    with pytest.raises(InputError, match="has no finished cell yet"):
        write_report(tmp_path / "empty")
    assert not (tmp_path / "empty" / "report").exists()
