"""Write docs/reliability.md's table: every fault is brought about, and what was said is written down.

    python docs/reliability.py            runs the cases (minutes) and writes the table

The cases are those of the tests, in tests/workbench/studies/faults.py.
"""

import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
PLACE = re.compile(r"(<!-- table: faults -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def outcome(case: object, scratch: Path) -> tuple[str, str]:
    """Bring a fault about; return what is said and how it ends."""
    try:
        sentence = case(scratch)
    except PermissionError as error:
        return str(error), "not tried here"
    return sentence.replace(str(scratch), "").replace("|", "\\|"), "identical table"


def main() -> None:
    """Run the cases and write the page."""
    sys.path.insert(0, str(ROOT / "tests" / "workbench" / "studies"))
    from faults import ELSE, FAULTS

    lines = ["| what happens | what is said | after that |", "| --- | --- | --- |"]
    for name, case in FAULTS.items():
        with tempfile.TemporaryDirectory() as scratch:
            said, end = outcome(case, Path(scratch))
        end = ELSE.get(name, end)
        lines.append(f"| {case.__doc__.strip().rstrip('.')} | {said} | {end} |")
        print(f"{name}: {end}", flush=True)
    table = "\n".join(lines) + "\n"
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(PLACE.sub(lambda found: found[1] + table + found[2], text), encoding="utf-8")


if __name__ == "__main__":
    main()
