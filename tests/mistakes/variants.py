"""Mistakes in studies of several bases or settings: their cells, tables, answers and figures."""

from mistakes_list import mistakes

STUDIES = "tests/workbench/studies/test_variants.py"
VIEWS = "tests/workbench/views/test_variants.py"
LAWS = "tests/workbench/laws/test_variants.py"

MISTAKES = [
    *mistakes(
        "src/workbench/studies/variants.py",
        STUDIES,
        (
            "epochs vary beside a number of steps",
            '        found["steps"] = None\n',
            "        pass\n",
            "test_epochs_vary_instead_of_steps",
        ),
        (
            "one value is an axis",
            "if len(values) < 2:",
            "if len(values) < 1:",
            "test_what_cannot_vary_is_refused",
        ),
        (
            "bases of one file's name share a label",
            "name if counts[name] == 1 else base",
            "name",
            "test_labels_of_bases_are_short_and_different",
        ),
        (
            "a setting is given for all and varies",
            "        if name in settings:\n",
            "        if name in ():\n",
            "test_a_setting_is_given_once",
        ),
    ),
    *mistakes(
        "src/workbench/studies/parts.py",
        STUDIES,
        (
            "one base stands under two names",
            'if known and known["asked"] != base:',
            "if False:",
            "test_one_base_twice_is_refused",
        ),
        (
            "bases are trained on different records",
            "        if not same or plan.study.sizes",
            "        if plan.study.sizes",
            "test_bases_that_read_different_records_are_refused",
        ),
    ),
    *mistakes(
        "src/workbench/studies/identity.py",
        STUDIES,
        (
            "a base that a folder has is left out",
            "if held.further_bases and not whole.further_bases:",
            "if False:",
            "test_axes_grow_and_are_not_dropped",
        ),
    ),
    *mistakes(
        "src/workbench/studies/disk/variant_rows.py",
        VIEWS,
        (
            "every base has the first one's line without an adapter",
            "if base_sha256 == manifest.base.sha256 and",
            "if base_sha256 and",
            "test_the_table_says_the_variant_and_the_model",
        ),
        (
            "the model's size is that of the first base",
            'base = manifest.base_of(cells[row["key"]].base_sha256)',
            "base = manifest.bases[0] if manifest.bases else manifest.base",
            "test_the_table_says_the_variant_and_the_model",
        ),
    ),
    *mistakes(
        "src/workbench/views/variants.py",
        VIEWS,
        (
            "losses of other tokens are compared",
            "for key in store.zero_shots()}) > 1:",
            "for key in store.zero_shots()}) > 9:",
            "test_losses_of_other_tokens_are_not_compared",
        ),
        (
            "a joint law of bases takes a rank for noise",
            "    if manifest.study.parsed().vary:\n",
            "    if False:\n",
            "test_bases_and_settings_together_have_no_joint_law",
        ),
    ),
    *mistakes(
        "src/workbench/views/figures.py",
        VIEWS,
        (
            "each variant has axes of its own",
            "axes.set_ylim(min(lows), max(highs))",
            "axes.set_ylim(*axes.get_ylim())",
            "test_the_figure_has_a_row_for_each_variant",
        ),
    ),
    *mistakes(
        "src/workbench/laws/variants.py",
        LAWS,
        (
            "what nothing reaches has intervals that overlap",
            "if all(np.isinf(_ends(rate, self.at)[0]) for rate",
            "if not all(True for rate",
            "test_rates_that_nothing_reaches_have_no_intervals_to_overlap",
        ),
        (
            "rates differ whose intervals overlap",
            "if low > other_high:",
            "if low > other_low:",
            "test_intervals_that_do_not_overlap_are_told_apart",
        ),
        (
            "the smaller rate is called the larger",
            "apart.append((two, one))",
            "apart.append((one, two))",
            "test_not_reached_is_above_every_rate",
        ),
    ),
    *mistakes(
        "src/workbench/laws/model_size.py",
        LAWS,
        (
            "what is clean already counts as cleaned",
            "np.where(found == 0, 0.0, found - share)",
            "np.where(found == 0, 0.0, found)",
            "test_a_planted_exchange_is_recovered",
        ),
        (
            "the larger base has clean data",
            "np.array([larger]), np.array([share]))",
            "np.array([larger]), np.array([1.0]))",
            "test_a_planted_exchange_is_recovered",
        ),
        (
            "a law speaks that forecasts nothing",
            "if best.is_baseline or told.chosen_law is None:",
            "if told.chosen_law is None:",
            "test_no_law_speaks_where_none_forecasts",
        ),
    ),
]
