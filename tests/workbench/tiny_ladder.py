"""A ladder of a few steps: rungs as narrow as they come."""

from workbench.classroom.pretrain import PretrainConfig
from workbench.ladder.rungs import LadderPlan

SHORT = PretrainConfig(batch_size=8, quantized_share=0.0)
PLAN = LadderPlan(widths=(16, 24, 32, 40), equal=(24,), seeds=(0, 1), ratio=0.02)
OPTIONS = ["--widths", "16", "24", "32", "40", "--equal", "24", "--ratio", "0.02", "--workers", "1"]
"""The plan as the command is told it, with its own three seeds."""
