"""A real JupyterLab, started by ``workbench lab``, in a real browser."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
CHROMIUM = os.environ.get("WORKBENCH_CHROMIUM") or shutil.which("chromium")
OLDEST = Path(sys.prefix) / "oldest-kernel"
"""Where the gate puts the oldest notebook kernel that is supported."""
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
SETTINGS = {
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension:themes": {"adaptive-theme": True},
}
"""For the test alone: nothing is saved behind its back, every cell is in the page, dark is the browser's."""
NOT_OURS = ("Could not restore the debugger state",)
"""What JupyterLab itself complains of when a kernel is restarted."""
TOKEN = "only-for-this-test"


class Lab:
    """A running server: its address, its folder."""

    def __init__(self, base, root):
        self.base, self.root = base, root
        self.stop = lambda: None

    def api(self, path, method="GET"):
        headers = {"Authorization": f"token {TOKEN}"}
        request = urllib.request.Request(f"{self.base}/api/{path}", headers=headers, method=method)
        body = urllib.request.urlopen(request, timeout=30).read()
        return json.loads(body) if body else None


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def serve(folder, python_path=""):
    """Run ``workbench lab`` over a copy of the notebooks; ``python_path`` puts other packages first."""
    root = folder / "notebooks"
    shutil.copytree(NOTEBOOKS, root, ignore=shutil.ignore_patterns("runs", "*.py", ".ipynb_checkpoints"))
    settings = folder / "config" / "labconfig" / "default_setting_overrides.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(SETTINGS))
    own = {
        name: str(folder / name.lower())
        for name in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR", "IPYTHONDIR")
    }
    environment = {
        **os.environ,
        **own,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "JUPYTER_TOKEN": TOKEN,
        "OMP_NUM_THREADS": "1",
        # what is tested is this checkout, whichever one is installed
        "PYTHONPATH": os.pathsep.join(
            filter(None, [python_path, *(str(ROOT / one) for one in ("src", "kernels"))])
        ),
    }
    port = free_port()
    log = folder / "server.log"
    command = [sys.executable, "-m", "workbench", "lab", str(root), "--port", str(port), "--no-browser"]
    with open(log, "w") as output:
        server = subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    lab = Lab(f"http://127.0.0.1:{port}", root)

    def stop():
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(server.pid, number)
                server.wait(15)

    lab.stop = stop
    try:
        wait_for(lab, server, log)
        yield lab
    finally:
        for request in root.glob("**/job"):
            (request / "stop").touch()
        stop()


def wait_for(lab, server, log):
    end = time.monotonic() + 120
    while True:
        try:
            return lab.api("status")
        except (urllib.error.URLError, OSError):
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail(log.read_text()[-3000:])
            time.sleep(0.2)


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    with serve(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def own_lab(tmp_path_factory):
    """Return a server that a test may stop."""
    with serve(tmp_path_factory.mktemp("own")) as lab:
        yield lab


@pytest.fixture
def oldest_lab(tmp_path_factory):
    """Return a server whose notebooks run on the oldest supported ipykernel."""
    if not OLDEST.is_dir():
        pytest.skip(f"no {OLDEST}: pip install --no-deps --target {OLDEST} 'ipykernel==6.29.*'")
    with serve(tmp_path_factory.mktemp("oldest"), python_path=str(OLDEST)) as lab:
        yield lab


@pytest.fixture(params=["lab", "oldest_lab"])
def server(request):
    """Return a server with the newest kernel, then one with the oldest."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e '.[test]'")
    if not CHROMIUM:
        pytest.skip("no Chromium: apt-get install chromium, or set WORKBENCH_CHROMIUM to one")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


class Page:
    """One notebook in one tab, with what went wrong in it."""

    def __init__(self, page, lab):
        self.page, self.lab = page, lab
        self.outside, self.errors = [], []
        ours = (lab.base, lab.base.replace("http", "ws"), "data:", "blob:")
        page.on("request", lambda one: one.url.startswith(ours) or self.outside.append(one.url))
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)[:300]))

    def _heard(self, message):
        if message.type == "error" and not message.text.startswith(NOT_OURS):
            self.errors.append(message.text[:300])

    def open(self, name):
        self.name = name
        self.page.goto(f"{self.lab.base}/lab/tree/{name}?token={TOKEN}&reset")
        self.ready()
        return self

    def ready(self):
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        # the toolbar's mark says idle while the kernel is still connecting; the status bar doesn't
        self.page.wait_for_selector('#jp-bottom-panel :text-matches("\\\\| Idle$")')

    def menu(self, top, item):
        self.page.click(f'.lm-MenuBar-itemLabel:text-is("{top}")')
        self.page.click(f'.lm-Menu-itemLabel:text-is("{item}")')

    def run_all(self):
        """Run every cell and return the seconds until the last one had its number."""
        begun = time.monotonic()
        self.menu("Run", "Run All Cells")
        self.ran()
        return time.monotonic() - begun

    def restart_and_run_all(self):
        # what the dead kernel left behind looks like what the new one makes: mark it, to see it go
        self.page.evaluate("document.querySelectorAll('.workbench').forEach(one => one.dataset.old = '')")
        self.menu("Kernel", "Restart Kernel and Run All Cells…")
        self.page.click(".jp-Dialog .jp-mod-accept")
        self.page.wait_for_function("() => !document.querySelector('.workbench[data-old]')")
        self.ran()
        self.page.wait_for_selector(".workbench")

    def ran(self, seconds=120):
        cells = json.loads((self.lab.root / self.name).read_text())["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        # a cell that is folded away has no number in the page
        wanted = sum(not cell["metadata"].get("jupyter", {}).get("source_hidden") for cell in code)
        prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]"
        numbered = f"{prompts}.filter(one => /\\[\\d+\\]/.test(one.textContent)).length >= {wanted}"
        self.page.wait_for_function(f"() => {numbered}", timeout=1000 * seconds)
        assert not self.page.locator('[data-mime-type="application/vnd.jupyter.error"]').count()
        assert not self.page.locator(
            '[data-mime-type="application/vnd.jupyter.stderr"]:has-text("Error")'
        ).count()


@pytest.fixture
def make_notebook(browser, tmp_path):
    """Return a function that opens a tab on a server; afterwards nothing may have left the machine."""
    opened = []

    def make(lab, width=1280, height=1400, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(40_000)
        opened.append((Page(context.new_page(), lab), context))
        return opened[-1][0]

    yield make
    for number, (notebook, context) in enumerate(opened):
        if not notebook.page.is_closed():
            notebook.page.screenshot(path=tmp_path / f"end-{number}.png")
        with contextlib.suppress(
            ConnectionError, urllib.error.URLError
        ):  # a test may have stopped its server
            for session in notebook.lab.api("sessions"):
                notebook.lab.api(f"sessions/{session['id']}", "DELETE")
        context.close()
        assert not notebook.outside, f"the page went to the network: {notebook.outside[:3]}"
        assert not notebook.errors, notebook.errors[:3]


@pytest.fixture
def notebook(make_notebook, lab):
    return make_notebook(lab)


FAKE = """
class Model {
  constructor(traits) { this.traits = traits; this.heard = {}; }
  get(name) { return this.traits[name]; }
  set(name, value) { this.traits[name] = value; (this.heard[`change:${name}`] ?? []).forEach(one => one()); }
  on(event, one) { (this.heard[event] ??= []).push(one); }
  off(event, one) { this.heard[event] = (this.heard[event] ?? []).filter(other => other !== one); }
  save_changes() {}
}
"""


def plain_page(view):
    """Return the HTML of a page that shows a view; its model is ``window.model``."""
    state = view.get_state()
    esm, css = state.pop("_esm"), state.pop("_css")
    traits = {name: value for name, value in state.items() if name[0] != "_" and name != "layout"}
    script = esm.replace("export default", "const widget =")
    return (
        f"<!doctype html><meta charset=utf-8><style>{css}</style><main id=place></main><script type=module>"
        f"{FAKE}{script}\nwindow.model = new Model({json.dumps(traits)});"
        # as in a notebook: it is drawn before it stands in the page
        "const el = document.createElement('div'); widget.render({ model: window.model, el });"
        "document.querySelector('#place').append(el);</script>"
    )


@pytest.fixture
def show(browser):
    """Return a function that shows a view in a page of its own; afterwards nothing may have gone wrong."""
    opened, wrong = [], []

    def make(view, **options):
        context = browser.new_context(viewport={"width": 900, "height": 900}, **options)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.set_content(plain_page(view))
        page.wait_for_selector(".workbench")
        opened.append(context)
        return page

    yield make
    for context in opened:
        context.close()
    assert not wrong, wrong[:3]
