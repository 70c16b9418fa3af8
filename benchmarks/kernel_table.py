"""Measure every kernel and write the budgets and the table of kernels/README.md.

    python benchmarks/kernel_table.py             # compiles everything for every target: minutes
    python benchmarks/kernel_table.py swiglu      # only this operator, by its name in the table; others stay
    python benchmarks/kernel_table.py --readme    # only the table, from the committed budgets

The figures are static: what the compiler made of each kernel and what it moves, counted without a GPU.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "kernels"))
os.environ.setdefault("TRITON_CACHE_DIR", tempfile.mkdtemp())

from bench import budgets, readme  # noqa: E402
from bench.catalogue import CATALOGUE  # noqa: E402

from qlora_kernels.lab.compiler import TARGETS  # noqa: E402


def main() -> None:
    """Measure unless told not to, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operator", nargs="*", help="measure these alone; all by default")
    parser.add_argument(
        "--readme", action="store_true", help="only write the table, from the budgets as committed"
    )
    arguments = parser.parse_args()
    if not arguments.readme:
        try:
            figures = budgets.measure(list(TARGETS), arguments.operator or CATALOGUE)
        except ValueError as problem:
            parser.error(str(problem))
        budgets.FILE.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    readme.write(budgets.read())


if __name__ == "__main__":
    main()
