"""Every operator that is under the bench: one file of ``bench/operators/`` for each, found by itself.

Such a file holds

* ``CHECKS``: quick, strict comparisons with the reference, which have to object to every planted mistake and
  run on a GPU too;
* ``EXAMPLES``: by the name in the tables, a function from a :class:`~bench.examples.Size` to a call of the
  Triton twin, forward and backward: what budgets, traffic and times are measured of;
* ``MUTANTS``: mistakes to plant, see ``bench/mutants.py``.
"""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

from bench.examples import Example, Size
from bench.mutants import Mutant

FOLDER = Path(__file__).parent / "operators"
_FILES = [
    importlib.import_module(f"bench.operators.{found.name}") for found in pkgutil.iter_modules([FOLDER])
]

CHECKS: dict[str, Callable[[], None]] = {}
CATALOGUE: dict[str, Callable[[Size], Example]] = {}
MUTANTS: list[Mutant] = []
for _file in _FILES:
    CHECKS |= _file.CHECKS
    CATALOGUE |= _file.EXAMPLES
    MUTANTS += _file.MUTANTS
