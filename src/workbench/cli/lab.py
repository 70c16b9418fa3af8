"""``workbench lab``: JupyterLab with our defaults, for this machine only."""

import argparse
import os
import secrets
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workbench.errors import InputError, how_to_install

JUPYTER_CONFIG = Path(__file__).parent / "jupyter"
"""Our defaults, which a person's own settings overrule: no news and no look for updates, so no request
leaves the machine; widgets are saved with a notebook; their messages take the kernel's main way, because
the side way differs from release to release; a line of code that is too long for the window goes on below;
the server says its address as ``announce.py`` has it."""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "lab",
        description="Start JupyterLab on this machine's loopback address with a fresh token, and open your "
        "own copy of the notebooks, which it makes the first time; what you change in it stays.",
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, help="folder to open (default: my-notebooks, your own copy)"
    )
    parser.add_argument("--port", type=int, default=8888, help="first port to try (default: 8888)")
    parser.add_argument(
        "--class",
        dest="class_folder",
        type=Path,
        metavar="FOLDER",
        help="folder that your class shares: guesses and scores are collected there",
    )
    parser.add_argument("--name", help="your name in the class, which nobody else has")
    parser.add_argument("--no-browser", action="store_true", help="only say the address")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Become JupyterLab; returns only with an error."""
    if find_spec("jupyterlab") is None:
        raise InputError(f"JupyterLab is not installed; run {how_to_install('lab')}")
    folder = arguments.folder or _own_copy()
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; name the one that has the notebooks")
    _join(arguments.class_folder, arguments.name)
    command = server_command(folder, port=arguments.port, browser=not arguments.no_browser)
    os.execve(command[0], command, environment(os.environ))


def _join(folder: Path | None, name: str | None) -> None:
    """Take part in a class: the kernels inherit it from here."""
    if folder is None and name is None:
        return
    if folder is None or name is None:
        missing = "--class FOLDER" if folder is None else "--name NAME"
        raise InputError(f"a class needs its folder and your name; add {missing}")
    from workbench.classmates import join_class

    join_class(folder, name)


def _own_copy() -> Path:
    """Make the copy of the notebooks, or find it, and say where it is."""
    from workbench.lessons.own_copy import OWN_COPY, write_own_copy

    changed = write_own_copy(OWN_COPY)
    print(f"Your own copy of the notebooks is the folder {OWN_COPY}.", flush=True)
    if changed:
        print(
            f"Changed since you got them: {', '.join(changed)}. To have the new ones, rename yours and run "
            "this again.",
            flush=True,
        )
    return OWN_COPY


def server_command(folder: Path, *, port: int, browser: bool) -> list[str]:
    """Return the command that serves ``folder`` on the loopback address."""
    page = "/lab/tree/README.md" if (folder / "README.md").is_file() else "/lab"
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={folder.resolve()}",
        f"--LabApp.default_url={page}",
        "--LabApp.extension_manager=readonly",  # the other one asks a package index
        "--LabApp.expose_app_in_browser=True",  # so a widget that lost its kernel can run its notebook
        "--Application.log_level=WARN",  # or our sentence stands among twenty lines
    ]
    if not browser:
        command.append("--ServerApp.open_browser=False")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--ServerApp.allow_root=True")  # as in most containers
    return command


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with our defaults and a token; as an argument others would see it."""
    paths = [str(JUPYTER_CONFIG), *filter(None, [given.get("JUPYTER_CONFIG_PATH")])]
    return {
        **given,
        "JUPYTER_TOKEN": given.get("JUPYTER_TOKEN") or secrets.token_hex(16),
        "JUPYTER_CONFIG_PATH": os.pathsep.join(paths),
    }
