"""List what an eye, a finger or a screen reader stumbles over in every notebook, the report and the site.

    python tests/browser/audit_pages.py              all of them (about a quarter of an hour)
    python tests/browser/audit_pages.py NAME ...     notebooks by the beginning of their names, report, site

Each page is looked at light and dark and at three widths by ``audit.js``, notebooks after all their cells
have run, and again after every truth has been shown. A finding is a line; with one the exit status is 1.
"""

import argparse
import contextlib
import importlib.util
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
AUDIT = (HERE / "audit.js").read_text(encoding="utf-8")
WIDTHS = (1280, 900, 600)
THEMES = ("light", "dark")
TALL = 9000
"""Pixels: a window in which a whole notebook is seen at once, for pictures."""
NARROW = 600
"""From this width down the list of files is closed, as a person would."""
CELLS = {
    "parts": ".jp-Notebook :is(.jp-OutputArea-output, .jp-RenderedMarkdown, .jp-CodeCell .cm-content)",
    "frame": ".jp-WindowedPanel-outer, .jp-Notebook",
}
"""Of a notebook's page, what is ours and where it ends."""
TELL = ".jp-OutputArea-output .workbench button.tell:enabled"
TRAINED = 150
"""Seconds that training in a notebook gets before the audit goes on without it."""

spec = importlib.util.spec_from_file_location("browser_conftest", HERE / "conftest.py")
assert spec is not None
assert spec.loader is not None
browsing = importlib.util.module_from_spec(spec)
"""How the browser tests start a server and a browser."""
spec.loader.exec_module(browsing)

PICTURES: list[Path] = []
"""The folder, if any, into which each page goes as it was looked at."""

Findings = dict[str, set[str]]
"""Each finding with where it is seen: "light 1280", ..."""


def look(page: Any, place: str, found: Findings, **options: Any) -> None:
    """Add what is wrong in a page as it is shown now."""
    for finding in page.evaluate(AUDIT, {"narrow": NARROW, **options}):
        found[finding].add(place)
    if PICTURES:
        page.evaluate("() => document.querySelector('.jp-WindowedPanel-outer')?.scrollTo(0, 0)")
        path = PICTURES[0] / f"{len(list(PICTURES[0].iterdir())):03d} {Path(page.url).stem} {place}.png"
        page.screenshot(path=path, full_page="frame" not in options)


def look_everywhere(page: Any, found: Findings, **options: Any) -> None:
    """Look at a page in each theme and width."""
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": TALL if PICTURES else 1400})
            if "frame" in options:
                _list_of_files(page, width > NARROW)
            settle(page)
            look(page, f"{theme} {width}", found, **options)


def settle(page: Any) -> None:
    """Wait until the page has drawn what a new width or theme changes."""
    page.wait_for_timeout(600)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def _list_of_files(page: Any, shown: bool) -> None:
    page.evaluate(
        """shown => {
          const open = !document.querySelector("#jp-left-stack").classList.contains("lm-mod-hidden");
          if (open !== shown) return window.jupyterapp.commands.execute("application:toggle-left-area");
        }""",
        shown,
    )


def audit_notebook(browser: Any, lab: Any, name: str) -> Findings:
    """Run a notebook and return what is found in it."""
    found: Findings = defaultdict(set)
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    context.set_default_timeout(60_000)
    notebook = browsing.Page(context.new_page(), lab)
    try:
        notebook.open(name)
        notebook.menu("Run", "Run All Cells")
        try:
            notebook.ran(240)
        except Exception as error:
            found[f"it doesn't run: {(str(error) or 'a cell fails').splitlines()[0][:120]}"].add("all")
        _wait_for_training(notebook.page)
        look_everywhere(notebook.page, found, **CELLS)
        if notebook.page.locator(TELL).count():
            for button in notebook.page.locator(TELL).all():
                with contextlib.suppress(Exception):
                    button.click(timeout=3000)
            look_everywhere(notebook.page, found, **CELLS)
    finally:
        for wrong in notebook.errors:
            found[f"console: {wrong}"].add("all")
        for url in notebook.outside:
            found[f"outside request: {url}"].add("all")
        for session in lab.api("sessions"):
            lab.api(f"sessions/{session['id']}", "DELETE")
        context.close()
    return found


def _wait_for_training(page: Any) -> None:
    end = time.monotonic() + TRAINED
    while (
        page.locator(".workbench button:has-text('Stop'):enabled:visible").count() and time.monotonic() < end
    ):
        page.wait_for_timeout(1000)


def audit_file(browser: Any, path: Path) -> Findings:
    """Return what is found in a page that lies on the disk, everything in it unfolded."""
    found: Findings = defaultdict(set)
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    page = context.new_page()
    page.on(
        "request",
        lambda one: (
            one.url.startswith(("file:", "data:", "blob:")) or found[f"outside request: {one.url}"].add("all")
        ),
    )
    page.on("console", lambda message: found[f"console: {message.text[:200]}"].add("all"))
    page.on("pageerror", lambda error: found[f"console: {str(error)[:200]}"].add("all"))
    page.goto(path.as_uri())
    look_everywhere(page, found)
    for button in page.locator("button.tell:enabled").all():
        button.click()
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    look_everywhere(page, found)
    context.close()
    return found


def study_pages(folder: Path) -> dict[str, Path]:
    """Write the shipped study's report and site into a folder and return them by name."""
    from workbench.lessons.shipped import VERBS
    from workbench.lessons.site import write_site
    from workbench.views.report import write_report

    study = folder / "verbs"
    shutil.copytree(VERBS, study, ignore=shutil.ignore_patterns("adapters"))
    return {"report": write_report(study).page, "site": write_site(study).page}


@contextlib.contextmanager
def a_browser() -> Iterator[Any]:
    """Start the browser that the tests use."""
    from playwright.sync_api import sync_playwright

    if not browsing.CHROMIUM:
        sys.exit("There is no Chromium: apt-get install chromium, or set WORKBENCH_CHROMIUM to one.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browsing.CHROMIUM, headless=True, args=browsing.ARGUMENTS
        )
        yield browser
        browser.close()


def say(name: str, found: Findings) -> None:
    """Print a page's findings, a line each, where it is seen first."""
    everywhere = len(WIDTHS) * len(THEMES)
    for finding, places in sorted(found.items()):
        seen = "everywhere" if len(places) == everywhere else ", ".join(sorted(places))
        print(f"{name}: {seen}: {finding}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Audit the pages named, or all, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginnings of names (default: all)")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="keep each page as it was seen")
    asked = parser.parse_args(arguments)
    names = tuple(asked.names)
    if asked.pictures:
        asked.pictures.mkdir(parents=True, exist_ok=True)
        PICTURES.append(asked.pictures)
    notebooks = [
        path.name
        for path in sorted(browsing.NOTEBOOKS.glob("*.ipynb"))
        if path.name.startswith(names or ("",))
    ]
    pages = [name for name in ("report", "site") if not names or name in names]
    if not notebooks and not pages:
        parser.error(f"no notebook or page begins with {' or '.join(names)}")
    total = 0
    with tempfile.TemporaryDirectory() as folder, a_browser() as browser:
        if pages:
            for name, path in study_pages(Path(folder)).items():
                if name in pages:
                    found = audit_file(browser, path)
                    say(name, found)
                    total += len(found)
        if notebooks:
            with browsing.serve(Path(folder) / "lab") as lab:
                for name in notebooks:
                    begun = time.monotonic()
                    found = audit_notebook(browser, lab, name)
                    say(name, found)
                    print(
                        f"{name}: looked over in {time.monotonic() - begun:.0f} s",
                        file=sys.stderr,
                        flush=True,
                    )
                    total += len(found)
    print(
        f"{total or 'no'} finding{'' if total == 1 else 's'} in {len(notebooks) + len(pages)} pages",
        flush=True,
    )
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
