"""Widgets in the pages of hosts that have no variables of Jupyter's: Colab and VS Code, light and dark."""

import json
from pathlib import Path

import pytest

from workbench.lessons import GuessNumber

pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow

AUDIT = Path(__file__).with_name("audit.js").read_text(encoding="utf-8")
BEHIND = '<div style="background: #fff">'
"""What VS Code puts behind every widget, also on a dark page: microsoft/vscode-jupyter#7161."""
HOSTS = {
    "Colab, light": '<html theme="light" style="background: #fff"><body>',
    "Colab, dark": '<html theme="dark" style="background: #383838; color: #d5d5d5"><body>',
    "VS Code, light": f'<html><body class="vscode-light" style="background: #fff">{BEHIND}',
    "VS Code, dark": f'<html><body class="vscode-dark" style="background: #1f1f1f">{BEHIND}',
    "unknown": "<html><body>",
}
RUN = """async ([module, state]) => {
  const url = URL.createObjectURL(new Blob([module], {type: "text/javascript"}));
  const widget = (await import(url)).default;
  const model = {
    get: name => state[name], set: (name, value) => { state[name] = value; },
    save_changes: () => {}, on: () => {}, off: () => {}, send: () => {},
  };
  await widget.render({ model, el: document.getElementById("here") });
}"""


@pytest.mark.parametrize("system", ["light", "dark"])
@pytest.mark.parametrize("host", HOSTS)
def test_every_word_can_be_read_in_a_hosts_page(browser, host, system):
    context = browser.new_context(color_scheme=system)
    page = context.new_page()
    widget = GuessNumber("", "How many?", 30, low=1, high=100, unit="examples", words="so many")
    state = {**widget.get_state(), "guess": 12.0, "told": True}
    shown = {name: value for name, value in state.items() if not name.startswith("_")}
    page.set_content(f"{HOSTS[host]}<style>{widget._css}</style><div id='here'></div></body></html>")
    page.evaluate(RUN, [widget._esm, json.loads(json.dumps(shown, default=str))])
    assert page.locator(".workbench").count() == 1
    assert "30" in page.locator(".workbench").inner_text()
    too_faint = [finding for finding in page.evaluate(AUDIT, {}) if finding.startswith("contrast")]
    context.close()
    assert not too_faint
