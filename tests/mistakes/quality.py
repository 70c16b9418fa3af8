"""Mistakes in the laws of quality and of repeats, in what tells them apart, and in what they decide."""

from mistakes_list import mistakes

LAWS, TESTS = "src/workbench/laws/", "tests/workbench/laws/"
FORMULAS = f"{TESTS}test_law_values.py"
DECISIONS = f"{TESTS}test_decisions.py"
NESTED = f"{TESTS}test_nested.py"
CRITERIA = f"{TESTS}test_criteria.py"


MISTAKES = [
    *mistakes(
        f"{LAWS}terms.py",
        FORMULAS,
        (
            "clean data has the smaller exponent",
            's["beta"] * x["share"] ** s["kappa"]',
            's["beta"] * x["share"] ** -s["kappa"]',
        ),
        ("the exponent is the same for all shares", ' if "kappa" in s else s["beta"]', ' * 0 + s["beta"]'),
        (
            "a dirty share has the smaller coefficient",
            'x["share"] ** -s["gamma"] * x["size"] ** -exponent',
            'x["share"] ** s["gamma"] * x["size"] ** -exponent',
        ),
        (
            "the floor with a model term rises with the clean share",
            """_refuse_no_clean(x, "floor_coefficient_model")
    return columns(1.0, x["model"] ** -s["alpha"], 1 - x["share"]""",
            """_refuse_no_clean(x, "floor_coefficient_model")
    return columns(1.0, x["model"] ** -s["alpha"], x["share"]""",
        ),
        (
            "the first pass is a repeat",
            '(x["size"] / unique - 1) ** s["rho"]',
            '(x["size"] / unique) ** s["rho"]',
        ),
        ("more distinct examples overfit more", 'unique ** -s["delta"]', 'unique ** s["delta"]'),
        (
            "repeats of clean data hurt more than those of noisy data",
            "penalty, spoiled * penalty)",
            'penalty, x["share"] ** 2 * penalty)',
        ),
    ),
    *mistakes(
        f"{LAWS}decisions.py",
        DECISIONS,
        ("pairs that noise may have turned count", "bool(counts[a, b])))", "gap[a, b] != 0))"),
        (
            "a pair is decided at the smallest size",
            "key=lambda group: -group[0][0]",
            "key=lambda group: group[0][0]",
        ),
        (
            "data sets of different models are compared",
            'groups.setdefault((row.size, row.values.get("model")), {})',
            "groups.setdefault((row.size, None), {})",
        ),
        (
            "a forecast without an opinion is wrong",
            "np.where(guess == 0, 0.5, guess",
            "np.where(guess == 0, 0.0, guess",
        ),
        ("all pairs are taken for independent", "min(pairs, 2 * (self.sets - 1))", "pairs"),
        (
            "a difference has the noise of one cell",
            "np.diag(common)[:, None] + np.diag(common)[None, :] - 2 * common",
            "np.diag(common)[:, None] + 0 * common",
        ),
        ("what a seed does to two cells doesn't cancel", "[None, :] - 2 * common", "[None, :] - 0 * common"),
        ("clear is said at 90%", "(1 + LEVEL) / 2, freedom", "0.95, freedom"),
        ("evaluation items have no noise", "if own.items is not None:", "if own.items is None:"),
        ("decisions are counted wrong", "guess == self.order)", "guess != self.order)"),
    ),
    *mistakes(
        f"{LAWS}nested.py",
        NESTED,
        (
            "the test forgets how many constants are held",
            "(simpler - larger.objective), 0.0) / len(held)",
            "(simpler - larger.objective), 0.0)",
        ),
        (
            "what is held anyway is tested too",
            "if set(held) & set(fit.fixed):",
            "if set(held) & set():",
        ),
        (
            "a fit that can't miss tests its constants",
            "len(larger.problem.y) <= larger.free",
            "len(larger.problem.y) < larger.free",
        ),
        ("a larger law is always asked for", "self.probability >= DOUBT", "self.probability >= 1.1"),
    ),
    *mistakes(
        f"{LAWS}scores.py",
        NESTED,
        (
            "a law that the sizes seen refuse is chosen",
            "[score for score in laws if not score.is_refused] or laws",
            "laws",
        ),
        ("the larger law is chosen", "        while inside :=", "        if inside := [] and"),
    ),
    *mistakes(
        f"{LAWS}profiles.py",
        NESTED,
        ("a constant of either sign is always identified", "WIDEST = 0.25", "WIDEST = 25"),
    ),
    *mistakes(
        f"{LAWS}criteria.py",
        CRITERIA,
        ("laws that saw other cells are compared", ")) != cells:", ")) < 0:"),
        (
            "laws of one quality are judged by its own noise",
            "if joint is None else _misfit(fits, joint)",
            "if True else _misfit(fits, joint)",
        ),
    ),
    *mistakes(
        f"{LAWS}series.py",
        CRITERIA,
        (
            "models are averaged",
            "return [(row.quality, *(row.values.get(name) for name in columns)) for row in rows]",
            "return [(row.quality,) for row in rows]",
        ),
    ),
    *mistakes(
        f"{LAWS}forecast.py",
        CRITERIA,
        (
            "what was never seen smaller is scored",
            "if pair[1] in known]",
            "if pair[1] in known or known.setdefault(pair[1], next(iter(known.values())))]",
        ),
    ),
]
