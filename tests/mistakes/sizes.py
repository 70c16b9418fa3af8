"""Mistakes in sizes that count response tokens: what is drawn, what cells are called, what is told."""

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/data/subsets.py",
        "tests/workbench/data/test_sizes_in_tokens.py",
        (
            "a size in tokens is what is fully within it",
            "nearer = before if before >= 0 and size - ends[before] <= ends[after] - size else after",
            "nearer = before if before >= 0 else after",
            "test_no_other_beginning_of_the_order_comes_closer",
        ),
        (
            "of two as close the larger is drawn",
            "size - ends[before] <= ends[after] - size",
            "size - ends[before] < ends[after] - size",
            "test_no_other_beginning_of_the_order_comes_closer",
        ),
        (
            "the last record can't be reached",
            "if size <= ends[-1]}",
            "if size < ends[-1]}",
            "test_what_all_records_have_is_the_largest_size",
        ),
        (
            "every record is counted for every size",
            "min(count, most), seed)",
            "most, seed)",
            "test_records_are_counted_no_further_than_is_needed",
        ),
    ),
    *mistakes(
        "src/workbench/training/prepare.py",
        "tests/workbench/studies/test_sizes_in_tokens.py",
        (
            "tokens of prompts count too",
            "base.tokenizer, loss_on).labels)",
            "base.tokenizer, loss_on).token_ids)",
            "test_cells_have_so_many_tokens_that_count_in_the_loss",
        ),
        (
            "the largest size of the seed that has most is advised",
            "lacking[quality] = min(most,",
            "lacking[quality] = max(most + 1,",
            "test_sizes_that_nobody_can_have",
        ),
    ),
    *mistakes(
        "src/workbench/config.py",
        "tests/workbench/studies/test_sizes_in_tokens.py",
        (
            "what follows from a cell renames it",
            'content.pop("drawn", None)',
            'content.get("drawn")',
            "test_names_of_cells",
        ),
        (
            "passes over tokens",
            "return self.total_steps * self.batch_size / self.examples",
            "return self.total_steps * self.batch_size / self.size",
            "test_cells_have_so_many_tokens_that_count_in_the_loss",
        ),
        (
            "steps of an epoch over tokens",
            "round(self.epochs * self.examples / self.batch_size)",
            "round(self.epochs * self.size / self.batch_size)",
            "test_passes_over_the_examples_are_counted_by_what_was_drawn",
        ),
    ),
    *mistakes(
        "src/workbench/studies/disk/manifest.py",
        "tests/workbench/studies/test_sizes_in_tokens.py",
        (
            "a quality may have as many tokens as records",
            "if self.data.response_tokens:\n            return dict(self.data.response_tokens)\n        ",
            "",
            "test_growth_knows_how_many_tokens_there_are",
        ),
    ),
    *mistakes(
        "src/workbench/laws/units.py",
        "tests/workbench/laws/test_units.py",
        (
            "what follows from a draw tells seeds apart",
            'OF_A_DRAW = ("examples", "steps", "epochs")',
            'OF_A_DRAW = ("examples",)',
            "test_seeds_that_drew_other_numbers_of_examples_are_replicates",
        ),
        (
            "what was set is taken for a draw's",
            "setdefault(row.seed, set())",
            "setdefault((row.seed, row.line), set())",
            "test_what_was_set_still_tells_cells_apart",
        ),
    ),
    *mistakes(
        "src/workbench/laws/units.py",
        "tests/workbench/studies/test_sizes_in_tokens.py",
        (
            "examples and tokens are one curve",
            "if len(units) > 1:",
            "if len(units) > 2:",
            "test_an_exported_table_says_the_same",
        ),
    ),
]
