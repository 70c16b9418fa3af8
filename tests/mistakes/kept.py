"""Mistakes that keep more for a gradient than it needs."""

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/models/block_parts.py",
        "tests/workbench/training/test_loop.py",
        (
            "norms are kept for the gradient",
            "        return normed, back\n    rounded",
            "        return kept(normed()), back\n    rounded",
            "test_the_memory_of_a_step_is_about_what_autograd_keeps",
        ),
    ),
    *mistakes(
        "src/workbench/models/between.py",
        "tests/workbench/models/test_between.py",
        (
            "a short example alone keeps the numbers of all",
            "-1, x.shape[-1]).contiguous()",
            "-1, x.shape[-1])",
            "test_a_block_of_one_example_keeps_its_own_numbers_alone",
        ),
    ),
    *mistakes(
        "src/workbench/models/attention.py",
        "tests/workbench/models/test_between.py",
        (
            "a long example alone keeps the numbers of all",
            "if here and not written:",
            "if False:",
            "test_a_block_of_one_example_keeps_its_own_numbers_alone",
        ),
    ),
]
