"""What is asked of every widget that a test has made."""

import base64
import json

import pytest


@pytest.fixture
def check_shown():
    return _check_shown


def _check_shown(view):
    """Assert that a widget has a picture, a line of words, and a state that is JSON without a NaN."""
    data, _ = view._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert len(data["image/png"]) < 120_000
    assert data["text/plain"] == view.words()
    assert "\n" not in data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data
    state = view.get_state()
    for name in ("_esm", "_css", "layout"):
        state.pop(name, None)
    assert len(json.dumps(state, allow_nan=False)) < 200_000
