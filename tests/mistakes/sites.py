"""Mistakes in the page for people without the workbench: what runs on it, asks, and is replaced by it."""

from mistakes_list import mistakes

SITE = "src/workbench/lessons/site/"
TESTS = "tests/workbench/lessons/test_site.py"
LOGIC = "tests/workbench/views/widgets/test_logic.py"

MISTAKES = [
    *mistakes(
        f"{SITE}writing.py",
        f"{TESTS}::test_nothing_is_loaded_and_only_its_own_script_runs",
        (
            "the policy of a page names another script than the page's",
            "script_source=Markup(sha256_source(code)),",
            "script_source=Markup(sha256_source(code + ' ')),",
        ),
    ),
    *mistakes(
        f"{SITE}writing.py",
        f"{TESTS}::test_no_text_of_a_study_can_run_or_end_the_page",
        (
            "a record can end the element that holds a page's data",
            "data=Markup(inline_json(shown)),",
            "data=Markup(__import__('json').dumps(shown)),",
        ),
        ("texts of a study are written into its page as HTML", "autoescape=True", "autoescape=False"),
    ),
    *mistakes(
        f"{SITE}writing.py",
        f"{TESTS}::test_an_earlier_page_is_written_again_and_another_is_not",
        (
            "a page that somebody else wrote is replaced",
            "not names or GENERATOR.encode() in (folder / PAGE_NAME).read_bytes()",
            "not names or True",
        ),
    ),
    *mistakes(
        f"{SITE}writing.py",
        f"{TESTS}::test_what_cannot_have_a_page_is_refused_in_a_sentence",
        ("a page is written among other files", "    if not ours:", "    if False:"),
    ),
    *mistakes(
        f"{SITE}writing.py",
        f"{TESTS}::test_it_says_what_report_and_terminal_say_to_the_letter",
        (
            "a page says its last sentence first",
            "headline=found.headline,",
            "headline=found.sentences[-1],",
        ),
    ),
    *mistakes(
        f"{SITE}scripts.py",
        f"{TESTS}::test_the_scripts_are_the_widgets_own",
        (
            "a page's widgets lose their comments",
            "{_exported(_text(path), name)}",
            "{_exported(_text(path).replace('// ', '//'), name)}",
        ),
    ),
    *mistakes(
        f"{SITE}scripts.py",
        f"{TESTS}::test_only_widgets_of_parts_that_are_shown_travel",
        ("every widget travels with every page", "if name in set(shown):", "if True:"),
    ),
    *mistakes(
        f"{SITE}parts.py",
        f"{TESTS}::test_the_game_has_the_outcome_of_every_decision",
        (
            "a game's outcomes are those of the next step of its slider",
            "game.play(one, step / SLIDER_STEPS).to_json()",
            "game.play(one, min(step + 1, SLIDER_STEPS) / SLIDER_STEPS).to_json()",
        ),
        (
            "a game on a page begins with the least damaged quality",
            "worse=others[-1])",
            "worse=others[0])",
        ),
    ),
    *mistakes(
        f"{SITE}parts.py",
        f"{TESTS}::test_the_shipped_study_has_every_part_but_a_law_that_misses_it",
        ("a page explores a law that was rejected", "if not trusted(probability):", "if False:"),
    ),
    *mistakes(
        f"{SITE}parts.py",
        f"{TESTS}::test_the_map_has_every_cell_and_its_runs",
        (
            "the details of a map have their axes swapped",
            "for column in range(len(cells.sizes))]\n            for row in range(len(cells.qualities))",
            "for row in range(len(cells.qualities))]\n            for column in range(len(cells.sizes))",
        ),
    ),
    *mistakes(
        "src/workbench/views/cell_map.py",
        f"{TESTS}::test_the_map_has_every_cell_and_its_runs",
        ("a map shows the error of a mean as its spread", "stdev(values) if len", "stdev(values) / 2 if len"),
    ),
    *mistakes(
        f"{SITE}parts.py",
        f"{TESTS}::test_what_a_study_cannot_have_is_left_out_and_said_so",
        (
            "a part that a study can't have is left out without a word",
            "why_not=f\"{title}: {str(error).rstrip('.')}.\"",
            'why_not=" "',
        ),
    ),
    *mistakes(
        "src/workbench/views/explore.py",
        f"{LOGIC}::test_a_guess_begins_on_the_line_that_is_shown_and_knows_the_truth",
        (
            "what is to be guessed is the line that is shown",
            '"truth": _plain(truth),',
            '"truth": _plain(shown),',
        ),
        (
            "the axis of a guess ends at the answer",
            "(low - room, high + room)",
            "(low, high)",
        ),
    ),
]
