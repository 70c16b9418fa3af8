"""Mistakes in what a page shows of a study that trains: words, curves, maps."""

from mistakes_list import mistakes

SAID = "tests/workbench/studies/test_said.py"
JOBS = "tests/workbench/views/widgets/test_job_view.py"

MISTAKES = [
    *mistakes(
        "src/workbench/studies/said.py",
        SAID,
        (
            "the smallest model is asked",
            "if cell.size > cells[held].size",
            "if cell.size < cells[held].size",
            "test_the_first_of_the_largest_of_each_quality_is_asked",
        ),
        (
            "only the first records are asked about",
            "[place * whole // count for place in range(count)]",
            "[place for place in range(count)]",
            "test_records_are_spread_evenly",
        ),
        (
            "a verdict is the label beside the likeliest",
            "[record.choices[place].strip()",
            "[record.choices[place - 1].strip()",
            "test_verdicts_are_the_likeliest_labels",
        ),
        (
            "looks may take any time",
            "return self.spent + self.last <= MOST_SHARE * whole",
            "return True",
            "test_what_takes_too_long_is_left_out_but_for_the_ends",
        ),
        (
            "models are asked as they were before training",
            "        self.stack.weights = state.weights[self.rows]\n",
            "",
            "test_words_are_right_where_the_evaluation_says_so",
        ),
        (
            "looks stop after the fifth step",
            "and tens & (tens - 1) == 0)",
            "and tens & (tens - 1) == 1)",
            "test_steps_are_dense_at_first_and_the_last_one_counts",
        ),
    ),
    *mistakes(
        "src/workbench/lessons/of_cells.py",
        "tests/workbench/lessons/test_of_cells.py",
        ("a loss at the end is that of the beginning", "[-LAST_STEPS:]", "[:LAST_STEPS]"),
        ("one seed stands for all", "for seed in results.study.seeds]", "for seed in (0,)]"),
    ),
    *mistakes(
        "src/workbench/lessons/chance.py",
        "tests/workbench/lessons/test_chance.py",
        ("chance leaves nothing for which form it is", "(sides + forms)", "(sides)"),
        ("the right answers are spoiled", "forms = (1 - share)", "forms = share"),
    ),
    *mistakes(
        "src/workbench/studies/answered.py",
        "tests/workbench/views/widgets/test_heldout_answers.py",
        (
            "a right answer is shown where a wrong one was given",
            "            answers[place] = text\n",
            "            pass\n",
            "test_answers_are_wrong_where_the_study_says_so",
        ),
        (
            "the bare base answers",
            "    stack.load(0, tensors)\n",
            "",
            "test_answers_are_wrong_where_the_study_says_so",
        ),
    ),
    *mistakes(
        "src/workbench/studies/answered.py",
        SAID,
        (
            "the verdict is the wrong label where it was right",
            "(record.response if right else _other(record))",
            "(_other(record) if right else record.response)",
            "test_verdicts_are_the_likeliest_labels",
        ),
    ),
    *mistakes(
        "src/workbench/studies/background.py",
        SAID,
        (
            "a job forgets that its models are to be asked",
            "watcher=SaidRecorder(say, said.write) if say else None",
            "watcher=None",
            "test_a_job_asks_where_it_was_asked_to_and_says_so",
        ),
    ),
    *mistakes(
        "src/workbench/views/widgets/live.py",
        JOBS,
        (
            "an earlier word counts",
            'self._answers[line["step"]] = line["said"]',
            'self._answers.setdefault(line["step"], line["said"])',
            "test_live_shows_what_was_said_and_loses_nothing",
        ),
        (
            "words of another stack stay",
            "                    self._answers = {}\n",
            "                    pass\n",
            "test_live_shows_what_was_said_and_loses_nothing",
        ),
    ),
    *mistakes(
        "src/workbench/views/widgets/job_view.py",
        JOBS,
        (
            "training again asks nothing",
            "BackgroundRun.start(Study.from_dict(configuration), folder, say)",
            "BackgroundRun.start(Study.from_dict(configuration), folder)",
            "test_a_finished_job_trains_again_and_what_it_made_is_kept",
        ),
    ),
]
