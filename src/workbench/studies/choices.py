"""A study from a name or a file and what is chosen for it: what the command line and Python both call."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from operator import index
from pathlib import Path
from typing import Any, Literal, SupportsIndex, TypedDict, Unpack

from workbench.config import CellConfig, Quality
from workbench.data.lengths import OnLong
from workbench.data.pools import records_of_each
from workbench.data.qualities import parse_quality
from workbench.data.sources import frames
from workbench.data.sources.evaluation_sets import check_sets, parse_sets
from workbench.data.sources.several import labels_of
from workbench.errors import InputError, unknown_name
from workbench.studies.defaults import OWN_BASE, OWN_CORRUPTION, TRUNK_SETTINGS
from workbench.studies.grid import STUDIES, Study, damaged_qualities
from workbench.studies.own_data import fit_to_pools, study_of_file
from workbench.studies.variants import CELL_SETTINGS, OF_PART, check_vary, combinations, with_settings
from workbench.training.text_metrics import TextScore, check_metrics, own_metric

NUMBERS = {
    one.name: kind
    for one in fields(CellConfig)
    for kind in (int, float)
    if one.name in CELL_SETTINGS and one.type in (kind, kind | None)
}
"""Settings of a cell that are numbers, with their kind."""


class CellSettings(TypedDict, total=False):
    """How every cell of a study is trained; ``workbench.config.CellConfig`` says what each means."""

    adapter: str
    rank: int
    alpha: float
    targets: Iterable[str]
    learning_rate: float
    schedule: str
    warmup: float
    warmup_steps: int | None
    weight_decay: float
    gradient_clip: float
    batch_size: int
    steps: int | None
    epochs: float | None


def study(
    data: Any,  # noqa: ANN401 - a table may be of any of several packages
    budget: str = "coffee",
    *,
    base: str | Path | Iterable[str | Path] | None = None,
    vary: Mapping[str, Iterable[Any]] | None = None,
    qualities: Iterable[Quality | str] | None = None,
    corruption: str | None = None,
    sizes: Iterable[SupportsIndex] | None = None,
    size_in: str | None = None,
    seeds: Iterable[SupportsIndex] | None = None,
    heldout: int | None = None,
    heldout_file: str | Path | None = None,
    evals: Mapping[str, str | Path] | Iterable[str] = (),
    metrics: Iterable[str | TextScore] = (),
    others: Iterable[str | Path] = (),
    pair_key: str | None = None,
    on_empty: Literal["error", "drop"] | None = None,
    on_bad: Literal["error", "drop"] | None = None,
    on_shared: Literal["error", "drop"] | None = None,
    on_long: OnLong | None = None,
    mapping: Mapping[str, str] | None = None,
    read_as: str | None = None,
    template: str | None = None,
    loss_on: str | None = None,
    adapted_layers: int | None = None,
    precision: str | None = None,
    device: str | None = None,
    hold: str | None = None,
    **settings: Unpack[CellSettings],
) -> Study:
    """Describe a study: quality x size x seed over one base. Nothing is trained yet.

    Each choice is the option of ``workbench run`` with the same name; None leaves it to the budget.

    Args:
        data: "verbs", "raters" or "gsm8k"; the path of your own file, or ``hf:NAME``; or records that are in
            Python: a table of pandas, polars, pyarrow or ``datasets``, or a list of dicts. Those are written
            into the cache, so that the study can be trained again; its ``data`` says where.
        budget: "coffee", "lunch" or "night": the same grid, wider.
        base: "classroom", "smollm2-135m", a .gguf file or a safetensors folder; or a list of them, each of
            which gets the whole grid: ``["tiny.gguf", "small.gguf"]``.
        vary: Settings of a cell, or precision or adapted_layers, with the values of each, which all get the
            whole grid: ``{"rank": [1, 8, 64]}``.
        qualities: Each a ``Quality``, or a text such as "clean", "typo:0.8" (a corruption and the share of
            examples left as they were), "raters:3", or a choice of records such as "source=wiki", "ifd>=0.6",
            "top:30%@ifd" or "0.7*file:clean+0.3*file:scraped" (``workbench.data.pools`` has them all); the
            first is the one that others are compared with.
        corruption: The damage whose price is asked for, instead of naming qualities.
        sizes: Numbers of training examples; smaller draws are parts of larger ones.
        size_in: What sizes count: "examples", or "tokens" for response tokens, which are those that count in
            the loss. Of tokens, a draw has as many as whole examples come closest to.
        seeds: Of the draws; three are the fewest that show their own noise.
        heldout: Records to hold out for the evaluation.
        heldout_file: For your own file: another one with the records to hold out.
        evals: Further files to judge every cell by, each with a name: ``{"references": "refs.jsonl"}`` or
            ``["references=refs.jsonl"]``; their metrics are called ``references.loss`` and so on.
        metrics: By which to judge what every cell writes, too, which takes time: "rouge_l", "chrf", "bleu",
            "token_f1", "numeric", or your own function of (response, reference, record), which returns a
            number from 0 to 1, higher is better, and is called ``own_NAME``.
        others: Further files of your own: each file is a quality then.
        pair_key: For your own files: the column that says which records answer one question.
        on_empty: For your own file: "error" or "drop" records whose prompt or response is empty.
        on_bad: For your own file: "error" or "drop" records that can't be read.
        on_shared: With a held-out file: "error" or "drop" what is trained on questions that it asks too.
        on_long: "error", "drop", "truncate" or "split" records that the base can't read whole.
        mapping: For your own file: the keys under which it has the fields of a record, such as
            ``{"prompt": "question"}``.
        read_as: For your own file: the layout by name, instead of the one that its keys tell.
        template: How a record becomes text, such as "plain" or "chat".
        loss_on: Which answers of a conversation are learnt: "last", the response alone, or "all".
        adapted_layers: How many of the topmost blocks carry adapters.
        precision: "auto", "float32", "bfloat16", "bfloat16-activations" (processors), "float16" (GPUs) or
            "int8" (processors): how products with the base are computed.
        device: "auto", "cpu" or "cuda": where cells are trained.
        hold: "auto", "decoded" or "packed": how a processor holds the base.
        settings: The same for every cell: adapter, rank, alpha, targets, learning_rate, schedule, warmup,
            warmup_steps, weight_decay, gradient_clip, batch_size, and steps or epochs.

    Returns:
        The study, for ``workbench.run`` or ``workbench.start``.

    Raises:
        InputError: If a name, the file or a choice can't be used.
    """
    if hold == "packed":
        from workbench.devices import choose_device
        from workbench.models.holding import check_hold

        check_hold(hold, precision or "auto", choose_device(device or "auto").torch)
    bases = _bases(base)
    grid: dict[str, Any] = {
        "base": bases[0] if bases else None,
        "further_bases": bases[1:] or None,
        "heldout": heldout,
        "heldout_file": heldout_file if heldout_file is None else str(heldout_file),
        "evals": _sets(evals) or None,
        "metrics": _metrics(metrics) or None,
        "on_empty": on_empty,
        "on_bad": on_bad,
        "on_shared": on_shared,
        "on_long": on_long,
        "mapping": dict(mapping) if mapping else None,
        "read_as": read_as,
        "template": template,
        "loss_on": loss_on,
        "size_in": size_in,
        "adapted_layers": adapted_layers,
        "precision": precision,
        "device": device,
        "hold": hold,
        "sizes": None if sizes is None else _whole_numbers("sizes", sizes),
        "seeds": None if seeds is None else _whole_numbers("seeds", seeds),
    }
    for name in settings:
        if name not in CELL_SETTINGS:
            known = (*CELL_SETTINGS, *grid, "qualities", "corruption")
            raise unknown_name("choice", name, known, "src/workbench/studies/choices.py")
    name = str(frames.as_file(data) if frames.is_frame(data) else data)
    further = tuple(map(str, _several("others", others)))
    if qualities is not None:
        qualities = _qualities(qualities, corruption, labels_of((name, *further)) if further else ())
    if name in STUDIES:
        if further or pair_key:
            raise InputError(
                f"{name!r} is a built-in study, and other files or a pair key are for your own data; leave "
                f"{' and '.join([*further, *([f'--pair-key {pair_key}'] if pair_key else [])])} out"
            )
        found = STUDIES[name](budget)
    else:
        found = study_of_file(
            name,
            budget,
            base=grid["base"] or OWN_BASE,
            corruption=corruption or OWN_CORRUPTION,
            qualities=qualities,
            others=further,
            pair_key=pair_key,
            heldout=heldout,
            heldout_file=grid["heldout_file"],
            on_empty=on_empty or "error",
            on_bad=on_bad or "error",
            on_shared=on_shared or "error",
            on_long=on_long or "error",
            mapping=mapping,
            read_as=read_as,
            template=template,
            evals=grid["evals"] or (),
        )
    changes: dict[str, Any] = {choice: value for choice, value in grid.items() if value is not None}
    varied = _varied(vary or {}, {**settings, "precision": precision, "adapted_layers": adapted_layers})
    usual = {name: value for name, value in found.settings.items() if name not in varied}
    changes["settings"] = {**usual, **_settings({**settings})}
    changes["vary"] = varied
    if corruption and qualities is None:
        shares = sorted({quality.share for quality in found.qualities} - {1.0}, reverse=True)
        changes["qualities"] = damaged_qualities(corruption, shares or (0.5,))
    if qualities is not None:
        changes["qualities"] = qualities
    described = replace(found, **changes)
    if described.size_in == "tokens" and sizes is None:
        raise InputError(
            "sizes in tokens have no default, for how long responses are is known only with the base; give "
            "them in response tokens, such as --sizes 1000 4000 16000"
        )
    if described.size_in == "tokens":
        # what stands beside the grid counts examples
        described = replace(described, grown=())
    elif "sizes" in changes and any(quality.pool for quality in described.qualities):
        limits = records_of_each(described.dataset(), described.qualities, described.seeds)
        described = fit_to_pools(replace(described, grown=()), limits)
    # refuses settings that no cell could use, before anything is loaded
    for own in combinations({name: own for name, own in described.vary.items() if name not in OF_PART}):
        CellConfig(
            data=described.data,
            base=described.base,
            size=1,
            size_in=described.size_in,
            **with_settings(described.settings, own),
        )
    return described


def _bases(base: str | Path | Iterable[str | Path] | None) -> tuple[str, ...]:
    """Return the bases that were asked for; none where that is left to the study."""
    if base is None or isinstance(base, str | Path):
        return () if base is None else (str(base),)
    several = tuple(map(str, _several("base", base)))
    if not several:
        raise InputError("base is an empty list; name at least one, or leave it out")
    return several


def _varied(vary: Mapping[str, Iterable[Any]], chosen: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Return the values of each setting that varies, numbers as Python's own."""
    found = {}
    for name, values in vary.items():
        several = _several(name, values)
        if name == "targets":
            several = tuple(_several("targets", one) for one in several)
        found[name] = tuple(_number(name, one) if name in NUMBERS else one for one in several)
    check_vary(found, {name: value for name, value in chosen.items() if value is not None})
    return found


def _sets(evals: Mapping[str, str | Path] | Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the names and files of evaluation sets."""
    if isinstance(evals, Mapping):
        return check_sets([(str(name), str(file)) for name, file in evals.items()])
    return parse_sets(map(str, _several("evals", evals)))


def _metrics(metrics: Iterable[str | TextScore]) -> tuple[str, ...]:
    """Return the names of metrics of what cells write; a user's own function is taken among them."""
    several = _several("metrics", metrics)
    return check_metrics(tuple(one if isinstance(one, str) else own_metric(one) for one in several))


def _settings(chosen: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of every cell, with what one of them asks of the others."""
    if "targets" in chosen:
        chosen["targets"] = _several("targets", chosen["targets"])
    for name, value in chosen.items():
        if name in NUMBERS and value is not None:
            chosen[name] = _number(name, value)
    if chosen.get("schedule") == "trunk":
        if chosen.get("steps") is not None:
            raise InputError(
                f"--schedule trunk sees each example once, so --steps {chosen['steps']} can't be kept; leave "
                "--steps out"
            )
        chosen = {**TRUNK_SETTINGS, **chosen}
    if chosen.get("epochs") is not None and chosen.get("steps") is None:
        chosen["steps"] = None
    return chosen


def _number(name: str, value: Any) -> int | float:  # noqa: ANN401 - refuses what is no number
    """Return a setting as Python's own number of its kind: cells are named by it, and 2 is not 2.0 there."""
    try:
        return float(value) if NUMBERS[name] is float else index(value)
    except (TypeError, ValueError):
        kind = "number" if NUMBERS[name] is float else "whole number"
        raise InputError(f"{name} is {value!r}; expected a {kind}") from None


def _qualities(
    wanted: Iterable[Quality | str], corruption: str | None, files: Sequence[str]
) -> tuple[Quality, ...]:
    several = _several("qualities", wanted)
    found = tuple(one if isinstance(one, Quality) else parse_quality(one, files) for one in several)
    if corruption and corruption not in {quality.corruption for quality in found}:
        raise InputError(
            f"--corruption {corruption} is in none of the qualities given; leave it out, or "
            f"add {corruption}:0.5 to --quality"
        )
    return found


def _several(name: str, values: Any) -> tuple[Any, ...]:  # noqa: ANN401 - refuses what is no list
    """Return the values of a choice that takes several; a text would be taken apart, letter by letter."""
    if isinstance(values, str | Quality) or not isinstance(values, Iterable):
        raise InputError(f"{name} is {values!r}; give a list of them, such as {name}=[{values!r}]")
    return tuple(values)


def _whole_numbers(name: str, values: Any) -> tuple[int, ...]:  # noqa: ANN401 - refuses what is no number
    """Return whole numbers as Python's own, so that those of an array can be written down."""
    several = _several(name, values)
    try:
        return tuple(map(index, several))
    except TypeError:
        odd = next(value for value in several if not hasattr(value, "__index__"))
        raise InputError(f"{name} has {odd!r} among its values; each has to be a whole number") from None
