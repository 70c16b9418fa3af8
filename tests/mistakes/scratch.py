"""Mistakes in what the notebook that is written from scratch is held against."""

from mistakes_list import mistakes

TESTS = "tests/notebooks/test_from_scratch.py"

MISTAKES = [
    *mistakes(
        "src/workbench/lessons/from_scratch.py",
        f"{TESTS}::test_its_weights_are_the_packages_bit_for_bit",
        (
            "rows of queries are compared in the file's order",
            "return rows if heads is None else",
            "return rows if True else",
        ),
    ),
    *mistakes(
        "src/workbench/lessons/from_scratch.py",
        f"{TESTS}::test_its_logits_are_the_packages",
        (
            "logits are compared for the last example alone",
            "apart = max(apart, float((ours[",
            "apart = max(0.0, float((ours[",
        ),
    ),
    *mistakes(
        "src/workbench/lessons/from_scratch.py",
        f"{TESTS}::test_its_loss_and_slopes_are_the_packages",
        (
            "only the smallest difference of slopes is told",
            "apart = max(float((ours[name]",
            "apart = min(float((ours[name]",
        ),
    ),
    *mistakes(
        "src/workbench/lessons/misses.py",
        "tests/workbench/lessons/test_misses.py",
        (
            "a law's errors aren't squared twice the objective",
            "float(2 * fit.objective / left)",
            "float(fit.objective / left) / 2",
        ),
        (
            "chances are told for rare events only",
            "if probability >= SAID_IN_PERCENT:",
            "if probability >= 2 * SAID_IN_PERCENT:",
        ),
        ("once in so many is the square", "{1 / probability:.1g}", "{1 / probability**2:.1g}"),
    ),
]
