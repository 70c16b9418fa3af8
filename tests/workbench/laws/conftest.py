"""Lets the tests import the measurements of the laws, which are run by hand and lie with the benchmarks."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks" / "laws"))
