"""LaTeX: text stays text, numbers become words, and two never become one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.views.manuscript.latex import count, escaped, macro_name, spelled, tabular


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("50% other_form & more", r"50\% other\_form \& more"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("a\n\nb\tc", "a b c"),
        ("#1 ~ ^ $x$", r"\#1 \textasciitilde{} \textasciicircum{} \$x\$"),
        ("naïve 日本", "naïve ??"),
    ],
)
def test_text_is_printed_as_it_is_written(text, latex):
    assert escaped(text) == latex


@given(st.text())
def test_no_text_runs_a_command(text):
    rest = re.sub(r"\\(text\w+\{\}|[&%$#_{}])|\$\\times\$", "", escaped(text))
    assert not set(rest) & set("\\%$#_&{}~^")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "Zero"),
        (13, "Thirteen"),
        (30, "Thirty"),
        (512, "FiveHundredTwelve"),
        (2048, "TwoThousandFortyEight"),
        (1_000_000, "OneMillion"),
        (12_000_007, "TwelveMillionSeven"),
    ],
)
def test_numbers_in_words(number, words):
    assert spelled(number) == words


def test_no_two_numbers_have_the_same_words():
    assert len({spelled(number) for number in range(3000)}) == 3000


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("50% other_form", "FiftyPercentOtherForm"),
        ("12.5% flip", "TwelvePointFivePercentFlip"),
        ("1 rater", "OneRater"),
        ("3 raters, 20% flip", "ThreeRatersTwentyPercentFlip"),
        ("clean", "Clean"),
        ("日本", ""),
    ],
)
def test_a_label_as_the_name_of_a_macro(label, name):
    assert macro_name(label) == name


def test_a_table():
    assert count(12345) == "12{,}345"
    assert tabular("lr", ["a", "b"], [["1", "2"]]).split("\n") == [
        *("\\begin{tabular}{lr}", "\\toprule", "a & b \\\\", "\\midrule", "1 & 2 \\\\", "\\bottomrule"),
        *("\\end{tabular}", ""),
    ]
