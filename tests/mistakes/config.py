"""Mistakes in what a cell is, what it is called and how long it trains."""

from mistakes_list import mistakes

MISTAKES = mistakes(
    "src/workbench/config.py",
    "tests/workbench/test_config.py",
    (
        "a cell's key forgets alpha",
        "        for name, digest in ((",
        '        content.pop("alpha", None)\n        for name, digest in ((',
        "test_every_field_names_a_cell",
    ),
    (
        "a cell's key forgets how many raters gave the labels",
        "        for name, digest in ((",
        '        content.get("quality", {}).pop("raters", None)\n        for name, digest in ((',
        "test_every_part_of_a_quality_names_a_cell",
    ),
    (
        "the place of a base counts though its hash is known",
        '("base", self.base_sha256)):',
        '("base", "")):',
        "test_where_a_file_lies_names_a_cell_only_while_its_hash_is_unknown",
    ),
    (
        "the place of the data never counts",
        "            if digest:\n                content.pop(name)",
        '            if digest or name == "data":\n                content.pop(name, None)',
        "test_where_a_file_lies_names_a_cell_only_while_its_hash_is_unknown",
    ),
    (
        "another default rank, under the old keys",
        "rank: int = 8",
        "rank: int = 16",
        "test_no_default_has_changed",
    ),
    (
        "another default rate, under the old keys",
        "learning_rate: float = 2e-3",
        "learning_rate: float = 1e-3",
        "test_no_default_has_changed",
    ),
    (
        "steps of an epoch are rounded down",
        "max(1, round(self.epochs * self.examples / self.batch_size))",
        "max(1, int(self.epochs * self.examples / self.batch_size))",
        "test_steps_and_passes",
    ),
    (
        "passes count batches instead of examples",
        "return self.total_steps * self.batch_size / self.examples",
        "return self.total_steps / self.examples",
        "test_steps_and_passes",
    ),
)
