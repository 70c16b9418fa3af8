"""The part of docs/speed.md about trunks, and a table as that page writes it: for `speed_page.py`."""

import math
import statistics


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def trunk(found):
    separate, shared = found.values()
    rows = []
    for other, sizes in separate["rates"].items():
        for size, mine in sizes.items():
            theirs = shared["rates"][other][size]
            rows.append((other, size, rate(*mine), rate(*theirs)))
    losses = [
        abs(loss - shared["losses"][label][size])
        for label, sizes in separate["losses"].items()
        for size, loss in sizes.items()
    ]
    pairs = ((sizes, shared["rates"][other]) for other, sizes in separate["rates"].items())
    inside = sum(overlap(mine[size], theirs[size]) for mine, theirs in pairs for size in mine)
    verdict = (
        f"{inside} of {len(rows)} pairs of intervals overlap; the mean losses differ by "
        f"{statistics.mean(losses):.3f} nats on average, {max(losses):.3f} at most."
    )
    return (
        "## One trunk for many sizes\n\n"
        "`workbench run ... --schedule trunk`: the sizes of one (quality, seed) share a run at a constant rate, "
        "one pass over the examples in the order of the draw, and each branches off at its size to cool down "
        "over its last fifth. The numbers are those of separate runs of the same schedule; the question is "
        "whether the law is that of separate runs under a cosine. The same grid of `verbs` in both ways: "
        f"{separate['seconds']:.0f} s and {shared['seconds']:.0f} s. How many damaged examples a clean one is "
        "worth, with 95% intervals:\n\n"
        + table(("quality", "clean examples", "a run for each size", "one trunk"), rows)
        + f"\n{verdict} It is off by default: it fixes one pass over the examples, where the studies here hold "
        "the number of steps fixed.\n"
    )


def overlap(one, two):
    """Whether two (median, low, high) have overlapping intervals; None is 'not reached', above all numbers."""
    (_, low, high), (_, least, most) = (
        [math.inf if value is None else value for value in row] for row in (one, two)
    )
    return low <= most and least <= high


def rate(*values):
    median, low, high = ("not reached" if value is None else f"{value:.2g}" for value in values)
    if low == "not reached":
        return low
    return f"{median} ({low} to {high})"
