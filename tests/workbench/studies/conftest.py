"""Lets the tests import what they share with the processes that they start."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
