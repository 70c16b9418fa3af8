"""The documents are true: their links lead somewhere, their names exist, their versions can be installed."""

import importlib
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import workbench

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for folder in (".", "docs", "docs/paper", "kernels", "notebooks")
    for path in (ROOT / folder).glob("*.md")
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


NAMED_PATH = re.compile(r"`((?:src|tests|docs|kernels|benchmarks|notebooks)/[\w./-]+)`")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not re.match(r"https?:|mailto:", target):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_index_names_every_document():
    index = text_of("docs/README.md")
    for page in PAGES:
        if page.parent == ROOT / "docs" and page.name != "README.md":
            assert f"({page.name})" in index, f"docs/README.md doesn't name {page.name}"
    assert "(docs/README.md)" in text_of("README.md")


def test_every_make_target_that_a_document_names_is_there():
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.MULTILINE))
    for page in PAGES:
        if page.name != "LOG.md":
            named = re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert set(named) <= targets, page


def test_every_word_of_the_glossary_is_in_the_code():
    glossary = text_of("docs/glossary.md")
    rows = re.findall(r"^\| ([a-z][^|]*) \| ([^|]+) \| `([\w.]+)` \|$", glossary, re.MULTILINE)
    assert len(rows) > 30
    for word, _, name in rows:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), f"{word}: there is no {name}"
    assert len({word for word, _, _ in rows}) == len(rows)
    table = [line for line in glossary.splitlines() if line.startswith("| ")]
    assert len(table) == len(rows) + 2, "a line of the table can't be read"


def test_paths_that_a_page_names_are_there():
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/release.md",
        "docs/architecture.md",
        "kernels/README.md",
    ):
        for path in re.findall(NAMED_PATH, text_of(name)):
            if "NAME" not in path:
                assert (ROOT / path).exists(), f"{name}: {path}"


def test_the_readme_draws_the_house_that_there_is():
    """Its line of rooms is the order of imports; what lies beside it is said below."""
    (line,) = re.findall(r"^src/workbench/ +(\S+(?: < \S+)+)$", text_of("README.md"), re.MULTILINE)
    drawn = line.split(" < ")
    spec = importlib.util.spec_from_file_location("house", Path(__file__).with_name("test_architecture.py"))
    house = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(house)
    rooms = {path.parent.name for path in (ROOT / "src" / "workbench").glob("*/__init__.py")}
    assert drawn == [name for name in house.LAYERS if name in drawn]
    assert rooms - set(drawn) == {"laws", "classroom"}
    assert set(house.LEAF) == {"laws"}
    assert set(drawn) - rooms == {"config", "results"}


def test_the_version_is_said_once():
    assert PROJECT["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", workbench.__version__)


def test_the_exact_versions_are_within_the_ranges():
    exact = {}
    for line in text_of("constraints.txt").splitlines():
        if not line.startswith("#"):
            name, version = line.split("==")
            assert "+" not in version, f"{line}: a build of one machine"
            exact[name] = version
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *extras["lab"], *extras["test"]]:
        wanted = Requirement(text)
        name = canonicalize_name(wanted.name)
        assert name in exact, f"{name} is not in constraints.txt: make lock"
        assert wanted.specifier.contains(exact[name], prereleases=True), (
            f"{text} against {exact[name]}: make lock"
        )


def test_the_hooks_call_what_is_there():
    hooks = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    for hook in hooks:
        for path in re.findall(r"(?:docs|tests)/[\w./]+", hook["entry"]):
            assert (ROOT / path).exists(), path
        if tool := re.match(r"\.venv/bin/(\w+)", hook["entry"]):
            assert tool[1] in {"ruff", "python", "pytest"}
