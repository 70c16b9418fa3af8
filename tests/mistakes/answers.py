"""Mistakes in what an answer puts first."""

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/laws/claims.py",
        "tests/workbench/laws/test_wording_values.py",
        (
            "what can't be told stands before what is sure",
            'if first.kind in ("alike", "unsure"):',
            'if first.kind in ("unsure",):',
        ),
        (
            "what is doubtful at a larger size is told as sure",
            "known[(known > at) & never_enough(answer)[known]]",
            "known[known > at]",
        ),
        (
            "what is no better than no training stands first",
            'if sure.kind == "never":',
            'if sure.kind != "crossing":',
        ),
        ("of what is open the bounds are kept silent", "bounded = 0 < claim.low < math.inf or", "bounded ="),
    ),
]
