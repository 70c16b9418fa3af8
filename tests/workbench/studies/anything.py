"""Whatever may stand in a file or a frame, for the tests that feed it to our readers."""

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def changes(data, content: bytes) -> bytes:
    """Change a few bytes of a file, anywhere."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, max(0, len(changed) - 1)))
        if data.draw(st.booleans()):
            changed[place : place + 1] = data.draw(st.binary(max_size=4))
        else:
            del changed[place : place + data.draw(st.integers(1, 600))]
    return bytes(changed)
