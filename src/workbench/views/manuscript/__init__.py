"""A study's part of a paper: every figure, table and quoted number, made again from its record."""

from workbench.views.manuscript.folder import Difference, Paper, check_paper, paper_files, write_paper
from workbench.views.manuscript.record import Record

__all__ = ["Difference", "Paper", "Record", "check_paper", "paper_files", "write_paper"]
