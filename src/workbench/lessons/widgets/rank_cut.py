"""How thin is thin enough: a slider cuts a fine-tune to its largest directions, matrix and answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import traitlets

from workbench.adapters.lora import LoraStack
from workbench.data.records import Dataset, Record
from workbench.errors import InputError
from workbench.lessons.exercises import numbers
from workbench.lessons.figures import cut_figure, held
from workbench.lessons.ranks import RankAnswers, answers_by_rank, packed_directions
from workbench.lessons.widgets.hands import HANDS_STYLE, own_module
from workbench.models.base import Base
from workbench.training.prepare import Prepared
from workbench.views.style import PaperFigure
from workbench.views.widgets.view import View

RANKS = (0, 1, 2, 3, 4, 8, 16, 32, 64)
SHOWN = 10
"""Verbs whose answers are shown, half of them regular."""
DIRECTIONS_DRAWN = 2
"""Directions that the picture keeps where the slider keeps all."""


class RankCut(View):
    """A matrix cut to its first directions, and what the model answers with every layer cut so.

    Args:
        matrix: The change of one layer, shape (N, K).
        answers: What the model says at each rank.

    Raises:
        InputError: If a rank is above the matrix's narrower side.
    """

    _esm = own_module("rank_cut")
    _css = HANDS_STYLE
    matrix: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    answers: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    place = traitlets.Int(0).tag(sync=True)
    """Which of the ranks is shown."""

    def __init__(self, matrix: object, answers: RankAnswers) -> None:
        values = numbers(matrix)
        most = max(answers.ranks)
        if most > min(values.shape):
            raise InputError(
                f"rank {most} is above {min(values.shape)}, the narrower side of a matrix of "
                f"{values.shape[0]} x {values.shape[1]}; choose ranks up to that"
            )
        self.values, self.shares = values, [0.0, *held(values).tolist()]
        shown = {
            "ranks": list(answers.ranks),
            "asked": [list(one) for one in answers.asked],
            "said": [list(one) for one in answers.said],
            "right": [round(share, 4) for share in answers.right],
            "items": answers.items,
            "held": [round(self.shares[rank], 4) for rank in answers.ranks],
        }
        super().__init__(
            matrix=dict(packed_directions(torch.from_numpy(values), most)),
            answers=shown,
            place=len(answers.ranks) - 1,
        )

    @classmethod
    def of(
        cls,
        base: Base,
        dataset: Dataset,
        prepared: Prepared,
        stack: LoraStack,
        row: int,
        layer: str,
        ranks: Sequence[int] = RANKS,
    ) -> "RankCut":
        """Cut one cell's adapter and ask the model at each rank, which takes seconds.

        Args:
            base: The base.
            dataset: Where the verbs to ask come from.
            prepared: The data, ready to train on.
            stack: The adapters.
            row: The cell to cut, of the largest rank.
            layer: The layer whose change is drawn.
            ranks: In rising order, 0 for the base alone.
        """
        kinds: list[list[Record]] = [[], []]
        for one in dataset.heldout:
            kinds[one.response.endswith("ed")].append(one)
        # spread over the alphabet, the irregular ones last
        records = [
            one
            for kind in reversed(kinds)
            for one in kind[:: max(1, len(kind) // (SHOWN // 2))][: SHOWN // 2]
        ]
        found = answers_by_rank(base, prepared.frozen, prepared.heldout, records, stack, row, ranks)
        a, b = (stack.tensors(row)[f"{layer}.lora_{half}"] for half in "AB")
        return cls(float(stack.scale[row]) * b @ a, found)

    @property
    def rank(self) -> int:
        """How many directions are kept."""
        return int(self.answers["ranks"][self.place])

    def picture(self) -> PaperFigure:
        """Draw the whole matrix, what the rank keeps of it, and how much is answered right at each rank."""
        left, sizes, right = np.linalg.svd(self.values, full_matrices=False)
        rank = (
            self.rank if self.rank < max(self.answers["ranks"]) else DIRECTIONS_DRAWN
        )  # the whole beside itself says nothing
        kept = (left[:, :rank] * sizes[:rank]) @ right[:rank]
        cuts = {"the whole change of one layer": self.values, f"its {rank} largest directions": kept}
        return cut_figure(cuts, dict(zip(self.answers["ranks"], self.answers["right"], strict=True)))

    def words(self) -> str:
        """Say the rank, what it holds of the change, and how much is right."""
        right, share = self.answers["right"][self.place], self.answers["held"][self.place]
        return (
            f"{self.rank} directions: {share:.0%} of the change, {right:.0%} of {self.answers['items']} right"
        )
