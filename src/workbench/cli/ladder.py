"""``workbench ladder``: bases of one's own at many sizes, a law of their loss, and the next one predicted."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.studies.defaults import RUNS

if TYPE_CHECKING:
    from workbench.classroom.pretrain import PretrainConfig
    from workbench.ladder.folder import LadderFolder
    from workbench.ladder.rungs import LadderPlan
    from workbench.views.live_line import LiveLine


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "ladder",
        description="Train the classroom's architecture at many sizes on word forms, 20 tokens a parameter "
        "and off it, with several seeds; fit the additive law and curves of equal arithmetic; predict each "
        "rung before it is trained; measure what fewer bits cost. Every run's file is a base: `workbench run "
        "verbs --base FOLDER/runs/NAME.gguf`. The same command goes on where it was stopped.",
    )
    parser.add_argument("--budget", default="coffee", help="coffee, lunch or night: the same ladder, higher")
    parser.add_argument("--out", type=Path, help=f"folder of the ladder (default: {RUNS}/ladder)")
    parser.add_argument("--widths", nargs="+", type=int, metavar="W", help="rungs, such as 32 48 64 96 256")
    parser.add_argument(
        "--equal",
        nargs="*",
        type=int,
        metavar="W",
        help="rungs whose arithmetic the others are given too, one curve each",
    )
    parser.add_argument("--seeds", nargs="+", type=int, metavar="S", help="of the runs of the ladder itself")
    parser.add_argument("--equal-seeds", nargs="+", type=int, metavar="S", help="of the other runs")
    parser.add_argument("--ratio", type=float, metavar="R", help="tokens a parameter (default: 20)")
    parser.add_argument("--matrix-rate", type=float, help="peak rate of Muon, for all widths")
    parser.add_argument(
        "--vector-rate", type=float, help="peak rate of AdamW at width 128; it falls as 1 / width"
    )
    parser.add_argument("--batch-size", type=int, help="examples in a step")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="runs at once (default: 2)")
    parser.add_argument(
        "--replay", metavar="NAME", help="train one finished run again and compare its file's bytes"
    )
    parser.add_argument(
        "--report-only", action="store_true", help="train nothing: write the report of what is done"
    )
    parser.set_defaults(run=run)


OF_PLAN = ("widths", "equal", "seeds", "equal_seeds", "ratio")
OF_TRAINING = ("matrix_rate", "vector_rate", "batch_size")
"""Options that are fields of the plan and of the settings under the same name."""


def run(arguments: argparse.Namespace) -> int:
    """Train what is missing of the ladder and say what it shows."""
    from workbench.views.live_line import live_line

    plan = _plan(arguments)
    with live_line() as line:
        line.update("loading what trains", at_once=True)
        from workbench.ladder.folder import LadderFolder
        from workbench.ladder.training import LADDER_SETTINGS

        folder = LadderFolder(arguments.out or RUNS / "ladder")
        if arguments.replay:
            return _replay(folder, arguments.replay, line)
        settings = replace(LADDER_SETTINGS, **_given(arguments, OF_TRAINING))
        if not arguments.report_only and not _train(folder, plan, settings, arguments.workers, line):
            raise KeyboardInterrupt
        line.update("fitting the law and measuring what fewer bits cost", at_once=True)
        said = _findings(folder)
    print(said)
    return 0


def _train(
    folder: "LadderFolder", plan: "LadderPlan", settings: "PretrainConfig", workers: int, line: "LiveLine"
) -> bool:
    """Train what is missing and tell how far it is; return whether all is done."""
    from workbench.cli.stopping import stop_on_signals
    from workbench.ladder.climb import Climber, climb
    from workbench.ladder.forecast import predict_before
    from workbench.ladder.progress import LadderProgress
    from workbench.ladder.rungs import parameters
    from workbench.ladder.training import RunStep

    progress = LadderProgress(plan, [row.run for row in folder.rows()] if folder.exists else [])
    sizes = " to ".join(f"{parameters(width):,}" for width in sorted({plan.widths[0], plan.widths[-1]}))
    line.say(
        f"ladder: widths {' '.join(map(str, plan.widths))}, {sizes} parameters, {len(plan.runs())} runs, "
        f"{workers} at a time, in {folder.path}; {progress.counted()}"
    )

    def before_rung(width: int) -> None:
        one = predict_before(folder, plan, width)
        print(
            f"predicted at {one.made}, before width {width} is trained: loss {one.expected:.4f} "
            f"({one.low:.4f} to {one.high:.4f})",
            flush=True,
        )

    def tell(at: RunStep) -> None:
        if progress.on_step(at):
            line.say(f"{at.run} is trained, loss {at.loss:.3f}; {progress.counted()}")
        line.update(progress.sentence(), progress.share)

    with stop_on_signals() as should_stop:
        climber = Climber(
            workers=workers,
            tell=tell,
            phase=lambda words: line.update(f"{words}; {progress.counted()}", progress.share, at_once=True),
            should_stop=should_stop,
            before_rung=before_rung,
        )
        return climb(folder, plan, climber, settings=settings)


def _given(arguments: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _plan(arguments: argparse.Namespace) -> "LadderPlan":
    """Return the budget's plan with the options applied; curves of rungs that are left out go with them."""
    from workbench.ladder.rungs import ladder_plan

    plan, given = ladder_plan(arguments.budget), _given(arguments, OF_PLAN)
    widths = given.get("widths", plan.widths)
    kept = tuple(width for width in plan.equal if width in widths)
    return replace(plan, **{"equal": kept, **given})


def _findings(folder: "LadderFolder") -> str:
    """Write the report and return what the ladder says."""
    from workbench.ladder.report import ladder_findings, write_ladder_report
    from workbench.ladder.training import lessons

    found = ladder_findings(folder, folder.plan(), lessons())
    said = [
        f"{heading}\n" + "\n".join(f"  {sentence}" for sentence in sentences)
        for heading, sentences in found.sections().items()
    ]
    page = write_ladder_report(folder, found)
    return "\n".join([*said, f"table:  {folder.write_table()}", f"report: {page}"])


def _replay(folder: "LadderFolder", name: str, line: "LiveLine") -> int:
    """Train a finished run again, elsewhere, and say whether its file has the same bytes."""
    from tempfile import TemporaryDirectory

    from workbench.classroom.pretrain import PretrainConfig
    from workbench.errors import unknown_name
    from workbench.ladder.rungs import Run
    from workbench.ladder.training import RunStep, lessons, train_run

    def on_step(at: RunStep) -> bool:
        line.update(f"{at.run} again, {at.words}", at.step / at.steps)
        return True

    settings = PretrainConfig(**folder.manifest()["settings"])
    rows = {row.run: row for row in folder.rows()}
    if name not in rows:
        raise unknown_name("run", name, rows, "the ladder's table")
    before = rows[name]
    line.update("reading the words", at_once=True)
    with TemporaryDirectory() as place:
        run = Run(before.width, before.ratio, before.seed)
        path = Path(place) / f"{name}.gguf"
        again = train_run(run, path, lessons(), settings=settings, on_step=on_step)
    if again.sha256 == before.sha256:
        print(f"{name}: the same bytes, loss {again.loss:.6f}")
        return 0
    print(f"{name}: not the same: loss {again.loss:.6f}, and {before.loss:.6f} before")
    return 1
