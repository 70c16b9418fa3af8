"""Mistakes in how the numbers of a base are read."""

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/models/gguf_parts.py",
        "tests/workbench/models/test_gguf_parts.py",
        (
            "the metadata of the last part",
            "GgufFile(paths[0], first.metadata, tensors)",
            "GgufFile(paths[0], part.metadata, tensors)",
            "test_any_part_gives_the_whole_base",
        ),
        (
            "the hash of the first part alone",
            "for path in self.paths:",
            "for path in self.paths[:1]:",
            "test_any_part_gives_the_whole_base",
        ),
        (
            "parts in any order",
            "if stated != (number, count):",
            "if stated[1] != count:",
            "test_parts_in_another_order",
        ),
        (
            "a tensor that is missing isn't missed",
            "if total != len(tensors):",
            "if total > 2 * len(tensors):",
            "test_a_total_that_is_not_there",
        ),
        (
            "what a later part says otherwise is passed over",
            'if not key.startswith("split.") and first.metadata.get(key) != value:',
            'if not key.startswith("split.") and first.metadata.get(key, value) is None:',
            "test_a_part_of_something_else_is_named",
        ),
    ),
]
