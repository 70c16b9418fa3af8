"""Write the page of the study that comes with the package, which the README links, and its picture.

    python docs/shipped_page.py              writes docs/site/index.html
    python docs/shipped_page.py --picture    writes docs/site.png too, with Playwright and Chromium

That the page is what the study gives is checked by tests/workbench/lessons/test_shipped_page.py.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from workbench.lessons.shipped import VERBS
from workbench.lessons.site import write_site

FOLDER = Path(__file__).parent / "site"
PICTURE = FOLDER.with_suffix(".png")
WIDTH = 900
"""Pixels of the window: as wide as a README is shown."""
MARGIN = 16


def main() -> int:
    """Write the page, and the picture if it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", action="store_true", help="take the picture anew")
    arguments = parser.parse_args()
    site = write_site(VERBS, FOLDER)
    print(f"{site.page}: {site.size / 1000:,.0f} kB")
    if arguments.picture:
        take_picture(site.page, PICTURE)
        print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:,.0f} kB")
    return 0


def take_picture(page: Path, picture: Path) -> None:
    """Photograph what is slid along: the exchange rate."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("WORKBENCH_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        tab.goto(f"{page.resolve().as_uri()}#answer")
        tab.add_style_tag(content=f"#exchange {{ padding: {MARGIN}px; }}")
        tab.locator("#exchange").screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
