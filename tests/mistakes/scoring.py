"""Mistakes in the scorers, in what is kept of them, and in why a record is in or out."""

from mistakes_list import mistakes

SCORING, TESTS = "src/workbench/scoring/", "tests/workbench/scoring/"
SCORERS = f"{TESTS}test_scorers.py"
CLOSED = f"{TESTS}test_closed_choices.py"
COUNTS = "test_counts_are_those_of_counting_by_hand"
PLAIN = "test_losses_are_those_of_a_plain_loop"
KEPT = "test_kept_scores_rest_on_all_that_decides_them"
FILE = "test_a_scored_file_is_the_file_with_columns"

MISTAKES = [
    *mistakes(
        "src/workbench/scoring/scored.py",
        "tests/workbench/scoring/test_scorers.py",
        (
            "a part of a row counts as a row of its own",
            "return len(held) == len(records) and held <= set(places)",
            "return len(held) == len(records)",
            "test_every_record_of_a_row_that_holds_several_has_its_score",
        ),
        (
            "a context is written into the prompt for good",
            "_as_a_row(record, with_context)) for",
            "_as_a_row(record, False)) for",
            "test_every_record_of_a_row_that_holds_several_has_its_score",
        ),
    ),
    *mistakes(
        "src/workbench/filtering/cells.py",
        "tests/workbench/test_filtering.py",
        (
            "the study of a file of other keys reads it by its own",
            "        mapping=asked.mapping,\n",
            "",
            "test_a_file_of_other_keys_is_scored_and_trained_on_as_it_is_read",
        ),
    ),
    *mistakes(
        f"{SCORING}scorers.py",
        SCORERS,
        (
            "a length is counted in bytes",
            "float(len(record.response))",
            "float(len(record.response.encode()))",
            FILE,
        ),
        (
            "the ratio of compression is upside down",
            "len(text) / len(zlib.compress(text, 9))",
            "len(zlib.compress(text, 9)) / len(text)",
            COUNTS,
        ),
        (
            "copies are counted by the answer alone",
            "counts[record.asked, record.response]) for",
            "sum(n for (_, said), n in counts.items() if said == record.response)) for",
            COUNTS,
        ),
        (
            "the last run of words is left out",
            "len(words) - RUN_WORDS + 1)",
            "len(words) - RUN_WORDS)",
            COUNTS,
        ),
        (
            "a run is a word too long",
            "words[place : place + RUN_WORDS]",
            "words[place : place + RUN_WORDS + 1]",
            COUNTS,
        ),
        (
            "overlap is a share of the records that judge",
            "sum(run in known for run in runs) / len(runs)",
            "sum(run in known for run in runs) / len(known)",
            COUNTS,
        ),
        ("a short record overlaps with nothing", "if runs else None", "if runs else 0.0", COUNTS),
        (
            "the other side agrees",
            "side = 1.0 if record.choices.index(record.response) else -1.0",
            "side = -1.0 if record.choices.index(record.response) else 1.0",
            "test_raters_agree_with_a_response_or_not",
        ),
        (
            "a tie is a whole vote",
            "else 0.5 if rating == 0 else",
            "else 1.0 if rating == 0 else",
            "test_raters_agree_with_a_response_or_not",
        ),
    ),
    *mistakes(
        f"{SCORING}model_losses.py",
        SCORERS,
        ("the ratio of losses is upside down", "one / other if", "other / one if", PLAIN),
        (
            "the prompt's tokens count in the loss",
            "return _losses(base, [render(template, record, base.tokenizer)",
            "return _losses(base, [Example(render(template, record, base.tokenizer).token_ids, 1)",
            PLAIN,
        ),
        (
            "the end of a response is left out of its loss",
            "return _losses(base, [render(template, record, base.tokenizer)",
            "return _losses(base, [Example((e := render(template, record, base.tokenizer)).token_ids[:-1], "
            "e.prompt_length)",
            PLAIN,
        ),
        (
            "a response alone begins in its prompt",
            "example.token_ids[example.prompt_length :]",
            "example.token_ids[example.prompt_length - 1 :]",
            PLAIN,
        ),
        ("losses change places", "found[block] = evaluate", "found[sorted(block)] = evaluate", PLAIN),
        (
            "a response of one token has a ratio of none",
            "ratios: list[float | None] = [None]",
            "ratios: list[float | None] = [0.0]",
            "test_a_response_without_anything_before_it_has_no_ratio",
        ),
        (
            "the adapter learns and isn't asked",
            "_of_pool(frozen, places, stack, lambda share: tell(0.8",
            "_of_pool(frozen, places, None, lambda share: tell(0.8",
            "test_the_adapter_that_has_learnt_is_asked",
        ),
    ),
    *mistakes(
        "src/workbench/training/evaluation.py",
        SCORERS,
        (
            "a mean is taken over the prompt's tokens too",
            "tokens = pool.labels[references].double()",
            "tokens = pool.lengths[references].double()",
            PLAIN,
        ),
    ),
    *mistakes(
        f"{SCORING}scored.py",
        SCORERS,
        ("kept scores are taken for another base", "[base.sha256, base", "[base", KEPT),
        (
            "kept scores are taken for another template",
            "base.decoder.precision, given.template]",
            "base.decoder.precision]",
            KEPT,
        ),
        ("kept scores are taken for another precision", "base.decoder.precision, given", "given", KEPT),
        (
            "kept scores are taken for another way of scoring",
            "[name, scorer.version, digest",
            "[name, digest",
            KEPT,
        ),
        (
            "kept scores are taken for other records that judge",
            "content.append(digest_of(given.evaluation))",
            "content.append(len(given.evaluation))",
            KEPT,
        ),
        (
            "kept scores are taken for other raters",
            "[[one.choices, one.ratings, one",
            "[[one.choices, one",
            KEPT,
        ),
        ("kept scores are taken for other choices", "[[one.choices, one.ratings", "[[one.ratings", KEPT),
        ("kept scores are taken for another context", "one.ratings, one.context]", "one.ratings]", KEPT),
        (
            "a score that is missing is written as 0",
            "**{name: score for name, score in new.items() if score is not None}",
            "**{name: score or 0.0 for name, score in new.items()}",
            FILE,
        ),
        ("a row that can't be used shifts the scores", "by_place.get(place) if whole else row", "row", FILE),
    ),
    *mistakes(
        f"{SCORING}closed_choices.py",
        CLOSED,
        (
            "a record is judged by its own half",
            "if fold[place] != half]",
            "if fold[place] == half]",
            "test_no_record_has_a_hand_in_its_own_probabilities",
        ),
        (
            "halves go by the place in the file",
            "fold = {question: place % FOLDS for place, question in enumerate(in_order)}",
            "fold = {question_of(one): place % FOLDS for place, one in enumerate(records)}",
            "test_halves_are_of_questions_whatever_the_order",
        ),
        (
            "what is unlikely is taken for likely",
            "np.exp(losses.min() - losses)",
            "np.exp(losses - losses.max())",
            "test_a_choice_is_as_likely_as_its_whole_text",
        ),
        (
            "long choices are as likely as short ones",
            "(result.losses[0] * result.tokens)",
            "(result.losses[0])",
            "test_a_choice_is_as_likely_as_its_whole_text",
        ),
        (
            "the first choice is taken for the given one",
            "records[place].choices.index(records[place].response) for place, _ in group",
            "0 for place, _ in group",
            "test_margins_are_those_of_cleanlab_and_of_the_formula",
        ),
        (
            "records with more choices change places with others",
            "for (place, _), score in zip(group, scores, strict=True)",
            "for (place, _), score in zip(group, scores[::-1], strict=True)",
            "test_margins_are_those_of_cleanlab_and_of_the_formula",
        ),
        (
            "the adapter that chooses isn't asked",
            "evaluate(frozen, HeldOut(asked), stack)",
            "evaluate(frozen, HeldOut(asked), None)",
            "test_no_record_has_a_hand_in_its_own_probabilities",
        ),
        (
            "a response that is no choice has a margin",
            "return record.response in record.choices and len(record.choices) > 1",
            "return len(record.choices) > 0",
            "test_what_has_no_choice_has_no_margin",
        ),
    ),
    *mistakes(
        "src/workbench/data/reasons.py",
        "tests/workbench/data/test_reasons.py",
        ("a file's records are told as out", "one.source == found[0], f", "one.source != found[0], f"),
        (
            "a number is rounded onto the other side",
            "range(DIGITS, MOST_DIGITS)",
            "range(DIGITS, DIGITS + 1)",
        ),
        (
            "the border of the smallest is their smallest",
            'min(inside) if end == "top" else max(inside)',
            "min(inside)",
        ),
        ("chance is named where none was tossed", "if score in tie else", "if tie else"),
        (
            "the other answer is of the same side",
            "first.get((question, not within))",
            "first.get((question, within))",
        ),
        ("a copy is named as the one that is kept", "kept.where} is", "record.where} is"),
        ("a mixture's parts are told for each other", "own[part].why", "own[-1].why"),
        (
            "what judges is counted among what is trained on",
            "for record in dataset.heldout]",
            "for record in dataset.train]",
        ),
        ("what is of no kind isn't counted", "if kinds and (rest", "if not kinds and (rest"),
    ),
    *mistakes(
        "src/workbench/studies/examples.py",
        "tests/workbench/studies/test_examples.py",
        ("what is in stands among what is out", "if not within)", "if within)"),
        (
            "a question is shown twice",
            "in in_turn(left, seed) if question_of(record) not in asked",
            "in in_turn(left, seed)",
        ),
    ),
    *mistakes(
        "src/workbench/own_files.py",
        "tests/workbench/test_own_files.py",
        (
            "the template of an audit is ignored",
            "template=template or own.template",
            "template=own.template",
            "test_the_template_decides_how_long_a_record_is",
        ),
    ),
]
