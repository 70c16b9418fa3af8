"""Objects show themselves: a few facts, escaped, in the page's own colours, and nothing that isn't text."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.columns import Columns
from workbench.data.records import Dataset, Record
from workbench.showing import facts_html, one_line, padded, rows_html
from workbench.studies import background
from workbench.studies.background import BackgroundRun

HOSTILE = "<script>alert('1')</script>\x1b[31m\n\u202e&"


@pytest.fixture(scope="module")
def shipped():
    return wb.shipped_study()


class Page(HTMLParser):
    """Collects the tags and the attributes of a piece of HTML, and whether they close in order."""

    def __init__(self):
        super().__init__()
        self.tags, self.open, self.attributes = set(), [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.open.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def assert_safe(html):
    page = Page()
    page.feed(html)
    page.close()
    assert not page.open
    assert page.tags <= {"table", "tr", "th", "td", "p", "div"}
    assert page.attributes <= {"style", "colspan"}
    assert not re.search(r"https?:|url\(|color", html), "it loads nothing and takes the page's colours"
    assert len(html) < 20_000


def shown_objects(shipped):
    table = wb.read_table(shipped.table())
    yield wb.study("verbs")
    yield shipped
    yield shipped.table()
    yield table
    yield shipped.analysis("loss")
    yield shipped.analysis("exact_match")
    yield shipped.exchange_rate()
    yield shipped.fit("loss", "noise_floor")
    yield shipped.adapter("clean", 128)
    yield wb.load_base("classroom")
    yield wb.load_dataset("verbs")
    yield wb.quantize(torch.ones(2, 64), "nf4")
    yield BackgroundRun("nowhere")


def test_everything_shows_itself(shipped):
    for one in shown_objects(shipped):
        assert_safe(one._repr_html_())
        assert len(repr(one)) < 2500
        assert repr(one).count("\n") < 12
        assert "object at 0x" not in repr(one)


def test_what_a_person_wants_to_know_is_there(shipped):
    assert "4 qualities x 7 sizes x 4 seeds" in repr(shipped)
    assert "112 of 112 done" in repr(shipped)
    assert "3 qualities x 4 sizes x 3 seeds = 36 cells" in repr(wb.study("verbs"))
    analysis = repr(shipped.analysis("loss"))
    assert shipped.analysis("loss").law.formula in analysis
    assert "misfit: p = " in analysis
    base = repr(wb.load_base("classroom"))
    for fact in ("751,104", "q4_0", "4.61 bits", "MIT"):
        assert fact in base
    data = repr(wb.load_dataset("verbs"))
    for fact in ("5,861 records", "600 records", "abandoned"):
        assert fact in data


@pytest.mark.parametrize("metric", ["loss", "exact_match"])
def test_an_analysis_names_the_constants_of_its_curves(shipped, metric):
    analysis = shipped.analysis(metric)
    law = analysis.law
    for quality in analysis.curves:
        constants = analysis.constants(quality)
        assert set(constants) == {one.name for one in law.parameters}
        fit = analysis.candidates[0].fits[quality]
        assert law.predict(constants, fit.problem.x) == pytest.approx(fit.predict(fit.problem.x))


def test_hostile_names_are_only_text(tmp_path):
    record = Record(id="1", prompt=HOSTILE, response=HOSTILE)
    dataset = Dataset(
        name=HOSTILE,
        train=(record,),
        heldout=(),
        template="plain",
        licence=HOSTILE,
        origin=HOSTILE,
        notes=(HOSTILE,),
    )
    base = replace(wb.load_base("classroom"), name=HOSTILE, licence=HOSTILE, notes=(HOSTILE,))
    study = replace(wb.study("verbs"), name=HOSTILE, data=HOSTILE, base=HOSTILE)
    table = wb.read_table([{"size": 8, "loss": 1.0, "quality": HOSTILE}], name=HOSTILE)
    adapter = replace(wb.shipped_study().adapter("clean", 128), name=HOSTILE, base=HOSTILE)
    folder = BackgroundRun(f"{tmp_path}/{HOSTILE}")
    for one in (dataset, base, study, table, table.columns(), adapter, folder):
        assert_safe(one._repr_html_())
        assert "<script>" not in one._repr_html_()
        assert not re.search(r"[\x1b\u202e]", repr(one))


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_any_text_stays_text(title, name, fact):
    for html in (facts_html(title, {name: fact}), rows_html([name], [[fact]], title)):
        page = Page()
        page.feed(html)
        assert page.tags <= {"table", "tr", "th", "td", "p", "div"}
    assert one_line(fact).isprintable()


def test_long_texts_are_cut_and_say_so():
    assert one_line("x" * 400) == "x" * 300 + " …"
    assert "x" * 301 not in rows_html(["a"], [["x" * 400]])
    long = Columns({"n": n} for n in range(50))
    assert "the first 10 of 50 rows" in long._repr_html_()
    assert long.height == 50


def test_a_background_run_says_how_far_it_is(tmp_path, monkeypatch):
    job = BackgroundRun(tmp_path)
    assert "state: new" in repr(job)
    job.folder.mkdir()
    event = {"share": 0.25, "cells_done": 3, "cells": 12, "losses": ["x" * 50_000]}
    lines = [json.dumps({**event, "share": number / 100}) for number in range(26)]
    (job.folder / "events.jsonl").write_text("\n".join(lines) + '\n{"share": 0.3')
    (job.folder / "state.json").write_text(json.dumps({"name": "stopped"}))
    assert "state: stopped" in repr(job)
    assert "25% of this run's steps, 3 of 12 cells" in repr(job)
    monkeypatch.setattr(background, "LAST_BYTES", 1000)
    assert repr(job).endswith("state: stopped"), "a line that is cut is not read"
    (job.folder / "state.json").write_text("[]")
    assert "is damaged" in repr(job)


@given(rows=st.lists(st.lists(st.text("ab c,", max_size=6), min_size=3, max_size=3), min_size=1, max_size=5))
def test_columns_of_a_table_begin_below_each_other_and_numbers_end_so(rows):
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    for numbers in (False, True):
        for line, row in zip(padded(rows, numbers=numbers), rows, strict=True):
            line, at = line.ljust(sum(widths) + 4), 0
            for place, (text, width) in enumerate(zip(row, widths, strict=True)):
                room = line[at : at + width]
                assert room == (text.rjust(width) if numbers and place else text.ljust(width))
                at += width + 2
    assert padded([("a", "1"), ("bc", "10")], numbers=True) == ["a    1", "bc  10"]
    assert padded([("a", "1"), ("bc", "")]) == ["a   1", "bc"]
