"""The page of a study for people without the workbench: one file, made from the study's folder alone.

It runs the widgets' own scripts, as notebooks do; what a kernel would answer was computed before and travels
as JSON. Nothing is loaded: the page's policy forbids the network, and lets no script run but the page's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from workbench.errors import InputError
from workbench.files import not_read, write_atomically
from workbench.lessons.site.parts import SitePart, site_parts
from workbench.lessons.site.scripts import site_script
from workbench.studies.disk.store import Store
from workbench.views.answers import Answers, check_finished
from workbench.views.explore import inline_json, page_style, sha256_source
from workbench.views.points import TableRow, unit_in
from workbench.views.report import caption_in_words, grid_in_words, licences
from workbench.views.variants import study_answers

PAGE_NAME = "index.html"
GENERATOR = '<meta name="generator" content="workbench site">'
"""What tells our own page, which may be written again, from a page that somebody else wrote."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """Where a page is, what it says first, and what is not on it."""

    page: Path
    sentence: str
    size: int
    """Bytes."""
    left_out: tuple[str, ...]
    """Each part that this study can't have, with the reason."""


def write_site(study: Path | str, folder: Path | str | None = None) -> Site:
    """Write a study's page into a folder of its own.

    Args:
        study: The study's folder.
        folder: Where ``index.html`` goes; by default ``site`` in the study's folder.

    Raises:
        InputError: If there is no such study, it has no finished cell yet, or the folder can't be written or
            holds anything but an earlier page; then nothing is changed.
    """
    study = Path(study)
    target = study / "site" if folder is None else Path(folder)
    with Store.open(study, read_only=True) as store:
        table = store.table()
        check_finished(study, store.manifest, table)
        _refuse_other_files(target)
        found = study_answers(store, table)
        parts = site_parts(store, table, found)
        page = render_site(store, table, found, parts).encode()
    write_atomically(target / PAGE_NAME, page)
    return Site(
        page=target / PAGE_NAME,
        sentence=found.leads[0],
        size=len(page),
        left_out=tuple(part.why_not for part in parts if part.why_not),
    )


def render_site(store: Store, table: Sequence[TableRow], found: Answers, parts: tuple[SitePart, ...]) -> str:
    """Return the page; every text that comes from data is escaped."""
    manifest = store.manifest
    cells = [row for row in table if row["size"] > 0]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    shown = {part.name: part.data for part in parts if not part.why_not}
    code = site_script(shown)
    return environment.get_template("page.html").render(
        mark=Markup(GENERATOR),
        title=f"{manifest.study.name or 'Study'}: clean the data, or collect more of it?",
        grid=grid_in_words(manifest, cells),
        about=manifest.data.origin or "",
        caption=caption_in_words(manifest, cells),
        unit=unit_in(cells),
        headline=found.headline,
        details=found.details,
        sentences=found.sentences[1:],
        silences=found.silences,
        notes=found.notes,
        tables=found.tables,
        shown=shown,
        left_out=[part.why_not for part in parts if part.why_not],
        licences=list(licences(manifest)),
        data=Markup(inline_json(shown)),
        script=Markup(code),
        script_source=Markup(sha256_source(code)),
        page_style=Markup(page_style()),
    )


def _refuse_other_files(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier page; hidden files are those of hosts and of git."""
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        ours = names in ([], [PAGE_NAME]) and (
            not names or GENERATOR.encode() in (folder / PAGE_NAME).read_bytes()
        )
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise InputError(f"{folder} is a file; name a folder for the page with --output") from None
    except OSError as error:
        raise not_read(folder, error) from error
    if not ours:
        raise InputError(
            f"{folder} holds other files, such as {names[0]}; name a new folder, the page's alone, "
            "with --output"
        )
