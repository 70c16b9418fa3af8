"""Write the README's tables from the code, or check that they are what the code says.

    python docs/tables.py README.md            writes them
    python docs/tables.py --check README.md    fails on a difference

A table stands between two comments: ``<!-- table: NAME -->`` and ``<!-- end -->``.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from workbench.cli import COMMANDS
from workbench.data.corruptions import CORRUPTIONS
from workbench.data.templates import TEMPLATES
from workbench.fetch import FETCHABLE
from workbench.laws.curves import ACCURACY_FLOOR, curve_laws
from workbench.studies.grid import BUDGETS, STUDIES

PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def commands() -> Iterable[tuple[str, ...]]:
    """Return each command with its line of help."""
    yield "command", "what it does"
    yield from ((f"`workbench {name}`", about) for name, about in COMMANDS.items())


def studies() -> Iterable[tuple[str, ...]]:
    """Return each built-in study with its grid at each budget."""
    yield "study", "base", "budget", "qualities", "sizes", "seeds", "cells"
    for name, make in STUDIES.items():
        for budget in BUDGETS:
            study = make(budget)
            labels = ", ".join(quality.label.replace("_", " ") for quality in study.qualities)
            sizes = f"{min(study.sizes)} to {max(study.sizes)} ({len(study.sizes)})"
            yield name, study.base, budget, labels, sizes, str(len(study.seeds)), str(len(study.cells()))


def corruptions() -> Iterable[tuple[str, ...]]:
    """Return each corruption with what it does to an example."""
    yield "corruption", "an example becomes"
    yield from ((f"`{name}`", corruption.about) for name, corruption in CORRUPTIONS.items())


def templates() -> Iterable[tuple[str, ...]]:
    """Return each template."""
    yield "template", "how a record is asked"
    yield from ((f"`{name}`", template.about) for name, template in TEMPLATES.items())


def fetchable() -> Iterable[tuple[str, ...]]:
    """Return what ``workbench fetch`` knows."""
    yield "name", "what it is", "size", "licence"
    for name, item in FETCHABLE.items():
        yield f"`{name}`", item.about, f"{item.size / 1e6:.0f} MB", item.licence


def curves() -> Iterable[tuple[str, ...]]:
    """Return each law that can be the curve of one quality."""
    yield "curve", "formula", "for", "source"
    for name, law in curve_laws().items():
        floor = f"; floor: {ACCURACY_FLOOR}" if law.metric == "accuracy" else ""
        yield f"`{name}`", f"`{law.formula}`", law.metric, law.source + floor


TABLES: dict[str, Callable[[], Iterable[tuple[str, ...]]]] = {
    "commands": commands,
    "studies": studies,
    "corruptions": corruptions,
    "templates": templates,
    "fetchable": fetchable,
    "curves": curves,
}


def markdown(rows: Iterable[tuple[str, ...]]) -> str:
    """Return rows, the headings first, as a Markdown table."""
    heading, *lines = rows
    return "".join(f"| {' | '.join(line)} |\n" for line in (heading, ("---",) * len(heading), *lines))


def filled(text: str) -> str:
    """Return a document with every table written anew."""
    return PLACE.sub(lambda place: place[1] + markdown(TABLES[place[2]]()) + place[3], text)


def main() -> int:
    """Write or check the documents named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("documents", nargs="+", type=Path)
    parser.add_argument("--check", action="store_true", help="change nothing, fail on a difference")
    arguments = parser.parse_args()
    stale = []
    for document in arguments.documents:
        text = document.read_text(encoding="utf-8")
        if filled(text) != text:
            stale.append(document)
            if not arguments.check:
                document.write_text(filled(text), encoding="utf-8")
    if stale and arguments.check:
        print(f"the tables of {', '.join(map(str, stale))} are not what the code says: run make docs")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
