"""The rules of the budget game: collect more examples, or clean those at hand, out of one purse.

The truth is a study's measured curves, which the player doesn't see. As in ``laws/purchases.py``, cleaning a
share of the examples moves the score by that share of the way between the two qualities' curves at the same
size.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Any

from workbench.errors import InputError
from workbench.laws.analysis import Analysis
from workbench.laws.in_words import readable
from workbench.laws.purchases import metric_of_set
from workbench.views.points import axis_words

PRICES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Of cleaning one example, where a new one costs 1."""
SHARES_TRIED = 101
"""Shares of the budget that are tried to find the best."""
SLIDER_STEPS = 20
"""Steps of the slider, from nothing for cleaning to everything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GameRound:
    """What a player has and what things cost."""

    examples: int
    """Examples at hand, all of the worse quality."""
    coins: int
    clean_price: float
    """Coins to clean one example; a new one of the worse quality costs 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a decision led to, beside the best one."""

    share: float
    """Share of the coins spent on cleaning."""
    score: float
    best_share: float
    best_score: float
    curve: tuple[float, ...]
    """The score of every share from 0 to 1."""

    @property
    def regret(self) -> float:
        """How much better the best decision is, never below 0."""
        return abs(self.best_score - self.score)

    def to_json(self) -> dict[str, Any]:
        """Return what ``budget_game.js`` shows of it."""
        return {
            "share": self.share,
            "score": self.score,
            "best_share": self.best_share,
            "best_score": self.best_score,
            "regret": self.regret,
            "curve": [float(f"{value:.5g}") for value in self.curve],
        }


class Game:
    """Rounds over one study.

    Args:
        analysis: An analysed study, whose curves are the truth.
        clean: Its best quality.
        worse: The quality of the examples at hand.
        rounds: How many.
        seed: Decides the rounds; a class that plays one seed can compare.

    Raises:
        InputError: If the study has no such quality or too few sizes.
    """

    def __init__(
        self, analysis: Analysis, *, clean: str = "clean", worse: str, rounds: int = 5, seed: int = 0
    ) -> None:
        self.analysis, self.clean, self.worse = analysis, clean, worse
        sizes = [int(size) for size in analysis.curve(worse).size]
        analysis.curve(clean)
        if len(sizes) < 3:
            raise InputError(f"the game needs 3 sizes of {worse!r}; the study has {len(sizes)}")
        self.largest = sizes[-1]
        chance = Random(seed)
        self.rounds = tuple(
            GameRound(
                examples=examples,
                coins=round(examples * chance.choice((0.5, 1.0, 2.0))),
                clean_price=chance.choice(PRICES),
            )
            for examples in (chance.choice(sizes[:-1]) for _ in range(rounds))
        )

    def rules(self, saves: bool) -> dict[str, Any]:
        """Return what ``budget_game.js`` says of the rounds; ``saves`` is whether there is a scoreboard."""
        return {
            "metric": axis_words(self.analysis.metric),
            "worse": readable(self.worse),
            "largest": self.largest,
            "falling": self.analysis.falling,
            "saves": saves,
            "rounds": [
                {"examples": one.examples, "coins": one.coins, "clean_price": one.clean_price}
                for one in self.rounds
            ],
        }

    def key(self) -> str:
        """Return what tells this game from others: with one key the rounds and the data are the same."""
        return sha256(json.dumps(self.rules(saves=False)).encode()).hexdigest()[:8]

    def buys(self, given: GameRound, share: float | int) -> tuple[float, float]:
        """Return the examples and how many of them are clean after spending ``share`` on cleaning."""
        size = min(given.examples + (1 - share) * given.coins, float(self.largest))
        return float(size), min(float(share * given.coins / given.clean_price), float(size))

    def score(self, given: GameRound, share: float | int) -> float:
        """Return the metric that such a set of examples gives."""
        size, cleaned = self.buys(given, share)
        return float(metric_of_set(self.analysis, {self.worse: size - cleaned, self.clean: cleaned})[0])

    def tipping_price(self, examples: int, coins: int) -> float:
        """Return the price of cleaning one example at which cleaning all and collecting all give the same.

        Below it cleaning is the better purchase, above it collecting.

        Args:
            examples: How many are at hand.
            coins: What there is to spend.

        Raises:
            InputError: If one of the two is better at every price from 1/100 to 100.
        """
        low, high = 0.01, 100.0
        if self._gain(examples, coins, low) <= 0 or self._gain(examples, coins, high) >= 0:
            raise InputError(
                f"with {examples} examples and {coins} coins no price from {low} to {high:g} tips the "
                "decision; choose others"
            )
        while high / low > 1.001:
            middle = (low * high) ** 0.5
            low, high = (middle, high) if self._gain(examples, coins, middle) > 0 else (low, middle)
        return (low * high) ** 0.5

    def _gain(self, examples: int, coins: int, price: float) -> float:
        """Return how much better cleaning all is than collecting all; below 0 where it is worse."""
        given = GameRound(examples=examples, coins=coins, clean_price=price)
        gain = self.score(given, 1) - self.score(given, 0)
        return -gain if self.analysis.falling else gain

    def play(self, given: GameRound, share: float | int) -> Decision:
        """Spend ``share`` of the coins on cleaning, the rest on new examples.

        Raises:
            InputError: If the share isn't from 0 to 1.
        """
        if not 0 <= share <= 1:
            raise InputError(f"a share of {share} can't be spent; choose from 0 to 1")
        curve = tuple(self.score(given, at / (SHARES_TRIED - 1)) for at in range(SHARES_TRIED))
        best = (min if self.analysis.falling else max)(range(SHARES_TRIED), key=curve.__getitem__)
        score = self.score(given, share)
        better = score < curve[best] if self.analysis.falling else score > curve[best]
        return Decision(
            share=float(share),
            score=score,
            best_share=float(share) if better else best / (SHARES_TRIED - 1),
            best_score=score if better else curve[best],
            curve=curve,
        )


def total_regret(outcomes: Sequence[Decision]) -> float:
    """Return the sum of the regrets."""
    return sum(outcome.regret for outcome in outcomes)
