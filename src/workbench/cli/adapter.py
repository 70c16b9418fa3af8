"""``workbench adapter``: show what an adapter's file holds, convert it to another format, add several."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.shared import add_reading, reading_options
from workbench.errors import InputError
from workbench.showing import padded

if TYPE_CHECKING:
    from workbench.adapters.adapter import LoraAdapter
    from workbench.models.base import Base
    from workbench.stack_report import Alone, Interference, Pair

HEADINGS_OF_RANKS = ("layers", "count", "shape", "rank", "numerical rank", "effective rank", "scale")


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "adapter",
        description="Show a LoRA adapter, or write it in another format: PEFT's folder, a GGUF for "
        "llama.cpp, an image model's file. docs/adapters.md says what is read and what is refused.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    show = actions.add_parser("show", description="Say what an adapter's file or folder holds.")
    show.add_argument("file", type=Path, help="a folder of PEFT's (STUDY/adapters/KEY), a .gguf, a LoRA file")
    show.add_argument("--base", help="refuse it unless it belongs to this base")
    show.set_defaults(run=run_show)
    convert = actions.add_parser(
        "convert",
        description="Write an adapter in another format, or several as one: A:0.5 B OUT takes half of A and "
        "all of B.",
    )
    convert.add_argument("sources", nargs="+", metavar="IN[:WEIGHT]", help="one or more adapters of one base")
    convert.add_argument("out", type=Path, help="a new folder for peft, a file for the others")
    convert.add_argument(
        "--format",
        help="peft, gguf, kohya or cloneofsimo (default: gguf for OUT.gguf, an image model's own for its "
        "adapters, otherwise peft)",
    )
    convert.add_argument("--base", help="the base: its hash is recorded, and gguf needs its number of heads")
    convert.add_argument("--how", help="cat (default: exactly the sum), svd, linear, ties or dare")
    convert.add_argument("--rank", type=int, help="of the result, for svd (default: the largest of them)")
    convert.add_argument(
        "--density", type=float, help="share of the numbers that ties and dare keep (default: 0.5)"
    )
    convert.add_argument("--seed", type=int, help="of what dare drops (default: 0)")
    convert.set_defaults(run=run_convert)
    stack = actions.add_parser(
        "stack",
        description="Say what adapters do to each other on one base: ranks, directions that they share, and "
        "what each loses on records of its own task when the others are there.",
    )
    stack.add_argument(
        "sources",
        nargs="+",
        metavar="[NAME=]FILE[:WEIGHT]",
        help="the adapters, in order; a name is what --eval calls it by (default: the file's own name)",
    )
    stack.add_argument("--base", help="what they belong to; needed for --eval")
    stack.add_argument(
        "--eval",
        action="append",
        default=[],
        dest="evals",
        metavar="NAME=FILE",
        help="records of the task of the adapter of that name, to measure on; may be given several times",
    )
    stack.add_argument("--template", help="how a record becomes text (default: the base's own, or plain)")
    stack.add_argument(
        "--records", type=int, default=200, metavar="N", help="most records of each file (default: 200)"
    )
    add_reading(stack)
    stack.set_defaults(run=run_stack_report)


def run_show(arguments: argparse.Namespace) -> int:
    """Print an adapter's facts and a line for each kind of layer."""
    from workbench.adapters.formats import ADAPTER_FORMATS, format_of, load_adapter

    base = _base(arguments.base)
    adapter = load_adapter(arguments.file, base)
    format = format_of(arguments.file)
    print(adapter)
    print(f"  format: {format}, {ADAPTER_FORMATS[format].about}")
    if base is not None:
        known = "its hash is that one's" if adapter.base_sha256 else "its file records no hash"
        print(f"  fits: {base.name}: layers and shapes are that one's, {known}")
    for line in padded(_ranks(adapter)):
        print(line)
    return 0


def run_convert(arguments: argparse.Namespace) -> int:
    """Write one adapter, or several as one, and say what was written."""
    from workbench.adapters.formats import format_of, load_adapter, save_adapter
    from workbench.adapters.stack import weighted_path
    from workbench.adapters.sums import combine

    base = _base(arguments.base)
    options = {
        name: value for name in ("rank", "density", "seed") if (value := getattr(arguments, name)) is not None
    }
    asked = [weighted_path(source) for source in arguments.sources]
    adapters = [load_adapter(path, base) for path, _ in asked]
    weights = [weight for _, weight in asked]
    if len(adapters) == 1 and weights == [1.0]:
        if arguments.how or options:
            raise InputError(
                "--how, --rank, --density and --seed are for several adapters, or one with a weight; leave "
                "them out to convert one as it is"
            )
        (adapter,) = adapters
    else:
        adapter = combine(adapters, weights, arguments.how or "cat", **options)
    save_adapter(adapter, arguments.out, arguments.format, base)
    if format_of(arguments.out) == "peft":
        _write_card(arguments.out, asked[0][0] if len(asked) == 1 else None)
    for note in adapter.notes:
        print(note)
    ranks = sorted({adapter.layer_rank(layer) for layer in adapter.layers})
    said = f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}"
    print(
        f"written: {arguments.out} ({format_of(arguments.out)}), {len(adapter.layers)} layers of rank {said},"
        f" {adapter.parameters:,} parameters"
    )
    return 0


def run_stack_report(arguments: argparse.Namespace) -> int:
    """Print ranks, shared directions and what each loses in the stack."""
    from workbench.adapters.formats import load_adapter
    from workbench.adapters.stack import WeightedAdapter, weighted_path
    from workbench.data.sources.evaluation_sets import parse_sets
    from workbench.stack_report import report_on_stack

    if arguments.records < 1:
        raise InputError(f"--records is {arguments.records}; at least 1 record has to be measured on")
    base = _base(arguments.base)
    names, parts = [], []
    for text in arguments.sources:
        name, sign, source = text.partition("=")
        if not sign or Path(text).expanduser().exists():
            name, source = "", text
        path, weight = weighted_path(source)
        names.append(name or path.stem)
        parts.append(WeightedAdapter(load_adapter(path, base), weight))
    found = report_on_stack(
        parts,
        names,
        base,
        dict(parse_sets(arguments.evals)),
        template=arguments.template,
        most=arguments.records,
        reading=reading_options(arguments),
    )
    tables = [_ranks_table(found.alone), _pairs_table(found.pairs), _losses_table(found.interference)]
    print("\n\n".join("\n".join(padded(table, numbers=True)) for table in tables if len(table) > 1))
    return 0


def _ranks_table(alone: "Sequence[Alone]") -> list[tuple[str, ...]]:
    rows = [(one.name, f"{one.rank:g}", f"{one.effective_rank:.2f}") for one in alone]
    return [("adapter", "rank", "effective rank"), *rows]


def _pairs_table(pairs: "Sequence[Pair]") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("pair", "layers", "directions read", "directions written", "written by chance")
    ]
    for one in pairs:
        shares = (one.read, one.written, one.by_chance)
        told = [f"{share:.3f}" if one.layers else "none" for share in shares]
        rows.append((f"{one.first}, {one.second}", str(one.layers), *told))
    return rows


def _losses_table(interference: "Sequence[Interference]") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("loss on", "records", "base", "alone", "in the stack", "of the gain lost")
    ]
    for one in interference:
        losses = [f"{loss:.3f}" for loss in (one.bare, one.alone, one.stack)]
        rows.append(
            (one.task, str(one.records), *losses, "no gain" if isnan(one.lost) else f"{one.lost:.0%}")
        )
    return rows


def _write_card(out: Path, source: Path | None) -> None:
    """Write the model card of a new folder: with what its one source's study says, or what its files do."""
    from workbench.exporting.card import CARD_FILE
    from workbench.files import write_atomically
    from workbench.studies.shelf import model_card, on_shelf

    own = on_shelf(out)
    if source is not None:
        known = on_shelf(source)
        own = replace(known, path=own.path, rank=own.rank, parameters=own.parameters)
    write_atomically(out / CARD_FILE, model_card(own).encode())


def _base(name: str | None) -> "Base | None":
    if name is None:
        return None
    from workbench.models.loaders import load_base

    return load_base(name)


def _ranks(adapter: "LoraAdapter") -> list[tuple[str, ...]]:
    """Return a table's rows: the layers of one kind together, with the mean of their effective ranks."""
    from workbench.adapters.ranks import effective_rank, numerical_rank, singular_values

    rows: list[tuple[str, ...]] = [HEADINGS_OF_RANKS]
    kinds: dict[tuple[str, tuple[int, int]], list[str]] = {}
    for layer, shape in adapter.shapes.items():
        name = layer.rpartition(".")[2] if adapter.of_decoder else layer.partition(":")[0].split("_blocks")[0]
        kinds.setdefault((name, shape), []).append(layer)
    for (name, shape), layers in kinds.items():
        values = [singular_values(adapter, layer) for layer in layers]
        effective = sum(effective_rank(one) for one in values) / len(values)
        rows.append(
            (
                name,
                str(len(layers)),
                f"{shape[0]} x {shape[1]}",
                _least_most([adapter.layer_rank(layer) for layer in layers]),
                _least_most([numerical_rank(one, shape) for one in values]),
                f"{effective:.2f}",
                _least_most([adapter.scale(layer) for layer in layers]),
            )
        )
    return rows


def _least_most(numbers: list[int] | list[float]) -> str:
    least, most = min(numbers), max(numbers)
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"
