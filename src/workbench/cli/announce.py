"""An extension of the Jupyter server that ``workbench lab`` starts: says where to go once the server is up.

Jupyter's own line hides a token that it was given, and leads to its login page.
"""

from typing import Any
from urllib.parse import urlencode, urljoin


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: Any) -> None:  # noqa: ANN401 - Jupyter has no types here
    loop = server.io_loop
    # it first runs when everything is loaded, and what is waiting then takes the port: so wait once more
    loop.add_callback(lambda: loop.add_callback(lambda: print(sentence(server), flush=True)))


def sentence(server: Any) -> str:  # noqa: ANN401
    """Return the address at which a browser gets in, in a sentence."""
    address = urljoin(server.connection_url, server.default_url)
    if token := server.identity_provider.token:
        address += f"?{urlencode({'token': token})}"
    return f"JupyterLab is running; Ctrl-C stops it. Open {address} in a browser."
