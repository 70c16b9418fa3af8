"""What a study could see and would need, before it is run."""

from collections.abc import Iterator
from pathlib import Path

from workbench.devices import choose_device
from workbench.errors import InputError
from workbench.laws.planner import detectable
from workbench.laws.silence import in_words
from workbench.lessons.shipped import VERBS
from workbench.results import open_study
from workbench.studies.card_fit import gib, largest_need
from workbench.studies.grid import Study
from workbench.studies.memory_fit import memory_in_words
from workbench.studies.plan import Plan, plan

POWER = 0.8
"""Probability with which the difference would be found."""


def smallest_differences(study: Study, like: Path | None = None) -> Iterator[str]:
    """Yield a sentence for each metric: the smallest difference that a planned study would detect.

    Args:
        study: What is planned.
        like: An earlier study, whose noise is taken; by default the one that comes with the package.

    Raises:
        InputError: If fewer than two seeds are planned, or the earlier study shows no noise.
    """
    analyses = open_study(like or VERBS).answers().studies
    known = {metric: one for metric, one in analyses.items() if one.noise is not None}
    if not known:
        raise InputError(
            f"{like} shows no noise between seeds, so nothing can be said before the run; leave --like out: "
            "the noise is then that of the study that comes with the package"
        )
    whose = like or "the study that comes with the package; --like STUDY takes that of your own"
    sizes = len(study.sizes)
    over = "at its one size" if sizes == 1 else f"averaged over its {sizes} sizes"
    for metric, analysis in known.items():
        least = detectable(
            analysis, seeds=len(study.seeds), sizes=sizes, qualities=len(study.qualities), power=POWER
        )
        name = in_words(metric)
        yield (
            f"{name}: two qualities that differ by {least:.2g}, {over}, would be told apart "
            f"with a probability of {POWER:.0%} (noise of {whose})"
        )


def memory_needed(study: Study) -> Iterator[str]:
    """Yield a sentence for each part of the study: what it needs of the memory where it would train.

    Raises:
        InputError: If it doesn't fit, with what would.
    """
    device = choose_device(study.device)
    for part in study.parts():
        concrete = plan(part)
        if device.card is not None:
            yield _memory_of(concrete, device.card)
        elif concrete.room:
            yield memory_in_words(concrete.room, concrete.stacks, concrete.prepared)


def _memory_of(concrete: Plan, card: str) -> str:
    assert concrete.card, "a base on a card has one"
    needed = largest_need(concrete.card, concrete.stacks, concrete.prepared)
    stacks = f"the largest of {len(concrete.stacks)} stacks" if len(concrete.stacks) > 1 else "the one stack"
    return f"memory: {stacks} needs about {gib(needed)} of the {gib(concrete.card.memory)} of {card}"
