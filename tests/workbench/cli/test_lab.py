"""``workbench lab`` says an address, and the address opens JupyterLab."""

import contextlib
import http.cookiejar
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from workbench.cli.lab import environment

ADDRESS = re.compile(r"http://\S+")
UNWANTED = ("JUPYTER_TOKEN", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


@contextlib.contextmanager
def lab(folder: Path, *options: str, **variables: str):
    """Yield what `workbench lab` says until it has said an address, then end it."""
    pytest.importorskip("jupyterlab")
    root = folder / "my notebooks"
    root.mkdir()
    (root / "README.md").write_text("# The index\n")
    own = {name: str(folder / name) for name in ("HOME", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR")}
    (folder / "HOME").mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    server = subprocess.Popen(
        [sys.executable, "-m", "workbench", "lab", str(root), *options],
        env={**kept, **own, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert server.stdout
    said = []
    try:
        for line in server.stdout:
            said.append(line)
            if ADDRESS.search(line):
                break
        yield "".join(said)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(30)
        server.stdout.close()


def opened(address: str) -> tuple[int, str, str]:
    """Return the status, the final address and the page, as a browser that was never here gets them."""
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    with urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies).open(address) as page:
        return page.status, page.url, page.read().decode()


@pytest.fixture
def taken():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield one.getsockname()[1]


def test_the_address_opens_the_notebooks_though_the_port_is_taken(tmp_path, taken):
    with lab(tmp_path, "--no-browser", "--port", str(taken)) as said:
        assert len(said.splitlines()) == 1, "nothing stands around it"
        address = ADDRESS.findall(said)[0]
        assert f":{taken}/" not in address
        status, url, page = opened(address)
        assert (status, "/lab/tree/README.md" in url) == (200, True)
        assert "jupyter-config-data" in page
        with pytest.raises(urllib.error.HTTPError) as refused:  # and only the token lets in
            opened(address.partition("/lab")[0] + "/api/contents")
        assert refused.value.code == 403


def test_a_token_of_ones_own_and_no_browser(tmp_path):
    nothing = tmp_path / "no programs"
    nothing.mkdir()
    with lab(tmp_path, "--port", "0", JUPYTER_TOKEN="pass & word", PATH=str(nothing)) as said:
        address = ADDRESS.findall(said)[0]
        assert "token=pass+%26+word" in address
        assert "jupyter-config-data" in opened(address)[2]
        assert len(said.splitlines()) <= 2, "ours, and Jupyter's that there is no browser"


def test_an_empty_token_is_no_token():
    assert len(environment({"JUPYTER_TOKEN": ""})["JUPYTER_TOKEN"]) == 32
    assert environment({"JUPYTER_TOKEN": "mine"})["JUPYTER_TOKEN"] == "mine"
