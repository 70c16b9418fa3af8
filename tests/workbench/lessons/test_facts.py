"""Facts at the end of a notebook's cell: a table on a page, lines in a terminal."""

from workbench.lessons import Facts

SHOWN = Facts("who is right", {"untrained": 0.2761234, "bytes": 12_345, "chosen": "<all>"})


def test_numbers_have_three_digits_that_count_and_thousands():
    assert repr(SHOWN) == "who is right\n  untrained: 0.276\n  bytes: 12,345\n  chosen: <all>"


def test_a_page_shows_the_same_and_reads_no_text_as_html():
    page = SHOWN._repr_html_()
    assert all(words in page for words in ("who is right", "0.276", "12,345", "&lt;all&gt;"))
