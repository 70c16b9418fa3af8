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
        f"{LAWS}forecast.py",
        FORECAST,
        ("the nearest quality is the farthest", "nearest = min(shares", "nearest = max(shares"),
        (
            "the nearest quality is read in plain size",
            "np.interp(np.log(row.size), np.log(size), value)",
            "np.interp(row.size, size, value)",
        ),
        ("the last value is the first", "names, lines)[2][-1]", "names, lines)[2][0]"),
        ("the line goes through two points", "(column[-3:] for column", "(column[-2:] for column"),
        (
            "the line of a loss is straight in the loss",
            "y = np.log(value) if scorer.falling else value",
            "y = np.log(value) if not scorer.falling else value",
        ),
        ("the line of an accuracy leaves 0 to 1", "float(np.clip(at, 0, 1))", "float(at)"),
        ("a loss is judged by its absolute error", "(self.truth if self.falling else 1.0)", "1.0"),
        (
            "an error is relative to the prediction",
            "/ (self.truth if self.falling",
            "/ (predicted if self.falling",
        ),
        (
            "an error's interval resamples cells of one quality apart",
            "if len(labels) > 2",
            "if len(labels) > 99",
        ),
        ("an error's interval holds 90%", "np.quantile(means, TAILS)", "np.quantile(means, [0.05, 0.95])"),
        ("the worst error is the mean", "worst=float(error.max())", "worst=float(error.mean())"),
        (
            "the worst forecast comes first",
            "key=lambda score: score.error)",
            "key=lambda score: -score.error)",
        ),
        (
            "AICc lacks its correction",
            "misfit + 2 * k * rows / (rows - k - 1)",
            "misfit + 2 * k * rows / rows",
        ),
        ("AICc corrects one row off", "rows / (rows - k - 1)", "rows / (rows - k)"),
        ("BIC charges Akaike's price", "bic = misfit + k * np.log(rows)", "bic = misfit + k * 2"),
        ("the criteria take half the misfit", "misfit = 2 * sum(fit.objective", "misfit = sum(fit.objective"),
        (
            "ranking counts pairs in the wrong order",
            "right.append(guess == np.sign",
            "right.append(guess != np.sign",
        ),
        ("one size too many is held out", "cut = sizes[-hold_out - 1]", "cut = sizes[-hold_out - 2]"),
        ("a lead by chance is called sure", "sure = law.high < rival.low", "sure = law.error < rival.low"),
    ),
    *mistakes(
        f"{LAWS}planner.py",
        PLANNER,
        ("a new measurement is taken to have no noise", " + spread**2) / max(", ") / max("),
        ("a new measurement's noise is its root", " + spread**2) / max(", " + spread) / max("),
        (
            "narrowing is of the variance, not of the interval",
            "narrowing = 1 - np.sqrt(max(1 - gain, 0.0))",
            "narrowing = gain",
        ),
        (
            "a slow cell is worth more a minute",
            "return self.narrowing / self.minutes",
            "return self.narrowing * self.minutes",
        ),
        (
            "compute is free",
            "budget - offer.hours * price_per_hour",
            "budget - 0 * offer.hours * price_per_hour",
        ),
        (
            "twice the money buys half the examples",
            "price_per_hour, 0.0) / offer.price",
            "price_per_hour, 0.0) * offer.price",
        ),
        (
            "a loss gains by rising",
            "sign = 1.0 if analysis.falling else -1.0",
            "sign = -1.0 if analysis.falling else 1.0",
        ),
        ("more can be cleaned than there is", "share = min(count / size, 1.0)", "share = count / size"),
        (
            "cleaning a share cleans the rest",
            "(1 - share) * _at(analysis, quality, size) + share * _at(analysis, offer.quality, size)",
            "share * _at(analysis, quality, size) + (1 - share) * _at(analysis, offer.quality, size)",
        ),
        ("a plan reads beyond the largest size", "min(size + count, largest)", "min(size + count, 1e9)"),
        (
            "the gain of a plan is its mean",
            "gain=float(np.median(table[1:, j]))",
            "gain=float(np.mean(table[1:, j]))",
        ),
        (
            "the offer that is best is the worst",
            "first = table[1:].argmax(axis=1)",
            "first = table[1:].argmin(axis=1)",
        ),
        (
            "cleaning costs what a new example does",
            '("cleaned", cleaned, self.cleaned_example)',
            '("cleaned", cleaned, self.new_example)',
        ),
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
        ("cleaning pays up to the whole rate", "{middle - 1:.2g} more", "{middle:.2g} more"),
        (
            "the price of cleaning has the rate's lower end",
            "(interval {low - 1:.2g} to",
            "(interval {low:.2g} to",
        ),
        ("cleaning pays where the interval holds 1", "    if low > 1:", "    if middle > 1:"),
        ("a quality is worth more where the interval holds 1", "    if high < 1:", "    if middle < 1:"),
        ("draws are sure", 'return "over 99%"', 'return "100%"'),
        (
            "the size that is told is the first",
            "(closed or reached or useful[:1] or list(known[:1]))[-1]",
            "(closed or reached or useful[:1] or list(known[:1]))[0]",
        ),
        (
            "the size asked for is the nearest in plain numbers",
            "np.abs(np.log(rates.size / size)).argmin()",
            "np.abs(rates.size - size).argmax()",
        ),
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
        (
            "a curve weighs all its sizes alike",
            "w = weight / weight.sum()\n    mean_x",
            "w = np.ones_like(weight) / len(weight)\n    mean_x",
        ),
        (
            "the misfit of a curve is a mean, not a sum",
            "return offset, slope, misfit * weight.sum()",
            "return offset, slope, misfit",
        ),
        ("pooling forgets the weights", "weights=weight, increasing=not falling", "increasing=not falling"),
        (
            "measurements are joined in plain size",
            "x, wanted = np.log(size), np.log(np.asarray(at, dtype=float))",
            "x, wanted = np.asarray(size, dtype=float), np.asarray(at, dtype=float)",
        ),
        ("the measurements' curve goes on beyond them", "extrapolate=False", "extrapolate=True"),
        ("a curve's ceiling may pass 1", "-floor, 1 - floor)", "-floor, 9.0)"),
        (
            "an accuracy's curve forgets its floor",
            "return floor + rise, -rise, misfit",
            "return rise, -rise, misfit",
        ),
    ),
    *mistakes(
        f"{LAWS}library.py",
        FORMULAS,
        ("a dirty share lowers the loss", 'x["share"] ** -s["gamma"]', 'x["share"] ** s["gamma"]'),
        (
            "the noise floor rises with the clean share",
            '1 - x["share"], x["size"] ** -s["beta"]',
            'x["share"], x["size"] ** -s["beta"]',
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
