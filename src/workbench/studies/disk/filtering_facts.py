"""What a study records that asks whether filters are worth their cost."""

from dataclasses import dataclass

from workbench.studies.disk.facts import Facts


@dataclass(frozen=True, kw_only=True)
class FilterFacts(Facts):
    """One choice of records by a scorer, in a study that asks whether filters are worth their cost."""

    pool: str = ""
    """The quality that draws from what it keeps."""
    control: str | None = None
    """The quality that chance draws with the same lengths of responses; None where there is none."""
    scorer: str = ""
    good: str | None = None
    """The scorer's good end, such as "higher"."""
    seconds: float | None = None
    """That scoring all records took; None where that isn't known."""
    tokens: int | None = None
    """How many response tokens it keeps of all records, in a study whose sizes count those."""
    auc: float | None = None
    """Probability that it puts a spoiled record farther from what it keeps than one that is as it was."""


@dataclass(frozen=True, kw_only=True)
class DrawnTokens(Facts):
    """How many response tokens the draws of a quality and size have, on average over the seeds."""

    quality: str = ""
    """Its label."""
    size: int = 0
    tokens: float = 0.0


@dataclass(frozen=True, kw_only=True)
class FilteringFacts(Facts):
    """What a study recorded that compares filters with chance; empty for every other one."""

    file: str | None = None
    records: int = 0
    """Records that were scored."""
    keep: float | None = None
    """Percent of the records to train on that each filter keeps."""
    filters: tuple[FilterFacts, ...] = ()
    drawn: tuple[DrawnTokens, ...] = ()
    corruption: str | None = None
    """The damage that was planted to see which scorer finds it."""
    damaged: int | None = None
    """Records that had it."""
    undamaged: int | None = None
