"""A tiny base and an adapter, once for all tests of a file."""

import pytest
from tiny_export import tiny_adapter, tiny_base


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def adapter(base):
    return tiny_adapter(base)
