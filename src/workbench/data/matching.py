"""Controls for a choice of records: chance draws whose responses are as long as the chosen ones.

Filters change how long responses are, and longer answers please judges. What a filter brings beyond that is
seen beside records that chance drew with the same lengths.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from workbench.data.records import Record

CHANCE = "chance"
"""The choice of all records, as chance draws them."""
TOKENS = "tokens"
"""The column with the length of a response: what the scorer of that name says."""
LENGTH_BINS = 10
"""Equal parts into which the chosen records are cut by length; within one, chance decides."""


def same_lengths(
    picks: Sequence[Record], everyone: Sequence[Record], tokens: Mapping[str, float]
) -> list[Record]:
    """Return, for each of the picks in their order, the next record of any kind that is about as long.

    Every beginning of the result has as many records of each length bin as the same beginning of the picks.
    The picks take part like all others: where nearly all records of some length were picked, the control has
    nearly the same ones.

    Args:
        picks: Those that a filter chose, in the order of the draws.
        everyone: All records, the picks among them, in the order of the draws.
        tokens: How long each response is, by the record's id.
    """
    import numpy as np  # describing a study, which reads what pools are called, needs no numpy

    lengths = [tokens[record.id] for record in picks]
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, LENGTH_BINS + 1)[1:-1], method="higher"))

    def bin_of(record: Record) -> int:
        return int(np.searchsorted(edges, tokens[record.id]))

    # shorter and longer than any of the picks is no part of their lengths
    least, most = min(lengths), max(lengths)
    waiting: dict[int, list[Record]] = defaultdict(list)
    for record in reversed(everyone):
        if least <= tokens[record.id] <= most:
            waiting[bin_of(record)].append(record)
    return [waiting[bin_of(pick)].pop() for pick in picks]
