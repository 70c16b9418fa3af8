"""The command that goes on with a study: what was chosen for it, as ``workbench run`` takes it."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.config import CellConfig, Quality
from workbench.errors import InputError
from workbench.studies.choices import study
from workbench.studies.defaults import LARGE_BASE_LAYERS, LARGE_BASE_SETTINGS, OWN_BASE
from workbench.studies.grid import STUDIES, Study
from workbench.studies.identity import Begun

PACKAGE = Path(__file__).resolve().parents[1]
OF_STUDY = (
    *("base", "heldout", "heldout_file", "pair_key", "on_empty", "on_bad", "on_long"),
    *("on_shared", "metrics", "mapping", "read_as", "template", "loss_on", "size_in", "adapted_layers"),
)
OF_CELL = (
    *("adapter", "rank", "alpha"),
    *("targets", "learning_rate", "schedule", "batch_size", "steps", "epochs"),
)
"""Options of ``workbench run`` that decide a study's settings; precision and date a folder knows itself."""


def growing_command(
    begun: Begun, pair: tuple[Quality, Quality], sizes: tuple[int, int], rule: Sequence[str]
) -> tuple[str | None, str]:
    """Return the command that adds cells to a study by a rule, or None and why there is none.

    Args:
        begun: The study.
        pair: The quality that is replaced, and the one that replaces it.
        sizes: The range of sizes that it may train.
        rule: The options that give the rule.
    """
    if PACKAGE in begun.folder.resolve().parents:
        return None, "the study comes with the package, and nothing is added to it; copy its folder first"
    held = begun.study
    qualities = [_as_option(quality) for quality in pair]
    chosen = _chosen(held, begun.cell)
    sets = [f"{name}={file}" for name, file in held.evals]
    try:
        asked = study(
            held.data,
            qualities=[q for q in qualities if q],
            sizes=sizes,
            seeds=held.seeds,
            others=held.others,
            evals=sets,
            **chosen,
        )
        different = begun.differences(begun.settled(asked))
    except InputError as error:
        return None, f"the study can't go on: {error}"
    if None in qualities or different:
        what = ", ".join(one.name for one in different) or "qualities"
        return None, (
            f"`workbench run` has no options for its {what}; in Python, "
            f"wb.run(wb.open_study({str(begun.folder)!r}).study, {str(begun.folder)!r}, minutes=60)"
        )
    words: list[Any] = ["workbench", "run", held.data, *held.others, "--out", begun.folder, *rule]
    words += ["--quality", *qualities, "--sizes", *sizes, "--seeds", *held.seeds]
    words += [word for one in sets for word in ("--eval", one)]
    for name, key in chosen.pop("mapping", {}).items():
        words += [*([] if "--map" in words else ["--map"]), f"{name}={key}"]
    for name, value in chosen.items():
        words += [f"--{name.replace('_', '-')}", *(value if isinstance(value, tuple) else (value,))]
    return shlex.join(map(str, words)), ""


def _chosen(held: Study, cell: CellConfig) -> dict[str, Any]:
    """Return what differs from what is taken where nothing is chosen."""
    if held.data in STUDIES:
        plain = STUDIES[held.data]("coffee")
    else:
        plain = Study(
            name=held.name,
            data=held.data,
            base=OWN_BASE,
            qualities=(Quality(),),
            sizes=(1,),
            seeds=(0,),
            adapted_layers=LARGE_BASE_LAYERS,
            settings=dict(LARGE_BASE_SETTINGS),
        )
    other = plain.cells()[0]
    of_study = {name: getattr(held, name) for name in OF_STUDY if getattr(held, name) != getattr(plain, name)}
    of_cell = {name: getattr(cell, name) for name in OF_CELL if getattr(cell, name) != getattr(other, name)}
    return {name: value for name, value in {**of_study, **of_cell}.items() if value is not None}


def _as_option(quality: Quality) -> str | None:
    """Return a quality as ``--quality`` takes it; None where it can't say it."""
    if quality.pool:
        return quality.pool
    if quality.raters is not None:
        text = f"raters:{quality.raters}"
    else:
        text = "clean" if quality.corruption == "none" else f"{quality.corruption}:{quality.share!r}"
    return text if Quality.parse(text) == quality else None
