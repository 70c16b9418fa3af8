"""A real study that comes with the package, so that a class can start before it has trained anything.

``verbs`` is ``workbench run verbs --budget lunch``, made by the committed code on a machine with two cores;
its manifest says when, with which versions, how long it took and what every number hangs on. To make it
again: run that command, then ``python -m workbench.lessons.shipped.make RUNS/verbs-lunch verbs``, which
leaves out what is large: all adapters but two, and the curves that no notebook shows.

``filters`` compares two filters over a file of 800 verbs of which four in ten are wrong; ``FILTERED`` says
how the file and the study were made. Its seconds were taken on a machine that was busy with other work, so
notebook 12 counts passes over the records instead.
"""

from pathlib import Path
from typing import Any

VERBS = Path(__file__).parent / "verbs"
"""The study's folder; open it with ``Store.open(VERBS, read_only=True)``."""
FILTERS = Path(__file__).parent / "filters"
"""The comparison of two filters, without its adapters."""
FILTERED: dict[str, Any] = {
    "scorers": ("tuned_loss", "ifd"),
    "base": "classroom",
    "template": "verbs",
    "keep": "40%",
    "corruption": "other_record",
    "sizes": (32, 64, 128, 256),
    "seeds": (0, 1, 2),
    "whole": False,
}
"""What ``compare_filters`` was given, beside the file of 800 verbs (drawn with seed 0, ``other_form``, 0.6
right) and the first 200 verbs that are held out to judge by."""
TALKERS = (("clean", 128, 0), ("50% other_form", 128, 0))
"""Quality, size and seed of the two cells whose adapters and held-out outcomes are kept."""
DATABLATIONS = Path(__file__).parent / "datablations" / "datablations_fit182.csv"
"""The 182 training runs of Muennighoff et al. 2023, arXiv:2305.16264; Apache-2.0, see the page beside it."""
