"""Mistakes in what a table is taken to say: which way is better, what is a replicate, which rows are kept."""

from mistakes_list import mistakes

LAWS, TESTS = "src/workbench/laws/", "tests/workbench/laws/"
DIRECTION = f"{TESTS}test_direction.py"
VARYING = f"{TESTS}test_varying.py"
LACK = f"{TESTS}test_lack_of_fit.py"
CHECKLIST = f"{TESTS}test_checklist.py"
STATUSES = f"{TESTS}test_statuses.py"
FIT = "tests/workbench/cli/test_fit_tables.py"
WORDS = "tests/workbench/advice/test_fit_words.py"

MISTAKES = [
    *mistakes(
        f"{LAWS}statuses.py",
        STATUSES,
        (
            "a run that Neptune still hears of is done",
            '(ONGOING, ("not failed", UNKNOWN_END), UNFINISHED)',
            '(ONGOING, ("not failed", UNKNOWN_END), "done")',
        ),
        (
            "a run that Neptune marks as failed is done",
            '(*ENDED, *ONGOING, UNKNOWN_STATE), ("failed",), "failed"',
            '(*ENDED, *ONGOING, UNKNOWN_STATE), ("failed",), "done"',
        ),
        ("nobody says what sys/state alone leaves open", "word.endswith(UNKNOWN_END) and", "False and"),
        ("nobody says what sys/failed alone leaves open", "word.startswith(UNKNOWN_STATE) and", "False and"),
        ("a type behind a column's name hides it", '.partition(":")[0].replace', ".replace"),
    ),
    *mistakes(
        f"{LAWS}measurement.py",
        STATUSES,
        ("one of Neptune's columns, named, is read alone", "in (None, state, failed):", "is None:"),
        (
            "a chart's export is a table whose sizes are steps",
            '{"wall time", "step", "value"} <= names or',
            "",
        ),
    ),
    *mistakes(
        f"{LAWS}varying.py",
        STATUSES,
        ("who owned a run in Neptune is a setting", '    "sys",\n', ""),
    ),
    *mistakes(
        f"{LAWS}varying.py",
        VARYING,
        (
            "a setting that is crossed with seeds is said to go along with them",
            "if any(_two_values(own, column) for own in by_seed.values()):",
            "if False:",
        ),
        (
            "the first cell speaks for all",
            "in cells.values() if (pair := _along",
            "in [*cells.values()][:1] if (pair := _along",
        ),
        (
            "another seed is a setting",
            "if column in known or SEED_WORDS.",
            "if column in known or frozenset().",
        ),
        (
            "runs that failed are noise",
            'row.status == "done" and row.size > 0 and row.seed',
            "row.size > 0 and row.seed",
        ),
        (
            "a size's own setting is its seeds'",
            "keys = [(row.quality, row.size, *(row.values.get(name) for name in known))",
            "keys = [(row.quality, *(row.values.get(name) for name in known))",
        ),
    ),
    *mistakes(
        f"{LAWS}table.py",
        VARYING,
        (
            "nobody says that seeds differ in a setting",
            "if measured_here else said_of_seeds(rows)",
            "if True else said_of_seeds(rows)",
        ),
    ),
    *mistakes(
        f"{LAWS}direction.py",
        DIRECTION,
        ("a metric of unknown direction is an accuracy", "told or known):", 'told or known or "higher"):'),
        ("of two words that contradict each other one wins", "if len(found) == 1 else", "if found else"),
        (
            "the user inverts what a name says",
            "if known and told and known != told:",
            "if known and told and known == told + told:",
        ),
        ("a standard error of an accuracy is an accuracy", "if UNSURE.intersection(words):", "if not words:"),
        (
            "a number behind a word hides it",
            'word, bare, word.rstrip("0123456789"), bare.rstrip("0123456789")',
            "word, bare",
        ),
        ("names in camel case are one word", "|[A-Z]?[a-z]+", "|[A-Za-z]+"),
    ),
    *mistakes(
        f"{LAWS}table.py",
        DIRECTION,
        (
            "a loss is fitted as an accuracy",
            '"loss" if self.falling(metric)',
            '"loss" if not self.falling(metric)',
        ),
        (
            "what was told is lost on the way",
            "return falls(metric, self.better,",
            "return falls(metric, None,",
        ),
    ),
    *mistakes(
        f"{LAWS}table.py",
        VARYING,
        (
            "a number that isn't finite is missing though it was asked for",
            "if metric in row.not_finite and row",
            "if metric in row.text and row",
        ),
        (
            "exact copies are counted",
            "rows, copies = without_copies(rows)",
            "copies = without_copies(rows)[1]",
        ),
        (
            "a sweep with seeds is a cell twice",
            "row.seed, *(value_in(row, name) for name in settings))",
            "row.seed)",
        ),
        (
            "rows that are not wanted are read",
            "measurements(renamed, kept, name)",
            "measurements(renamed, [True] * len(kept), name)",
        ),
    ),
    *mistakes(
        f"{LAWS}replicates.py",
        VARYING,
        (
            "settings are replicates",
            "if not table.measured_here:\n        refuse",
            "if table.measured_here:\n        refuse",
        ),
    ),
    *mistakes(
        f"{LAWS}varying.py",
        VARYING,
        ("a text that recurs is no setting", "return 2 * len(set(every)) <= len(every)", "return False"),
        ("a number that cells share is no setting", "return most >= 2 and", "return most < 0 and"),
        (
            "what a tracker measured is a setting",
            "if prefix in MEASURED or known_direction(column) or BOOK",
            "if known_direction(column) or BOOK",
        ),
        (
            "the machine is a setting",
            "or BOOKKEEPING.intersection(words_of(rest)):",
            "or not words_of(rest):",
        ),
        ("models with seeds of their own are seeds", '(own, ["model"])', "(own, [])"),
        ("rows of other seeds are compared too", "for same in by_seed.values())", "for same in [own])"),
    ),
    *mistakes(
        f"{LAWS}sweep.py",
        VARYING,
        ("of a sweep over losses the worst is kept", "(1 if lowest else -1)", "(-1 if lowest else 1)"),
        ("a sweep takes another setting for its own", "*(value_in(row, name) for name in rest))", ")"),
        ("the best of all seeds is kept", "row.size, row.seed, *(", "row.size, *("),
        (
            "what a sweep left out is not counted",
            '"not the best of its sweep over {names}": dropped',
            '"not the best of its sweep over {names}": 0',
        ),
    ),
    *mistakes(
        f"{LAWS}selection.py",
        VARYING,
        ("one wanted column is enough", "kept[i] &= any", "kept[i] |= any"),
        ("numbers are compared as texts", "return number_in(one) == number_in(two)", "return False"),
        (
            "a cell that stands there twice is a copy",
            "if row.seed is None and row.size > 0",
            "if row.size > 0",
        ),
        ("noisy and Noisy are told apart without a word", ".casefold()", ""),
    ),
    *mistakes(
        f"{LAWS}forecast.py",
        VARYING,
    ),
    *mistakes(
        f"{LAWS}lack_of_fit.py",
        LACK,
        (
            "residuals are taken for noise that nothing was fitted to",
            "rest = noise - _pull(noise, residual, problem.delta) @ taken @ taken.T",
            "rest = noise",
        ),
        ("residuals that wave are doubted", "one, two) <= measured))", "one, two) >= measured))"),
        ("neighbours are those of the file, of all inputs the first", "if len(columns) == 1:", "if columns:"),
        ("each row is its own neighbour", "nearest[:, 1], nearest[:, 0])", "nearest[:, 0], nearest[:, 0])"),
        ("a ratio that can't vary is a test", "ROWS_LEFT = 2", "ROWS_LEFT = 1"),
        ("seeds' noise is doubted by neighbours", "if problem.freedom is not None or fit", "if fit"),
    ),
    *mistakes(
        f"{LAWS}checklist.py",
        CHECKLIST,
        ("constants that were held are called fitted", "if p.name not in fit.fixed]", "if p.name]"),
        ("stopped runs count as points", "runs = len(problem.y) - only", "runs = len(problem.y)"),
        ("the error of another law is told", "if s.name == fit.law.name), None)", "if s.name), None)"),
        (
            "rows without the metric are not left out",
            'row.status == "done" and row.values.get(metric) is None',
            'row.status == "gone" and row.values.get(metric) is None',
        ),
    ),
    *mistakes(
        f"{LAWS}problems.py",
        CHECKLIST,
        (
            "a constant that is held is fitted to each quality",
            "for quality in qualities], fixed=fixed)",
            "for quality in qualities])",
        ),
    ),
    *mistakes(
        "src/workbench/cli/fit/printing.py",
        FIT,
        (
            "a prediction's band is that of another input",
            "resamples.band(at)",
            "resamples.band({k: v * 2 for k, v in at.items()})",
        ),
        (
            "a prediction beyond the sizes is not called so",
            "if low <= value <= high:",
            "if not low <= value <= high:",
        ),
    ),
    *mistakes(
        "src/workbench/cli/fit/__init__.py",
        FIT,
        ("the number of items is ignored", "seed=args.seed, items=args.items)", "seed=args.seed)"),
        ("the forecast ignores the objective", "fixed=held, delta=delta", "fixed=held"),
        ("the forecast ignores what is held", "fixed=held, delta=delta", "delta=delta"),
    ),
    *mistakes(
        "src/workbench/cli/fit/__init__.py",
        WORDS,
        (
            "a law that doesn't suit is passed over",
            "problem_of(table, args.metric, args.law)  #",
            "law_named(args.law)  #",
        ),
        ("the law asked for seems to be the rate's", 'if args.law != "auto" or args.objective:', "if False:"),
        ("one draw is an interval", "draws = max(args.bootstraps, FEWEST_DRAWS)", "draws = args.bootstraps"),
    ),
    *mistakes(
        "src/workbench/cli/fit/printing.py",
        WORDS,
        (
            "a rejected law predicts as if it were believed",
            "believed = trusted(misfit(resamples.fit)) and trusted(lacking)",
            "believed = True",
        ),
    ),
    *mistakes(
        f"{LAWS}measurement.py",
        WORDS,
        (
            "a missing quality is one",
            'if labelled and measured.size > 0 and _is_empty(row.get("quality")):',
            'if labelled and measured.size > 0 and row.get("quality") is None:',
        ),
        (
            "parameters count examples",
            "and not OF_MODELS.intersection(words)",
            "and not OF_MODELS.intersection(())",
        ),
    ),
    *mistakes(
        f"{LAWS}varying.py",
        WORDS,
        (
            "a setting that goes with the quality isn't told",
            "if fixed and len(set().union(*by_quality.values())) > 1:",
            "if fixed and len(set().union(*by_quality.values())) > 2:",
        ),
        (
            "steps are offered as seeds beside seeds",
            "and all(row.seed is None for row in rows)",
            "and any(True for row in rows)",
        ),
    ),
    *mistakes(
        f"{LAWS}remarks.py",
        WORDS,
        (
            "four sizes are fewer than three",
            "        if sizes >= FEWEST_CELLS:",
            "        if sizes < 0:",
        ),
    ),
]
