"""CITATION.cff is what the tools that read it expect, and names this version."""

import tomllib
from pathlib import Path

import yaml

import workbench

ROOT = Path(__file__).resolve().parents[2]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
REQUIRED = {"cff-version", "message", "title", "authors"}
KNOWN = REQUIRED | {"abstract", "type", "version", "license", "keywords", "references"}
"""Keys of the Citation File Format 1.2.0 that are used here; it allows no others than its own."""


def test_it_has_what_the_format_asks_for():
    assert set(CITATION) >= REQUIRED
    assert set(CITATION) <= KNOWN
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    assert all(author.keys() == {"name"} for author in CITATION["authors"])
    for reference in CITATION["references"]:
        assert {"type", "title", "authors"} <= set(reference)


def test_it_says_what_the_project_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert CITATION["version"] == workbench.__version__
    assert CITATION["license"] == project["license"]
    assert CITATION["authors"][0]["name"].removeprefix("The ") in (ROOT / "LICENSE").read_text(
        encoding="utf-8"
    )
