"""Mistakes in what a class guesses and scores: what is kept, whose, when the truth is shown, who is first."""

from mistakes_list import mistakes

LESSONS, TESTS = "src/workbench/lessons/", "tests/workbench/lessons/"
CLASS = f"{TESTS}test_class.py"
GUESSES = f"{TESTS}test_guesses.py"
WIDGETS = "tests/workbench/views/widgets/"
LOGIC = f"{WIDGETS}test_logic.py"

MISTAKES = [
    *mistakes(
        "src/workbench/classmates.py",
        "tests/workbench/test_classmates.py",
        (
            "a class that is gone is made anew",
            "        require_class_folder(self.folder)\n",
            "",
            "test_a_folder_that_is_gone_is_said_and_not_made_anew",
        ),
        (
            "two long names share a file",
            '-{sha256(person.encode()).hexdigest()[:8]}"',
            '"',
            "test_each_name_has_a_file_of_its_own",
        ),
        (
            "a name with a slash leaves the folder",
            'quote(person, safe=" ")',
            'quote(person, safe=" /")',
            "test_each_name_has_a_file_of_its_own",
        ),
        (
            "a file without a last newline joins two lines",
            'before += b"\\n"',
            'before += b""',
            "test_a_line_after_one_that_was_cut",
        ),
        (
            "the last guess of a person counts",
            ".setdefault(guess.person, guess)",
            ".update({guess.person: guess})",
            "test_what_a_person_guesses_first_counts",
        ),
        (
            "guesses at other truths are mixed",
            "if json.dumps(one.truth, sort_keys=True) == most]",
            "if most]",
            "test_guesses_at_another_truth_are_left_out",
        ),
        (
            "one's own guess is among the others'",
            "if one.person != own.person]",
            "]",
            "test_each_name_has_a_file_of_its_own",
        ),
        (
            "a line of a guess may be no number",
            "isinstance(value, int | float) and not isinstance(value, bool)",
            "isinstance(value, int | float)",
            "test_a_damaged_line_is_one_sentence_and_the_others_are_read",
        ),
        (
            "an order may hold an item twice",
            "sorted(items) == sorted(guess.truth)",
            "set(items) == set(guess.truth)",
            "test_a_damaged_line_is_one_sentence_and_the_others_are_read",
        ),
        (
            "equal values count as a wrong pair",
            "sum(values[one] >= values[after]",
            "sum(values[one] > values[after]",
            "test_pairs_and_distances",
        ),
    ),
    *mistakes(
        "src/workbench/views/widgets/guessing.py",
        CLASS,
        (
            "a guess after the truth is kept",
            "if guess and not seen:",
            "if guess:",
            "test_only_what_was_guessed_before_the_truth_is_kept",
        ),
        (
            "a guess without a name is kept",
            "        if not self.name:\n            return\n",
            "",
            "test_only_what_was_guessed_before_the_truth_is_kept",
        ),
        (
            "what others guessed stays for the next guess",
            "            self.others = {}\n            return",
            "            return",
            "test_after_the_truth_each_sees_what_the_others_guessed",
        ),
    ),
    *mistakes(
        f"{LESSONS}guess_figures.py",
        GUESSES,
        (
            "a picture tells the number before it is asked for",
            "        if told:\n            inside",
            "        if True:\n            inside",
            "test_a_picture_of_a_number_has_the_truth_only_once_it_is_told",
        ),
        (
            "a picture tells the order before it is asked for",
            'question["values"][item] if told else 0',
            'question["values"][item]',
            "test_a_picture_of_an_order_has_the_values_only_once_they_are_told",
        ),
    ),
    *mistakes(
        f"{LESSONS}widgets/guess_order.py",
        GUESSES,
        (
            "the first order is the right one",
            "values[one] < values[after]",
            "values[one] >= 0",
            "test_the_first_order_is_by_chance_never_right_and_the_same_each_time",
        ),
    ),
    *mistakes(
        f"{LESSONS}collected_guesses.py",
        CLASS,
        (
            "a spreadsheet computes a name",
            'text.startswith(("=", "+", "-", "@"))',
            "False",
            "test_a_class_is_collected_in_a_table_and_pictures",
        ),
        (
            "the circles of an order are of all places",
            "counts[:, row] == place",
            "counts == place",
            "test_the_pictures_have_the_guesses_and_the_truth",
        ),
    ),
    *mistakes(
        f"{LESSONS}scores.py",
        CLASS,
        (
            "the last game counts",
            "first.setdefault(entry.name, entry)",
            "first.update({entry.name: entry})",
            "test_the_class_has_one_board_and_the_first_game_counts",
        ),
        (
            "another game's scores are on the board",
            'game in ("", entry.game) or not entry.game',
            "entry",
            "test_the_class_has_one_board_and_the_first_game_counts",
        ),
        (
            "equal regrets have two ranks",
            "round(entry.regret, 3)",
            "entry.regret",
            "test_equal_regrets_share_a_rank",
        ),
    ),
    *mistakes(
        f"{LESSONS}budget.py",
        f"{LOGIC}::test_the_price_at_which_it_tips_is_where_both_purchases_give_the_same",
        ("a decision tips where it doesn't", "middle) > 0 else", "middle) > 0.1 else"),
    ),
    *mistakes(
        f"{LESSONS}budget.py",
        CLASS,
        (
            "all games have one board",
            "json.dumps(self.rules(saves=False))",
            "json.dumps(self.rules(saves=False)['metric'])",
            "test_the_class_has_one_board_and_the_first_game_counts",
        ),
    ),
    *mistakes(
        f"{LESSONS}talk.py",
        f"{LOGIC}::test_the_shipped_adapters_answer",
        ("an endless answer looks like one that ended", ">= LONGEST_ANSWER", "> LONGEST_ANSWER"),
    ),
    *mistakes(
        f"{LESSONS}widgets/when_finished.py",
        f"{WIDGETS}test_when_finished.py",
        ("an answer is computed at every look", " and self._asking is None", ""),
        (
            "an answer stays when its study begins anew",
            "            self.forget()\n        elif",
            "            pass\n        elif",
        ),
        (
            "a study that another button goes on with is looked at no more",
            "        super().tick()\n        return True",
            "        return super().tick()",
        ),
    ),
    *mistakes(
        f"{LESSONS}widgets/budget_game.py",
        CLASS,
        (
            "half a game is entered",
            "if self.member and len(self.played) == len(self.game.rounds):",
            "if self.member:",
            "test_the_class_has_one_board_and_the_first_game_counts",
        ),
    ),
]
