"""The front door: few names, lazy, documented, typed, and what the documents show of it."""

import ast
import inspect
import os
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest

import workbench as wb

ROOT = Path(__file__).resolve().parents[2]
SNIPPET = ROOT / "tests" / "typed" / "front_door.py"


def names_used(path):
    """Return the names that a file takes from ``wb``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "wb"
    }


def test_the_snippet_uses_every_name():
    assert names_used(SNIPPET) == set(wb.__all__)


@pytest.mark.parametrize("name", wb.__all__)
def test_each_name_is_documented(name):
    found = getattr(wb, name)
    text = inspect.getdoc(found)
    assert len(text or "") > 60
    if inspect.isfunction(found):
        assert ("Args:" in text) == bool(inspect.signature(found).parameters)
        assert "Raises:" in text or name == "shipped_study"
        for parameter in inspect.signature(found).parameters:
            assert re.search(rf"^    {parameter}: ", text, flags=re.MULTILINE), f"{name}: {parameter}"


def test_each_name_is_that_of_its_definition():
    # so that a search for the name finds the code
    for name in wb.__all__:
        assert getattr(wb, name).__name__.rpartition(".")[2] == name


def test_the_type_checker_sees_the_same_names():
    tree = ast.parse((ROOT / "src" / "workbench" / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert set(seen) == set(wb.__all__)
    for name, module in seen.items():
        assert getattr(sys.modules.get(module) or __import__(module, fromlist=[name]), name) is getattr(
            wb, name
        )


def test_dir_lists_the_names_and_help_reads_them():
    assert set(wb.__all__) < set(dir(wb))
    text = pydoc.render_doc(wb, renderer=pydoc.plaintext)
    assert "This is the front door" in text
    for name in wb.__all__:
        assert name in text


def test_a_mistyped_name_gets_the_nearest_one():
    with pytest.raises(AttributeError, match="did you mean 'open_study'"):
        _ = wb.opne_study
    with pytest.raises(AttributeError, match="there are InputError, Prices, Quality"):
        _ = wb.zzzzzz
    assert not hasattr(wb.widgets, "nothing")


LIGHT = {
    "study('verbs')": set(),
    "start": set(),
    "watch": set(),
    "Quality": set(),
    "InputError": set(),
    "read_table": {"numpy"},
}
"""What a notebook's first cells ask for, with what it may load of what is heavy."""


@pytest.mark.parametrize("name", LIGHT)
def test_a_name_loads_what_it_needs_and_no_more(name):
    heavy = ("torch", "triton", "transformers", "matplotlib", "numpy", "scipy", "anywidget")
    code = f"import sys, workbench as wb; wb.{name}; print(*[one for one in {heavy} if one in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    allowed = {*LIGHT[name], *({"numpy", "scipy"} if LIGHT[name] else ())}
    assert set(run.stdout.split()) <= allowed


def test_a_widget_without_the_notebooks_packages_says_how_to_install_them():
    code = (
        "import sys; sys.modules['anywidget'] = None\n"
        "import workbench as wb\n"
        "try: wb.widgets.GridMap\n"
        "except wb.InputError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the widget GridMap needs anywidget, which isn't installed; run " in run.stdout
    assert "pip install" in run.stdout


@pytest.mark.parametrize("package", ["src/workbench", "kernels/qlora_kernels"])
def test_types_travel_with_the_package(package):
    assert (ROOT / package / "py.typed").is_file()
    ignored = subprocess.run(["git", "check-ignore", "-q", f"{package}/py.typed"], cwd=ROOT, check=False)
    assert ignored.returncode != 0, "the wheel leaves out what git ignores"


CACHE = ROOT / ".mypy_cache" / "front_door"
"""Kept between runs."""
OTHERS = "torch numpy scipy matplotlib anywidget traitlets rich jinja2 tokenizers gguf einops jaxtyping"
"""Packages whose types take minutes to read at first; a quick check takes what is theirs as it comes."""
UNREAD = "[mypy-" + ",".join(f"{name}.*" for name in OTHERS.split()) + "]\nfollow_imports = skip\n"


def mypy_strict(snippet, folder, *, whole):
    """Check a file as a stranger's project would, against the packages, and return what mypy says."""
    settings = folder / "mypy.ini"
    settings.write_text("[mypy]\nstrict = True\nfollow_imports = silent\n" + ("" if whole else UNREAD))
    cache = CACHE / ("whole" if whole else "quick")
    run = subprocess.run(
        [sys.executable, "-m", "mypy", f"--config-file={settings}", f"--cache-dir={cache}", str(snippet)],
        env={**os.environ, "MYPYPATH": os.pathsep.join(str(ROOT / root) for root in ("src", "kernels"))},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout + run.stderr


each_depth = pytest.mark.parametrize(
    "whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["quick", "whole"]
)


@each_depth
def test_the_snippet_is_typed(tmp_path, whole):
    assert "Success" in (said := mypy_strict(SNIPPET, tmp_path, whole=whole)), said


@each_depth
def test_a_wrong_type_is_found(tmp_path, whole):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import workbench as wb\n"
        "wb.study('verbs', sizes='many')\n"
        "wb.study('verbs', rank='four')\n"
        "wb.run('verbs', 'folder')\n"
        "wb.open_study('folder').exchange_rate().sentence().real\n"
        "wb.widgets.Gridmap\n"
        "wb.nothing\n"
    )
    said = mypy_strict(wrong, tmp_path, whole=whole)
    for line in range(2, 8):
        assert f"wrong.py:{line}: error" in said, said


# the documents


def test_the_readmes_example_runs(tmp_path, monkeypatch, capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## From Python") :]
    code = re.search(r"```python\n(.*?)```", section, flags=re.DOTALL)[1]
    assert code.startswith("import workbench as wb\n")
    small = code.replace('budget="coffee"', 'budget="coffee", sizes=[8, 16], heldout=20, steps=2, rank=2')
    assert small != code
    monkeypatch.chdir(tmp_path)
    exec(compile(small, "README.md", "exec"), {})
    assert (tmp_path / "runs" / "verbs-coffee" / "report" / "index.html").is_file()


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.py")), ids=lambda path: path.stem)
def test_notebooks_come_in_by_the_front_door(path):
    cells = re.split(r"^# %%.*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    code = next(
        cell for cell in cells if re.search(r"^[^#\s]", cell, flags=re.MULTILINE) and "import" in cell
    )
    first = "import math" if path.stem == "14_from_scratch" else "import workbench as wb"
    assert code.strip().startswith(first)
    assert names_used(path) <= {*wb.__all__, "__file__"}
    assert "measured_here" not in path.read_text(encoding="utf-8")
