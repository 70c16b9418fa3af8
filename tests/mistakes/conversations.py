"""Mistakes in what is learnt of a conversation, how it is split, and what is held out of it."""

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/data/batches.py",
        "tests/workbench/data/test_batches.py",
        (
            "a label is whatever stands at its place",
            "labels=self.label_tokens[label],",
            "labels=self.tokens[starts[label_examples] + self.label_places[label]],",
            "test_batch_is_the_examples_end_to_end",
        ),
    ),
    *mistakes(
        "src/workbench/data/turns.py",
        "tests/workbench/data/test_templates.py",
        (
            "an earlier answer counts from one token before it",
            "labels += enumerate(told, begin)",
            "labels += enumerate([ids[-1], *told], begin - 1)",
            "test_with_the_loss_on_all_each_answer_counts_with_its_end_and_nothing_else",
        ),
        (
            "an earlier answer's first token does not count",
            "labels += enumerate(told, begin)",
            "labels += enumerate(told[1:], begin + 1)",
            "test_with_the_loss_on_all_each_answer_counts_with_its_end_and_nothing_else",
        ),
        (
            "the end of an earlier answer is not learnt",
            "labels += enumerate(told, begin)",
            "labels += enumerate(told[:-1], begin)",
            "test_with_the_loss_on_all_each_answer_counts_with_its_end_and_nothing_else",
        ),
        (
            "the end of an earlier answer is learnt only where the text has it",
            "labels += enumerate(told, begin)",
            "labels += enumerate(said, begin)",
            "test_with_the_loss_on_all_each_answer_counts_with_its_end_and_nothing_else",
        ),
        (
            "the system text and all that is asked count",
            "labels += enumerate(told, begin)",
            "labels += enumerate([*asked, *told], begin - len(asked))",
            "test_with_the_loss_on_all_each_answer_counts_with_its_end_and_nothing_else",
        ),
        (
            "labels are counted without the token that opens a text",
            "begin = len(opening) + len(ids)",
            "begin = len(ids) + len(opening) * (turn is turns[-1])",
            "test_with_the_loss_on_all_each_answer_counts_with_its_end_and_nothing_else",
        ),
        (
            "an end token stands in the text where the template has none",
            "ids, text = ids + said, turn.text",
            "ids, text = ids + told, turn.text",
            "test_with_the_loss_on_all_each_answer_counts_with_its_end_and_nothing_else",
        ),
    ),
    *mistakes(
        "src/workbench/data/turns.py",
        "tests/workbench/data/test_conversations.py",
        (
            "an answer that is written otherwise afterwards counts with what stands behind it",
            "if text.startswith(turn.text) and",
            "if text.startswith(turn.asked) and",
            "test_an_answer_that_loses_its_thinking_does_not_count",
        ),
    ),
    *mistakes(
        "src/workbench/data/templates.py",
        "tests/workbench/data/test_templates.py",
        (
            "a turn in the middle is asked without the turns before it",
            "history=record.history[:place], prompt=asked",
            "history=(), prompt=asked",
            "test_with_the_loss_on_all_each_answer_counts_with_its_end_and_nothing_else",
        ),
        (
            "the loss on the last answer counts all",
            'if loss_on == "all" else []',
            "or []",
            "test_with_the_loss_on_all_each_answer_counts_with_its_end_and_nothing_else",
        ),
    ),
    *mistakes(
        "src/workbench/data/templates.py",
        "tests/workbench/data/test_conversations.py",
        (
            "an answer that says nothing is learnt",
            "        if said.strip():\n",
            "        if True:\n",
            "test_an_answer_that_says_nothing_is_not_learnt",
        ),
    ),
    *mistakes(
        "src/workbench/data/heldout.py",
        "tests/workbench/data/test_heldout.py",
        (
            "conversations are told apart by how they end",
            "return record.history[0][0] if record.history else record.prompt",
            "return record.prompt",
            "test_a_conversation_is_never_on_both_sides",
        ),
    ),
    *mistakes(
        "src/workbench/data/lengths.py",
        "tests/workbench/data/test_conversations.py",
        (
            "lengths are those with the loss on the last answer",
            "return longest(record, template, tokenizer, loss_on)",
            "return longest(record, template, tokenizer)",
            "test_an_answer_s_end_is_cut_as_it_was_written",
        ),
    ),
    *mistakes(
        "src/workbench/data/lengths.py",
        "tests/workbench/data/test_lengths.py",
        (
            "a part begins with all that was said before it",
            "history = tuple(turns[begin : end - 1])",
            "history = tuple(turns[: end - 1])",
            "test_split_loses_no_turn_and_says_so",
        ),
        (
            "the parts of a conversation are drawn one by one",
            "turn, count = record.turn or record.id, len(parts)",
            "turn, count = record.turn, len(parts)",
            "test_split_loses_no_turn_and_says_so",
        ),
        (
            "a part stops before it is full",
            "while end < len(turns) and fits(_part(record, turns, begin, end + 1)):",
            "while end + 1 < len(turns) and fits(_part(record, turns, begin, end + 2)):",
            "test_split_loses_no_turn_and_says_so",
        ),
    ),
    *mistakes(
        "src/workbench/studies/executors/shipping.py",
        "tests/workbench/studies/test_cluster.py",
        (
            "workers learn the last answers alone",
            "tuple(map(tuple, pairs[: len(pairs) - len(tokens) + prompt]))",
            "()",
            "test_the_labels_of_earlier_answers_arrive",
        ),
    ),
    *mistakes(
        "src/workbench/training/prepare.py",
        "tests/workbench/training/test_prepare.py",
        (
            "the loss is on the last answer, whatever was asked for",
            "response, self.base.tokenizer, self.loss_on)",
            "response, self.base.tokenizer)",
            "test_the_loss_on_all_answers_is_said_and_held_out_records_have_it",
        ),
        (
            "a template under which no earlier answer counts is taken",
            "if missed and not learnt:",
            "if False:",
            "test_answers_that_the_chat_template_writes_otherwise_are_counted_or_refused",
        ),
    ),
]
