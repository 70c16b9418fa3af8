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
]
