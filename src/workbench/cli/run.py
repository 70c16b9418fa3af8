"""``workbench run``: train a study's cells, or what is missing of them, and write its report."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.saying import print_sentence
from workbench.cli.shared import add_engine, add_reading, engine_options, reading_options
from workbench.config import DEVICES, HOLDS, KINDS_OF_ADAPTER, LOSS_ON, PRECISIONS, SIZES_IN
from workbench.data.corruptions import CORRUPTIONS
from workbench.data.pools import POOLS
from workbench.errors import InputError
from workbench.studies.defaults import OWN_CORRUPTION, RUNS

if TYPE_CHECKING:
    from workbench.studies.disk.store import Store
    from workbench.studies.executors.protocol import ShouldStop
    from workbench.studies.grid import Study
    from workbench.studies.growth import Grower

READER = (
    "JSON, JSONL, CSV or TSV in UTF-8, also as .gz, .bz2, .xz or .zst; Parquet or Arrow; or hf:NAME[:SPLIT], "
    "which the library datasets loads. The layout is found by the keys that most records have: 'prompt' and "
    "'response', or those of Alpaca, Dolly, GPT4All, ShareGPT, OpenAI messages, Open Assistant trees and "
    "messages, HH pairs, Self-Instruct, AlpacaEval, E2E, question and answer, input and target, text alone. "
    "Each record may also have 'system' (or 'system_prompt'), 'history' (earlier turns, each [asked, "
    "answered]), 'id', 'choices' and 'alternatives'. Other keys with a text, a number or a truth value are "
    "kept as columns, on which nothing is trained. What a file was read as and what is left out is told with "
    "its count before training begins, and in the report. docs/data.md has every layout."
)


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "run",
        help="run a study: quality x size x seed on one frozen base",
        description="Train every cell of a study that isn't done yet, then write its report.",
        epilog="examples: workbench run verbs (minutes on two cores) | workbench run verbs --budget lunch "
        "--sizes 32 128 512 | workbench run mine.jsonl --base model.gguf --corruption typo | "
        "workbench run verbs --dry-run",
    )
    parser.add_argument(
        "data",
        nargs="*",
        help="verbs, raters, gsm8k, or your own file of records (see below); several files are compared with "
        "the first",
    )
    parser.add_argument(
        "--budget",
        default="coffee",
        help="coffee (default; minutes with verbs), lunch or night: the same grid, wider",
    )
    parser.add_argument(
        "--base",
        nargs="+",
        metavar="BASE",
        help="classroom, smollm2-135m, a .gguf file or a safetensors folder; several get the whole grid each",
    )
    parser.add_argument("--out", type=Path, help=f"study folder (default: {RUNS}/NAME-BUDGET)")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="train nothing: say which cells are planned and the smallest difference that they would show",
    )
    parser.add_argument(
        "--like", type=Path, metavar="STUDY", help="with --dry-run: the study whose noise is expected"
    )
    grid = parser.add_argument_group("the grid (each replaces what the budget chose)")
    grid.add_argument(
        "--quality",
        nargs="+",
        metavar="Q",
        help="clean, a corruption with the share left as it was (typo:0.8), raters:3, or some of your "
        f"records: {'; '.join(kind.about.replace('%', '%%') for kind in POOLS.values())}",
    )
    grid.add_argument(
        "--corruption",
        help=f"damage whose price is asked for: {', '.join(CORRUPTIONS)} (default for your own file: "
        f"{OWN_CORRUPTION})",
    )
    grid.add_argument("--sizes", nargs="+", type=int, metavar="N", help="training examples")
    grid.add_argument(
        "--size-in",
        choices=SIZES_IN,
        help="what sizes count: examples (default), or tokens of responses, which are those in the loss",
    )
    grid.add_argument("--seeds", nargs="+", type=int, metavar="S", help="seeds, such as 0 1 2")
    growth = parser.add_argument_group(
        "a study that chooses its own cells",
        "It begins with three sizes and two seeds of the first quality and the last, and adds cells, batch "
        "by batch, where they narrow the 95%% interval of the rate of the first against the last most for "
        "what they cost. --sizes is then the range of sizes, --seeds the first ones taken. The same command "
        "goes on with a study that was stopped; another rule may go on with it too.",
    )
    growth.add_argument(
        "--until",
        metavar="rate:F",
        help="grow until the interval reaches at most F times its middle (the square root of the product of "
        "its ends), and at least its middle / F, in two looks in a row: rate:1.3",
    )
    growth.add_argument("--for", dest="minutes", metavar="TIME", help="grow for so long: 90s, 30m or 2h")
    growth.add_argument(
        "--at", type=int, metavar="N", help="examples at which the rate counts (default: the range's middle)"
    )
    held = grid.add_mutually_exclusive_group()
    held.add_argument(
        "--heldout",
        type=int,
        metavar="N",
        help="records to hold out for the evaluation (default: 600, or a fifth of fewer than 3,000)",
    )
    held.add_argument("--heldout-file", help="for your own file: another one with the records to hold out")
    judging = parser.add_argument_group("what cells are judged by")
    judging.add_argument(
        "--eval",
        action="append",
        dest="evals",
        metavar="NAME=FILE",
        help="a further file of records, on which every cell is judged beside the held-out ones; may be "
        "given several times: --eval references=refs.jsonl. Its metrics are called references.loss and so on",
    )
    judging.add_argument(
        "--metrics",
        nargs="+",
        metavar="METRIC",
        help="also judge what every cell writes, by greedy generation, which takes time: rouge_l, chrf, "
        "bleu, token_f1 or numeric (the final number is right); see docs/data.md",
    )
    own = parser.add_argument_group("your own file", READER)
    own.add_argument(
        "--pair-key",
        metavar="COLUMN",
        help="column that says which records answer one question, so that they are drawn together (default: "
        "what is asked)",
    )
    add_reading(own)
    own.add_argument(
        "--on-shared",
        choices=("error", "drop"),
        help="with --heldout-file: records that both files have, answer included: tell them and stop "
        "(default), or leave out all that is trained on questions that are held out",
    )
    own.add_argument(
        "--on-long",
        choices=("error", "drop", "truncate", "split"),
        help="refuse records longer than the base can read (default), leave them out, cut their prompts from "
        "the left, or make several records of a conversation, each of whole turns",
    )
    engine = parser.add_argument_group("where it trains")
    add_engine(engine)
    engine.add_argument(
        "--precision",
        choices=("auto", *PRECISIONS),
        help="of the base's products: auto takes bfloat16 where that is faster",
    )
    engine.add_argument(
        "--device",
        metavar="|".join(DEVICES),
        help="where cells are trained: on the processor (cpu) or on a GPU (cuda; so are AMD's cards called); "
        "auto (default) takes a GPU where torch and Triton can use one",
    )
    engine.add_argument(
        "--hold",
        choices=HOLDS,
        help="how a processor holds the base: decoded beside the packed weights, which is fast; or packed, "
        "each product decoding its matrix, in little memory; auto (default) decodes where there is memory",
    )
    cell = parser.add_argument_group("every cell")
    cell.add_argument(
        "--vary",
        nargs="+",
        metavar="SETTING=A,B",
        help="settings whose values get the whole grid each: rank=1,8,64 precision=float32,int8; see "
        "docs/variants.md",
    )
    cell.add_argument(
        "--adapter",
        choices=KINDS_OF_ADAPTER,
        help=f"kind of adapter: {KINDS_OF_ADAPTER[0]} (default) or another; docs/adapter-kinds.md has them",
    )
    cell.add_argument(
        "--rank", type=int, help="LoRA rank; of kinds without matrices, trained tokens in each block"
    )
    cell.add_argument("--alpha", type=float, help="LoRA alpha: the update is scaled by alpha / rank")
    cell.add_argument("--targets", nargs="+", help="linear layers with an adapter, such as q_proj v_proj")
    cell.add_argument("--adapted-layers", type=int, help="topmost blocks that carry adapters")
    cell.add_argument("--learning-rate", type=float, help="peak rate of AdamW")
    cell.add_argument("--schedule", help="constant, linear, cosine, or trunk: see docs/speed.md")
    cell.add_argument("--batch-size", type=int, help="examples in a step")
    length = cell.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="optimizer steps, the same for every size")
    length.add_argument("--epochs", type=float, help="passes over the examples, instead of steps")
    cell.add_argument("--template", help="how a record becomes text: plain, chat, alpaca, ...")
    cell.add_argument(
        "--loss-on",
        choices=LOSS_ON,
        help="which answers of a conversation are learnt: its last one, which is the response (default), or "
        "all, those of its history too",
    )
    parser.set_defaults(run=run)


CHOICES = (
    *("base", "corruption", "sizes", "size_in", "seeds", "heldout", "heldout_file", "on_long", "evals"),
    *("metrics", "on_shared", "pair_key", "template", "loss_on", "adapted_layers", "precision"),
    *("device", "hold"),
    *("adapter", "rank", "alpha", "targets", "learning_rate", "schedule", "batch_size", "steps", "epochs"),
)
"""Options that ``workbench.study`` takes under the same name."""


def run(arguments: argparse.Namespace) -> int:
    """Run the study, show its progress, write its report and say the answer.

    The status is 0 when every cell has its result, 1 when some failed for a reason outside of themselves,
    and 130 when the run was stopped.
    """
    if arguments.dry_run:
        return _foretell(arguments)
    if sys.stdout.isatty():
        print("Loading the libraries ...", flush=True)  # for some seconds nothing else would be seen
    if arguments.like is not None:
        raise InputError(f"--like {arguments.like} says whose noise to expect before a run; add --dry-run")
    from workbench.cli.stopping import stop_on_signals

    with stop_on_signals() as should_stop:
        folder, store = _trained(arguments, should_stop)
        from workbench.views.report import write_report
    with store:
        outcome, measured, attempts = store.manifest.outcome, bool(store.rows()), store.attempts()
    if outcome == "stopped":
        raise KeyboardInterrupt
    if not measured:
        raise InputError(f"no cell of {folder} has a result; {_why(attempts)}")
    report = write_report(folder)
    for sentence in (report.sentence, *report.further):
        print_sentence(sentence)
    for silence in report.silences:
        print_sentence(f"note: {silence}")
    print(f"report: {report.page}")
    print(f"figure: {report.figure}")
    if outcome == "incomplete":
        print(f"some cells have no result: {_why(attempts)}", file=sys.stderr)
        return 1
    return 0


def _foretell(arguments: argparse.Namespace) -> int:
    """Print what is planned and what it could see; trains and writes nothing."""
    from workbench.foresight import memory_needed, smallest_differences

    study, _ = _planned(arguments, _folder(arguments))
    sentences = [*smallest_differences(study, arguments.like), *memory_needed(study)]
    print(study)
    for sentence in sentences:
        print_sentence(sentence)
    return 0


def _folder(arguments: argparse.Namespace) -> Path:
    if arguments.out:
        return arguments.out
    from workbench.data.sources.several import labels_of

    first, *others = _data(arguments)
    name = "-".join(labels_of([first, *others])) if others else Path(first).stem
    # of hf:org/name:split, and of files of one name in several folders
    return RUNS / f"{name.replace(':', '-').replace('/', '-')}-{arguments.budget}"


def _planned(arguments: argparse.Namespace, folder: Path) -> tuple["Study", "Grower | None"]:
    """Return the study, and the rule by which it grows, if it does."""
    study = chosen_study(arguments)
    if arguments.until is None and arguments.minutes is None:
        if arguments.at is not None:
            raise InputError(
                f"--at {arguments.at} is for a study that grows; add --until rate:1.3 or --for 30m"
            )
        return study, None
    from workbench.growing import growing, minutes_of

    minutes = None if arguments.minutes is None else minutes_of(arguments.minutes)
    return growing(study, folder, until=arguments.until, minutes=minutes, at=arguments.at)


def _trained(arguments: argparse.Namespace, should_stop: "ShouldStop") -> tuple[Path, "Store"]:
    from workbench.studies.disk.lock import refuse_if_locked

    folder = _folder(arguments)
    refuse_if_locked(folder)  # before an own file is read, or torch is loaded
    from workbench.studies import runner
    from workbench.views.progress import progress_bars

    study, grower = _planned(arguments, folder)
    with progress_bars(study, folder) as on_progress:
        store = runner.run(
            study,
            folder,
            on_progress,
            should_stop,
            grower=grower,
            **engine_options(arguments),
        )
    return folder, store


def _why(attempts: Sequence[Mapping[str, Any]]) -> str:
    last = attempts[-1]["detail"].strip().splitlines()
    return f"{last[0]}. The same command tries them again."


def _data(arguments: argparse.Namespace) -> list[str]:
    """Return the data that were named; behind the last of several bases, where nothing stands before them."""
    if not arguments.data and len(arguments.base or ()) > 1:
        return arguments.base[-1:]
    if not arguments.data:
        raise InputError("name the data first, such as `workbench run verbs` or `workbench run mine.jsonl`")
    return list(arguments.data)


def chosen_study(arguments: argparse.Namespace) -> "Study":
    """Return the named study, or one of the user's own file, with the options applied.

    Raises:
        InputError: If the name, the file or an option can't be used.
    """
    from workbench.studies.choices import NUMBERS, study
    from workbench.studies.variants import parse_vary

    options = {name: value for name in CHOICES if (value := getattr(arguments, name)) is not None}
    options |= reading_options(arguments)
    if arguments.vary:
        options["vary"] = parse_vary(arguments.vary, NUMBERS)
    data, *others = _data(arguments)
    if not arguments.data:
        options["base"] = arguments.base[:-1]
    return study(data, arguments.budget, qualities=arguments.quality, others=others, **options)
