"""Plant a mistake in the source of a kernel and demand that its test object.

A test that passes on broken code proves nothing. Each `Mutant` is one textual change to one module;
`killed_by` loads the changed source in place of the module, runs a quick check and returns the objection,
or None when nobody noticed.
"""

import contextlib
import importlib
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType


@dataclass(frozen=True)
class Mutant:
    """One planted mistake."""

    name: str
    module: str
    """Import name of the module that is changed."""
    old: str
    new: str
    check: Callable[[], None]
    """Raises when the operator is wrong."""


def mutants(module: str, check: Callable[[], None], *changes: tuple[str, str, str]) -> list[Mutant]:
    """Make mutants of one module of the package, each from (name, the text as it stands, the new text)."""
    return [Mutant(name, f"qlora_kernels.{module}", old, new, check) for name, old, new in changes]


def killed_by(mutant: Mutant) -> str | None:
    """What the check says about the mutant, or None when it survives."""
    with planted(mutant):
        try:
            mutant.check()
        except Exception as objection:  # any refusal counts: a wrong number, a bound, a compiler error
            return f"{type(objection).__name__}: {objection}".splitlines()[0][:150]
    return None


@contextlib.contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Replace the module's functions by those of the changed source for the block."""
    module = importlib.import_module(mutant.module)
    source = Path(module.__file__).read_text(encoding="utf-8")
    count = source.count(mutant.old)
    if count != 1:
        raise ValueError(
            f"mutant {mutant.name!r}: its text occurs {count} times in {mutant.module}; it must be unique"
        )
    with tempfile.TemporaryDirectory() as folder:
        changed = _load(
            Path(folder) / f"{module.__name__.split('.')[-1]}.py", source.replace(mutant.old, mutant.new)
        )
        with _swapped(module, changed):
            yield


def _load(path: Path, source: str) -> ModuleType:
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _swapped(module: ModuleType, changed: ModuleType) -> Iterator[None]:
    """Let ``module``, and whoever imported a function from it, hold what ``changed`` holds."""
    original = dict(vars(module))
    # the interpreter leaves names of its own in a module whose kernels it ran: only those of the source count
    own = [name for name in vars(changed) if name in original and not name.startswith("__")]
    names = [name for name in own if not isinstance(original[name], ModuleType)]
    functions = {id(original[n]): vars(changed)[n] for n in names if callable(original[n])}
    package = module.__name__.split(".")[0]
    undo = [(vars(module), name, original[name]) for name in names]
    for importer in [
        m for name, m in sys.modules.items() if name.split(".")[0] == package and m is not module
    ]:
        undo += [
            (vars(importer), n, v) for n, v in vars(importer).items() if callable(v) and id(v) in functions
        ]
    try:
        for namespace, name, value in undo:
            namespace[name] = vars(changed)[name] if namespace is vars(module) else functions[id(value)]
        yield
    finally:
        for namespace, name, value in undo:
            namespace[name] = value
