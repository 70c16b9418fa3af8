"""``workbench site``: a study as one page that needs no installation."""

import argparse
from pathlib import Path
from typing import Any

from workbench.cli.saying import print_sentence


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "site",
        description="Write a page to play with a study for people who only have a browser: guess, explore, "
        "slide along the exchange rate, spend a budget. One file that loads nothing: open it from the disk, "
        "send it, or put it on any host.",
    )
    parser.add_argument("study", type=Path, help="the study's folder, as `workbench list` shows it")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: STUDY/site")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the page, say the answer, where the page is, and what is not on it."""
    from workbench.lessons.site import write_site

    site = write_site(arguments.study, arguments.output)
    print_sentence(site.sentence)
    for line in site.left_out:
        print_sentence(f"not on the page: {line}")
    print(f"page: {site.page} ({site.size / 1000:,.0f} kB)")
    return 0
