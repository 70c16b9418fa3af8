"""What is asked of filters: which scorers, which share, on which base, at which sizes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from workbench.data.pools import NUMBER
from workbench.data.sources import files
from workbench.data.sources.findings import Policy
from workbench.errors import InputError, unknown_name
from workbench.scoring.scorers import SCORERS
from workbench.studies.defaults import (
    EPOCHS_OF_FILTERS,
    KEPT_SHARE,
    OWN_BASE,
    OWN_CORRUPTION,
)

End = Literal["top", "bottom"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Which filters are compared, and on what."""

    file: Path
    scorers: tuple[str, ...]
    """Each a key of ``SCORERS``, with ":top" or ":bottom" behind it where one end alone is asked for."""
    keep: str = KEPT_SHARE
    """Share of the records that each filter keeps, such as "30%"."""
    budget: str = "coffee"
    base: str = OWN_BASE
    template: str | None = None
    corruption: str = OWN_CORRUPTION
    """The damage that is planted."""
    heldout: int | None = None
    heldout_file: Path | None = None
    sizes: tuple[int, ...] | None = None
    size_in: str = "examples"
    """One of ``config.SIZES_IN``: what sizes count."""
    seeds: tuple[int, ...] | None = None
    epochs: float = EPOCHS_OF_FILTERS
    """Passes of every cell over its examples."""
    controls: bool = True
    """Whether chance draws with the same lengths stand beside what is kept."""
    whole: bool = True
    """Whether all records are trained on, too."""
    on_empty: Policy = "error"
    on_bad: Policy = "error"
    on_long: Policy = "error"
    mapping: Mapping[str, str] = field(default_factory=dict)
    """Fields of a record, each with the key under which the file has it."""
    read_as: str | None = None
    """Key of ``LAYOUTS``; None finds the layout by the keys."""
    settings: tuple[tuple[str, Any], ...] = ()
    """Of every cell, as ``workbench.study`` takes them."""

    @property
    def how(self) -> files.How:
        """How the files are read."""
        named = tuple(self.mapping.items())
        return files.How(on_empty=self.on_empty, on_bad=self.on_bad, mapping=named, read_as=self.read_as)

    @property
    def percent(self) -> float:
        """The share that is kept, in percent.

        Raises:
            InputError: If it isn't written as one.
        """
        found = re.fullmatch(rf"({NUMBER})\s*%", self.keep.strip())
        percent = float(found[1]) if found else 0.0
        if not 0 < percent < 100:
            raise InputError(
                f"--keep is {self.keep!r}; expected a share of the records in percent, more than 0% and less "
                f"than 100%, such as --keep {KEPT_SHARE}"
            )
        return percent

    def ends(self) -> list[tuple[str, End]]:
        """Return each scorer with the ends that are kept: its good one, or both where none is known.

        Raises:
            InputError: If a scorer or an end is unknown, or one is asked for twice.
        """
        found: list[tuple[str, End]] = []
        for text in self.scorers:
            name, colon, end = text.partition(":")
            if name not in SCORERS:
                raise unknown_name("scorer", name, SCORERS, "src/workbench/scoring/scorers.py")
            if SCORERS[name].needs == "evaluation" and self.heldout_file is None:
                raise InputError(
                    f"scorer {name!r} compares with the records that judge; give them as a file with "
                    "--heldout-file"
                )
            if colon and end not in get_args(End):
                raise InputError(
                    f"scorer {text!r} names the end {end!r}; give {name}:top for the largest numbers or "
                    f"{name}:bottom for the smallest"
                )
            good: dict[str, tuple[End, ...]] = {"higher": ("top",), "lower": ("bottom",)}
            ends = good.get(SCORERS[name].good, ("top", "bottom"))
            found += [(name, one) for one in get_args(End) if (one == end if colon else one in ends)]
        if not found:
            raise InputError("no scorer is given; name at least one, such as --scorer ifd")
        if doubled := next((one for one in found if found.count(one) > 1), None):
            raise InputError(f"scorer {doubled[0]!r} is asked for twice; give each once")
        return found
