"""Mistakes in what a plan says: what to buy, what the next cells bring, and the command that trains them."""

from mistakes_list import mistakes

LAWS, TESTS = "src/workbench/laws/", "tests/workbench/"
BUY = f"{TESTS}laws/test_purchases.py"
PLAN = f"{TESTS}cli/test_plan.py"

MISTAKES = [
    *mistakes(
        f"{LAWS}purchases.py",
        BUY,
        (
            "a scorer is not paid",
            "self.price if self.score is None else self.score + self.wrong * self.price",
            "self.price if self.score is None else self.wrong * self.price",
        ),
        (
            "what a scorer finds in order is mended too",
            "self.price if self.score is None else self.score + self.wrong * self.price",
            "self.price if self.score is None else self.score + self.price",
        ),
        (
            "a cleaner never errs",
            "held[offer.quality] = held.get(offer.quality, 0.0) + offer.right * bought[j]",
            "held[offer.quality] = held.get(offer.quality, 0.0) + bought[j]",
        ),
        (
            "what a cleaner spoils is gone",
            "held[quality] -= offer.right * bought[j]",
            "held[quality] -= bought[j]",
        ),
        (
            "training on what is bought is free",
            "spent = left / (1 + each_hour * training.each / 60 * sum(new))",
            "spent = left",
        ),
        (
            "hours are minutes",
            "float(self.fixed + self.each * examples) / 60",
            "float(self.fixed + self.each * examples)",
        ),
        (
            "a limit of hours forgets what is at hand",
            "(60 * budget.hours - training.fixed) / training.each - size, 0.0)",
            "(60 * budget.hours - training.fixed) / training.each, 0.0)",
        ),
        (
            "more is mended than there is",
            "min(_amount(share * spent, offer.each), own)",
            "_amount(share * spent, offer.each)",
        ),
        (
            "a loss gains by rising in a plan",
            "sign = 1.0 if analysis.falling else -1.0",
            "sign = -1.0 if analysis.falling else 1.0",
        ),
        (
            "mended examples are read at the number before the purchase",
            "analysis.curve(label).predict(sizes[here])",
            "analysis.curve(label).predict(np.full(len(here), size))",
        ),
        (
            "new data is capped at what was measured",
            "analysis.curve(label).predict(sizes[here])",
            "analysis.curve(label).predict(np.minimum(sizes[here], analysis.curve(label).sizes[-1]))",
            "test_new_data_beyond_what_was_measured_is_a_probability_and_no_cap",
        ),
        (
            "a law that is not trusted is read on",
            "if not (analysis.trusted and analysis.curve(quality).parts):",
            "if not analysis.curve(quality).parts:",
        ),
        (
            "a law is read on without an end",
            "if size > BEYOND * largest * (1 + CLOSE_TO):",
            "if size > 1e9 * largest:",
        ),
        (
            "one is called best beside what isn't known",
            "    if np.isnan(gains).any():\n        return None\n",
            "    gains = np.nan_to_num(gains, nan=-np.inf)\n",
        ),
        (
            "the first of those that gain alike wins",
            "(top / top.sum(axis=1, keepdims=True)).mean(axis=0)",
            "np.eye(top.shape[1])[top.argmax(axis=1)].mean(axis=0)",
        ),
        ("a budget is never divided", "if best >= len(alone) and", "if best > 10**9 and"),
        (
            "the expected gain is the upper end",
            "gain=float(gain.mean()) if known",
            "gain=float(high) if high is not None and known",
        ),
        (
            "the break-even price forgets the example at hand",
            "max(float(end[0]) - 1, 0.0)",
            "max(float(end[0]), 0.0)",
        ),
    ),
    *mistakes(
        f"{LAWS}prices.py",
        BUY,
        (
            "the share that is wrong is the share that is right",
            "return reference.share - own.share",
            "return own.share",
        ),
        ("a rater more is as dear as two", "price=more * price", "price=price"),
        (
            "raters are bought up to the most there are",
            "known[min(above)], price",
            "known[max(above)], price",
        ),
    ),
    *mistakes(
        f"{LAWS}next_cells.py",
        f"{TESTS}laws/test_growth_rule.py",
        (
            "an expected interval narrows by each cell's share of the first",
            "left = math.prod(1 - cell.narrowing for cell in cells)",
            "left = 1 - sum(cell.narrowing for cell in cells)",
            "test_an_interval_is_expected_to_shrink_by_one_cell_after_the_other",
        ),
    ),
    *mistakes(
        "src/workbench/studies/cell_costs.py",
        f"{TESTS}test_growing.py",
        (
            "a cell's minutes are its seconds",
            '(float(row["size"]), row["seconds"] / 60)',
            '(float(row["size"]), row["seconds"])',
            "test_a_cell_costs_a_fixed_part_and_one_for_each_example",
        ),
    ),
    *mistakes(
        "src/workbench/views/advice.py",
        PLAN,
        (
            "a plan takes more time than there is",
            "        left=minutes,\n",
            "        left=math.inf,\n",
            "test_it_plans_no_more_than_the_time_there_is",
        ),
        (
            "a study that is sure enough trains on",
            "return last.factor if interval.factor <= last.factor else None",
            "return None",
            "test_a_study_that_is_as_sure_as_was_asked_has_nothing_to_train",
        ),
        (
            "a plan asks for more records than there are",
            "max(max(sizes), min(largest, there_are)) if there_are else largest",
            "largest",
            "test_its_first_cells_are_those_that_its_command_trains_first",
        ),
    ),
    *mistakes(
        "src/workbench/views/buying.py",
        PLAN,
        (
            "hours are counted as if training took no time for an example",
            "TrainingTime(time.fixed, time.each)",
            "TrainingTime(time.fixed, 0.0)",
            "test_hours_come_from_the_study_s_own_cells",
        ),
    ),
    *mistakes(
        "src/workbench/studies/command.py",
        PLAN,
        (
            "a setting is left out of the command",
            '"targets", "learning_rate",',
            '"targets",',
            "test_its_command_is_read_as_the_study_it_goes_on_with",
        ),
        (
            "the command is not quoted",
            'return shlex.join(map(str, words)), ""',
            'return " ".join(map(str, words)), ""',
            "test_its_command_is_read_as_the_study_it_goes_on_with",
        ),
    ),
]
