"""What nobody can foresee of answers that are spoiled by chance."""

import math
from collections.abc import Sequence
from statistics import fmean

from workbench.data.records import Record


def chance_loss(records: Sequence[Record], share: float = 0.5) -> float:
    """Return the least mean loss, in nats a token, of a model that knows every form but not which is asked.

    Args:
        records: With their other forms; each letter is a token, and the end is one.
        share: Of the answers that are right; the others are one of the other forms, each as likely.
    """
    parts = ((part, math.log(part)) for part in (share, 1 - share) if part)
    sides = -sum(part * log for part, log in parts)
    forms = (1 - share) * fmean(math.log(max(1, len(record.alternatives))) for record in records)
    return (sides + forms) / fmean(len(record.response) + 1 for record in records)
