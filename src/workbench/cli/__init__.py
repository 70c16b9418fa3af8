"""The same verbs for a terminal."""


def main() -> int:
    """Run the command line."""
    raise NotImplementedError
