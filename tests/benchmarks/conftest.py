"""Lets the tests import the parts of `make gpu-check`, which lie with the benchmarks."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
