"""The table of links that open each notebook on Colab, Kaggle and Binder.

The repository's address is said once, as ``repository-code`` in CITATION.cff. Until it is there, the table
says that it is missing, and no link leads to somebody else's page.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from workbench.lessons.library import LESSONS

CITATION = Path(__file__).resolve().parents[1] / "CITATION.cff"
ADDRESS = re.compile(r'^repository-code: *"?https://github\.com/([\w.-]+/[\w.-]+?)/?"?$', re.MULTILINE)
NO_ADDRESS = "no address yet"
COLAB = "https://colab.research.google.com/github/{at}/blob/main/notebooks/{name}.ipynb"
KAGGLE = "https://www.kaggle.com/kernels/welcome?src=https://github.com/{at}/blob/main/notebooks/{name}.ipynb"
BINDER = "https://mybinder.org/v2/gh/{at}/HEAD?labpath=notebooks/{name}.ipynb"
HOSTS = {"Colab": COLAB, "Kaggle": KAGGLE, "Binder": BINDER}
"""The hosts, and the address at which each opens a notebook of a repository."""
BADGES = {
    "Colab": "https://colab.research.google.com/assets/colab-badge.svg",
    "Kaggle": "https://kaggle.com/static/images/open-in-kaggle.svg",
    "Binder": "https://mybinder.org/badge_logo.svg",
}


def repository(citation: str) -> str | None:
    """Return the repository as OWNER/NAME from the text of CITATION.cff; None where it isn't said."""
    found = ADDRESS.search(citation)
    return found[1] if found else None


def hosted(at: str | None) -> Iterable[tuple[str, ...]]:
    """Return a row for each notebook: its name and a badge for each host.

    Args:
        at: The repository, OWNER/NAME; None where it has no address yet.
    """
    yield "notebook", *HOSTS
    for name in LESSONS:
        links = (
            NO_ADDRESS
            if at is None
            else f"[![Open in {host}]({BADGES[host]})]({address.format(at=at, name=name)})"
            for host, address in HOSTS.items()
        )
        yield name, *links
