"""Files of weights with some bytes changed, for tests that such a file loads or is refused."""

from hypothesis import strategies as st


def change_bytes(path, data) -> None:
    """Change one to four bytes of a safetensors file; half of the changes fall into its header."""
    content = bytearray(path.read_bytes())
    length = int.from_bytes(content[:8], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, data.draw(st.sampled_from([length, len(content) - 1]))))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
