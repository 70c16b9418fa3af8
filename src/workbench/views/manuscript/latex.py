"""LaTeX: text that can't break a document, names that a macro may have, tables."""

import re
from collections.abc import Sequence

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "×": r"$\times$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
SMALL = (
    *("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven"),
    *("Twelve", "Thirteen", "Fourteen", "Fifteen", "Sixteen", "Seventeen", "Eighteen", "Nineteen"),
)
TENS = ("Twenty", "Thirty", "Forty", "Fifty", "Sixty", "Seventy", "Eighty", "Ninety")
LARGE = ((10**9, "Billion"), (10**6, "Million"), (1000, "Thousand"), (100, "Hundred"))


def escaped(text: str) -> str:
    """Return text that LaTeX prints as it is written; characters outside Latin 1 become question marks.

    Those would stop pdfLaTeX, and only names that a user chose hold them.
    """
    plain = "".join(SPECIAL.get(character, character) for character in " ".join(text.split()))
    return re.sub(r"[^\x20-\x7e\xa1-\xff]", "?", plain)


def count(number: int) -> str:
    """Return a whole number with its thousands apart, in text and in formulas alike."""
    return f"{number:,}".replace(",", "{,}")


def spelled(number: int) -> str:
    """Return a whole number in words, as macros can hold no digits: 2048 is TwoThousandFortyEight."""
    if number < len(SMALL):
        return SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens - 2] + (SMALL[ones] if ones else "")
    size, word = next(one for one in LARGE if number >= one[0])
    many, rest = divmod(number, size)
    return spelled(many) + word + (spelled(rest) if rest else "")


def macro_name(text: str) -> str:
    """Return text as the name of a macro, letters alone: "50% other_form" is FiftyPercentOtherForm."""
    return "".join(_letters(part) for part in re.findall(r"[A-Za-z]+|\d+\.\d+|\d+|%", text))


def _letters(part: str) -> str:
    if part == "%":
        return "Percent"
    if part[0].isdigit():
        whole, point, decimals = part.partition(".")
        digits = "".join(SMALL[int(digit)] for digit in decimals)
        return spelled(int(whole)) + (f"Point{digits}" if point else "")
    return part[0].upper() + part[1:]


def tabular(columns: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, long: bool = False) -> str:
    """Return a table in the manner of booktabs; ``long`` is one that goes on over pages.

    Args:
        columns: LaTeX's letter for each column, such as "lrr".
        head: The headings, as LaTeX.
        rows: The cells, as LaTeX.
        long: Use ``longtable`` instead of ``tabular``.
    """
    name = "longtable" if long else "tabular"
    top = ["\\toprule", _line(head), "\\midrule"] + (["\\endhead"] if long else [])
    lines = [f"\\begin{{{name}}}{{{columns}}}", *top, *map(_line, rows), "\\bottomrule", f"\\end{{{name}}}"]
    return "\n".join(lines) + "\n"


def over(upper: str, lower: str) -> str:
    """Return a table's cell of two lines, the lower one small."""
    return f"\\begin{{tabular}}[t]{{@{{}}r@{{}}}}{upper}\\\\[-1pt]{{\\scriptsize {lower}}}\\end{{tabular}}"


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
