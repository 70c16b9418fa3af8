"""Mistakes in what a reader is shown: places of labels, lines of figures, rounded numbers, a game's purse."""

from mistakes_list import mistakes

VIEWS, TESTS = "src/workbench/views/", "tests/workbench/views/"
LESSONS = "src/workbench/lessons/"
NUMBERS = f"{TESTS}test_numbers_shown.py"
FIGURES = f"{TESTS}test_figures.py"
LAWS = f"{TESTS}test_law_figures.py"

MISTAKES = [
    *mistakes(
        "src/workbench/showing.py",
        "tests/workbench/test_showing.py",
        (
            "numbers of a table begin below each other",
            "if numbers and place else",
            "if not numbers and place else",
            "test_columns_of_a_table_begin_below_each_other_and_numbers_end_so",
        ),
        (
            "the first column of a table of numbers ends below each other",
            "if numbers and place else",
            "if numbers else",
            "test_columns_of_a_table_begin_below_each_other_and_numbers_end_so",
        ),
    ),
    *mistakes(
        "src/workbench/views/answers.py",
        "tests/workbench/views/test_answers.py",
        ("a report doesn't say which sizes overfit", "if overfitting else found", "if False else found"),
    ),
    *mistakes(
        "src/workbench/views/overfitting.py",
        "tests/workbench/views/test_answers.py",
        (
            "the loss that was reached is that before training",
            "heldout=(float(before), float(row[metric]))",
            "heldout=(float(before), float(before))",
        ),
    ),
    *mistakes(
        f"{VIEWS}figures.py",
        f"{FIGURES}::test_labels_stay_below_the_top_and_are_moved_down_no_further",
        ("labels overlap at the top", "top = moved[index] - gap", "top = moved[index] - 0"),
        (
            "labels pass the top of the panel",
            "moved[index] = min(places[index], top)",
            "moved[index] = places[index]",
        ),
    ),
    *mistakes(
        f"{VIEWS}figures.py",
        f"{FIGURES}::test_labels_are_moved_apart_and_no_further",
        (
            "labels are moved apart by half their height",
            "_top(blocks[-2], places, gap) + gap >",
            "_top(blocks[-2], places, gap) + gap / 2 >",
        ),
    ),
    *mistakes(
        f"{VIEWS}figures.py",
        f"{FIGURES}::test_labels_at_the_top_of_a_panel_do_not_overlap",
        (
            "labels are placed as if they had no height",
            "places = below(height, spread(wanted, 1.2 * LABEL_POINTS), 1.2 * LABEL_POINTS)",
            "places = below(height, spread(wanted, 0.1), 0.1)",
        ),
    ),
    *mistakes(
        f"{VIEWS}figures.py",
        f"{FIGURES}::test_each_label_stands_beside_the_end_of_its_own_line",
        (
            "a label stands beside another line's end",
            "enumerate(zip(lines, places, strict=True)):",
            "enumerate(zip(lines, places[::-1], strict=True)):",
        ),
    ),
    *mistakes(
        f"{VIEWS}figures.py",
        f"{FIGURES}::test_a_zero_shot_loss_up_to_ten_times_the_others_has_its_line",
        ("a zero-shot loss twice the others is an arrow", "FAR = 10.0", "FAR = 2.0"),
    ),
    *mistakes(
        f"{VIEWS}figures.py",
        f"{FIGURES}::test_a_law_is_dashed_beyond_the_largest_size_measured",
        (
            "a law is drawn whole where nothing was measured",
            'law.size[inside - 1 :], law.middle[inside - 1 :], "--"',
            'law.size[inside - 1 :], law.middle[inside - 1 :], "-"',
        ),
    ),
    *mistakes(
        f"{VIEWS}figures.py",
        f"{FIGURES}::test_the_band_is_the_range_of_the_seeds",
        (
            "a band of seeds begins at their mean",
            "axes.fill_between(sizes, low, high, color",
            "axes.fill_between(sizes, [p.mean for p in line], high, color",
        ),
    ),
    *mistakes(
        f"{VIEWS}law_figures.py",
        f"{LAWS}::test_the_never_region_is_marked {LAWS}::test_where_all_is_reached_nothing_is_hatched",
        (
            "the hatch begins at the size itself",
            "np.sqrt(rates.size[first] * rates.size[first - 1])",
            "rates.size[first]",
        ),
    ),
    *mistakes(
        f"{VIEWS}law_figures.py",
        f"{LAWS}::test_the_rate_is_a_line_with_its_band_and_points_with_their_bars",
    ),
    *mistakes(
        f"{VIEWS}law_figures.py",
        f"{LAWS}::test_a_law_runs_through_its_measurements_with_the_bootstraps_band",
        (
            "a law is drawn through its first draw",
            'axes.plot(grid, resamples.fit.predict({"size": grid})',
            'axes.plot(grid, resamples.predict({"size": grid})[0]',
        ),
    ),
    *mistakes(
        f"{VIEWS}law_figures.py",
        f"{LAWS}::test_residuals_are_drawn_by_quality_in_units_of_the_noise",
        ("residuals of one quality are drawn for all", "fit.residual[own]", "fit.residual[: own.sum()]"),
        ("two standard deviations are one", "axes.axhspan(-2, 2,", "axes.axhspan(-1, 1,"),
    ),
    *mistakes(
        f"{VIEWS}law_figures.py",
        f"{LAWS}::test_every_contour_is_where_the_law_has_its_value",
        (
            "contours have their axes swapped",
            "fit.predict(inputs).reshape(mesh_size.shape)",
            "fit.predict(inputs).reshape(mesh_size.shape).T",
        ),
    ),
    *mistakes(
        f"{VIEWS}law_figures.py",
        f"{LAWS}::test_the_best_forecast_stands_on_top_with_its_interval",
        (
            "the worst forecast stands on top",
            "enumerate(reversed(forecast.scores))",
            "enumerate(forecast.scores)",
        ),
    ),
    *mistakes(
        f"{VIEWS}law_figures.py",
        f"{LAWS}::test_a_surface_has_one_line_a_size_that_ends_where_nothing_is_enough",
        ("a surface's sizes are mixed up", "getattr(curve, end)[j]", "getattr(curve, end)[0]"),
    ),
    *mistakes(
        f"{VIEWS}law_figures.py",
        f"{LAWS}::test_a_profile_is_drawn_with_the_line_that_ends_its_interval",
        (
            "a profile's line is at twice its threshold",
            "axes.axhline(profile.threshold,",
            "axes.axhline(2 * profile.threshold,",
        ),
    ),
    *mistakes(
        f"{VIEWS}points.py",
        f"{NUMBERS} {FIGURES}::test_a_failed_cell_is_no_point",
        ("a point is the middle of its range", "mean=fmean(seeds)", "mean=(min(seeds) + max(seeds)) / 2"),
        (
            "cells that failed are points",
            'row["status"] == "done" and row["size"] > 0 and is',
            'row["size"] > 0 and is',
        ),
        ("a small metric is 0.000", "0.0005 <= abs(value)", "0.0 <= abs(value)"),
    ),
    *mistakes(
        f"{VIEWS}answers.py",
        NUMBERS,
        ("few right answers lead the answer", "FEW_RIGHT = 0.1", "FEW_RIGHT = 0.01"),
        ("the metrics that tell least come first", "not _tells(metric, rows))", "_tells(metric, rows))"),
    ),
    *mistakes(
        f"{LESSONS}budget.py",
        NUMBERS,
        ("the purse's shares are swapped", "(1 - share) * given.coins", "share * given.coins"),
        ("cleaning costs one coin", "share * given.coins / given.clean_price", "share * given.coins"),
        ("a game reads beyond the largest size", "float(self.largest))", "1e9)"),
        (
            "a game scores cleaned examples as a share of those at hand",
            "self.worse: size - cleaned, self.clean",
            "self.worse: given.examples - cleaned, self.clean",
        ),
        (
            "the best loss of a game is its largest",
            "(min if self.analysis.falling else max)",
            "(max if self.analysis.falling else min)",
        ),
    ),
    *mistakes(
        f"{VIEWS}words.py",
        NUMBERS,
        ("an hour has 100 minutes", "{seconds / 3600:.1f} h", "{seconds / 6000:.1f} h"),
        ("a GiB is a GB", "{count / 2**30:.1f} GiB", "{count / 1e9:.1f} GiB"),
    ),
    *mistakes(
        f"{LESSONS}figures.py",
        NUMBERS,
        (
            "directions hold their share of the size, not of its square",
            "compute_uv=False) ** 2",
            "compute_uv=False)",
        ),
    ),
    *mistakes(
        f"{VIEWS}board_figures.py",
        NUMBERS,
        (
            "a heat map has its rows for columns",
            "axes.text(column, row, words",
            "axes.text(row, column, words",
        ),
        ("ink is dark on dark", "ink = ON_BRIGHT if bright", "ink = ON_BRIGHT if not bright"),
    ),
    *mistakes(
        f"{VIEWS}report.py",
        f"{TESTS}test_report.py",
        ("a cost's ratio is the other way round", "{one / two:.2f}", "{two / one:.2f}"),
    ),
    *mistakes(
        "src/workbench/views/law_figures.py",
        "tests/workbench/views/test_law_figures.py",
        (
            "not reached is hatched from one in two on",
            "(lost := never_enough(answer))",
            "(lost := rates.not_reached >= LEVEL / 2)",
        ),
        (
            "a rate's band begins at its middle",
            "np.clip(rates.low, least, top)",
            "np.clip(rates.median, least, top)",
        ),
        (
            "a low end that is open is drawn at 0",
            "np.clip(rates.low, least, top)",
            "np.clip(rates.low, 0, top)",
        ),
    ),
    *mistakes(
        "src/workbench/laws/claims.py",
        "tests/workbench/views/test_numbers_shown.py",
        (
            "not reached is said from one in two on",
            "(answer.rates.not_reached >= _sure(answer)) &",
            "(answer.rates.not_reached >= LEVEL / 2) &",
        ),
        (
            "not reached is said of sizes of which no more was tried",
            "_sure(answer)) & (answer.tried >= TWICE * answer.rates.size)",
            "_sure(answer)) & (answer.tried >= 0 * answer.rates.size)",
        ),
        ("an open end is told as a number", "if low == 0 or math.isinf(high):", "if math.isinf(high):"),
        (
            "a bound below what was tried is told as 0",
            "most = high or answer.smallest / curve.size[at]",
            "most = high",
        ),
    ),
    *mistakes(
        "src/workbench/laws/in_words.py",
        "tests/workbench/views/test_numbers_shown.py",
        ("draws show what is certain", "if probability > 0.99", "if probability > 2"),
        ("a rate has one digit", 'text = f"{value:.2g}"', 'text = f"{value:.1g}"'),
        ("a rate beside 1 is told as 1", "if float(t) != 1 or value == 1", "if True"),
        ("a part of a unit is told as 0", 'else f"{size:.3g}"', 'else f"{size:,.0f}"'),
    ),
    *mistakes(
        "src/workbench/laws/claims.py",
        "tests/workbench/laws/test_wording_values.py",
        (
            "the sides of a crossing are swapped",
            "if answer.crossing.reference_below else",
            "if not answer.crossing.reference_below else",
        ),
    ),
]
