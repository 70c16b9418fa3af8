"""Mistakes in a ladder: sizes, tokens, rates, predictions that come too late, what rounding costs."""

from mistakes_list import mistakes

RUNGS, CLIMB = "tests/workbench/ladder/test_rungs.py", "tests/workbench/ladder/test_climb.py"
FORECAST, BITS = "tests/workbench/ladder/test_forecast.py", "tests/workbench/ladder/test_four_bits.py"
PROGRESS, MUON = "tests/workbench/ladder/test_progress.py", "tests/workbench/ladder/test_muon.py"
REPORT, COMMAND = "tests/workbench/ladder/test_report.py", "tests/workbench/ladder/test_command.py"

MISTAKES = [
    *mistakes(
        "src/workbench/ladder/rungs.py",
        RUNGS,
        ("a rung has another shape than the base", "11 * width // 4", "3 * width"),
        ("operations are a third", "return 6.0 * self.ratio", "return 2.0 * self.ratio"),
        (
            "curves hold equal tokens, not equal arithmetic",
            "(parameters(other) / parameters(width)) ** 2",
            "(parameters(other) / parameters(width))",
        ),
        ("a curve takes any number of tokens", "1 / WIDEST_RATIO <= factor", "0 <= factor"),
    ),
    *mistakes(
        "src/workbench/ladder/training.py",
        CLIMB,
        (
            "prompts aren't counted as tokens",
            "lengths = pool.lengths.tolist()",
            "lengths = (pool.lengths - pool.prompts).tolist()",
        ),
        (
            "every seed is the first",
            "seed=run.seed,\n    )\n\n\n@dataclass",
            "seed=0,\n    )\n\n\n@dataclass",
        ),
        ("the embedding's rate grows with width", "RATE_WIDTH / run.width", "run.width / RATE_WIDTH"),
        ("the warm-up is of another length", "round(WARMUP_SHARE * steps)", "round(steps)"),
        (
            "the loss is that of a few words",
            "known.data.heldout)\n    if",
            "known.data.heldout[:9])\n    if",
        ),
        ("a diverged run counts", "if not isfinite(loss):", "if False:"),
        (
            "the loss is that of the answers",
            "pool = Pool(whole_example_of(task) for task in tasks)",
            "pool = Pool(replace(whole_example_of(task), earlier=()) for task in tasks)",
        ),
        (
            "answers alone are learnt",
            "replace(example_of(task), prompt_length=1) for",
            "example_of(task) for",
        ),
        (
            "a step is told one too late",
            "RunStep(run.name, step, config.steps, loss)",
            "RunStep(run.name, step - 1, config.steps, loss)",
        ),
        ("operations count tokens once", "flops=6.0 * parameters(run.width) * tokens", "flops=6.0 * tokens"),
    ),
    *mistakes(
        "src/workbench/ladder/climb.py",
        CLIMB,
        ("a begun rung is predicted", "len(missing) == len(runs):", "missing:"),
        ("what is done is trained again", "missing = folder.missing(runs)", "missing = list(runs)"),
        ("a stop isn't heard", "return not climber.should_stop()", "return True"),
        ("cheap runs come first", "key=lambda run: -run.work", "key=lambda run: run.work"),
    ),
    *mistakes(
        "src/workbench/ladder/progress.py",
        PROGRESS,
        ("what was done before tells the pace", "self._clock(), self.share", "self._clock(), 0.0"),
        ("all work is left until the end", "* (1 - self.share)", "* 1.0"),
        ("runs are equally long", "run.name: run.work for run", "run.name: 1.0 for run"),
        ("a moment tells the time left", "seconds < FEWEST_SECONDS or", ""),
        ("what is trained stays at work", "del self._at_work[at.run]", "pass"),
    ),
    *mistakes(
        "src/workbench/views/live_line.py",
        PROGRESS,
        (
            "a file gets every step",
            "due = at_once or time.monotonic() >= self._written + LINE_SECONDS",
            "due = True",
        ),
        ("a phase waits", "due = at_once or", "due ="),
        ("brackets are colours", "highlight=False, markup=False", "highlight=False, markup=True"),
    ),
    *mistakes(
        "src/workbench/ladder/muon.py",
        MUON,
        ("tall matrices step like wide ones", "math.sqrt(max(1.0, rows / columns))", "1.0"),
        ("no momentum is kept", "momentum.lerp_(gradient, 1 - MOMENTUM)", "momentum.lerp_(gradient, 1.0)"),
        ("momentum looks back only", "gradient.lerp(momentum, MOMENTUM)", "momentum"),
        (
            "matrices decay without their rate",
            '1 - group["lr"] * group["weight_decay"]',
            '1 - group["weight_decay"]',
        ),
        ("all matrices have one norm", "x.norm(dim=(1, 2), keepdim=True)", "x.norm()"),
        ("a tall matrix comes back lying", "return x.mT if tall else x", "return x.reshape(matrices.shape)"),
        ("nothing is divided by nothing", ".clamp(min=LEAST_NORM)", ""),
    ),
    *mistakes(
        "src/workbench/views/ladder_figures.py",
        REPORT,
        ("labels of sizes touch", "shown = size > last * room", "shown = True"),
    ),
    *mistakes(
        "src/workbench/ladder/folder.py",
        CLIMB,
        ("another ladder is mixed in", "if before.get(name) != own.get(name):", "if False:"),
        ("damaged weights pass", "!= row.sha256]", "== None]"),
    ),
    *mistakes(
        "src/workbench/ladder/forecast.py",
        FORECAST,
        ("the rung itself is asked", "if row.width < width], plan", "if row.width <= width], plan"),
        ("a prediction is made twice", "if one.width == width:", "if False:"),
        ("what came afterwards counts", "if began <= one.made:", "if False:"),
        ("a mean is as noisy as a seed", "/ len(plan.seeds) ** 0.5", "/ 1.0"),
        ("all runs of a rung are its loss", "for row in own if row.ratio == plan.ratio]", "for row in own]"),
        (
            "an error has no sign",
            "return self.predicted.expected / self.measured - 1",
            "return abs(self.predicted.expected / self.measured - 1)",
        ),
        ("a rung is predicted at other tokens", "tokens = plan.ratio * model", "tokens = 10.0 * model"),
        ("model and tokens are swapped", '"model": row.parameters,', '"model": row.tokens,'),
    ),
    *mistakes(
        "src/workbench/ladder/four_bits.py",
        BITS,
        ("everything is rounded", 'if name.endswith("_proj") else', "if True else"),
        ("the divergence is the other way", "divergence(one, two)", "divergence(two, one)"),
        ("every token is the mean of a chunk", "count += len(one)", "count += 1"),
        ("a trend is claimed of two seeds", "and low.seeds > 2", ""),
        ("a trend is claimed of overlapping seeds", "max(low.by_kind[kind]) <", "min(low.by_kind[kind]) <"),
    ),
    *mistakes(
        "src/workbench/ladder/report.py",
        REPORT,
        ("runs of other arithmetic share a curve", "SAME_FLOPS = 0.02", "SAME_FLOPS = 5.0"),
        ("one seed gives intervals", " or len(cells) == len(rows)", ""),
    ),
    *mistakes(
        "src/workbench/laws/isoflop.py",
        "tests/workbench/laws/test_isoflop.py",
        ("the parabola is a line", "s[OPTIMUM]) ** 2)", "s[OPTIMUM]))"),
        ("the best ratio counts parameters once", "(6 * self.optimum**2)", "(6 * self.optimum)"),
        ("a least point is claimed unseen", "tried.min() < low and high < tried.max() and", "True and"),
    ),
    *mistakes(
        "src/workbench/cli/ladder.py",
        COMMAND,
        ("other bytes are the same", "if again.sha256 == before.sha256:", "if True:"),
    ),
]
