"""Mistakes in what a cell is and what it is called."""

from mistakes_list import Mistake

FILE = "src/workbench/config.py"
TESTS = "tests/workbench/test_config.py"

MISTAKES = [
    Mistake(
        "a cell's key forgets alpha",
        FILE,
        "        for name, digest in ((",
        '        content.pop("alpha", None)\n        for name, digest in ((',
        TESTS,
    ),
    Mistake("syntax", FILE, "        for name, digest in ((", "    for ", TESTS),
    Mistake(
        "no test", FILE, "json.dumps(content, sort_keys=True)", "json.dumps(content)", TESTS + "::nothing"
    ),
]
