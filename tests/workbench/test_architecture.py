"""The house rules that a machine can hold: direction of imports, length of files, reasons beside things."""

import ast
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from workbench.lessons import library

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "workbench"
KERNELS = ROOT / "kernels" / "qlora_kernels"
LAYERS = (
    "errors",
    "files",
    "conversions",
    "memory",
    "lazy",
    "showing",
    "columns",
    "fetch",
    "config",
    "devices",
    "metrics",
    "data",
    "models",
    "adapters",
    "chatting",
    "training",
    "scoring",
    "exporting",
    "classroom",
    "studies",
    "laws",
    "classmates",
    "views",
    "lessons",
    "beside",
    "growing",
    "chaining",
    "stack_report",
    "results",
    "filtering",
    "foresight",
    "ladder",
    "own_files",
    "cli",
    "__main__",
)
"""Top-level modules of the package; each imports only those before it, and itself."""
LEAF = {"laws": {"errors", "files", "conversions", "config", "metrics", "columns", "showing"}}
"""Rooms that import nothing of the package but these, and themselves."""
CIRCLES: list[set[str]] = []
"""Circles of imports that are known. The list only gets shorter: a new circle is mended, not added."""
LONGEST = 400
EXEMPT: dict[str, str] = {
    "notebooks/03k_kernel_lab.py": "six exercises with their solutions, and the text that explains them",
    "notebooks/14_from_scratch.py": "199 lines of code, as a test counts, and the text that explains them",
}
"""Files that may be longer, each with its reason."""
HEAVY = {"torch", "numpy", "triton", "transformers", "matplotlib"}

PYTHON_FILES = sorted(
    path
    for folder in ("src", "kernels", "tests", "benchmarks", "docs", "notebooks")
    for path in (ROOT / folder).rglob("*.py")
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def imports(path: Path) -> list[tuple[int, str]]:
    """Return each absolute import of a file as (line, dotted name), wherever in the file it stands."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import; write the whole name"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def layer(name: str) -> int:
    """Return how high a dotted name of the package stands; what the package itself exports is the top."""
    part = name.split(".")[1]
    if part == "__version__":
        return 0
    return LAYERS.index(part) if part in LAYERS else len(LAYERS)


def wrong_way(path: Path, package: Path) -> list[str]:
    """Return the imports of a file that point upwards."""
    own = path.relative_to(package.parent).with_suffix("").parts
    return [
        f"{path.name}:{line}: {'.'.join(own)} imports {name}"
        for line, name in imports(path)
        if name.startswith("workbench.") and layer(name) > layer(".".join(own))
    ]


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_go_one_way(path):
    if path != PACKAGE / "__init__.py":
        assert wrong_way(path, PACKAGE) == []


def test_an_import_the_wrong_way_is_found(tmp_path):
    package = tmp_path / "workbench"
    (package / "data").mkdir(parents=True)
    path = package / "data" / "records.py"
    path.write_text("def f():\n    from workbench.training.loop import train\n    import workbench.config\n")
    assert wrong_way(path, package) == [
        "records.py:2: workbench.data.records imports workbench.training.loop.train"
    ]


def others(path: Path, package: Path) -> list[str]:
    """Return what a file of a leaf room imports of the rest of the package."""
    room = path.relative_to(package).parts[0]
    return [
        f"{path.name}:{line} imports {name}"
        for line, name in imports(path)
        if name.startswith("workbench.") and name.split(".")[1] not in {*LEAF[room], room}
    ]


@pytest.mark.parametrize("room", LEAF)
def test_a_leaf_imports_no_other_room(room):
    files = sorted((PACKAGE / room).rglob("*.py"))
    assert len(files) > 10, "the room has moved"
    assert [line for path in files for line in others(path, PACKAGE)] == []


def test_an_import_of_another_room_is_found_in_a_leaf(tmp_path):
    package = plant(
        tmp_path,
        {
            "laws.noise": """
                import workbench
                from workbench.laws import forms
                from workbench.config import Quality
                if TYPE_CHECKING:
                    from workbench import training
                def fit():
                    from workbench.training.loop import train
            """
        },
    )
    assert others(package / "laws" / "noise.py", package) == [
        "noise.py:6 imports workbench.training",
        "noise.py:8 imports workbench.training.loop.train",
    ]


def plant(folder: Path, modules: dict[str, str]) -> Path:
    """Write a package ``workbench`` of modules by their names in it, and return its folder."""
    package = folder / "workbench"
    for name, source in modules.items():
        path = (package / name.replace(".", "/")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
    return package


def importers(*packages: Path) -> dict[str, set[str]]:
    """Return the modules that each module of these packages imports, inside functions and for types too."""
    files = {}
    for package in packages:
        for path in package.rglob("*.py"):
            parts = path.relative_to(package.parent).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph: dict[str, set[str]] = {module: set() for module in files}
    for module, path in files.items():
        for _, name in imports(path):
            while name and name not in files:  # a name in a module stands for the module
                name = name.rpartition(".")[0]
            graph[module] |= {name} - {module, ""}
    return graph


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the sets of modules of which each leads to every other."""

    def reached(start: str) -> set[str]:
        found, ahead = set(), [start]
        while ahead:
            new = graph[ahead.pop()] - found
            found |= new
            ahead += new
        return found

    leads = {module: reached(module) for module in graph}
    found = {
        frozenset(other for other in leads[module] if module in leads[other])
        for module in graph
        if module in leads[module]
    }
    return sorted(map(set, found), key=sorted)


def test_no_circle_of_imports():
    assert circles(importers(PACKAGE, KERNELS)) == sorted(CIRCLES, key=sorted)


@pytest.mark.parametrize(
    "back",
    [
        pytest.param("from workbench.data.one import f", id="at-the-top"),
        pytest.param("def g():\n    import workbench.data.one", id="in-a-function"),
        pytest.param("if TYPE_CHECKING:\n    from workbench.data import one", id="for-types"),
    ],
)
def test_a_circle_is_found(tmp_path, back):
    arrows = {
        "data.one": "from workbench.data.two import f",
        "data.two": "from workbench.data import three",
        "data.three": "import workbench.data.four",
        "data.four": "import torch",
    }
    assert circles(importers(plant(tmp_path, arrows))) == []
    package = plant(tmp_path, {"data.three": f"{arrows['data.three']}\n{back}\n"})
    names = ("one", "two", "three")
    assert circles(importers(package)) == [{f"workbench.data.{name}" for name in names}]


def test_every_module_has_its_layer():
    modules = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert modules - {"__init__"} <= set(LAYERS)


def test_kernels_know_no_workbench():
    for path in (ROOT / "kernels").rglob("*.py"):
        for line, name in imports(path):
            assert name.split(".")[0] != "workbench", f"{path}:{line} imports {name}"


def test_no_module_lies_directly_in_kernels():
    # an import package named "kernels" breaks transformers, which probes for a library of that name
    assert list((ROOT / "kernels").glob("*.py")) == []


def test_no_file_is_too_long():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON_FILES}
    long = {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > LONGEST}
    assert set(long) <= set(EXEMPT), f"split these, or exempt them with a reason: {long}"
    assert set(EXEMPT) <= set(long), "an exemption is no longer needed"


@pytest.mark.parametrize(("package", "needed"), [("workbench", set()), ("qlora_kernels", {"torch", "numpy"})])
def test_importing_loads_nothing_heavy(package, needed):
    code = f"import sys, {package}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert HEAVY & set(loaded) == needed
    assert package in loaded


def test_every_dependency_has_its_reason():
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    extras = PROJECT["project"]["optional-dependencies"].values()
    for requirement in [*PROJECT["project"]["dependencies"], *(one for extra in extras for one in extra)]:
        stated = [line for line in lines if line.strip().startswith(f'"{requirement}"')]
        assert stated, f"{requirement} is not on a line of its own"
        for line in stated:
            assert re.search(r",\s+# \w.{3,}", line), f"no reason beside {line.strip()}"


def test_the_wheel_holds_both_packages():
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    packages = ["src/workbench", "kernels/qlora_kernels"]
    assert set(packages) <= set(wheel["only-include"])
    assert all((ROOT / package / "__init__.py").is_file() for package in packages)
    assert wheel["dev-mode-dirs"] == ["src", "kernels"]


def test_the_wheel_holds_the_notebooks_that_a_copy_has():
    """They land where ``library.py`` looks for them; nothing that lies beside them does."""
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {"notebooks", *(f"docs/{name}" for name in library.PAGES.values())} <= set(wheel["only-include"])
    here = Path(library.__file__).parent.relative_to(ROOT / "src") / "notebooks"
    assert {wheel["sources"][name] for name in ("notebooks", "docs")} == {here.as_posix()}
    left_out = {path for pattern in wheel["exclude"] for path in ROOT.glob(pattern.lstrip("/"))}
    committed = [path for path in (ROOT / "notebooks").iterdir() if path.is_file() and path not in left_out]
    assert {path.name for path in committed} == {f"{name}.ipynb" for name in library.LESSONS}


def test_no_package_holds_the_published_tables():
    assert (ROOT / "tests" / "oracles" / "LICENSE").is_file(), "they are under another licence than the rest"
    assert "/tests/oracles" in PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["exclude"]


def test_the_conda_environment_delegates_to_pyproject():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    entries = re.findall(r"^ +- (.+)$", text, flags=re.MULTILINE)
    extras = re.fullmatch(r"-e \.\[(.+)\]", entries[-1])
    assert extras, "the last entry installs the checkout"
    assert set(extras[1].split(",")) <= set(PROJECT["project"]["optional-dependencies"])
    assert "pip" in entries, "conda needs pip for its pip section"
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    assert "python=3.11" in entries, "the oldest Python that is supported is the one that is tested"


def test_a_checkout_gets_the_versions_that_were_tested():
    """Ranges are for whoever has a torch already; a fresh clone computes with what the tests ran with."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installs = [
        line.strip() for line in makefile.splitlines() if "$(PIP_INSTALL) " in line and " -e " in line
    ]
    assert len(installs) >= 3
    assert all("-c $(TESTED) -e" in line for line in installs), installs
    chosen = re.search(r"grep -E '(.+)' constraints.txt > \$@", makefile)[1]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert {line.split("==")[0] for line in lines if re.match(chosen, line)} == {"torch", "triton"}
    assert "- -c constraints.txt\n" in (ROOT / "environment.yml").read_text(encoding="utf-8")


def test_the_gate_runs_what_the_readme_says():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for command in ("make demo", "make test"):
        assert re.search(rf"^{command} ", readme, flags=re.MULTILINE)
        assert any(line.endswith(command) for line in gate), f".ci/run doesn't {command}"
    assert {command.split()[1] for command in re.findall(r"`(make [a-z-]+)`", readme)} <= set(targets)
