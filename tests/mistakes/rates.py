"""Mistakes in curves, rates, and what is claimed of them."""

from mistakes_list import mistakes

LAWS, TESTS = "src/workbench/laws/", "tests/workbench/laws/"
NOISE = f"{TESTS}test_noise_values.py"
EXCHANGE = f"{TESTS}test_exchange_values.py"
FITS = f"{TESTS}test_fit_values.py"
WORDING = f"{TESTS}test_wording_values.py"

DEVIATION = f"{TESTS}test_deviation_values.py"
STUDIES = f"{TESTS}test_exchange.py"
LIBRARY = f"{TESTS}test_library.py"

MISTAKES = [
    *mistakes(
        f"{LAWS}exchange.py",
        EXCHANGE,
        (
            "a rate is clean examples for one noisy",
            "~known, np.nan, enough / at)",
            "~known, np.nan, at / enough)",
        ),
        ("the middle of a rate is its 40th percentile", "ends = (TAILS[0], 0.5,", "ends = (TAILS[0], 0.4,"),
        (
            "a rate asks about sizes nobody measured",
            "np.geomspace(tried[0], tried[-1], SIZES_READ)",
            "np.geomspace(tried[0], 2 * tried[-1], SIZES_READ)",
        ),
        (
            "the best curve counts as a draw of a rate",
            "target = one.predict(at, model=model)[1:]",
            "target = one.predict(at, model=model)[[0] * (len(analysis.curves[one.quality].measured) - 1)]",
        ),
        ("the smallest size is an amount, not a bound", "np.where(first > 0, reached, 0.0)", "reached"),
        (
            "of five comparisons each takes all the doubt",
            "tail = (1 - LEVEL) / 2 / comparisons",
            "tail = (1 - LEVEL) / 2",
        ),
        ("the largest size tried is the smallest", "tried=float(theirs[-1])", "tried=float(theirs[0])"),
    ),
    *mistakes(
        f"{LAWS}exchange.py",
        STUDIES,
        (
            "the interval of a crossing holds 90% of the draws",
            "for p in (TAILS[0], 0.5, TAILS[1]))",
            "for p in (0.05, 0.5, 0.95))",
        ),
        ("a crossing is searched from the largest size", "changed.argmax(axis=1)", "changed.argmin(axis=1)"),
        ("at each of many sizes a side takes all the doubt", "/ comparisons / len(at)", "/ comparisons"),
        (
            "a crossing is told from the other side",
            "reference_below=first < second",
            "reference_below=first > second",
        ),
        ("the model asked for is forgotten", "shared.max()", "shared.min()"),
        (
            "a rate is read with the other model's sizes",
            "np.isclose(curve.model, model, rtol=1e-9)",
            "curve.model > 0",
        ),
    ),
    *mistakes(
        f"{LAWS}claims.py",
        WORDING,
        ("a verdict rests on the interval of one comparison", "rates.sure_low[at] > 1", "rates.low[at] > 1"),
        ("worse is said where the interval holds 1", "rates.sure_high[at] < 1", "rates.sure_low[at] < 1"),
        (
            "never is said from one in two on",
            "rates.not_reached[at] >= _sure(answer) or",
            "rates.not_reached[at] >= 0.5 or",
        ),
        ("never is said of what was not tried", '"never" if answer.tried >= TWICE * n', '"never" if n'),
        ("comparisons leave the doubt as it was", "(1 - LEVEL) / answer.comparisons", "(1 - LEVEL)"),
        (
            "useless is said from one in two on",
            "answer.useless[at] >= _sure(answer)",
            "answer.useless[at] >= 0.5",
        ),
        ("the smallest size is told, not the largest", "or tried[:1])[-1])", "or tried[:1])[0])"),
        (
            "the size asked for is the nearest in plain numbers",
            "np.abs(np.log(rates.size / size))",
            "np.abs(rates.size - size)",
        ),
        (
            "cleaning pays up to the whole rate",
            "{number_in_words(claim.middle - 1)} more (",
            "{number_in_words(claim.middle)} more (",
        ),
        (
            "the price of cleaning has the rate's lower end",
            "number_in_words(claim.low - 1) if claim.low > 1",
            "number_in_words(claim.low) if claim.low > 1",
        ),
        (
            "the other way round the ends change places",
            "back(claim.high), back(claim.middle), back(claim.low)",
            "back(claim.low), back(claim.middle), back(claim.high)",
        ),
        ("the other way round the rate stays", "else 1 / value", "else value"),
        ("how many times were tried is told of the whole", "answer.tried / claim.size", "answer.tried"),
        (
            "beyond is said of what was not tried twice",
            "later if never_enough(answer)[i]",
            "later if rates.not_reached[i] >= _sure(answer)",
        ),
    ),
    *mistakes(
        f"{LAWS}thresholds.py",
        WORDING,
        ("once as many tried is enough for never", "TWICE = 2.0", "TWICE = 1.0"),
    ),
    *mistakes(
        f"{LAWS}analysis.py",
        EXCHANGE,
        ("an accuracy starts at 0 without training", "{SCORE_FLOOR: zero_shot}", "{SCORE_FLOOR: 0.0}"),
        (
            "draws of an accuracy leave 0 to 1",
            "moved = np.clip(moved, 0, 1)",
            "moved = np.clip(moved, -9, 9)",
        ),
        (
            "the middle of a band is its best curve",
            "np.median(drawn[1:], axis=0) if len(drawn) > 1",
            "drawn[0] if len(drawn) > 1",
        ),
    ),
    *mistakes(
        f"{LAWS}analysis.py",
        STUDIES,
        ("residuals tell a variance, not its root", "unit.spread * np.sqrt(best)", "unit.spread * best"),
        ("models are no input", 'return ("size", "model")', 'return ("size",)'),
        ("curves that stray are called fitted", "curve.parts and exact > 0.5", "curve.parts"),
    ),
    *mistakes(
        f"{LAWS}candidates.py",
        EXCHANGE,
        (
            "a law's misfit is judged by all cells, not by those left over",
            "- candidate.free\n    if left < 1",
            "\n    if left < 1",
        ),
        ("squares are halved in a misfit", "return 2 * sum(fit.objective", "return sum(fit.objective"),
        (
            "a score that nobody measured is taken for 0",
            "SCORE_FLOOR: 0.0}, 0.5) + _fit_held(law, cells, held, 0.5)",
            "SCORE_FLOOR: 0.0}, 0.5)",
        ),
    ),
    *mistakes(
        f"{LAWS}fitting.py",
        LIBRARY,
        (
            "problems searched together get each other's noise",
            "np.repeat(root, len(starts), axis=0)",
            "np.tile(root, (len(starts), 1, 1))",
        ),
        (
            "problems of other inputs are searched together",
            "groups.setdefault(i if alone else inputs, [])",
            "groups.setdefault(i if alone else len(problem.y), [])",
        ),
    ),
    *mistakes(
        f"{LAWS}candidates.py",
        DEVIATION,
        ("a held constant costs no probability", "share / len(first.starts)", "share"),
    ),
    *mistakes(
        f"{LAWS}deviation.py",
        DEVIATION,
        ("the covariance is that of three halves", "(1 + apart + apart**2 / 3)", "(1 + apart)"),
        ("deviations of two inputs add", "return np.prod(", "return np.sum("),
        (
            "a deviation's share is its variance",
            "spread = (share * space.rise) ** 2",
            "spread = share * space.rise",
        ),
        ("a rejected law keeps its weight", "if share == 0 and not candidate.trusted:", "if share < 0:"),
        (
            "the determinant of the slopes is left out",
            "+ 0.5 * (determinant - one.base)",
            "+ 0.0 * determinant",
        ),
        ("the likelihood forgets its determinant", "np.log(np.diag(lower)).sum() +", "0.0 +"),
        ("lengths share no probability", "/ len(DEVIATION_SHARES) / len(lengths)", "/ len(DEVIATION_SHARES)"),
    ),
    *mistakes(
        f"{LAWS}curves.py",
        DEVIATION,
        (
            "the deviation drawn is not taken from the measurements",
            "y[own] -= drawn[:, : len(place)]",
            "y[own] -= 0 * drawn[:, : len(place)]",
        ),
        (
            "what the measurements say of the deviation is left out",
            "stray[own] += left[own]",
            "stray[own] += 0 * left[own]",
        ),
        ("the best curve strays at random", "drawn[rows[own] == 0] = 0.0", "drawn[rows[own] == 1] = 0.0"),
        (
            "a deviation is joined in plain size",
            "np.interp(np.log(at), np.log(self.grid), np.arange",
            "np.interp(at, self.grid, np.arange",
        ),
        (
            "a deviation's share is its variance in the draws",
            "spread = (way.share * self.space.rise) ** 2",
            "spread = way.share * self.space.rise",
        ),
    ),
    *mistakes(
        f"{LAWS}descent.py",
        LIBRARY,
        ("coefficients leave their box", "if not len(outside):", "if len(outside) >= 0:"),
        (
            "a box's corner is not tried",
            "for v in (lo, hi) if np.isfinite(v)",
            "for v in (lo,) if np.isfinite(v)",
        ),
        ("orthogonal once, not against what was found", "upper[j][i] * solution[:, i]", "0 * solution[:, i]"),
        ("a held parameter moves", "gradient > 0)) | ((here", "gradient < 0)) | ((here"),
    ),
    *mistakes(
        f"{LAWS}remarks.py",
        STUDIES,
        (
            "a turn is told where more data did better",
            "np.diff(mean) if falling",
            "-np.diff(mean) if falling",
        ),
    ),
    *mistakes(
        f"{LAWS}replicates.py",
        NOISE,
        ("rows without a seed are paired", "paired = None not in distinct and", "paired = True or"),
        (
            "items are drawn for each cell on its own scale",
            "again = taken @ self.value.T / taken.sum(axis=1, keepdims=True)",
            "again = taken @ self.value.T / taken.sum()",
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
