"""Mistakes in what is read of people's own files: layouts, kinds of file, columns."""

from mistakes_list import mistakes

SOURCES = "src/workbench/data/sources/"
TESTS = "tests/workbench/data/sources/"

MISTAKES = [
    *mistakes(
        f"{SOURCES}layouts/conversations.py",
        f"{TESTS}test_conversations.py",
        (
            "earlier turns are lost",
            '"history": pairs[:-1]',
            '"history": pairs[1:-1]',
            "test_the_best_ranked_answer_and_the_first_question_that_was_answered",
        ),
        (
            "parts of a text are glued together",
            '"\\n".join(str(part)',
            '"".join(str(part)',
            "test_a_text_in_parts_is_their_lines",
        ),
        (
            "two questions in a row are an exchange",
            'if role != ("assistant" if place % 2 else "user"):',
            'if role == "nobody":',
            "test_what_is_no_exchange_is_named_and_left_out_on_demand",
        ),
        (
            "a last question is left out in silence",
            "[*remarks, TRAILING]",
            "remarks",
            "test_what_fastchat_leaves_out_is_left_out_and_counted",
        ),
        (
            "a tool's call is an empty answer",
            'or turn.get("tool_calls")',
            'or turn.get("tool_calls_")',
            "test_what_is_no_exchange_is_named_and_left_out_on_demand",
        ),
        (
            "an empty turn is bad, and no empty one",
            '"on_empty")',
            '"on_bad")',
            "test_an_empty_turn_is_an_empty_record",
        ),
    ),
    *mistakes(
        f"{SOURCES}layouts/trees.py",
        f"{TESTS}test_conversations.py",
        (
            "the worst-ranked answer is taken",
            "min(replies, key=_rank)",
            "max(replies, key=_rank)",
            "test_the_best_ranked_answer_and_the_first_question_that_was_answered",
        ),
        (
            "a deleted message is on a path",
            'if not reply.get("deleted")]',
            "]",
            "test_the_best_ranked_answer_and_the_first_question_that_was_answered",
        ),
        (
            "an answer without a rank counts as the best",
            'else float("inf")',
            "else 0.0",
            "test_the_best_ranked_answer_and_the_first_question_that_was_answered",
        ),
        (
            "messages that answer each other are lost in silence",
            "if name not in reached and str",
            "if name in reached and str",
            "test_flat_messages_are_the_trees_that_they_were",
        ),
    ),
    *mistakes(
        f"{SOURCES}layouts/nested.py",
        f"{TESTS}test_layouts.py",
        (
            "the first answer of a pair is its last",
            "chosen.rfind(ANSWER_MARK, 0, shared)",
            "chosen.find(ANSWER_MARK, 0, shared)",
            "test_the_preferred_answer_is_learnt_and_the_other_kept",
        ),
        (
            "the rejected answer is lost",
            '"alternatives": [rejected[end:]] if rejected[end:].strip() else []',
            '"alternatives": []',
            "test_the_preferred_answer_is_learnt_and_the_other_kept",
        ),
        (
            "only a task's first instance is read",
            "for number, instance in enumerate(instances, 1):",
            "for number, instance in enumerate(instances[:1], 1):",
            "test_several_instances_of_a_task_are_several_records",
        ),
    ),
    *mistakes(
        f"{SOURCES}layouts/choice.py",
        f"{TESTS}test_layouts.py",
        (
            "the layout that fewest objects fit is taken",
            "most = max(count",
            "most = min(count",
            "test_most_objects_decide",
        ),
        (
            "a second layout is kept silent",
            'also="" if mapping or read_as else also',
            'also=""',
            "test_keys_of_two_layouts_are_said",
        ),
    ),
    *mistakes(
        f"{SOURCES}layouts/choice.py",
        f"{TESTS}test_mapping.py",
        (
            "a mapped key is another field too",
            "if key not in taken and name not in gone}",
            "if name not in gone}",
            "test_one_field_of_a_layout_is_mapped",
        ),
        (
            "a mapped key that isn't there is ignored",
            "if not any(key in item.values for item in items):",
            "if not items:",
            "test_a_key_that_is_not_there",
        ),
    ),
    *mistakes(
        f"{SOURCES}reading.py",
        f"{TESTS}test_containers.py",
        (
            "codes become numbers",
            'r"[+-]?0\\d|.*_"',
            'r"[+-]?x\\d|.*_"',
            "test_a_column_of_a_table_in_text_is_of_one_kind",
        ),
        (
            "an empty field is a text",
            '            if text == "":\n',
            "            if text is None:\n",
            "test_a_column_of_a_table_in_text_is_of_one_kind",
        ),
    ),
    *mistakes(
        f"{SOURCES}reading.py",
        f"{TESTS}test_files.py",
        (
            "not a number is a value",
            "else math.isfinite(value)",
            "else True",
            "test_what_a_column_may_hold",
        ),
    ),
    *mistakes(
        f"{SOURCES}files.py",
        f"{TESTS}test_mapping.py",
        (
            "a file is read once for all mappings",
            "        mapping=tuple((mapping or {}).items()),\n        read_as",
            "        mapping=(),\n        read_as",
            "test_another_mapping_is_another_data_set",
        ),
    ),
    *mistakes(
        f"{SOURCES}containers/compressed.py",
        f"{TESTS}test_containers.py",
        (
            "what is behind a cut is lost in silence",
            "if begun is not None:",
            "if begun is None and not data:",
            "test_packed_files_that_can_not_be_read",
        ),
        (
            "a file may unpack to anything",
            "if len(held) > MOST_UNPACKED:",
            "if not kind:",
            "test_packed_files_that_can_not_be_read",
        ),
    ),
    *mistakes(
        f"{SOURCES}containers/table_text.py",
        f"{TESTS}test_containers.py",
        (
            "a row's place is where it ends",
            'place, begin = f"line {begin}", reader.line_num + 1',
            'place, begin = f"line {reader.line_num}", reader.line_num + 1',
            "test_rows_of_another_width_are_named_and_left_out_on_demand",
        ),
        (
            "the limit of long fields stays lifted for others",
            "csv.field_size_limit(before)",
            "csv.field_size_limit()",
            "test_a_field_may_be_long_and_the_limit_of_others_stays",
        ),
    ),
    *mistakes(
        f"{SOURCES}frames.py",
        f"{TESTS}test_frames.py",
        (
            "not a number of a table stays one",
            "return None if value != value else value",
            "return value",
            "test_what_tables_write_instead_of_json",
        ),
        (
            "every table is the same file",
            "hashlib.sha256(content)",
            "hashlib.sha256(package.encode())",
            "test_a_table_is_read_as_its_file_would_be",
        ),
    ),
]
