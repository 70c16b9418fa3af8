"""The table of a study whose bases are several or whose settings vary: which variant each row is of."""

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.config import CellConfig
from workbench.studies.disk.manifest import Manifest
from workbench.studies.disk.rows import place
from workbench.studies.grid import Study
from workbench.studies.variants import variant_label

ZERO_SHOT = "zero-shot"
"""Key of the base without any adapter, stored with an empty configuration; that of a study's other bases and
precisions is this and what tells them apart."""

_Row = Mapping[str, Any]


def zero_shot_key(manifest: Manifest, base_sha256: str, precision: str) -> str:
    """Return the key of the line of a base without an adapter, as products in a precision give it.

    The base and the precision that a study was begun with have the key that every study of one base has.
    """
    first = manifest.arithmetic.precision
    if base_sha256 == manifest.base.sha256 and (first is None or precision == first):
        return ZERO_SHOT
    return f"{ZERO_SHOT} {base_sha256[:16]} {precision}"


def varied_fields(study: Study) -> tuple[str, ...]:
    """Return the fields in which cells of one study differ beside quality, size and seed."""
    # blocks are counted from the base's top, so the lowest that is adapted differs between bases, too
    own = [*study.vary, *(("base_sha256", "adapted_layers") if study.further_bases else ())]
    beside = {"adapted_layers": "first_layer", "steps": "epochs", "epochs": "steps"}
    return tuple(dict.fromkeys([*own, *(beside[name] for name in own if name in beside)]))


def variant_of(manifest: Manifest, study: Study, cell: CellConfig) -> tuple[tuple[int, ...], str]:
    """Return a cell's variant: its place among those that were asked for, and in words."""
    base = manifest.base_of(cell.base_sha256)
    values: dict[str, Any] = {
        name: (base.layers or 0) - cell.first_layer if name == "adapted_layers" else getattr(cell, name)
        for name in study.vary
    }
    hashes = [one.sha256 for one in manifest.bases]
    places = [_place_in(hashes, cell.base_sha256)] if study.further_bases else []
    places += [_place_in(study.vary[name], value) for name, value in values.items()]
    label = (base.label or cell.base) if study.further_bases else None
    return tuple(places), variant_label(label, values)


def _place_in(known: Sequence[Any], value: Any) -> int:  # noqa: ANN401 - a setting's value
    """Return a value's place; one that was asked for in an earlier run comes last."""
    return known.index(value) if value in known else len(known)


def rows_in_order(
    rows: Sequence[dict[str, Any]], cells: Mapping[str, CellConfig], manifest: Manifest
) -> list[dict[str, Any]]:
    """Return rows by quality, size and seed, those of one variant after those of another.

    Args:
        rows: One a cell; of several variants each gets its own, in words, and its base's parameters.
        cells: The cells by their keys.
        manifest: The study's.
    """
    pools = [pool for one in manifest.study.qualities if (pool := one.get("pool"))]
    found = sorted(rows, key=lambda row: place(row, pools))
    if manifest.study.variants == 1:
        return found
    study, told = manifest.study.parsed(), []
    for row in found:
        order, words = variant_of(manifest, study, cells[row["key"]])
        base = manifest.base_of(cells[row["key"]].base_sha256)
        model = {"model": base.parameters} if study.further_bases else {}
        told.append((order, words, {**model, "vary": words, **row}))
    return [row for *_, row in sorted(told, key=lambda one: one[:2])]


def with_bare_bases(
    rows: Sequence[dict[str, Any]], zeros: Mapping[str, Mapping[str, Any]], manifest: Manifest
) -> list[dict[str, Any]]:
    """Return the rows and, before them, what the base measures without an adapter, as a row of size 0.

    Of several variants each has one, that of its base and precision.

    Args:
        rows: As :func:`rows_in_order` gives them.
        zeros: The metrics of each line without an adapter, by its key.
        manifest: The study's.
    """
    if manifest.study.variants == 1:
        wanted: list[tuple[str, _Row]] = [(ZERO_SHOT, {})]
    else:
        leads: dict[str, _Row] = {}
        for row in rows:
            leads.setdefault(row["vary"], row)
        kept = ("model", "vary", "base", "base_sha256", "precision")
        wanted = [
            (
                zero_shot_key(manifest, row["base_sha256"], row["precision"]),
                {name: row[name] for name in kept if name in row},
            )
            for row in leads.values()
        ]
    found = [(own, zeros[key]) for key, own in wanted if zeros.get(key)]
    if not found:
        return list(rows)
    columns = dict.fromkeys([*(rows[0] if rows else ()), "size", "evaluation", "status"])
    columns |= dict.fromkeys(name for _, zero in found for name in zero)
    given = [{**own, "size": 0, "evaluation": "heldout", "status": "done", **zero} for own, zero in found]
    bare = [{name: one.get(name) for name in columns} for one in given]
    return [*bare, *rows]
