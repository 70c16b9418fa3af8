"""Mistakes in what a reader is shown: places of labels, lines of figures, rounded numbers, a game's purse."""

from mistakes_list import mistakes

VIEWS, TESTS = "src/workbench/views/", "tests/workbench/views/"
NUMBERS = f"{TESTS}test_numbers_shown.py"

MISTAKES = [
    *mistakes(
        f"{VIEWS}figures.py",
        f"{TESTS}test_figures.py",
        ("labels overlap at the top", "top = moved[index] - gap", "top = moved[index] - 0"),
        (
            "labels pass the top of the panel",
            "moved[index] = min(places[index], top)",
            "moved[index] = places[index]",
        ),
        (
            "labels are moved apart by half their height",
            "while len(blocks) > 1 and _top(blocks[-2], places, gap) + gap >",
            "while len(blocks) > 1 and _top(blocks[-2], places, gap) + gap / 2 >",
        ),
        (
            "a label stands beside another line's end",
            "for index, (quality, place) in enumerate(zip(lines, places, strict=True)):",
            "for index, (quality, place) in enumerate(zip(lines, places[::-1], strict=True)):",
        ),
        ("a zero-shot loss twice the others is an arrow", "FAR = 10.0", "FAR = 2.0"),
        (
            "a law is drawn whole where nothing was measured",
            'law.size[inside - 1 :], law.middle[inside - 1 :], "--"',
            'law.size[inside - 1 :], law.middle[inside - 1 :], "-"',
        ),
        (
            "a band of seeds ends at their mean",
            "axes.fill_between(sizes, low, high, color",
            "axes.fill_between(sizes, [p.mean for p in line], high, color",
        ),
    ),
    *mistakes(
        f"{VIEWS}law_figures.py",
        f"{TESTS}test_law_figures.py",
        (
            "not reached is hatched from one in four on",
            "rates.not_reached >= 0.5",
            "rates.not_reached >= 0.25",
        ),
        (
            "the hatch begins at the size itself",
            "np.sqrt(rates.size[first] * rates.size[first - 1])",
            "rates.size[first]",
        ),
        (
            "a rate's band is drawn from its middle",
            "np.minimum(rates.low, top),",
            "np.minimum(rates.median, top),",
        ),
        (
            "a rate's bars end at its middle",
            "np.minimum(rates.high[shown], top)",
            "np.minimum(rates.median[shown], top)",
        ),
        (
            "a law is drawn through its first draw",
            'axes.plot(grid, draws.fit.predict({"size": grid})',
            'axes.plot(grid, draws.predict({"size": grid})[0]',
        ),
        ("residuals of one quality are drawn for all", "fit.residual[own]", "fit.residual[: own.sum()]"),
        ("two standard deviations are one", "axes.axhspan(-2, 2,", "axes.axhspan(-1, 1,"),
        (
            "contours have their axes swapped",
            "fit.predict(inputs).reshape(mesh_size.shape)",
            "fit.predict(inputs).reshape(mesh_size.shape).T",
        ),
        (
            "the worst forecast stands on top",
            "enumerate(reversed(forecast.scores))",
            "enumerate(forecast.scores)",
        ),
        ("a surface's sizes are mixed up", "getattr(curve, end)[j]", "getattr(curve, end)[0]"),
        (
            "a profile's line is at twice its threshold",
            "axes.axhline(profile.threshold,",
            "axes.axhline(2 * profile.threshold,",
        ),
    ),
    *mistakes(
        f"{VIEWS}points.py",
        f"{NUMBERS} {TESTS}test_figures.py",
        ("a point is the middle of its range", "mean=fmean(seeds)", "mean=(min(seeds) + max(seeds)) / 2"),
        (
            "failed cells are points",
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
        ("a rate that is no bound is called one", "curve.at_most[at] > 0.5", "curve.at_most[at] >= 0.5"),
        ("draws show what is certain", "if probability > 0.99", "if probability > 2"),
        ("a rate has one digit", "{float(value):.2g}", "{float(value):.1g}"),
    ),
    *mistakes(
        f"{VIEWS}budget.py",
        NUMBERS,
        ("the purse's shares are swapped", "(1 - share) * given.coins", "share * given.coins"),
        ("cleaning costs one coin", "share * given.coins / given.clean_price", "share * given.coins"),
        ("a game reads beyond the largest size", "float(self.largest))", "1e9)"),
        (
            "a game scores cleaned examples as a share of those at hand",
            "cleaned / size *",
            "cleaned / given.examples *",
        ),
        (
            "the best loss of a game is its largest",
            "(min if self.study.falling else max)",
            "(max if self.study.falling else min)",
        ),
    ),
    *mistakes(
        f"{VIEWS}words.py",
        NUMBERS,
        ("an hour has 100 minutes", "{seconds / 3600:.1f} h", "{seconds / 6000:.1f} h"),
        ("a GiB is a GB", "{count / 2**30:.1f} GiB", "{count / 1e9:.1f} GiB"),
    ),
    *mistakes(
        f"{VIEWS}lesson_figures.py",
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
        (
            "ink is dark on dark",
            'ink = "black" if bright else "white"',
            'ink = "white" if bright else "black"',
        ),
    ),
    *mistakes(
        f"{VIEWS}report.py",
        f"{TESTS}test_report.py",
        ("a cost's ratio is the other way round", "{one / two:.2f}", "{two / one:.2f}"),
    ),
]
