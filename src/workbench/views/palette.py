"""Colours of figures, widgets and pages, once: for white paper, and lighter ones for a dark page.

Okabe and Ito's colours without black and yellow, and Tol's wine: people with any colour vision can tell them
apart. Two of them are darkened, so that every line stands out from white by 3 to 1; words in a line's colour
take a darker shade of it, which stands out by 4.5 to 1, as text has to (WCAG 2, level AA).
"""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CA78A5", "#C18600", "#4999C6", "#882255")
"""Of lines and marks on white."""
TEXT_COLOURS = ("#0070AE", "#AF4D00", "#007A59", "#935778", "#8C6100", "#357090", "#882256")
"""Of words in a line's colour, on white and on light grey."""
DARK_COLOURS = ("#5AAEE6", "#FF8C42", "#3FCF9F", "#E6A0C8", "#FFC04D", "#9AD8FF", "#E08DB1")
"""Of lines, marks and words on a dark page."""
INK = "#1a1a1a"
"""Text and axes on white; on a page they take the page's own colour of text."""
FAINT = "#616161"
PAPER = "#ffffff"
ON_DARK, ON_BRIGHT = "#fdfdfd", "#020202"
"""Words on a dark and on a bright cell of a map, which stay as they are on every page."""
DARK_INK = "#e8e8e8"
DARK_FAINT = "#b8bcc1"
SELECTORS = (".workbench", ".workbench-figure")
"""What takes the colours: widgets, and figures that stand in a page as SVG."""
DARK_PAGES = ('[data-jp-theme-light="false"]', '[theme="dark"]', ".vscode-dark")
"""How JupyterLab, Colab and VS Code mark a page as dark."""
_LIGHT_PAGE = {"page": PAPER, "raised": "#eeeeee", "edge": "#bdbdbd"}
_DARK_PAGE = {"page": "#17181a", "raised": "#2a2c2f", "edge": "#5c6064"}
_OF_JUPYTER = {
    "ink": "ui-font-color1",
    "faint": "ui-font-color2",
    "page": "layout-color0",
    "raised": "layout-color2",
    "edge": "border-color1",
}


def palette_css(*selectors: str, system: bool = False) -> str:
    """Return the style that gives elements our colours as variables: light ones, and dark ones on dark pages.

    Args:
        selectors: Which elements; by default widgets and figures.
        system: Whether the page is dark when the system is, as the report and the site are; else it is dark
            when it says so, as a notebook's page does.
    """
    chosen = selectors or SELECTORS
    light = _rules(COLOURS, TEXT_COLOURS, {"ink": INK, "faint": FAINT, **_LIGHT_PAGE})
    dark = _rules(DARK_COLOURS, DARK_COLOURS, {"ink": DARK_INK, "faint": DARK_FAINT, **_DARK_PAGE})
    if system:
        return (
            f"{', '.join(chosen)} {{ {light} }}\n"
            f"@media screen and (prefers-color-scheme: dark) {{ {', '.join(chosen)} {{ {dark} }} }}\n"
        )
    on_dark = ", ".join(f"{page} {one}" for page in DARK_PAGES for one in chosen)
    return f"{', '.join(chosen)} {{ {light} }}\n@media screen {{ {on_dark} {{ {dark} }} }}\n"


def _rules(lines: tuple[str, ...], words: tuple[str, ...], page: dict[str, str]) -> str:
    colours = {f"workbench-{number}": colour for number, colour in enumerate(lines)}
    colours |= {f"workbench-text-{number}": colour for number, colour in enumerate(words)}
    colours |= {name: f"var(--jp-{_OF_JUPYTER[name]}, {colour})" for name, colour in page.items()}
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def themed(svg: str) -> str:
    """Return an SVG whose colours are the page's: ink, faint and the colours of lines become variables."""
    for colour, name in _NAMES.items():
        svg = svg.replace(colour.lower(), f"var(--{name})")
    return svg


_NAMES = {
    **{colour: f"workbench-{number}" for number, colour in enumerate(COLOURS)},
    **{colour: f"workbench-text-{number}" for number, colour in enumerate(TEXT_COLOURS)},
    INK: "ink",
    "#000000": "ink",
    FAINT: "faint",
    PAPER: "page",
}
