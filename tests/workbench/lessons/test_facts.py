"""Facts at the end of a notebook's cell: a table on a page, lines in a terminal."""

import sys
from types import SimpleNamespace

from workbench.lessons import Facts, say

SHOWN = Facts("who is right", {"untrained": 0.2761234, "bytes": 12_345, "chosen": "<all>"})


def test_numbers_have_three_digits_that_count_and_thousands():
    assert repr(SHOWN) == "who is right\n  untrained: 0.276\n  bytes: 12,345\n  chosen: <all>"


def test_a_page_shows_the_same_and_reads_no_text_as_html():
    page = SHOWN._repr_html_()
    assert all(words in page for words in ("who is right", "0.276", "12,345", "&lt;all&gt;"))


def test_a_terminal_breaks_a_sentence_between_words(capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython.display", raising=False)
    say("word " * 40, "The end.")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "The end."
    assert all(set(line.split()) == {"word"} and len(line) <= 90 for line in lines[:-1])


def test_a_page_breaks_it_itself_and_reads_no_text_as_html(monkeypatch):
    shown = []
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=shown.append))
    say("1 < 2", "word " * 40)
    page = shown[0]._repr_html_()
    assert "1 &lt; 2</p>" in page
    assert page.count("<p") == 2
    assert "\n" not in page
    assert "pre" not in page
