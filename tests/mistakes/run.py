"""Plant mistakes in a copy of the source, one at a time, and demand that a quick test objects to each.

    python tests/mistakes/run.py [--workers N] [--only PATTERN] [--every N]

A test that passes on broken code proves nothing. Killed means that pytest ran and a test failed: its exit
status is 1 and nothing else. A file that can't be collected, a test that isn't there or a run that doesn't
end is an error of the list. So is a test that fails without a mistake, which is tried first.

Each worker has a copy of the source and of the tests, and starts every run as a child of a process that has
imported the large libraries already, which is most of the time that a quick test would take.
"""

import argparse
import importlib
import importlib.util
import itertools
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from mistakes_list import ROOT, Mistake, all_mistakes, planted

if TYPE_CHECKING:
    import pytest

COPIED = ("src", "kernels", "benchmarks", "tests", "pyproject.toml")
"""What a worker has of its own; the rest of the repository is linked."""
PACKAGES = ("workbench", "qlora_kernels")
"""What the tests have to import from the copy."""
LIBRARIES = ("torch", "numpy", "scipy.optimize", "scipy.stats", "hypothesis", "einops", "safetensors.torch")
"""What most tests import, and no test changes."""
OPTIONS = (
    "-x",
    "-q",
    "-m",
    "not slow",
    "-p",
    "no:cacheprovider",
    "-rfE",
    "--hypothesis-profile=ci",
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
"""The profile is Hypothesis' own: the same examples in every run, and no store of earlier ones."""
LONGEST = 300
"""Seconds of the processor after which a run counts as one that doesn't end."""
FAILED, NOT_COLLECTED, IMPORTED_ELSEWHERE = 1, 2, 90
"""Exit statuses: pytest's for failed tests and files that it can't read, and ours for another source."""


@dataclass(frozen=True)
class Run:
    """One run of tests, with a mistake or, to see that they pass, without."""

    tests: str
    mistake: Mistake | None = None


@dataclass(frozen=True)
class Verdict:
    """What came of a run."""

    run: Run
    status: int
    """Pytest's exit status; the negative number of the signal that ended it."""
    seconds: float
    """Of the processor."""
    output: str

    @property
    def killed(self) -> bool:
        """Whether a test objected to the mistake."""
        return self.run.mistake is not None and self.status == FAILED

    @property
    def lives(self) -> bool:
        """Whether every test passed all the same."""
        return self.run.mistake is not None and self.status == 0

    @property
    def wrong(self) -> bool:
        """Whether the list is wrong: the tests fail without a mistake, or didn't run to their end."""
        return self.status != 0 and not self.killed

    def line(self) -> str:
        """Say what came of it; nothing where tests passed without a mistake, as they have to."""
        mistake = self.run.mistake
        if self.wrong:
            what = f"{mistake.file}: {mistake.name}" if mistake else "without a mistake"
            return f"ERROR  {what}: {self.run.tests} ended with status {self.status}\n{self.output}"
        if mistake is None:
            return ""
        word, by = ("killed", self._objection()) if self.killed else ("LIVES ", self.run.tests)
        return f"{word} {mistake.file}: {mistake.name} ({self.seconds:.1f} s, {by})"

    def _objection(self) -> str:
        failed = [line for line in self.output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        return failed[0].split(" ", 1)[1].split(" - ")[0] if failed else self.run.tests


def attempts(runs: Sequence[Run], workers: int) -> Iterator[Verdict]:
    """Run each in a copy and yield what came of it, in order."""
    for name in LIBRARIES:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="mistakes-") as folder:
        processes = multiprocessing.get_context("fork")
        with processes.Pool(workers, _make_copy, (Path(folder),)) as pool:
            yield from pool.imap(_attempt, runs)


_copy = Path()
"""A worker's own copy of the repository."""
_times = itertools.count(10**9)
"""What its changed files say of when they were written."""


def _make_copy(folder: Path) -> None:
    global _copy
    _copy = folder / str(os.getpid())
    _copy.mkdir()
    for path in ROOT.iterdir():
        if path.name not in COPIED:
            (_copy / path.name).symlink_to(path)
        elif path.is_dir():
            shutil.copytree(path, _copy / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(path, _copy / path.name)


def _attempt(run: Run) -> Verdict:
    output = _copy / "output.txt"
    with _replaced(run.mistake):
        child = os.fork()
        if not child:
            _test(run.tests, output)
        _, waited, used = os.wait4(child, 0)
    text = output.read_text(encoding="utf-8", errors="replace")
    return Verdict(run, os.waitstatus_to_exitcode(waited), used.ru_utime + used.ru_stime, text)


@contextmanager
def _replaced(mistake: Mistake | None) -> Iterator[None]:
    if mistake is None:
        yield
        return
    path = _copy / mistake.file
    original = path.read_bytes()
    _write(path, planted(mistake, _copy).encode())
    try:
        yield
    finally:
        _write(path, original)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    # Python knows old bytecode by a file's length and its time in whole seconds: no two times are alike
    written = next(_times)
    os.utime(path, (written, written))


def _test(tests: str, output: Path) -> None:
    """Run pytest in this process, which then ends."""
    status = 3  # pytest's own, for an error inside of it
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST))
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(file, stream)
        os.chdir(_copy)
        sources = [str(_copy / "src"), str(_copy / "kernels")]
        sys.path[:0] = sources
        os.environ["PYTHONPATH"] = os.pathsep.join(sources)
        status = _pytest(tests) if all(map(_is_of_the_copy, PACKAGES)) else IMPORTED_ELSEWHERE
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _Collected:
    """Hears whether a file couldn't be collected: with ``-x`` pytest ends then as for a failed test."""

    failed = False

    def pytest_collectreport(self, report: "pytest.CollectReport") -> None:
        self.failed |= report.failed


def _pytest(tests: str) -> int:
    import pytest

    collected = _Collected()
    status = int(pytest.main([*OPTIONS, *tests.split()], plugins=[collected]))
    return NOT_COLLECTED if collected.failed else status


def _is_of_the_copy(package: str) -> bool:
    spec = importlib.util.find_spec(package)
    found = spec is not None and spec.origin is not None and Path(spec.origin).is_relative_to(_copy)
    if not found or package in sys.modules:
        print(f"{package} would be imported from {spec and spec.origin}, expected it in {_copy}")
    return found and package not in sys.modules


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the list, or a part of it; returns 1 if a mistake lives and 2 if the list itself is wrong."""
    parser = argparse.ArgumentParser(description="Plant mistakes and demand that a quick test objects.")
    parser.add_argument("--workers", type=int, default=2, help="how many runs at once")
    parser.add_argument("--only", default="", help="part of a mistake's name or file, or a pattern with *")
    parser.add_argument("--every", type=int, default=1, help="of the list, only each such one")
    given = parser.parse_args(arguments)
    for name in ("workers", "every"):
        if getattr(given, name) < 1:
            parser.error(f"--{name} is {getattr(given, name)}; at least 1 is needed")
    chosen = [mistake for mistake in all_mistakes() if _matches(mistake, given.only)][:: given.every]
    if not chosen:
        parser.error(f"--only {given.only!r} matches no mistake's name or file")
    plain = [Run(tests) for tests in _by_file(chosen)]
    planted_ones = [Run(mistake.tests, mistake) for mistake in chosen]
    verdicts = []
    for verdict in attempts([*plain, *planted_ones], given.workers):
        verdicts.append(verdict)
        if line := verdict.line():
            print(line, flush=True)
    wrong = [verdict for verdict in verdicts if verdict.wrong]
    living = [verdict for verdict in verdicts if verdict.lives]
    killed = sum(verdict.killed for verdict in verdicts)
    print(f"{killed} of {len(chosen)} killed, {len(living)} live, {len(wrong)} errors of the list")
    return 2 if wrong else 1 if living else 0


def _by_file(chosen: Sequence[Mistake]) -> list[str]:
    """Return every test that is to catch one of the mistakes, once, those of a file together."""
    files: dict[str, dict[str, None]] = {}
    for test in (test for mistake in chosen for test in mistake.tests.split()):
        files.setdefault(test.partition("::")[0], {})[test] = None
    return [" ".join(tests) for tests in files.values()]


def _matches(mistake: Mistake, pattern: str) -> bool:
    wanted = pattern if "*" in pattern else f"*{pattern}*"
    return fnmatch(mistake.name, wanted) or fnmatch(mistake.file, wanted)


if __name__ == "__main__":
    sys.exit(main())
