"""What every built-in source keeps: the tests run over the dict."""

import pytest

from workbench.data.sources import SOURCES, load_dataset
from workbench.errors import InputError

LEFT_OUT = {"gsm8k": "problems that make no pair of a right and a wrong solution"}
"""Sources that train on a part of what isn't held out, with what the part lacks."""


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_gives_records_that_can_be_trained_and_judged_on(name):
    try:
        data = load_dataset(name)
    except InputError as error:
        pytest.skip(f"{name} was never fetched: {error}")
    assert data.name == name
    assert data.licence
    assert data.origin
    ids = [record.id for record in (*data.train, *data.heldout)]
    assert len(set(ids)) == len(ids)
    assert not {record.prompt for record in data.train} & {record.prompt for record in data.heldout}
    assert all(record.prompt.strip() and record.response.strip() for record in (*data.train, *data.heldout))
    fewer = load_dataset(name, heldout=50)
    assert len(fewer.heldout) == 50
    assert {one.id for one in fewer.train} >= {one.id for one in data.train}
    assert name in LEFT_OUT or len(fewer.train) + 50 == len(ids)
    assert load_dataset(name).fingerprint == data.fingerprint
