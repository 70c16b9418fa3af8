"""What a cell is: one LoRA run on one draw of the data, named by its content.

A study is a grid of cells that differ in quality, size and seed and share everything else. Each
class here is frozen, refuses values that no run could use, and is the only place of its defaults.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from workbench.errors import InputError, unknown_name

LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of a block, by the names that Hugging Face checkpoints use."""

SCHEDULES = ("constant", "linear", "cosine", "trunk")
"""How the learning rate goes on after its warm-up. "trunk" stays and falls at the end, and takes the examples
in the order of the draw, so that cells of many sizes begin alike and that beginning is trained once."""

PREFIX_KINDS = ("llama-adapter", "adaption-prompt")
"""Kinds of adapter that put trained tokens before a block's keys and values; they have no matrices."""

KINDS_OF_ADAPTER = ("lora", "rslora", "lora+", "dora", "pissa", "olora", *PREFIX_KINDS)
"""Kinds of adapter, which ``workbench.adapters.kinds`` defines."""

LOSS_ON = ("last", "all")
"""Which answers of a conversation count in the loss: the last one, its response, or those of earlier turns
too."""

SIZES_IN = ("examples", "tokens")
"""What sizes count: training examples, or response tokens, which are those that count in the loss."""

PRECISIONS = ("float32", "bfloat16", "bfloat16-activations", "float16", "int8")
"""How products with the frozen base are computed: on a CPU as ``qlora_kernels.products`` defines them, int8
there alone, and under "bfloat16-activations" what lies between them is in bfloat16 too
(``models/between.py``); on a GPU it is the type of all activations, float16 there alone."""


HOLDS = ("auto", "decoded", "packed")
"""How a processor holds a base: with decoded copies, or packed alone; "auto" takes the first where there is
memory for it. See ``models/holding.py``."""

DEVICES = ("auto", "cpu", "cuda")
"""Where cells are trained, as ``--device`` takes it. ROCm answers to "cuda"."""


def check_device(name: str) -> None:
    """Refuse a name that no study could use.

    Raises:
        InputError: If it isn't one of :data:`DEVICES`.
    """
    if name == "mps":
        raise InputError(
            "device 'mps': Triton has no compiler for Apple's GPUs, so the fused kernels can't run there; "
            "choose --device cpu"
        )
    if name not in DEVICES:
        raise unknown_name("device", name, DEVICES, "src/workbench/config.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """One level of data quality: which records, which damage on which share, how many raters per label."""

    corruption: str = "none"
    """Key of ``workbench.data.corruptions.CORRUPTIONS``, or "none"."""
    share: float = 1.0
    """Share of examples left as they were, from 0 (every one spoiled) to 1 (none)."""
    raters: int | None = None
    """Human raters averaged for each label; None uses all that the source has."""
    pool: str = ""
    """Which records it draws from, in a form that ``workbench.data.pools`` reads; empty for all of them."""

    def __post_init__(self) -> None:
        """Refuse a share or a number of raters that means nothing, and two names for one quality."""
        if not 0.0 <= self.share <= 1.0:
            raise InputError(
                f"quality {self.share} is outside [0, 1]: it is the share of examples left as they were; "
                "write 0.8 to spoil one in five"
            )
        if self.corruption != "none" and self.share == 1.0:
            raise InputError(
                f"corruption {self.corruption!r} with quality 1 and 'clean' are two names for one thing; "
                f"write clean, or a quality below 1, such as {self.corruption}:0.8"
            )
        if self.corruption == "none" and self.share != 1.0:
            raise InputError(
                f"quality {self.share} needs a corruption that spoils the other examples, and 'none' spoils "
                f"nothing; write clean, or name a corruption, such as typo:{self.share}"
            )
        if self.raters is not None and self.raters < 1:
            raise InputError(f"raters is {self.raters}; at least 1 rater has to give a label: raters:1")
        if self.pool and (self.corruption != "none" or self.raters is not None):
            raise InputError(
                f"quality {self.pool!r} chooses records, and damage or raters can't be asked for beside it; "
                f"write {self.pool} alone"
            )

    @property
    def label(self) -> str:
        """A short name for figures and tables, such as "clean", "50% typo", "1 rater" or "source=wiki"."""
        if self.pool:
            return self.pool.replace("file:", "")
        parts = []
        if self.raters is not None:
            parts.append(f"{self.raters} rater" + ("s" if self.raters > 1 else ""))
        if self.corruption != "none":
            parts.append(f"{round(100 * (1 - self.share), 4):g}% {self.corruption}")
        return ", ".join(parts) or "clean"

    @classmethod
    def parse(cls, text: str) -> "Quality":
        """Read "clean", "typo:0.8" (a corruption and the share left as it was) or "raters:3"."""
        name, colon, level = text.partition(":")
        if name == "clean" and not colon:
            return cls()
        wanted = "'clean', a corruption with the share left as it was ('typo:0.8'), or 'raters:3'"
        try:
            if name == "raters":
                return cls(raters=int(level))
            return cls(corruption=name, share=float(level))
        except InputError:
            raise
        except ValueError:
            raise InputError(f"quality {text!r} can't be read; expected {wanted}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; a pool only where there is one, so that older cells keep their keys."""
        values = asdict(self)
        return values if self.pool else {name: value for name, value in values.items() if name != "pool"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CellConfig:
    """One cell: a draw of the data, a base, an adapter and the way it is trained."""

    data: str
    """Name of a source, or the path of the user's own file."""
    data_fingerprint: str = ""
    """SHA-256 of the records, so that a changed file is another cell."""
    base: str
    """Name or path of the frozen base model."""
    base_sha256: str = ""
    """SHA-256 of the base's file."""
    template: str = "plain"
    """Key of ``workbench.data.templates.TEMPLATES``."""
    loss_on: str = "last"
    """One of :data:`LOSS_ON`."""
    quality: Quality = Quality()
    size: int
    """Training examples, or response tokens (see ``size_in``); smaller draws are prefixes of larger ones."""
    size_in: str = "examples"
    """One of :data:`SIZES_IN`. Of response tokens a draw has as many as whole examples come closest to."""
    drawn: int | None = None
    """Examples that a size in tokens came to, once they are drawn; it follows from the other fields."""
    seed: int = 0
    """Decides the draw, the damage, the order of the examples and the first adapter weights."""
    adapter: str = "lora"
    """One of :data:`KINDS_OF_ADAPTER`."""
    rank: int = 8
    """Of the matrices; of kinds that have none, the number of trained tokens in each block."""
    alpha: float = 16.0
    """LoRA numerator: the update is scaled by alpha / rank, or as the kind of adapter says."""
    targets: tuple[str, ...] = LINEARS
    """Linear layers that carry an adapter, in every adapted block."""
    first_layer: int = 0
    """Blocks below this one carry no adapter; their output is computed once per example."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW."""
    schedule: str = "cosine"
    """One of :data:`SCHEDULES`."""
    warmup: float = 0.1
    """Share of the steps during which the rate rises linearly to its peak."""
    warmup_steps: int | None = None
    """Steps of that rise, whatever the size; None takes the share. A trunk needs it."""
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    """Largest norm of one cell's gradient; it is scaled down to this."""
    batch_size: int = 16
    """Examples in a step."""
    steps: int | None = 100
    """Optimizer steps, the same for every size; None trains for ``epochs`` instead."""
    epochs: float | None = None
    """Passes over the examples; None trains for ``steps`` instead."""
    precision: str = "float32"
    """One of :data:`PRECISIONS`: how the products with the frozen base are computed."""

    def __post_init__(self) -> None:
        """Refuse values that no run could use."""
        for name in ("size", "rank", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it has to be at least 1")
        for name in ("learning_rate", "alpha", "gradient_clip"):
            if not 0.0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name)}; it has to be a positive number")
        if not 0.0 <= self.warmup <= 1.0:
            raise InputError(f"warmup is {self.warmup}; it is a share of the steps, from 0 to 1")
        if (self.steps is None) == (self.epochs is None):
            raise InputError(
                f"steps is {self.steps} and epochs is {self.epochs}; give exactly one of them: steps holds "
                "the amount of training fixed across sizes, epochs the number of passes"
            )
        length = self.steps if self.epochs is None else self.epochs
        if not (length and 0 < length < float("inf")):
            raise InputError(
                f"steps {self.steps}, epochs {self.epochs}: a run needs more than none, and has to end; give "
                "at least 1 step, or epochs above 0"
            )
        if self.warmup_steps is not None and self.warmup_steps < 0:
            raise InputError(f"warmup_steps is {self.warmup_steps}; it is a number of steps, 0 or more")
        if self.schedule == "trunk" and (self.warmup_steps is None or (self.epochs or 2.0) > 1.0):
            raise InputError(
                f"schedule 'trunk' with warmup_steps {self.warmup_steps}, steps {self.steps} and epochs "
                f"{self.epochs}: cells of many sizes begin alike only if all rise over the same number of "
                "steps and see no example twice; give --schedule trunk alone or with --epochs 1 (in Python "
                "warmup_steps=10, steps=None, epochs=1.0)"
            )
        if self.loss_on not in LOSS_ON:
            raise unknown_name("loss_on", self.loss_on, LOSS_ON, "src/workbench/config.py")
        if self.size_in not in SIZES_IN:
            raise unknown_name("size_in", self.size_in, SIZES_IN, "src/workbench/config.py")
        if self.size_in == "tokens" and self.schedule == "trunk":
            raise InputError(
                "schedule 'trunk' with sizes in tokens: cells of a trunk end after whole steps, and a size "
                "in tokens ends where it does; count examples with --size-in examples, or leave --schedule "
                "out"
            )
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS, "src/workbench/config.py")
        if self.adapter not in KINDS_OF_ADAPTER:
            raise unknown_name("adapter", self.adapter, KINDS_OF_ADAPTER, "src/workbench/adapters/kinds")
        if self.adapter in PREFIX_KINDS and (self.alpha, self.targets) != (16.0, LINEARS):
            raise InputError(
                f"adapter {self.adapter!r} has no matrices, so alpha {self.alpha:g} and targets "
                f"{', '.join(self.targets)} mean nothing; leave --alpha and --targets out"
            )
        if self.schedule not in SCHEDULES:
            raise unknown_name("schedule", self.schedule, SCHEDULES, "src/workbench/training/optimizer.py")
        for target in self.targets:
            if target not in LINEARS:
                raise unknown_name("target layer", target, LINEARS, "src/workbench/config.py")
        if not self.targets:
            raise InputError(f"targets is empty; name at least one of {', '.join(LINEARS)}")

    @property
    def examples(self) -> int:
        """Training examples of this cell; of a size in tokens known once they are drawn."""
        if self.size_in == "examples":
            return self.size
        assert self.drawn is not None, "a cell whose size counts tokens is drawn before it is used"
        return self.drawn

    @property
    def total_steps(self) -> int:
        """Optimizer steps of this cell, whichever way they were given; at least 1."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(1, round(self.epochs * self.examples / self.batch_size))

    @property
    def passes(self) -> float:
        """Passes over the examples: steps x batch size / examples."""
        return self.total_steps * self.batch_size / self.examples

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, from which :meth:`from_dict` makes an equal cell."""
        return json.loads(json.dumps(asdict(self) | {"quality": self.quality.to_dict()}))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "CellConfig":
        """Read :meth:`to_dict`'s form; fields that it lacks take their defaults."""
        quality = Quality(**values.get("quality", {}))
        return cls(**{**values, "quality": quality, "targets": tuple(values.get("targets", LINEARS))})

    def key(self) -> str:
        """Name this cell by its content, so that running it twice is running it once.

        A field that holds its default is left out of the hash: a field added later doesn't rename
        the cells of older studies. The paths of the data and the base are left out when their
        hashes are known: a moved file is the same file. So is what follows from the rest.
        """
        content = {name: value for name, value in self.to_dict().items() if value != _DEFAULTS.get(name)}
        for name, digest in (("data", self.data_fingerprint), ("base", self.base_sha256)):
            if digest:
                content.pop(name)
        content.pop("drawn", None)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def with_(self, **changes: Any) -> "CellConfig":  # noqa: ANN401 - forwards to the fields
        """Return this cell with some fields changed."""
        return replace(self, **changes)


_DEFAULTS = CellConfig(data="", base="", size=1).to_dict()
