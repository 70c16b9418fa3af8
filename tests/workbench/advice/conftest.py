"""Commands and studies for the tests that do what messages say."""

import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from workbench.cli import main
from workbench.data.sources import SOURCES
from workbench.models.loaders import load_base
from workbench.studies import grid
from workbench.studies.runner import run

sys.path.append(str(Path(__file__).parent))

from following import FEW, small_study


@pytest.fixture(scope="module", autouse=True)
def read_once():
    """The words and the base are the same in every test and never changed: read them once."""
    with pytest.MonkeyPatch.context() as once:
        real, kept = grid.load_dataset, cache(grid.load_dataset)
        # a file of one name is another one in every test
        once.setattr(
            grid,
            "load_dataset",
            lambda name, **options: (kept if name in SOURCES else real)(name, **options),
        )
        once.setattr("workbench.studies.plan.load_base", cache(load_base))
        yield


@pytest.fixture
def refused(capsys) -> Callable[..., str]:
    """Run a command that ends with status 2 and return what it says."""

    def refused(*arguments: str) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        return capsys.readouterr().err.removeprefix("workbench: error: ").rstrip("\n")

    return refused


@pytest.fixture
def followed(capsys) -> Callable[..., str]:
    """Run a command that has to succeed and return what it says."""

    def followed(*arguments: str) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return followed


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "study"
    run(small_study(), folder, threads=1).close()
    return folder


@pytest.fixture
def study(trained, tmp_path) -> Path:
    """A finished study that a test may damage."""
    return Path(shutil.copytree(trained, tmp_path / "study"))


@pytest.fixture
def write(tmp_path) -> Callable[..., str]:
    """Write a table and return its path."""

    def write(header: str, *rows: object, name: str = "runs.csv") -> str:
        lines = [header, *(row if isinstance(row, str) else ",".join(map(str, row)) for row in rows)]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(tmp_path / name)

    return write


@pytest.fixture
def fits(followed) -> Callable[..., str]:
    """Fit a table, quickly where nothing else is asked for; it has to give a law. Return what is said."""

    def fits(path: str, *options: str) -> str:
        quick = ("--hold-out", "99", "--law", "free")
        said = followed("fit", path, *FEW, *quick, *options)
        assert "No law:" not in said
        return said

    return fits
