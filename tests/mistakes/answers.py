"""Mistakes in what an answer puts first."""

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/laws/claims.py",
        "tests/workbench/laws/test_wording_values.py",
        (
            "what can't be told stands before what is sure",
            'if first.kind in ("alike", "unsure") and beyond',
            'if first.kind in ("unsure",) and beyond',
        ),
        (
            "what is doubtful at a larger size is told as sure",
            'and beyond[0].kind == "beyond":',
            'and beyond[0].kind != "crossing":',
        ),
        ("of what is open the bounds are kept silent", "known = 0 < claim.low < math.inf or", "known ="),
    ),
]
