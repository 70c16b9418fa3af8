"""The mark of tests that do what a message says."""

from collections.abc import Callable


def follows(*fragments: str) -> Callable:
    """Mark a test as the one that follows the messages with these fragments, for ``test_advice.py``."""
    assert fragments
    return lambda test: test
