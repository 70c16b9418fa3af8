"""What a planted mistake is, and the lists of them: one file a room, beside this one."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""
ROOMS = (
    *(
        "config",
        "readers",
        "vocabularies",
        "data",
        "filters",
        "audit",
        "conversations",
        "models",
        "blocks",
        "families",
        "experts",
        "formats",
        "adapters",
        "kinds",
        "chatting",
        "training",
        "on_device",
        "large_bases",
        "scoring",
    ),
    *(
        "costs",
        "studies",
        "shelf",
        "chains",
        "stacks",
        "cards",
        "sizes",
        "variants",
        "evaluation_sets",
        "tables",
        "laws",
        "rates",
        "quality",
        "forecasts",
        "ladders",
        "plans",
    ),
    "kernel_lab",
    "sites",
    "hands",
    "scratch",
    "views",
    "looks",
    "live",
    "guesses",
    "exports",
    "gpu_parts",
    "versions",
    "answers",
    "begun_anew",
    "kept",
)
"""The files that hold a list, each called ``MISTAKES``, in the order in which rooms build on each other."""


@dataclass(frozen=True)
class Mistake:
    """One textual change of one source file, which some quick test has to object to."""

    name: str
    """What is wrong then, in a few words."""
    file: str
    """Relative to the repository."""
    old: str
    """Occurs exactly once in the file."""
    new: str
    tests: str
    """What pytest is given, separated by spaces: files, or single tests of a file."""


def mistakes(
    file: str, tests: str, *changes: tuple[str, str, str] | tuple[str, str, str, str]
) -> list[Mistake]:
    """Return the mistakes of one file.

    Args:
        file: Relative to the repository.
        tests: The file of the tests that catch them.
        changes: A name, what is replaced by what, and the functions in ``tests``, separated by spaces;
            without functions, all of its tests are run.
    """
    return [
        Mistake(name, file, old, new, " ".join(f"{tests}::{one}" for one in " ".join(given).split()) or tests)
        for name, old, new, *given in changes
    ]


def all_mistakes() -> list[Mistake]:
    """Return the mistakes of all rooms whose list is there."""
    return [mistake for room in ROOMS if _path(room).is_file() for mistake in _load(room)]


def planted(mistake: Mistake, folder: Path) -> str:
    """Return the text of a mistake's file under ``folder`` with the mistake in it.

    Raises:
        ValueError: If what it replaces isn't there exactly once, or is replaced by itself.
    """
    text = (folder / mistake.file).read_text(encoding="utf-8")
    count = text.count(mistake.old)
    if count != 1 or mistake.old == mistake.new:
        raise ValueError(
            f"mistake {mistake.name!r}: its text occurs {count} times in {mistake.file}; it has to occur "
            "once, and to change: bring the list in line with the source"
        )
    return text.replace(mistake.old, mistake.new)


def _path(room: str) -> Path:
    return Path(__file__).with_name(f"{room}.py")


def _load(room: str) -> list[Mistake]:
    # by its path: other libraries have a module `data`, too
    spec = importlib.util.spec_from_file_location(f"mistakes_in_{room}", _path(room))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MISTAKES
