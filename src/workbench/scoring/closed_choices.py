"""How well the given one of closed choices stands, judged by a base that learnt from other records."""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from workbench.data.chance import number
from workbench.data.questions import question_of
from workbench.data.records import Record
from workbench.data.templates import continuation
from workbench.errors import InputError, how_to_install
from workbench.models.base import Base
from workbench.scoring.model_losses import OnShare, pooled, small_cell
from workbench.training.evaluation import HeldOut, evaluate
from workbench.training.loop import TrainState, freeze, train

FOLDS = 2
"""Parts of the records; each is judged by what the others teach."""


def margins(base: Base, records: Sequence[Record], template: str, tell: OnShare) -> list[float | None]:
    """Return cleanlab's normalized margin of each record's response among its choices.

    It is the probability of the given choice, less that of the likeliest other one, brought from [-1, 1] to
    [0, 1]: below 0.5, another choice is likelier. The probabilities are out of sample: a small adapter learns
    half of the records, and the other half is judged by it, then the other way round. Records that ask the
    same are in one half.

    A record whose response isn't one of two choices or more has no margin; none has one where all ask the
    same, as nothing else is there to learn from.

    Source: Northcutt, Jiang and Chuang, "Confident Learning", JAIR 2021 (arXiv 1911.00068), as in cleanlab's
    ``rank.get_label_quality_scores``.

    Raises:
        InputError: If cleanlab isn't installed; as ``templates.render``.
    """
    if find_spec("cleanlab") is None:
        raise InputError(
            f"scorer 'confident' needs cleanlab, which isn't installed; run {how_to_install('confident')}"
        )
    from cleanlab.rank import get_label_quality_scores

    found: list[float | None] = [None] * len(records)
    judged = [place for place, record in enumerate(records) if _is_closed(record)]
    probabilities = choice_probabilities(base, [records[place] for place in judged], template, tell)
    groups: dict[int, list[tuple[int, NDArray[np.float64]]]] = {}
    for place, row in zip(judged, probabilities, strict=True):
        groups.setdefault(len(row), []).append((place, row))
    groups.pop(0, None)
    for group in groups.values():
        labels = np.array([records[place].choices.index(records[place].response) for place, _ in group])
        rows = np.array([row for _, row in group])
        scores = get_label_quality_scores(labels, rows, method="normalized_margin")
        for (place, _), score in zip(group, scores, strict=True):
            found[place] = float(score)
    return found


def _is_closed(record: Record) -> bool:
    return record.response in record.choices and len(record.choices) > 1


def choice_probabilities(
    base: Base, records: Sequence[Record], template: str, tell: OnShare
) -> list[NDArray[np.float64]]:
    """Return the probability of each choice of each record, from what records of the other half teach.

    The likelihood of a choice is that of its whole text and its end; those of a record's choices come to 1.
    An empty row stands where there is no other half.

    Args:
        base: The frozen model.
        records: Each with choices, one of which is its response.
        template: Key of ``TEMPLATES``.
        tell: Told how far it is.

    Raises:
        InputError: As ``templates.render``.
    """
    fold = halves(records)
    if len(set(fold)) < FOLDS:
        return [np.empty(0) for _ in records]
    rendered = [
        [continuation(template, record, choice, base.tokenizer) for choice in record.choices]
        for record in records
    ]
    places, pool = pooled([example for row in rendered for example in row])
    in_turn = iter(places)
    choices = [[next(in_turn) for _ in row] for row in rendered]
    given = [row[one.choices.index(one.response)] for one, row in zip(records, choices, strict=True)]
    # trained in the order of the ids, so that the order of a file decides nothing
    by_id = sorted(range(len(records)), key=lambda place: records[place].id)
    frozen = freeze(base.decoder, pool, small_cell(base, 1).first_layer)
    found: list[NDArray[np.float64]] = [np.empty(0)] * len(records)
    for half in range(FOLDS):
        learnt = [given[place] for place in by_id if fold[place] != half]
        judged = [place for place, own in enumerate(fold) if own == half]
        cell = small_cell(base, len(learnt))

        def after_step(state: TrainState, half: int = half, steps: int = cell.total_steps) -> None:
            tell((half + 0.8 * state.step / steps) / FOLDS)

        stack, _ = train(frozen, [cell], [learnt], on_step=after_step)
        asked = sorted({place for one in judged for place in choices[one]})
        result = evaluate(frozen, HeldOut(asked), stack)
        totals = dict(zip(asked, (result.losses[0] * result.tokens).tolist(), strict=True))
        for one in judged:
            found[one] = _shares(np.array([totals[place] for place in choices[one]]))
        tell((half + 1) / FOLDS)
    return found


def _shares(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities that come to 1, from summed losses in nats."""
    likelihoods = np.exp(losses.min() - losses)
    return likelihoods / likelihoods.sum()


def halves(records: Sequence[Record]) -> list[int]:
    """Return which half each record is in: decided by what it asks, half of the questions in each."""
    questions = {question_of(record) for record in records}
    in_order = sorted(questions, key=lambda one: (number(0, "fold", one), one))
    fold = {question: place % FOLDS for place, question in enumerate(in_order)}
    return [fold[question_of(record)] for record in records]
