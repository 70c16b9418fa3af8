"""Mistakes in what is moved by hand in the first lessons: lines, levels, ranks, and progress."""

from mistakes_list import mistakes

WIDGETS = "src/workbench/lessons/widgets/"
TESTS = "tests/workbench/views/widgets/test_hands.py"

MISTAKES = [
    *mistakes(
        f"{WIDGETS}cross_out.py",
        TESTS,
        (
            "the smallest loss stands on top",
            "np.argsort(-values",
            "np.argsort(values",
            "test_the_largest_loss_is_on_top_and_the_line_leaves_the_rest",
        ),
        (
            "a row that is put back by hand stays out",
            "set(range(self.line)) ^ set(self.by_hand)",
            "set(range(self.line)) | set(self.by_hand)",
            "test_the_largest_loss_is_on_top_and_the_line_leaves_the_rest",
        ),
        (
            "what is left are rows of the list, not places in the records",
            "return sorted(place for row, place",
            "return sorted(row for row, place",
            "test_the_largest_loss_is_on_top_and_the_line_leaves_the_rest",
        ),
        (
            "the best line is the worst",
            "best=mistakes.index(min(mistakes))",
            "best=mistakes.index(max(mistakes))",
            "test_the_best_line_makes_the_fewest_mistakes",
        ),
        (
            "a picture tells who was spoiled before people ask",
            'spoiled=[row["spoiled"] for row in self.rows] if self.told else None',
            'spoiled=[row["spoiled"] for row in self.rows]',
            "test_who_was_spoiled_is_in_no_picture_and_no_words_before_it_is_told",
        ),
        (
            "a list by hand tells who was spoiled before people ask",
            'if self.told and row["spoiled"] else',
            'if row["spoiled"] else',
            "test_who_was_spoiled_is_in_no_picture_and_no_words_before_it_is_told",
        ),
    ),
    *mistakes(
        f"{WIDGETS}damage.py",
        f"{TESTS}::test_damage_shows_at_each_share_what_a_cell_would_train_on",
        ("the share of the dial is what is spoiled", "share=right / 10", "share=1 - right / 10"),
        (
            "a copy keeps what its example was at a lower rate",
            "before != [one.prompt, one.response]",
            "before is None",
        ),
    ),
    *mistakes(
        "src/workbench/lessons/figures.py",
        f"{TESTS}::test_pairs_told_apart_are_those_of_the_rank_test",
        ("equal losses are told apart", "0.5 * (ahead == 0)", "1.0 * (ahead == 0)"),
    ),
    *mistakes(
        "src/workbench/lessons/waiting.py",
        TESTS,
        (
            "the time left is the time that has passed",
            "(now - begun) * (1 - share) / share",
            "(now - begun)",
            "test_the_time_left_is_in_proportion",
        ),
        (
            "work that failed is done",
            '": stopped"',
            '": done"',
            "test_work_that_fails_says_that_it_stopped",
        ),
    ),
    *mistakes(
        "src/workbench/lessons/ranks.py",
        "tests/workbench/lessons/test_ranks.py",
        (
            "a cut adapter keeps the scale of the whole",
            "alpha=cell.alpha * r / cell.rank",
            "alpha=cell.alpha",
            "test_a_cut_is_the_nearest_change_of_its_rank",
        ),
        (
            "a cut keeps the smallest directions",
            "(outer @ right.T)[:rank]",
            "(outer @ right.T)[-rank:]",
            "test_a_cut_is_the_nearest_change_of_its_rank",
        ),
        (
            "the base alone is asked with an adapter",
            "one = next(cuts) if rank else None",
            "one = next(cuts)",
            "test_each_rank_is_asked_with_its_own_cut",
        ),
        (
            "a page's directions have the square of their sizes",
            "roots = np.sqrt(sizes[:most])",
            "roots = sizes[:most]",
            "test_a_page_gets_directions_that_add_up_to_the_matrix",
        ),
    ),
    *mistakes(
        "src/workbench/lessons/exercises.py",
        "tests/workbench/lessons/test_exercises.py::test_hard_exercises_are_counted_apart",
        (
            "hard exercises count against the score",
            "return sum(not verdict.hard for verdict in self.verdicts)",
            "return len(self.verdicts)",
        ),
    ),
    *mistakes(
        "src/workbench/lessons/workshop.py",
        "tests/workbench/lessons/test_workshop.py",
        (
            "a solution's copy keeps its solution folded",
            "found[1] if found else",
            "cell.source if found else",
            "test_a_folded_solution_is_cut_as_an_open_one",
        ),
    ),
    *mistakes(
        "src/workbench/lessons/codebooks.py",
        "tests/workbench/lessons/test_codebooks.py",
        (
            "weights are counted one bin too far",
            "np.rint((np.clip(values, -1, 1) + 1) / 2 * (LEVEL_BINS - 1))",
            "np.ceil((np.clip(values, -1, 1) + 1) / 2 * (LEVEL_BINS - 1))",
            "test_counting_loses_nothing_and_the_ends_are_bins",
        ),
        (
            "the error is that of a weight that takes the next level above",
            "(levels[1:] + levels[:-1]) / 2",
            "levels[:-1]",
            "test_the_error_is_that_of_the_weights_themselves",
        ),
        (
            "a level moves to the middle of its bins, whatever lies in them",
            "np.bincount(taken, counts * middles, len(levels))",
            "np.bincount(taken, middles, len(levels)) * weight / np.bincount(taken, minlength=len(levels))",
            "test_no_search_finds_better_levels",
        ),
        (
            "of several starts the worst end is taken",
            "return min(ended",
            "return max(ended",
            "test_of_several_starts_the_best_end_is_taken",
        ),
    ),
    *mistakes(
        f"{WIDGETS}levels.py",
        "tests/workbench/lessons/test_codebooks.py",
        (
            "a picture shows the best levels before people ask",
            'self.best["levels"] if self.told else None',
            'self.best["levels"]',
            "test_levels_begin_with_the_first_and_hide_the_best",
        ),
    ),
]
