"""One question has one answer: the same characters in notebooks, report, page, terminal and paper."""

import html
import re
import shutil
from pathlib import Path

import nbformat
import pytest

from workbench.cli import main
from workbench.laws.claims import quality_in_words
from workbench.lessons.shipped import VERBS
from workbench.lessons.site import write_site
from workbench.results import shipped_study
from workbench.views.manuscript import PaperSource
from workbench.views.manuscript.numbers import numbers_tex
from workbench.views.report import write_report

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
IN_NOTEBOOKS = ("00_five_minutes", "05_grid", "07_exchange_rate", "10_paper")
OTHERS = ("50% other_form", "25% other_form", "10% other_form")


@pytest.fixture(scope="module")
def sentences():
    """Return what the shipped study says of every quality, the most damaged first."""
    return [shipped_study().exchange_rate("exact_match", other=other).sentence() for other in OTHERS]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answer") / "verbs"
    shutil.copytree(VERBS, folder, ignore=shutil.ignore_patterns("adapters"))
    return folder


def text_of(page):
    """Return the words of a page as they are read: without markup, every space one space."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_the_headline_can_be_said_aloud_and_begins_the_first_sentence(sentences):
    found = shipped_study().answers()
    assert found.sentences[0] == sentences[0]
    assert f"{found.headline} {found.details}" == sentences[0]
    assert found.headline.count(".") == 1
    assert len(found.headline.split()) <= 25


def test_the_report_says_it(study, sentences):
    page = text_of(write_report(study).page.read_text(encoding="utf-8"))
    assert all(sentence in page for sentence in sentences)


def test_the_page_says_it(study, sentences, tmp_path):
    page = text_of(write_site(study, tmp_path / "site").page.read_text(encoding="utf-8"))
    assert all(sentence in page for sentence in sentences)


def test_the_terminal_says_it(study, sentences, capsys):
    assert main(["report", str(study)]) == 0
    assert sentences[0] in capsys.readouterr().out.splitlines()


def test_the_paper_says_it(sentences):
    macros = numbers_tex(PaperSource.read(VERBS)).decode()
    plain = macros.replace("\\%", "%").replace("`", "'")
    assert all(f"{{{sentence}}}" in plain for sentence in sentences)


@pytest.mark.parametrize("name", IN_NOTEBOOKS)
def test_the_notebooks_say_it(name, sentences):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    said = [text for output in outputs for text in (output.get("text", ""), *output.get("data", {}).values())]
    plain = " ".join(" ".join(text.split()) for text in said if isinstance(text, str))
    assert any(sentence in html.unescape(plain) for sentence in sentences)


def test_a_name_with_an_underscore_is_read_alike_everywhere():
    assert quality_in_words("50% other_form") == "'50% other form'"
