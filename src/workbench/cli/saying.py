"""Sentences in a terminal: whole words on each line, and one line each in a file."""

import shutil
import sys
from textwrap import fill

WIDEST_LINE = 100
"""Characters of a line that are still easy to read."""


def print_sentence(sentence: str) -> None:
    """Print a sentence, broken between words where a terminal reads it."""
    if sys.stdout.isatty():
        width = min(shutil.get_terminal_size().columns, WIDEST_LINE)
        sentence = fill(sentence, width, break_long_words=False, break_on_hyphens=False)
    print(sentence)
