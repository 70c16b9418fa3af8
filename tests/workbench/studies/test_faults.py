"""Every fault that docs/reliability.md lists, done for real."""

import pytest
from faults import FAULTS

QUICK = ("full_at_commit", "corrupted_record", "changed_base", "begun_anew")
"""One of each kind; the others resemble one of them."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in FAULTS]
)
def test_nothing_is_lost(name, tmp_path):
    try:
        sentence = FAULTS[name](tmp_path)
    except PermissionError as error:
        pytest.skip(str(error))
    assert sentence
    print(name, "->", sentence)
