"""``workbench export-model``: a base, with an adapter or without, as a file or a folder that others read."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.exporting.exporter import Exported


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "export-model",
        description="Write a base, with an adapter merged into it, as a GGUF or a Hugging Face folder. What "
        "was written is read back and compared with base and adapter on real prompts; only then is it put "
        "in place. If it isn't the same, nothing is written and the exit status is 1.",
    )
    parser.add_argument("base", help="a name, a GGUF file, or a Hugging Face folder")
    parser.add_argument("out", type=Path, help="where to write: FILE.gguf, or a new folder for safetensors")
    parser.add_argument(
        "--format",
        required=True,
        metavar="FORMAT",
        help="f32, f16, bf16, q8_0, q6_k, q4_k, q4_1 or q4_0 (GGUF); safetensors or safetensors-f32 "
        "(a folder)",
    )
    parser.add_argument(
        "--adapter", type=Path, metavar="FILE", help="to merge: a folder of PEFT's, or a GGUF adapter"
    )
    parser.add_argument(
        "--prompts",
        type=Path,
        metavar="FILE",
        help="compare on these: one a line, or JSON Lines with prompt, instruction, question, text or turns "
        "(default: 16 of our own)",
    )
    parser.add_argument(
        "--heldout",
        type=Path,
        metavar="FILE",
        help="running texts on which the loss is measured, read in the same way (default: 6 of our own)",
    )
    parser.add_argument(
        "--shard-size",
        type=float,
        metavar="GB",
        help="largest file of weights of a folder (default: 5)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the model, say how the two differ, and return 1 where they aren't the same."""
    from workbench.adapters.formats import load_adapter
    from workbench.exporting.exporter import export_model
    from workbench.exporting.parity import NotTheSame
    from workbench.exporting.texts import read_texts
    from workbench.models.loaders import load_base

    def texts(path: Path | None) -> list[str] | None:
        return None if path is None else read_texts(path)

    prompts, heldout = texts(arguments.prompts), texts(arguments.heldout)
    base = load_base(arguments.base)
    adapter = None if arguments.adapter is None else load_adapter(arguments.adapter, base)
    try:
        made = export_model(
            base,
            arguments.out,
            arguments.format,
            adapter=adapter,
            prompts=prompts,
            heldout=heldout,
            largest_shard=_bytes(arguments.shard_size),
            progress=_show,
        )
    except NotTheSame as error:
        print(f"\nworkbench: not the same: {error} Nothing was written.", file=sys.stderr)
        return 1
    print("\n".join(sentences(made)))
    return 0


def _bytes(gigabytes: float | None) -> int | None:
    from workbench.errors import InputError

    if gigabytes is not None and not gigabytes > 0:
        raise InputError(f"--shard-size is {gigabytes:g}; expected a number of gigabytes above 0")
    return None if gigabytes is None else max(1, round(gigabytes * 1e9))


def _show(what: str, done: int, total: int) -> None:
    """Show how far it is, on a terminal alone."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r{what} {done} of {total}", end=end, file=sys.stderr, flush=True)


def sentences(made: "Exported") -> list[str]:
    """Return what to tell about a model that was written."""
    from workbench.views.words import bytes_in_words

    lines = [
        f"{made.path}: {bytes_in_words(made.bytes)}, {made.format}",
        f"the same as base and adapter on {made.tokens:,} tokens: {made.written}"
        if made.effect is not None
        else f"the same as the base on {made.tokens:,} tokens: {made.written}",
        f"allowed, from the rounding of this format alone: {made.tolerance}",
    ]
    lines += [
        f"stored as {kind}, since their rows don't divide into the blocks asked for: {count} of the matrices"
        for kind, count in made.instead.items()
    ]
    if made.effect is not None:
        lines.append(f"the adapter changes the base by: {made.effect}")
        if made.effect.kl < made.tolerance.kl:
            lines.append(
                "that is less than the rounding does: on these prompts the written model can't be told from "
                "the base alone; give prompts like those it was trained on (--prompts), or more bits"
            )
    if made.apart is not None:
        lines.append(f"with only the base in {made.format} and the adapter apart: {made.apart}")
        better = "keep the adapter apart: export the base without --adapter and load both"
        lines.append(f"merging costs more; {better}" if made.merging_costs_more else "merging costs no more")
    worst = "; ".join(f"{text[:60]!r} (KL {kl:.2e})" for kl, text in made.written.worst)
    return [*lines, f"it differs most on {worst}", *made.notes]
