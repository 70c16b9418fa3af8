"""Lets the lists, and their tests, import ``mistakes_list``."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
