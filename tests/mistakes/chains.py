"""Mistakes in chains of tasks: what is trained on what, and which number stands where."""

from mistakes_list import mistakes

HERE = "tests/workbench/test_chaining.py"

MISTAKES = [
    *mistakes(
        "src/workbench/chaining.py",
        HERE,
        (
            "every stage begins at the bare base",
            "                on = _frozen(on,",
            "                _frozen(on,",
        ),
        ("all at once takes the steps of one stage", "seed, steps * len(tasks))", "seed, steps)"),
        ("all at once sees the first task alone", "sizes=(sum(counts.values()),)", "sizes=(counts[lead],)"),
        (
            "forgetting is what is left of the bare base",
            "self.mean(task, self.tasks[-1], metric) - self.mean(task, task, metric)",
            "self.mean(task, self.tasks[-1], metric) - self.mean(task, BARE, metric)",
        ),
        ("the matrix shows one seed", "for seed in self.seeds)", "for seed in self.seeds[:1])"),
        (
            "the base is measured after the first stage",
            "measure(BARE, task, bare, seed)",
            "measure(BARE, task, own, seed)",
        ),
        (
            "held-out records are trained on",
            "kept = dataset.train if size is None else dataset.train[:size]",
            "kept = dataset.train + dataset.heldout",
        ),
        (
            "a base of another chain is taken",
            "if path.is_file() and path.read_bytes() != content:",
            "if False:",
        ),
    ),
]
