"""Mistakes in what a law forecasts, what to do next, the sentence that says it, and the formulas."""

from mistakes_list import mistakes

LAWS, TESTS = "src/workbench/laws/", "tests/workbench/laws/"
EXCHANGE = f"{TESTS}test_exchange_values.py"
FORECAST = f"{TESTS}test_forecast_values.py"
PLANNER = f"{TESTS}test_planner_values.py"
FORMULAS = f"{TESTS}test_law_values.py"
WORDING = f"{TESTS}test_wording_values.py"


MISTAKES = [
    *mistakes(
        f"{LAWS}baselines.py",
        FORECAST,
        ("the nearest quality is the farthest", "seen[min(near", "seen[max(near"),
        (
            "the nearest quality is read in plain size",
            "np.interp(np.log(row.size), np.log(size), value)",
            "np.interp(row.size, size, value)",
        ),
        ("the last value is the first", "seen[key][1][-1]", "seen[key][1][0]"),
        ("the line goes through two points", "(column[-3:] for column", "(column[-2:] for column"),
        (
            "the line of a loss is straight in the loss",
            "y = np.log(value) if falling else value",
            "y = np.log(value) if not falling else value",
        ),
        ("the line of an accuracy leaves 0 to 1", "float(np.clip(at, 0, 1))", "float(at)"),
    ),
    *mistakes(
        f"{LAWS}scoring.py",
        FORECAST,
        ("a loss is judged by its absolute error", "(self.truth if self.falling else 1.0)", "1.0"),
        (
            "an error is relative to the prediction",
            "/ (self.truth if self.falling",
            "/ (one.values if self.falling",
        ),
        (
            "an error's interval resamples cells of one quality apart",
            "if len(labels) > 2",
            "if len(labels) > 99",
        ),
        ("an error's interval holds 90%", "np.quantile(means, TAILS)", "np.quantile(means, [0.05, 0.95])"),
        ("the worst error is the mean", "worst=float(error.max())", "worst=float(error.mean())"),
        ("the worst forecast comes first", "key=lambda s: s.error)", "key=lambda s: -s.error)"),
        (
            "ranking counts pairs in the wrong order",
            "right.append(guess == np.sign",
            "right.append(guess != np.sign",
        ),
    ),
    *mistakes(
        f"{LAWS}criteria.py",
        FORECAST,
        (
            "AICc lacks its correction",
            "misfit + 2 * k * rows / (rows - k - 1)",
            "misfit + 2 * k * rows / rows",
        ),
        ("AICc corrects one row off", "rows / (rows - k - 1)", "rows / (rows - k)"),
        ("BIC charges Akaike's price", "misfit + k * np.log(rows)", "misfit + k * 2"),
        (
            "the criteria take half the misfit",
            "np.sum(joint.whiten(residual) ** 2)",
            "np.sum(joint.whiten(residual) ** 2) / 2",
        ),
    ),
    *mistakes(
        f"{LAWS}forecast.py",
        FORECAST,
        ("one size too many is held out", "cut = sizes[-hold_out - 1]", "cut = sizes[-hold_out - 2]"),
    ),
    *mistakes(
        f"{LAWS}scores.py",
        FORECAST,
        ("a lead by chance is called sure", "sure = law.high < rival.low", "sure = law.error < rival.low"),
    ),
    *mistakes(
        f"{LAWS}planner.py",
        PLANNER,
        (
            "what a quality's cells share averages out over sizes",
            "(quality_share + rest / sizes)",
            "((quality_share + rest) / sizes)",
        ),
        (
            "what a seed shares doesn't cancel",
            "rest = 1 - seed_share - quality_share",
            "rest = 1 - quality_share",
        ),
        ("a difference has the error of one mean", "np.sqrt(2 / seeds *", "np.sqrt(1 / seeds *"),
        (
            "a planned test is one-sided",
            "student.ppf(1 - ALPHA / 2, freedom)",
            "student.ppf(1 - ALPHA, freedom)",
        ),
        ("a planned test loses no degree of freedom", "freedom = (seeds - 1) *", "freedom = seeds *"),
        (
            "what a study could see forgets a quality's own part",
            "quality_share=quality / total",
            "quality_share=0.0",
        ),
    ),
    *mistakes(
        f"{LAWS}answer.py",
        WORDING,
    ),
    *mistakes(
        f"{LAWS}table.py",
        EXCHANGE,
        (
            "the zero-shot score is its best row",
            "float(np.mean([v for v in values if v is not None]))",
            "float(np.min([v for v in values if v is not None]))",
        ),
    ),
    *mistakes(
        f"{LAWS}curves.py",
        f"{EXCHANGE} {FORMULAS} {TESTS}test_exchange.py",
    ),
    *mistakes(
        f"{LAWS}terms.py",
        FORMULAS,
        (
            "a dirty share lowers the loss",
            'x["size"] ** -s["beta"] * x["share"] ** -s["gamma"]',
            'x["size"] ** -s["beta"] * x["share"] ** s["gamma"]',
        ),
        (
            "the noise floor rises with the clean share",
            'columns(1.0, 1 - x["share"], x["size"]',
            'columns(1.0, x["share"], x["size"]',
        ),
        ("repeats count the first pass", "repeats = seen / unique - 1", "repeats = seen / unique"),
        (
            "model and size are added, not multiplied",
            'x["model"] ** -s["alpha"] * x["size"]',
            'x["model"] ** -s["alpha"] + x["size"]',
        ),
        (
            "usable parameters forget the ratio once",
            "usable = ratio * (ratio * np.minimum",
            "usable = (ratio * np.minimum",
        ),
        (
            "the loss of the data-constrained law wears out with the model's constant",
            'data = effective(x["unique"], x["size"], s["R_D"])',
            'data = effective(x["unique"], x["size"], s["R_N"])',
        ),
    ),
]
