"""Mistakes in what is fitted, how sure it is, and what an example is worth."""

from mistakes_list import mistakes

LAWS, TESTS = "src/workbench/laws/", "tests/workbench/laws/"
NOISE = f"{TESTS}test_noise_values.py"
EXCHANGE = f"{TESTS}test_exchange_values.py"
FITS = f"{TESTS}test_fit_values.py"
WORDING = f"{TESTS}test_wording_values.py"

DEVIATION = f"{TESTS}test_deviation_values.py"
STUDIES = f"{TESTS}test_exchange.py"
LIBRARY = f"{TESTS}test_library.py"
ROBUST = f"{TESTS}test_robust_fits.py"
BOUNDS = f"{TESTS}test_bounds.py"
OVERFIT = f"{TESTS}test_overfit.py"

MISTAKES = [
    *mistakes(
        f"{LAWS}exchange.py",
        EXCHANGE,
        (
            "the qualities of a rate are swapped",
            "analysis.curve(reference), analysis.curve(other)",
            "analysis.curve(other), analysis.curve(reference)",
        ),
        (
            "the probability of not reached counts what is reached",
            "np.isinf(drawn).mean(axis=0)",
            "np.isfinite(drawn).mean(axis=0)",
        ),
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
            "of many sizes the last is left out",
            "np.linspace(0, len(size) - 1, MOST_SIZES)",
            "np.linspace(0, len(size) - 2, MOST_SIZES)",
        ),
    ),
    *mistakes(
        f"{LAWS}answer.py",
        EXCHANGE,
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
            "a band is of the study as measured too",
            "np.quantile(drawn[1:], TAILS",
            "np.quantile(drawn, TAILS",
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
            "relative = 1 / y if falling",
            "relative = np.ones(len(y)) if falling",
        ),
    ),
    *mistakes(
        f"{LAWS}noise.py",
        FITS,
        (
            "means of more seeds weigh no more",
            "return np.sqrt(data.count) / (noise",
            "return np.ones(len(data.count)) / (noise",
        ),
        (
            "means are whitened as if no seed were shared",
            "inverse_root(covariance(data, noise))",
            "inverse_root(np.diag(np.diag(covariance(data, noise))))",
        ),
    ),
    *mistakes(
        f"{LAWS}fitting.py",
        FITS,
        (
            "the free parameters count those held too",
            "return len(self.law.parameters) - len(self.fixed)",
            "return len(self.law.parameters) + len(self.fixed) - 1",
        ),
    ),
    *mistakes(
        f"{LAWS}problem.py",
        FITS,
        (
            "the residual of a robust fit is not of the logarithm",
            "np.log(np.maximum(predicted, 1e-300)) - np.log(self.y)",
            "predicted / self.y - 1 + 0 * np.log(self.y)",
        ),
    ),
    *mistakes(
        f"{LAWS}robust.py",
        FITS,
        ("Huber's loss goes on as a parabola", "delta * (size - 0.5 * delta)", "0.5 * size**2"),
    ),
    *mistakes(
        f"{LAWS}robust.py",
        ROBUST,
        (
            "a robust fit never leaves a floor of 0",
            "if values[name] < NEXT_TO_NOTHING * whole}",
            "if values[name] < -NEXT_TO_NOTHING * whole}",
        ),
        (
            "a coefficient on a linear scale has the slope of a logarithm",
            "unit.get(name, here[name]) * terms",
            "here[name] * terms",
        ),
        ("the end of a search is taken for better than its start", "if found.fun >= best:", "if False:"),
    ),
    *mistakes(
        f"{LAWS}law.py",
        ROBUST,
        (
            "a constant is at a limit by the unit of the data",
            "return 1e-9 * (self.high - self.low) if np.isfinite(self.high) else 0.0",
            "return 1e-9",
        ),
    ),
    *mistakes(
        f"{LAWS}overfit.py",
        OVERFIT,
        ("examples seen once overfit", "and passes >= SEEN_AGAIN and", "and"),
        ("a loss that never fell on the examples overfits", "fitted < np.mean", "0 < np.mean"),
        ("a rise is that over the first loss", "known[:, best]", "known[:, 0]"),
        ("one of many cells counts as the only one", "1 - DOUBT / len(cells)", "1 - DOUBT"),
        ("a mean is as noisy as one seed", "spread / np.sqrt(len(rise))", "spread"),
        ("the advice has as many passes as what overfits", "/ 2]))", "]))"),
    ),
    *mistakes(
        f"{LAWS}bounds.py",
        BOUNDS,
        (
            "the least value is called the largest",
            '(("least", p.low), ("largest", p.high))',
            '(("largest", p.low), ("least", p.high))',
        ),
        (
            "limits of a law that is rejected are told",
            "if not candidates or not candidates[0].trusted:",
            "if not candidates:",
        ),
        ("a limit that the resamples hit is not said", "if hit.fitted or hit.cuts:", "if hit.fitted:"),
        ("a limit that the fit hits is not said", "if hit.fitted or hit.cuts:", "if hit.cuts:"),
        ("resamples at a limit count from one in twenty on", "CUTS = TAILS[0]", "CUTS = 0.05"),
        (
            "a constant that is held is at a limit",
            "if p.name in fit.fixed:",
            "if p.name in ():",
        ),
        (
            "the study as measured counts as a resample",
            "part.values[name][part.rows > 0]",
            "part.values[name][part.rows >= 0]",
        ),
    ),
    *mistakes(
        f"{LAWS}law.py",
        BOUNDS,
        ("the largest value is no limit", "self.high * 0.999 if", "self.high * 1.001 if"),
    ),
    *mistakes(
        f"{LAWS}analysis.py",
        f"{BOUNDS}::test_no_floor_is_said_with_the_share_of_resamples_that_have_none",
        ("a report doesn't say which constants a limit chose", "*filter(None, [at_bounds])", ""),
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
]
