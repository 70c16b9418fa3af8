"""Mistakes in what filters are compared with, and in what their scoring costs."""

from mistakes_list import mistakes

VIEW = "tests/workbench/views/test_filters.py"

MISTAKES = [
    *mistakes(
        "src/workbench/data/matching.py",
        "tests/workbench/data/test_matching.py",
        (
            "the control has the lengths of all records",
            "lengths = [tokens[record.id] for record in picks]",
            "lengths = [tokens[record.id] for record in everyone]",
        ),
        (
            "the control takes the last of its length first",
            "for record in reversed(everyone):",
            "for record in everyone:",
            "test_within_a_length_the_control_is_what_chance_draws_first",
        ),
        (
            "the control has records longer than any of the picks",
            "if least <= tokens[record.id] <= most:",
            "if least <= tokens[record.id]:",
            "test_none_is_longer_or_shorter_than_all_of_the_picks",
        ),
    ),
    *mistakes(
        "src/workbench/scoring/planted.py",
        "tests/workbench/test_filtering.py",
        (
            "equal scores count as found",
            "float(mannwhitneyu(ones, others).statistic) / (len(ones) * len(others))",
            "float((ones[:, None] >= others).mean())",
            "test_the_area_is_the_share_of_pairs",
        ),
    ),
    *mistakes(
        "src/workbench/filtering/__init__.py",
        "tests/workbench/test_filtering.py",
        (
            "the AUC has the wrong side where the top is kept",
            'else 1 - auc if end == "top" else auc',
            'else auc if end == "top" else 1 - auc',
            "test_a_scorer_that_sees_the_damage_finds_all_of_it",
        ),
        (
            "records that are too long stay in the scored file",
            "without={one.place for one in long}",
            "without=()",
            "test_long_records_are_refused_or_left_out",
        ),
    ),
    *mistakes(
        "src/workbench/filtering/asked.py",
        "tests/workbench/test_filtering.py",
        (
            "one end alone where none is known",
            'good.get(SCORERS[name].good, ("top", "bottom"))',
            'good.get(SCORERS[name].good, ("top",))',
            "test_both_ends_where_none_is_known",
        ),
    ),
    *mistakes(
        "src/workbench/filtering/cells.py",
        "tests/workbench/test_filtering.py",
        (
            "the tokens of all seeds are added",
            '"tokens": sum(tokens) / len(tokens)',
            '"tokens": sum(tokens)',
            "test_from_a_file_to_an_answer",
        ),
        (
            "the share that is advised is too small",
            "needed = int(np.ceil(100 * largest / everything))",
            "needed = int(100 * largest / everything)",
            "test_what_is_refused",
        ),
    ),
    *mistakes(
        "src/workbench/views/filters.py",
        VIEW,
        (
            "scoring is counted for what is kept alone",
            "return one.seconds / facts.records / (facts.keep / 100)",
            "return one.seconds / facts.records",
            "test_rates_and_times_are_those_by_hand",
        ),
        (
            "evaluation counts as training",
            "training = None if cost is None else 60 * cost.each",
            "training = None if cost is None else 60 * cost(100) / 100",
            "test_rates_and_times_are_those_by_hand",
        ),
        (
            "the training of what is kept costs nothing",
            "return 1 + self.scoring / self.training",
            "return self.scoring / self.training",
            "test_rates_and_times_are_those_by_hand",
        ),
        (
            "the ends of the interval cost nothing",
            'ENDS = ("median", "low", "high", "sure_low", "sure_high")',
            'ENDS = ("median",)',
            "test_intervals_take_the_price_too",
        ),
        (
            "scoring is paid at each training",
            "return rate * (one.price - 1) / (1 - rate)",
            "return rate * one.price / (1 - rate)",
            "test_trainings_that_pay_are_where_both_sides_take_as_long",
        ),
        (
            "the control is compared the other way round",
            "same_lengths=_rate(analysis, one.control, one.pool),",
            "same_lengths=_rate(analysis, one.pool, one.control or one.pool),",
            "test_rates_and_times_are_those_by_hand",
        ),
        (
            "sizes in tokens are sizes in examples",
            '{**row, "size": tokens[row["quality"], row["size"]]} if',
            "row if",
            "test_rates_and_times_are_those_by_hand",
        ),
    ),
    *mistakes(
        "src/workbench/views/filter_figures.py",
        VIEW,
        (
            "the axis leaves out scoring",
            "training + (one.scoring or 0.0), number, one.name",
            "training, number, one.name",
            "test_the_figure_has_scoring_on_its_axis",
        ),
    ),
]
