"""Mistakes in the shelf of adapters and in what a card says."""

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/studies/shelf.py",
        "tests/workbench/studies/test_shelf.py",
        ("a study's adapters are found twice", "if name != ADAPTERS]", "if name]"),
        (
            "a base is taken for an adapter",
            'return start.startswith(b"GGUF") and b"adapter.type" in start',
            'return start.startswith(b"GGUF")',
        ),
        (
            "a card states the base's licence for all",
            "licence = min(licences) if len(licences) == 1 and licences <= HUB_LICENCES else",
            "licence = min(licences) if licences <= HUB_LICENCES else",
        ),
        ("a card's scores are the base's", "| {value:.4g} | {bare} |", "| {bare} | {bare} |"),
        ("scores are those of the bare base", 'metrics[row["key"]].items()', "bare.items()"),
        ("a broken one is hidden", "problem=str(error))\n\n\ndef _facts", "problem=None)\n\n\ndef _facts"),
    ),
    *mistakes(
        "src/workbench/cli/adapter.py",
        "tests/workbench/studies/test_shelf.py",
        (
            "a sum carries the card of its first part",
            "asked[0][0] if len(asked) == 1 else None",
            "asked[0][0]",
        ),
    ),
]
