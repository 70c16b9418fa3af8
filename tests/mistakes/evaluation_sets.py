"""Mistakes in evaluation sets, in metrics of what cells write, and in how both are told."""

from mistakes_list import mistakes

SETS = "tests/workbench/data/sources/test_evaluation_sets.py"
GENERATED = "tests/workbench/training/test_generated.py"
TEXTS = "tests/workbench/training/test_text_metrics.py"
STUDY = "tests/workbench/studies/test_evaluation_sets.py"
TOLD = "tests/workbench/views/test_evaluation_sets.py"

MISTAKES = [
    *mistakes(
        "src/workbench/training/text_metrics.py",
        STUDY,
        (
            "all functions of one name have one hash",
            "hashlib.sha256(text.encode())",
            "hashlib.sha256(function.__name__.encode())",
            "test_another_function_of_the_same_name_is_another_study",
        ),
    ),
    *mistakes(
        "src/workbench/studies/identity.py",
        STUDY,
        (
            "a study goes on with another function of the same name",
            "        found += changed_functions(self.manifest, study)\n",
            "",
            "test_another_function_of_the_same_name_is_another_study",
        ),
        (
            "a hash that isn't known counts as another one",
            "if now and (then := held.own_metrics.get(name)) and then != now",
            "if (then := held.own_metrics.get(name)) != now",
            "test_a_function_whose_text_can_not_be_read_is_told_and_compared_with_nothing",
        ),
    ),
    *mistakes(
        "src/workbench/data/sources/evaluation_sets.py",
        SETS,
        (
            "records that are trained on judge in a further set",
            "files.refuse_answers_in_both(train, dataset.name, own)",
            "files.refuse_answers_in_both((), dataset.name, own)",
        ),
        ("a further set may be called as the held-out records", "if name == HELDOUT:", "if name is None:"),
        ("a set's name may have a dot", '"[A-Za-z][A-Za-z0-9_-]*"', '"[A-Za-z][A-Za-z0-9._-]*"'),
        (
            "what is trained on stays beside a further set",
            "        train=train,\n",
            "        train=dataset.train,\n",
        ),
    ),
    *mistakes(
        "src/workbench/data/records.py",
        SETS,
        (
            "the names of sets don't count in the fingerprint",
            "digest.update(name.encode())",
            "digest.update(b'')",
        ),
    ),
    *mistakes(
        "src/workbench/data/lengths.py",
        SETS,
        (
            "further sets keep records that are too long",
            "evals = tuple((name, own) for (name, _), own in zip(dataset.evals, sets, strict=True))",
            "evals = dataset.evals",
        ),
    ),
    *mistakes(
        "src/workbench/training/generated.py",
        GENERATED,
        (
            "responses of a chunk go to other records",
            "for place, tokens in zip(places, row, strict=True)",
            "for place, tokens in zip(sorted(places), row, strict=True)",
        ),
        (
            "a response may go on beyond the context",
            "how.decode(tokens[: context - len(prompts[place])])",
            "how.decode(tokens)",
        ),
        (
            "a generation doesn't stop where the references end",
            "stops = {*heldout.stops, *(tokens[-1] for tokens in own)}",
            "stops = {*heldout.stops}",
        ),
        ("a chat's opening counts as response", "text.removeprefix(before) if found else text", "text"),
        (
            "answers without a number are judged by numbers",
            "if not one.answerable(record.response)]",
            "if one.answerable(record.response) is None]",
        ),
        ("a response may be no longer than the references", "max(lengths) + max(", "max(lengths) + 0 * max("),
    ),
    *mistakes(
        "src/workbench/training/text_metrics.py",
        TEXTS,
        (
            "ROUGE-L is its recall",
            '["rougeL"].fmeasure',
            '["rougeL"].recall',
        ),
        ("words are stemmed", 'RougeScorer(["rougeL"])', 'RougeScorer(["rougeL"], use_stemmer=True)'),
        ("BLEU of few words is 0", "BLEU(effective_order=True)", "BLEU()"),
        ("chrF counts words too", "CHRF() if", "CHRF(word_order=2) if"),
        (
            "shared words count once each",
            "sum((Counter(said) & Counter(right)).values())",
            "len({*said} & {*right})",
        ),
        (
            "the first number is the final one",
            'FINAL_NUMBER.findall(f"{before} {behind}")[-1:]',
            'FINAL_NUMBER.findall(f"{before} {behind}")[:1]',
        ),
        (
            "numbers are compared as they are written",
            "said == final_number(reference)",
            "str(said) == str(final_number(reference))",
        ),
    ),
    *mistakes(
        "src/workbench/training/run_stack.py",
        STUDY,
        (
            "further sets are measured on the held-out records",
            "_Judged(evaluate(prepared.frozen, one, stack), written)",
            "_Judged(evaluate(prepared.frozen, prepared.heldout, stack), written)",
            "test_each_set_has_metrics_and_outcomes_of_its_own",
        ),
    ),
    *mistakes(
        "src/workbench/studies/identity.py",
        STUDY,
        (
            "a set of other records goes on in the folder",
            "if then_hash != now_hash:",
            "if then_hash is None:",
            "test_other_sets_are_another_study",
        ),
    ),
    *mistakes(
        "src/workbench/laws/answer.py",
        TOLD,
        (
            "opposite sets are not told",
            "if one.wins() * two.wins() != -1:",
            "if one.wins() * two.wins() != -2:",
        ),
        (
            "sets that agree are told as opposite",
            "one.wins() * two.wins() != -1",
            "one.wins() * two.wins() != 1",
        ),
        (
            "what wins is told the other way round",
            "(one, two) if one.wins() > 0 else (two, one)",
            "(one, two) if one.wins() < 0 else (two, one)",
        ),
    ),
    *mistakes(
        "src/workbench/laws/table.py",
        TOLD,
        (
            "a set's name decides which way is good",
            "metric = set_and_metric(metric)[1]  # whatever",
            "metric = set_and_metric(metric)[0]  # whatever",
        ),
    ),
    *mistakes(
        "src/workbench/views/answers.py",
        TOLD,
        (
            "only what comes first is compared between sets",
            "*((a, b) for a, b in shared if a in rates)",
            "*((a, b) for a, b in shared if a is None)",
        ),
        (
            "a further set is counted as the held-out records are",
            "return data.evals[name].records if name in data.evals else None",
            "return data.heldout_records",
        ),
    ),
]
