"""The example paper: it uses what `workbench paper` makes, types no result by hand, and compiles."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.lessons.shipped import VERBS

FOLDER = Path(__file__).resolve().parents[4] / "docs" / "paper"
SOURCE = (FOLDER / "paper.tex").read_text(encoding="utf-8")


def test_it_types_no_result_by_hand():
    body = SOURCE[SOURCE.index("\\begin{document}") : SOURCE.index("\\begin{thebibliography}")]
    body = re.sub(r"\\(figureof|ref|input)\{[^}]*\}", "", body).replace("95\\%\ninterval", "")
    assert not re.search(r"\d", body), re.search(r".*\d.*", body)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with the source and all that it needs, made by the command."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copy(FOLDER / "paper.tex", folder)
    command = [sys.executable, "-m", "workbench", "paper", str(VERBS), "--output", str(folder / "verbs")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "1"})
    return folder


@pytest.mark.slow
def test_every_number_that_it_quotes_is_made(made):
    numbers = (made / "verbs" / "numbers.tex").read_text(encoding="utf-8")
    quoted = set(re.findall(r"\\(Verbs[A-Za-z]+)", SOURCE))
    with_range = re.findall(r"\\range\{([A-Za-z]+)\}", SOURCE)
    quoted |= {name + end for name in with_range for end in ("", "Lowest", "Highest")}
    assert len(quoted) > 20
    assert quoted <= set(re.findall(r"\\newcommand\{\\([A-Za-z]+)\}", numbers))


@pytest.mark.slow
def test_every_figure_and_table_that_it_shows_is_made(made):
    shown = re.findall(r"\\figureof\{([a-z][a-z0-9-]*)\}", SOURCE)
    inputs = re.findall(r"\\input\{(verbs/tables/[a-z-]+)\}", SOURCE)
    assert shown
    assert inputs
    for path in (
        *(f"verbs/figures/column/{name}.pdf" for name in shown),
        *(f"{name}.tex" for name in inputs),
    ):
        assert (made / path).is_file(), path


@pytest.mark.slow
def test_two_processes_make_the_same_bytes(made):
    command = [
        sys.executable,
        "-m",
        "workbench",
        "paper",
        str(VERBS),
        "--output",
        str(made / "verbs"),
        "--check",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"}
    )
    assert (done.returncode, done.stdout) == (0, f"{made / 'verbs'}: every byte is the same\n"), done.stderr
    kinds = [len(list((made / "verbs").rglob(f"*.{kind}"))) for kind in ("pdf", "svg", "png")]
    assert kinds[0] == kinds[1] == kinds[2] > 20


@pytest.mark.slow
def test_it_compiles_to_two_pages(made):
    if not shutil.which("pdflatex"):
        pytest.skip("no TeX: apt-get install texlive-latex-recommended")
    for _ in range(2):
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
            cwd=made,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-2000:]
    assert "Output written on paper.pdf (2 pages" in done.stdout
    assert "undefined" not in done.stdout
    assert "Overfull" not in done.stdout
