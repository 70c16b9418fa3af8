"""Mistakes in what is a duplicate, and in what an audit finds."""

from mistakes_list import mistakes

CHECKS_TEST = "tests/workbench/data/audit/test_checks.py"

MISTAKES = [
    *mistakes(
        "src/workbench/data/duplicates.py",
        "tests/workbench/data/test_duplicates.py",
        (
            "what is nearly a duplicate is not compared exactly",
            "if len(ours & theirs) >= threshold * len(ours | theirs):",
            "if True:",
            "test_near_clusters_are_those_of_brute_force",
        ),
        (
            "similarity is the share of the smaller text",
            "threshold * len(ours | theirs)",
            "threshold * min(len(ours), len(theirs))",
            "test_near_clusters_are_those_of_brute_force",
        ),
        (
            "bands have more rows than the stated misses allow",
            "if (1.0 - threshold**rows) ** (PERMUTATIONS // rows) <= MOST_MISSED",
            "if (1.0 - threshold**rows) ** (PERMUTATIONS // rows) <= 0.5",
            "test_few_pairs_at_the_threshold_are_missed test_the_chance_of_a_miss_is_that_of_the_bands",
        ),
        (
            "case makes two texts of one",
            'return " ".join(text.lower().split())',
            'return " ".join(text.split())',
            "test_exact_duplicates_differ_in_white_space_and_composition_only",
        ),
        (
            "sketches go on from the text before",
            "sketch.clear()",
            "sketch.count()",
            "test_sketches_are_those_of_the_library_one_shingle_at_a_time",
        ),
    ),
    *mistakes(
        "src/workbench/data/audit/copies.py",
        CHECKS_TEST,
        (
            "exact duplicates are near duplicates too",
            "if first != index and exact[index] == index",
            "if first != index",
            "test_a_planted_fault_is_told_once",
        ),
        (
            "a phrase of many prompts is contamination",
            "COMMON = 10",
            "COMMON = 10**9",
            "test_a_phrase_that_many_prompts_hold_is_no_contamination",
        ),
        (
            "one run of words in a longer text makes a copy in one's own file",
            "least=MOST_OF_IT if own else 0.0",
            "least=0.0",
            "test_one_phrase_in_common_is_no_copy_in_ones_own_file",
        ),
        (
            "labels and several answers are one thing",
            "(labels if choices else texts).append(sightings)",
            "(texts if choices else labels).append(sightings)",
            "test_contradictory_labels_are_told_apart_from_several_answers",
        ),
    ),
    *mistakes(
        "src/workbench/data/audit/endings.py",
        CHECKS_TEST,
        (
            "an end mark hides that an answer was cut",
            "[_end(record) for record, _, tail in [*stopped, *(unended if unusual else [])] if tail]",
            "[_end(record) for record, _, tail in stopped if tail]",
            "test_end_marks_on_truncated_rows",
        ),
        (
            "one end mark is padding",
            "twice = len(run) > 1 and run[-1] == run[-2]",
            "twice = len(run) > 0",
            "test_a_planted_fault_is_told_once",
        ),
        (
            "any padding is told as the end mark",
            "if len(set(run)) == 1]",
            "if run]",
            "test_padding_that_is_the_end_mark_is_told_apart",
        ),
        (
            "a base's own marks are not looked for",
            "if subject.base is None:",
            "if True:",
            "test_a_bases_own_marks_are_found",
        ),
    ),
    *mistakes(
        "src/workbench/data/audit/faults.py",
        CHECKS_TEST,
        (
            "two answers about one long passage are duplicates",
            "first.setdefault((cluster, responses.get(place, place)), place)",
            "first.setdefault((cluster, cluster), place)",
            "test_two_questions_about_one_long_passage_are_no_duplicates",
        ),
    ),
    *mistakes(
        "src/workbench/data/audit/wording.py",
        CHECKS_TEST,
        (
            "a dialogue that was asked for is a wrong role",
            'return "```" in answered or bool(DIALOGUE.search(asked))',
            "return False",
            "test_roles",
        ),
    ),
    *mistakes(
        "src/workbench/views/audit.py",
        "tests/workbench/cli/test_audit.py",
        (
            "the page takes the data's HTML",
            "autoescape=True",
            "autoescape=False",
            "test_nothing_of_the_data_becomes_html",
        ),
        (
            "the terminal takes the data's control characters",
            "text = one_line(example.text, LONGEST_SHOWN)",
            "text = example.text",
            "test_nothing_of_the_data_steers_the_terminal",
        ),
    ),
    *mistakes(
        "src/workbench/cli/audit.py",
        "tests/workbench/cli/test_audit.py",
        (
            "strict is the default",
            "if arguments.strict and found.audit.faults",
            "if found.audit.faults",
            "test_the_status_is_one_only_where_it_is_asked_for",
        ),
    ),
]
