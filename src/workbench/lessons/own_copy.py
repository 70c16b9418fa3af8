"""A person's own copy of the notebooks: JupyterLab writes into what it opens, and the originals stay."""

import hashlib
import json
from pathlib import Path

import nbformat

from workbench.files import write_atomically
from workbench.lessons.library import INDEX, LESSONS, index, master, masters_folder, page, with_links

OWN_COPY = Path("my-notebooks")
"""Where the copy lies, in the folder in which the command is typed."""
COPY_OF = "copy_of"
"""In a copy's metadata: the SHA-256 of the notebook that it was made from."""


def write_own_copy(folder: Path, masters: Path | None = None) -> list[str]:
    """Copy the notebooks that ``folder`` doesn't have yet; what is there is never written over.

    Args:
        folder: Where the copy is, or is to be.
        masters: The folder with the notebooks; by default :func:`masters_folder`.

    Returns:
        The notebooks whose originals have changed since they were copied.

    Raises:
        InputError: If a notebook is missing, or the folder can't be written.
    """
    masters = masters or masters_folder()
    changed, new = [], []
    for name in LESSONS:
        notebook = master(name, masters)
        digest = hashlib.sha256((masters / f"{name}.ipynb").read_bytes()).hexdigest()
        path = folder / f"{name}.ipynb"
        if path.exists():
            if _made_from(path) not in (None, digest):
                changed.append(name)
            continue
        notebook.metadata["workbench"] = {COPY_OF: digest}
        write_atomically(path, nbformat.writes(with_links(notebook, name)).encode())
        new.append(name)
    if new:
        text = "Your own copy: change what you like. To have a notebook back as it was, rename yours and run "
        write_atomically(folder / INDEX, index("Notebooks", text + "`workbench lab` again.").encode())
        write_atomically(folder / "GLOSSARY.md", page("GLOSSARY.md").encode())
    return changed


def _made_from(path: Path) -> str | None:
    """Return the hash of a copy's original; None for what isn't one of our copies, or is damaged."""
    try:
        found = json.loads(path.read_bytes())["metadata"]["workbench"][COPY_OF]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None
