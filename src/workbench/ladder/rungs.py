"""What a ladder trains: the rungs, the runs of each, and how far a budget goes.

A rung is one width of the classroom's architecture: four blocks, four heads, two of them for keys, as in the
shipped base, which is the rung of width 128. Depth stays and width grows, so that one learning rate can be
right for all. A run is one rung, one number of tokens for each parameter, one seed. Tokens are all that the
model reads, prompts too; parameters are all that it has, the embedding, which is also the head, once.

Source: Hoffmann et al. 2022, arXiv:2203.15556, for 20 tokens a parameter and the curves of equal arithmetic;
Kaplan et al. 2020, arXiv:2001.08361, for 6 operations a parameter and token.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, prod

from workbench.errors import InputError, unknown_name
from workbench.models.decoder_config import DecoderConfig

TOKENS_A_PARAMETER = 20.0
"""Tokens a parameter of the runs that make the ladder."""
WIDEST_RATIO = 10.0
"""Runs of equal arithmetic stay within this factor of the ladder's own ratio, up and down."""
VOCABULARY = 99
"""Of the classroom's tokenizer; a test compares."""
WIDTH_STEP = 8
"""Widths are multiples of this: heads are then of even size, and every rung has the same proportions."""
SIZELESS_PARAMETERS = 130_000
"""A token takes as long as its parameters and this many more would: what doesn't grow with the matrices.

Measured on one core of x86 at widths 32 and 56, with 32 and with 128 examples in a step."""
WIDEST_RUNG = 1024
NARROWEST = 16


def architecture(width: int) -> DecoderConfig:
    """Return the decoder of one rung.

    Raises:
        InputError: If there is no rung of such a width.
    """
    if width % WIDTH_STEP or not NARROWEST <= width <= WIDEST_RUNG:
        raise InputError(
            f"a rung's width is {width}; it has to be a multiple of {WIDTH_STEP} from {NARROWEST} to "
            f"{WIDEST_RUNG}"
        )
    return DecoderConfig(
        vocabulary=VOCABULARY,
        width=width,
        layers=4,
        heads=4,
        kv_heads=2,
        head_size=width // 4,
        feed_forward=11 * width // 4,
        context=128,
    )


def parameters(width: int) -> int:
    """Return the number of weights of a rung, its embedding once."""
    return sum(prod(shape) for shape in architecture(width).shapes().values())


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """One model that is trained: a rung, the tokens a parameter, a seed."""

    width: int
    ratio: float
    seed: int

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"w{self.width:03d}-r{self.ratio:.3g}-s{self.seed}"

    @property
    def parameters(self) -> int:
        """The number of weights of its rung."""
        return parameters(self.width)

    @property
    def flops(self) -> float:
        """Operations that training takes: six for each parameter and token."""
        return 6.0 * self.ratio * self.parameters**2

    @property
    def work(self) -> float:
        """What its training takes in time, in a unit of no meaning; see :data:`SIZELESS_PARAMETERS`."""
        return self.ratio * self.parameters * (self.parameters + SIZELESS_PARAMETERS)


@dataclass(frozen=True, kw_only=True, slots=True)
class LadderPlan:
    """Which runs a ladder has.

    Attributes:
        widths: Rungs, the smallest first; each is trained at ``ratio`` with every seed.
        equal: Rungs whose arithmetic others are given too: one curve of equal arithmetic for each.
        seeds: Of the runs at ``ratio``.
        equal_seeds: Of the other runs.
        ratio: Tokens a parameter.
    """

    widths: tuple[int, ...]
    equal: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    equal_seeds: tuple[int, ...] = (0,)
    ratio: float = TOKENS_A_PARAMETER

    def __post_init__(self) -> None:
        """Refuse what can't be trained."""
        if not self.widths or not self.seeds:
            raise InputError("a ladder has at least one width and one seed; give --widths and --seeds")
        for width in self.widths:
            architecture(width)
        if not 0 < self.ratio < inf:
            raise InputError(
                f"the ratio is {self.ratio:g}; tokens a parameter are a number above 0, such as 20"
            )
        for name in ("widths", "equal", "seeds", "equal_seeds"):
            values = getattr(self, name)
            if sorted(set(values)) != list(values) or min(values, default=0) < 0:
                given = " ".join(map(str, values))
                raise InputError(f"{name} are {given}; give each once, none below 0, in ascending order")
        if others := set(self.equal) - set(self.widths):
            raise InputError(
                f"curves of equal arithmetic are those of rungs, and {min(others)} is none of the widths "
                f"{' '.join(map(str, self.widths))}; add it to --widths, or leave it out of --equal"
            )

    def runs(self) -> list[Run]:
        """Return every run, rung by rung; those at ``ratio`` come first in each."""
        return [run for width in self.widths for run in self.runs_of(width)]

    def runs_of(self, width: int) -> list[Run]:
        """Return the runs of one rung."""
        own = [Run(width, self.ratio, seed) for seed in self.seeds]
        return own + [Run(width, ratio, seed) for ratio in self._ratios(width) for seed in self.equal_seeds]

    def _ratios(self, width: int) -> Iterator[float]:
        """Yield the tokens a parameter that give a rung another one's arithmetic."""
        for other in self.equal:
            factor = (parameters(other) / parameters(width)) ** 2
            if other != width and 1 / WIDEST_RATIO <= factor <= WIDEST_RATIO:
                yield self.ratio * factor


LADDERS: dict[str, LadderPlan] = {
    "coffee": LadderPlan(widths=(24, 32, 40, 48), equal=(32,)),
    "lunch": LadderPlan(widths=(24, 32, 40, 48, 56, 64), equal=(32, 40, 48), equal_seeds=(0, 1, 2)),
    "night": LadderPlan(
        widths=(24, 32, 40, 48, 56, 64, 80, 96, 128), equal=(32, 40, 48, 56, 64), equal_seeds=(0, 1, 2)
    ),
}
"""How far each budget goes; a folder of one goes on as the next, for its runs are among theirs.

Narrower rungs than 24 don't learn to copy a word within their tokens, and no law holds across that. All rungs
up to 3 million parameters (width 256) take days on two cores: ``--widths`` adds them."""


def ladder_plan(budget: str) -> LadderPlan:
    """Return the plan of a budget.

    Raises:
        InputError: If there is no such budget.
    """
    if budget not in LADDERS:
        raise unknown_name("budget", budget, LADDERS, "src/workbench/ladder/rungs.py")
    return LADDERS[budget]
