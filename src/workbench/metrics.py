"""Names of what is measured: ``loss`` on a study's own held-out records, ``references.loss`` on another set.

The name of an evaluation set has no dot, and neither has a metric's.
"""

HELDOUT = "heldout"
"""The evaluation set that every study has; its metrics go by their bare names."""
BY_REFERENCES = ("loss", "exact_match", "choice_accuracy")
"""What is measured without generating anything: the first is a loss, the rest shares."""
OWN = "own_"
"""Begins the name of a metric that is a user's own function."""


def on_set(name: str, metric: str) -> str:
    """Return what a metric is called that was measured on an evaluation set."""
    return metric if name == HELDOUT else f"{name}.{metric}"


def set_and_metric(name: str) -> tuple[str, str]:
    """Return the evaluation set of a measurement and its metric there; undoes :func:`on_set`."""
    before, _, metric = name.rpartition(".")
    return before or HELDOUT, metric


def is_loss(name: str) -> bool:
    """Say whether a measurement is a loss, on whichever set; a user's own metric never is one."""
    metric = set_and_metric(name)[1]
    return metric.endswith("loss") and not metric.startswith(OWN)
