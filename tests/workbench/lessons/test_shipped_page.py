"""The page that the README links is what the shipped study gives; its picture is there."""

import json
import re
from pathlib import Path

import pytest

from workbench.lessons.shipped import VERBS
from workbench.lessons.site import write_site

DOCS = Path(__file__).resolve().parents[3] / "docs"
AGAIN = "write it again: python docs/shipped_page.py --picture"


def parts(page):
    """Return a page without its study, and the study."""
    before, _, rest = page.partition('id="study">')
    study, _, after = rest.partition("</script>")
    return before + after, json.loads(study)


def alike(one, two):
    """Say whether two JSON values are the same but for the last digits of numbers, also in texts."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(alike(one[name], two[name]) for name in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(alike, one, two))
    if isinstance(one, float) and isinstance(two, int | float):
        return two == pytest.approx(one, rel=1e-2, abs=1e-6)
    if isinstance(one, str) and isinstance(two, str):
        return re.sub(r"[\d.,]+", "#", one) == re.sub(r"[\d.,]+", "#", two)
    return one == two


def test_it_is_what_the_study_gives(tmp_path):
    committed = (DOCS / "site" / "index.html").read_text(encoding="utf-8")
    text, study = parts(committed)
    wanted_text, wanted = parts(write_site(VERBS, tmp_path).page.read_text(encoding="utf-8"))
    assert text == wanted_text, AGAIN
    assert study.keys() == wanted.keys(), AGAIN
    for name in wanted:
        assert alike(wanted[name], study[name]), f"{name}: {AGAIN}"


def test_a_difference_is_seen():
    assert alike({"a": [1.0, "at 32 (1.2)"]}, {"a": [1.0005, "at 32 (1.3)"]})
    for other in ({"a": [1.2, "at 32 (1.2)"]}, {"a": [1.0]}, {"a": [1.0, "no amount"]}, {"b": []}):
        assert not alike({"a": [1.0, "at 32 (1.2)"]}, other)


def test_the_readme_leads_to_it_with_a_picture_of_modest_size():
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    top = readme[: readme.index("## Start")]
    assert re.search(r"\[!\[[^]]{20,}\]\(docs/site\.png\)\]\(docs/site/index\.html\)", top)
    assert (DOCS / "site.png").read_bytes().startswith(b"\x89PNG")
    assert (DOCS / "site.png").stat().st_size < 150_000
    assert (DOCS / "site" / "index.html").stat().st_size < 500_000
