"""A real study that comes with the package, so that a class can start before it has trained anything.

``verbs`` is ``workbench run verbs --budget lunch``, made by the committed code on a machine with two cores;
its manifest says when, with which versions, how long it took and what every number hangs on. To make it
again: run that command, then ``python -m workbench.lessons.shipped.make RUNS/verbs-lunch``, which leaves out
what is large: all adapters but two, and the curves that no notebook shows.
"""

from pathlib import Path

VERBS = Path(__file__).parent / "verbs"
"""The study's folder; open it with ``Store.open(VERBS, read_only=True)``."""
TALKERS = (("clean", 128, 0), ("50% other_form", 128, 0))
"""Quality, size and seed of the two cells whose adapters and held-out outcomes are kept."""
