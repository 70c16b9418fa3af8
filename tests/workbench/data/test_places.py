import pytest

from workbench.data.places import listed


@pytest.mark.parametrize(
    ("places", "words"),
    [
        pytest.param(["line 4"], "line 4", id="one"),
        pytest.param(["line 4", "line 18", "line 32"], "lines 4, 18 and 32", id="three"),
        pytest.param([f"item {n}" for n in range(1, 6)], "items 1, 2, 3, 4 and 5", id="five"),
        pytest.param([f"line {n}" for n in range(1, 9)], "lines 1, 2, 3, 4, 5 and 3 more", id="eight"),
        pytest.param(
            ["a and b.jsonl, line 4", "a and b.jsonl, line 7", "c.json, item 1"],
            "a and b.jsonl, lines 4 and 7; c.json, item 1",
            id="two-files",
        ),
        pytest.param(["record 'a b'", "record 'c'"], "record 'a b'; record 'c'", id="no-places"),
    ],
)
def test_places_in_words(places, words):
    assert listed(places) == words
