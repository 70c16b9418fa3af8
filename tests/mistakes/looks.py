"""Mistakes in how things look: figures in a page, dials, what the terminal says of time and money."""

from mistakes_list import mistakes

INLINE = "tests/workbench/views/test_inline.py"
DIAL = "tests/workbench/lessons/test_dial.py"

MISTAKES = [
    *mistakes(
        "src/workbench/views/palette.py",
        INLINE,
        ("words are as pale as lines", '"#AF4D00"', '"#D55E01"', "test_words_can_be_read_on_white_and_grey"),
        ("a line is too pale on white", '"#C18600"', '"#E69F00"', "test_lines_stand_out_from_white"),
        (
            "dark pages have light pages' words",
            'DARK_INK = "#e8e8e8"',
            'DARK_INK = "#616162"',
            "test_words_can_be_read_on_dark",
        ),
        ("a colour stays as it is on every page", '    INK: "ink",\n', "", "test_the_page_has_the_colours"),
    ),
    *mistakes(
        "src/workbench/views/inline.py",
        INLINE,
        (
            "panels stay side by side",
            "axes.set_subplotspec(grid[row])",
            "axes.set_subplotspec(grid[0])",
            "test_two_panels_have_a_second_layout_with_one_below_the_other",
        ),
        (
            "the narrow layout stays",
            "            figure.set_size_inches(*size)\n",
            "            pass\n",
            "test_two_panels_have_a_second_layout_with_one_below_the_other",
        ),
        (
            "the wide layout shrinks to small letters",
            "LEAST_PIXELS = 108",
            "LEAST_PIXELS = 70",
            "test_two_panels_have_a_second_layout_with_one_below_the_other",
        ),
        (
            "a picture's style is the whole page's",
            r'r"<defs>\s*<style.*?</style>\s*</defs>"',
            'r"<nothing>"',
            "test_the_page_has_the_colours",
        ),
        (
            "long titles run over the edge",
            "        if long > room > 0:",
            "        if False:",
            "test_a_long_title_is_broken_in_the_narrow_layout",
        ),
        (
            "two figures share a name",
            "rf'id=\"{mark}-\\1\"'",
            "r'id=\"\\1\"'",
            "test_names_of_parts_are_each_figures_own",
        ),
    ),
    *mistakes(
        "src/workbench/views/rendering.py",
        INLINE,
        (
            "a number is a name",
            'if re.search("[A-Za-z]", text.get_text())',
            "if text.get_text()",
            "test_words_name_axes_lines_and_labels_and_no_numbers",
        ),
    ),
    *mistakes(
        "src/workbench/lessons/widgets/dial.py",
        DIAL,
        (
            "a dial begins at its first value",
            "list(own).index(first)",
            "0",
            "test_each_setting_is_shown_and_no_text_is_read_as_html",
        ),
        (
            "a text isn't kept in the file",
            'data["text/html"] = ',
            'data["text/plain"] = ',
            "test_a_text_stays_in_the_notebooks_file",
        ),
        (
            "what goes wrong is said nowhere",
            "            if change is None:\n                raise\n",
            "            raise\n",
            "test_what_goes_wrong_later_is_said_in_the_page",
        ),
    ),
    *mistakes(
        "src/workbench/lessons/facts.py",
        "tests/workbench/lessons/test_facts.py",
        (
            "a sentence is read as HTML",
            "{escape(text)}</p>",
            "{text}</p>",
            "test_a_page_breaks_it_itself_and_reads_no_text_as_html",
        ),
    ),
    *mistakes(
        "src/workbench/views/progress.py",
        "tests/workbench/cli/test_cli.py",
        (
            "what is done is counted as left",
            "taken / done * (1 - at.share)",
            "taken / done",
            "test_the_time_that_is_left_is_the_predicted_one_and_then_the_measured",
        ),
        (
            "the first second tells the speed",
            "taken >= self.SURE_AFTER",
            "taken >= 0",
            "test_the_time_that_is_left_is_the_predicted_one_and_then_the_measured",
        ),
    ),
    *mistakes(
        "src/workbench/cli/costs.py",
        "tests/workbench/studies/test_costs.py",
        (
            "the lines don't add up",
            "found.total.seconds - sum(known)",
            "found.total.seconds",
            "test_the_bill_adds_up",
        ),
        ("empty columns are shown", 'if set(column[1:]) != {"-"}', "if column", "test_the_bill_adds_up"),
    ),
    *mistakes(
        "src/workbench/studies/disk/listing.py",
        "tests/workbench/cli/test_cli.py",
        (
            "a killed run is still running",
            'said == "running" and not is_locked(folder)',
            "False",
            "test_list_says_how_each_study_ended",
        ),
    ),
]
