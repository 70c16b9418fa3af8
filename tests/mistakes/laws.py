"""Mistakes in what is fitted, how sure it is, and what an example is worth."""

from mistakes_list import mistakes

LAWS, TESTS = "src/workbench/laws/", "tests/workbench/laws/"
NOISE = f"{TESTS}test_noise_values.py"
EXCHANGE = f"{TESTS}test_exchange_values.py"
FITS = f"{TESTS}test_fit_values.py"
WORDING = f"{TESTS}test_wording_values.py"

MISTAKES = [
    *mistakes(
        f"{LAWS}exchange.py",
        EXCHANGE,
        (
            "intervals of a rate hold 90% of the draws",
            "for p in (TAILS[0], 0.5, TAILS[1]))",
            "for p in (0.05, 0.5, 0.95))",
        ),
        ("a rate is clean examples for one noisy", "drawn = enough / at", "drawn = at / enough"),
        ("the middle of a rate is its 40th percentile", "(TAILS[0], 0.5,", "(TAILS[0], 0.4,"),
        (
            "the qualities of a rate are swapped",
            "analysis.curve(reference), analysis.curve(other)",
            "analysis.curve(other), analysis.curve(reference)",
        ),
        (
            "a rate asks about sizes nobody measured",
            "np.geomspace(two.size[0], two.size[-1], SIZES_READ)",
            "np.geomspace(two.size[0], 2 * two.size[-1], SIZES_READ)",
        ),
        ("the study as measured counts as a draw of a rate", "np.nan, enough)[1:]", "np.nan, enough)"),
        (
            "the probability of not reached counts what is reached",
            "np.isinf(drawn).mean(axis=0)",
            "np.isfinite(drawn).mean(axis=0)",
        ),
        ("an upper bound is told of no rate", "(enough <= smallest)", "(enough < smallest)"),
        ("a rate of a score looks for a worse one", "sign = -1.0 if falling else 1.0", "sign = -1.0"),
        (
            "a size between two of the grid is the larger",
            "np.where(first > 0, share, 0)",
            "np.where(first > 0, 1, 0)",
        ),
        ("the lower end of an interval is rounded inwards", "math.floor(p * last)", "math.ceil(p * last)"),
        (
            "training that made a loss worse is called useful",
            "reached >= analysis.zero_shot if",
            "reached < analysis.zero_shot if",
        ),
        (
            "the largest size tried is the reference's",
            "tried=float(two.size[-1])",
            "tried=float(one.size[0])",
        ),
        (
            "of many sizes the last is left out",
            "np.linspace(0, len(size) - 1, MOST_SIZES)",
            "np.linspace(0, len(size) - 2, MOST_SIZES)",
        ),
    ),
    *mistakes(
        f"{LAWS}answer.py",
        EXCHANGE,
        (
            "the rate to trust is the fitted one though it misses",
            "self.fitted is not None and trusted(self.misfit)",
            "self.fitted is not None",
        ),
    ),
    *mistakes(
        f"{LAWS}thresholds.py",
        EXCHANGE,
        ("intervals are meant to hold 90%", "LEVEL = 0.95", "LEVEL = 0.9"),
        ("a misfit of one in a thousand is believed", "DOUBT = 0.05", "DOUBT = 0.001"),
        (
            "a misfit takes the noise for known",
            "fisher.sf(squares / left, left, freedom)",
            "fisher.sf(squares / left, left, 1e9)",
        ),
    ),
    *mistakes(
        f"{LAWS}thresholds.py",
        WORDING,
        ("a size counts as useless at one in ten", "LIKELY = 0.5", "LIKELY = 0.1"),
    ),
    *mistakes(
        f"{LAWS}analysis.py",
        EXCHANGE,
        (
            "a curve's misfit is judged by all cells, not by those left over",
            "len(curve.size) - constants_of(curve.fitted.law) for",
            "len(curve.size) for",
        ),
        ("a misfit widens by its square", "float(np.sqrt(squares / left))", "float(squares / left)"),
        ("cells weigh by their spread, not its square", "1e-12) ** 2 if self", "1e-12) if self"),
        ("cells weigh without their seeds", "weight = count / (", "weight = np.ones(len(at)) / ("),
        ("an accuracy starts at 0 without training", "chosen, zero_shot or 0.0)", "chosen, 0.0)"),
        (
            "the monotone curve goes the wrong way",
            'falling=self.law.metric == "loss"',
            'falling=self.law.metric != "loss"',
        ),
        ("the middle of a band is a draw", "grid, drawn[0], low", "grid, drawn[1], low"),
        (
            "a band is of the study as measured too",
            "np.quantile(drawn[1:], TAILS",
            "np.quantile(drawn, TAILS",
        ),
        (
            "draws of an accuracy leave 0 to 1",
            "resamples = np.clip(resamples, 0, 1)",
            "resamples = np.clip(resamples, -9, 9)",
        ),
        ("the next seed is one that was used", "return 1 + max(", "return max("),
    ),
    *mistakes(
        f"{LAWS}analysis.py",
        NOISE,
        (
            "counting few items adds a variance, not its root",
            "np.sqrt(rate * (1 - rate) / items)",
            "(rate * (1 - rate) / items)",
        ),
    ),
    *mistakes(
        f"{LAWS}noise.py",
        NOISE,
        (
            "a spread divides by the seeds, none lost to the mean",
            "freedom = np.maximum(data.count - 1, 0)",
            "freedom = np.maximum(data.count, 0)",
        ),
        (
            "the curve of one quality is drawn as a joint law is",
            "generator, joint=joint)",
            "generator, joint=True)",
        ),
        (
            "a joint law is drawn as the curve of one quality is",
            " and part.sum() > 0 and not joint",
            " and part.sum() > 0",
        ),
        (
            "a draw takes the noise for known",
            "drawn = generator.chisquare(self.freedom, times) if self.freedom else np.ones(times)",
            "drawn = np.full(times, self.freedom or 1.0)",
        ),
        ("the mean of a draw is its sum", ".sum(axis=2) / data.count", ".sum(axis=2)"),
        (
            "parts of the noise come from means, not medians",
            "float(chi2.median(self.freedom))",
            "self.freedom",
        ),
        ("a seed's part is shared by one quality's cells", "/ seeds.cells", "/ qualities.cells"),
        (
            "a quality's part isn't spread over its cells",
            "np.maximum(quality - rest, 0) / qualities.cells",
            "np.maximum(quality - rest, 0)",
        ),
        (
            "a covariance forgets that two cells share few seeds",
            "(finished @ finished.T) / np.outer(data.count, data.count)",
            "1 / np.sqrt(np.outer(data.count, data.count))",
        ),
        ("what a quality's cells share is shared by all", "common * same * spread", "common * spread"),
        (
            "a spread stands for itself, not for a trend",
            "(prior * trend + freedom * variance)",
            "(freedom * variance)",
        ),
        ("all spreads are one, however they differ", "if excess <= 0:", "if excess <= 99:"),
        ("spreads do not follow the size", "degree = min(2, len(", "degree = 0 * min(2, len("),
        ("differences by chance are taken for real", "SURE = 1.645", "SURE = -9.0"),
        (
            "items are drawn for each cell on its own scale",
            "again = taken @ self.value.T / taken.sum(axis=1, keepdims=True)",
            "again = taken @ self.value.T / taken.sum(axis=1, keepdims=True) ** 0.5",
        ),
        ("rows without a seed are paired", "paired = None not in distinct and", "paired = True or"),
    ),
    *mistakes(
        f"{LAWS}bootstrap.py",
        f"{NOISE}::test_a_bootstrap_draws_one_quality_and_many_each_in_its_own_way",
        (
            "a bootstrap draws every law as a joint one",
            "joint = len(set(data.quality)) > 1",
            "joint = True",
        ),
        ("a bootstrap draws no law as a joint one", "joint = len(set(data.quality)) > 1", "joint = False"),
        (
            "a bootstrap draws around the measurements",
            "fit.predict(problem.x)[: len(moved)] + moved",
            "problem.y[: len(moved)] + moved",
        ),
    ),
    *mistakes(
        f"{LAWS}bootstrap.py",
        f"{FITS}::test_without_seeds_a_bootstrap_has_the_regressions_error",
        (
            "a bootstrap of residuals forgets the constants fitted",
            "len(problem.y) - fit.free, 1))",
            "len(problem.y), 1))",
        ),
        (
            "a bootstrap takes the residuals' variance for half",
            "variance = 2 * fit.objective / freedom",
            "variance = fit.objective / freedom",
        ),
    ),
    *mistakes(
        f"{LAWS}bootstrap.py",
        f"{FITS}::test_a_robust_bootstrap_draws_rows_with_replacement",
        ("a robust bootstrap moves values, not rows", "y=problem.y[rows],", "y=problem.y,"),
    ),
    *mistakes(
        f"{LAWS}bootstrap.py",
        f"{FITS}::test_a_bootstrap_has_the_spread_of_students_t",
        (
            "a parameter's interval holds 90%",
            "def interval(self, name: str, level: float = LEVEL)",
            "def interval(self, name: str, level: float = 0.9)",
        ),
        (
            "a law's band holds 90%",
            "def band(self, x: Inputs, level: float = LEVEL)",
            "def band(self, x: Inputs, level: float = 0.9)",
        ),
    ),
    *mistakes(
        f"{LAWS}freedom.py",
        FITS,
        (
            "every constant has the whole noise's degrees of freedom",
            "return float(base**2 / spread) if spread > 0 else noise.freedom",
            "return noise.freedom",
        ),
        (
            "a part of the variance counts by its share, not its square",
            "s**2 / stratum.freedom for",
            "s / stratum.freedom for",
        ),
        ("a constant's weights forget the noise", "row @ root if root.ndim == 2", "row if root.ndim == 2"),
    ),
    *mistakes(
        f"{LAWS}profiles.py",
        FITS,
        (
            "a profile ends where 90% would",
            "def profile(fit: Fit, name: str, *, level: float = LEVEL)",
            "def profile(fit: Fit, name: str, *, level: float = 0.9)",
        ),
        (
            "a profile compares the rise, not twice the rise",
            "return 2.0, fit.problem.freedom",
            "return 1.0, fit.problem.freedom",
        ),
        (
            "a profile without seeds forgets the constants fitted",
            "left = max(rows - fit.free, 1)",
            "left = rows",
        ),
        (
            "the tau test forgets the rows that constants take",
            "return 2 * curvature / slope * left / rows",
            "return 2 * curvature / slope",
        ),
        ("a constant known to a factor of a hundred is identified", "SPAN = 10.0", "SPAN = 100.0"),
        ("a constant known to a factor of six is not identified", "SPAN = 10.0", "SPAN = 4.0"),
        (
            "a profile forgets which noise its constant bears",
            "freedom if fit.problem.noise is None else degrees_of_freedom",
            "freedom if True else degrees_of_freedom",
        ),
    ),
    *mistakes(
        f"{LAWS}problems.py",
        FITS,
        (
            "a law's misfit is judged by all rows, not by those left over",
            "left = len(fit.problem.y) - fit.free",
            "left = len(fit.problem.y)",
        ),
        (
            "a law's misfit is half of it",
            "misfit_probability(2 * fit.objective,",
            "misfit_probability(fit.objective,",
        ),
        (
            "single losses are fitted by their absolute error",
            "relative = 1 / y if smaller_is_better(metric)",
            "relative = np.ones(len(y)) if smaller_is_better(metric)",
        ),
        (
            "means of more seeds weigh no more",
            "return np.sqrt(data.count) / (noise",
            "return np.ones(len(data.count)) / (noise",
        ),
        (
            "means are whitened as if no seed were shared",
            "covariance(data, noise)))",
            "np.diag(np.diag(covariance(data, noise)))))",
        ),
    ),
    *mistakes(
        f"{LAWS}fitting.py",
        FITS,
        ("Huber's loss goes on as a parabola", "delta * (size - 0.5 * delta)", "0.5 * size**2"),
        (
            "the residual of a robust fit is not of the logarithm",
            "np.log(np.maximum(predicted, 1e-300)) - np.log(problem.y)",
            "predicted / problem.y - 1 + 0 * np.log(problem.y)",
        ),
        (
            "the free parameters count those held too",
            "return len(self.law.parameters) - len(self.fixed)",
            "return len(self.law.parameters) + len(self.fixed) - 1",
        ),
    ),
    *mistakes(
        f"{LAWS}surface.py",
        FITS,
        (
            "the qualities of a joint law's rate are swapped",
            "target = resamples.predict(_inputs(reference, at))",
            "target = resamples.predict(_inputs(other, at))",
        ),
        (
            "a joint law is asked about ten times the sizes tried",
            "grid = np.geomspace(low, high, SIZES_READ)",
            "grid = np.geomspace(low, 10 * high, SIZES_READ)",
        ),
        (
            "a surface compares with the dirtiest",
            "{axis: reference}, {axis: float(value)}",
            "{axis: float(value)}, {axis: reference}",
        ),
    ),
    *mistakes(
        f"{LAWS}next_cells.py",
        f"{TESTS}test_growth_rule.py",
        (
            "a factor is the ratio of both ends",
            "return math.sqrt(self.high / self.low)",
            "return self.high / self.low",
        ),
        (
            "a lower end that nobody has seen is taken for closed",
            "low = 0.0 if rates.at_most[0] > TAILS[0] else",
            "low = 0.0 if rates.at_most[0] > 2.0 else",
        ),
        (
            "a batch forgets what its first cells tell",
            "joint = joint - np.outer(column, column)",
            "joint = joint - 0 * np.outer(column, column)",
        ),
        (
            "a measurement has no noise of its own",
            "(np.diag(joint)[1:] + noise) / joint[0, 0]",
            "(np.diag(joint)[1:] + 0 * noise) / joint[0, 0]",
        ),
        (
            "cells are chosen whatever they cost",
            "np.where(minutes <= left, narrowing / minutes, -1.0)",
            "np.where(minutes <= left, narrowing, -1.0)",
        ),
        (
            "the time that is left is not looked at",
            "np.where(minutes <= left, narrowing / minutes, -1.0)",
            "narrowing / minutes",
        ),
        (
            "a seed is trained twice",
            "        taken[cells[best]].add(seed)\n",
            "",
        ),
    ),
    *mistakes(
        f"{LAWS}stopping.py",
        f"{TESTS}test_growth_rule.py",
        ("one look is enough", "LOOKS = 2", "LOOKS = 1"),
        ("a study that grows in vain goes on", "if _stalled(every):", "if False:"),
        (
            "a rate that nothing allowed reaches is grown for ever",
            "if math.isinf(now.low) and",
            "if math.isnan(now.low) and",
        ),
    ),
    *mistakes(
        "src/workbench/foresight.py",
        "tests/workbench/test_foresight.py",
        (
            "a planned study is taken for one of the earlier one's seeds",
            "seeds=len(study.seeds)",
            "seeds=None",
        ),
        ("sizes that are planned are not counted", "sizes=sizes,", "sizes=1,"),
    ),
]
