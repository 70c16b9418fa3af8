"""What is taken where nobody asks for something else; from the command line and from Python alike.

Those of a cell are :class:`workbench.config.CellConfig`'s own, and those of the grid the budgets'. Importing
this loads no torch: the command line tells the values in its help.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

RUNS = Path("runs")
"""The folder for studies, in the one where a command is typed."""

EXECUTOR = "in-process"
"""Where stacks are trained: a name of ``executors.EXECUTORS``."""

CHECKPOINT_SECONDS = 60.0
"""Time between two checkpoints of a stack."""

OWN_BASE = "smollm2-135m"
"""The base for an own file."""

OWN_CORRUPTION = "other_record"
"""The damage whose price is asked for on an own file."""

LARGE_BASE_LAYERS = 6
"""Topmost blocks that carry adapters, on a base that people use: most of its blocks then run only once."""

LARGE_BASE_SETTINGS: Mapping[str, Any] = MappingProxyType({"batch_size": 8, "steps": 60})
"""Settings of the cells on such a base."""

TRUNK_SETTINGS: Mapping[str, Any] = MappingProxyType({"epochs": 1.0, "warmup_steps": 10})
"""Settings that the schedule "trunk" needs: each example once, and one warm-up for all sizes."""

KEPT_SHARE = "30%"
"""Share of the records that a filter keeps."""

EPOCHS_OF_FILTERS = 3.0
"""Passes over the examples where filters are compared: more examples then take more time."""
