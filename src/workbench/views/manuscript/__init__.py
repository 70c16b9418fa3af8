"""A study's part of a paper: every figure, table and quoted number, made again from its record."""

from workbench.views.manuscript.folder import FileDifference, Paper, check_paper, paper_files, write_paper
from workbench.views.manuscript.source import PaperSource

__all__ = ["FileDifference", "Paper", "PaperSource", "check_paper", "paper_files", "write_paper"]
