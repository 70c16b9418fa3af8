"""Mistakes in grids, hashes, the store, checkpoints, comparison, archives and workers."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/training/prepare.py",
        "tests/workbench/studies/test_frozen_blocks.py",
        (
            "the frozen blocks run again each time that they are asked for",
            "    @cached_property\n",
            "    @property\n",
            "test_the_frozen_blocks_run_only_where_something_is_left_to_train",
        ),
    ),
    *mistakes(
        "src/workbench/studies/stacks.py",
        "tests/workbench/studies/test_frozen_blocks.py",
        (
            "a plan runs the frozen blocks",
            "    pool = prepared.pool\n",
            "    pool = prepared.frozen.pool\n",
            "test_the_frozen_blocks_run_only_where_something_is_left_to_train",
        ),
    ),
    *mistakes(
        "src/workbench/studies/runner.py",
        "tests/workbench/studies/test_frozen_blocks.py",
        (
            "a prediction forgets the frozen blocks",
            "loading = time.monotonic() - self.began  # with",
            "loading = 0.0  # with",
            "test_a_prediction_holds_the_time_that_the_frozen_blocks_take",
        ),
    ),
    *mistakes(
        "src/workbench/studies/defaults.py",
        "tests/workbench/studies/test_grid.py",
        (
            "raters train longer",
            '"steps": 60}',
            '"steps": 90}',
            "test_the_studies_that_come_with_the_workbench",
        ),
    ),
    *mistakes(
        "src/workbench/data/records.py",
        "tests/workbench/studies/test_progress.py",
        (
            "a subset's hash forgets the answers",
            "[record.id, record.prompt, record.response, *before]",
            "[record.id, record.prompt, *before]",
            "test_a_subset_s_hash_is_of_its_records_in_their_order_with_their_answers",
        ),
        (
            "a subset's hash forgets its order",
            "    for record in records:\n        # only",
            "    for record in sorted(records, key=lambda one: one.id):\n        # only",
            "test_a_subset_s_hash_is_of_its_records_in_their_order_with_their_answers",
        ),
    ),
    *mistakes(
        "src/workbench/views/progress.py",
        "tests/workbench/studies/test_progress.py",
        (
            "memory is told in other units",
            "peak_bytes / 2**30",
            "peak_bytes / 2**20",
            "test_a_cost_is_told_as_people_say_it",
        ),
        (
            "a minute and a half is told in minutes",
            "if seconds < 90",
            "if seconds < 60",
            "test_a_cost_is_told_as_people_say_it",
        ),
    ),
    *mistakes(
        "src/workbench/studies/own_data.py",
        "tests/workbench/studies/test_grid.py",
        (
            "sizes of an own file step by too much",
            "most // factor**rung",
            "most // factor ** (2 * rung)",
            "test_a_study_of_an_own_file_steps_down_from_all_its_records",
        ),
    ),
    *mistakes(
        "src/workbench/studies/own_data.py",
        "tests/workbench/data/sources/test_several.py",
        ("a larger file stops at the smaller one", "<= top]", "<= most]"),
        ("every quality gets the sizes of the largest", "        if size <= limits[quality]\n", ""),
        (
            "the larger file has the first seed alone",
            "for seed in study.seeds\n",
            "for seed in study.seeds[:1]\n",
        ),
    ),
    *mistakes(
        "src/workbench/studies/grid.py",
        "tests/workbench/studies/test_grid.py",
        (
            "two seeds where noise needs three",
            "by_budget(budget, 3, 4, 5)",
            "by_budget(budget, 2, 4, 5)",
            "test_the_studies_that_come_with_the_workbench",
        ),
        (
            "the largest size of a coffee is left out",
            "by_budget(budget, sizes[1:8:2],",
            "by_budget(budget, sizes[1:7:2],",
            "test_the_studies_that_come_with_the_workbench",
        ),
        (
            "an own study skips its clean cells",
            "return (Quality(), *(Quality(corruption=corruption, share=share) for share in shares))",
            "return tuple(Quality(corruption=corruption, share=share) for share in shares)",
            "test_a_study_of_an_own_file_steps_down_from_all_its_records",
        ),
    ),
    *mistakes(
        "src/workbench/studies/disk/rows.py",
        "tests/workbench/studies/disk/test_store.py",
        (
            "a cell's hash leaves out its curves' numbers",
            "[name, len(points)]).encode() + points)",
            "[name, len(points)]).encode())",
            "test_a_cell_s_hash_is_of_all_that_was_measured",
        ),
        (
            "a cell's hash leaves out its metrics",
            "[key, config, status, metrics, failure]",
            "[key, config, status, failure]",
            "test_a_cell_s_hash_is_of_all_that_was_measured",
        ),
        (
            "a cell's hash leaves out why it failed",
            "[key, config, status, metrics, failure]",
            "[key, config, status, metrics]",
            "test_a_cell_s_hash_is_of_all_that_was_measured",
        ),
        (
            "curves are kept in 4-byte numbers",
            'values = array("d", points)\n    if byteorder == "big":\n        values.byteswap()\n    return values.tobytes()',
            'values = array("d", array("f", points))\n    return values.tobytes()',
            "test_a_curve_comes_back_to_the_bit",
        ),
        (
            "the table says how many steps were asked for",
            '"steps": cell.total_steps,',
            '"steps": cell.steps,',
            "test_the_table_says_what_was_trained_and_not_what_was_asked_for",
        ),
        (
            "the table says how many passes were asked for",
            '"epochs": cell.passes,',
            '"epochs": cell.epochs,',
            "test_the_table_says_what_was_trained_and_not_what_was_asked_for",
        ),
        (
            "the worst quality comes first",
            '-(row["share"] or 0.0),',
            '(row["share"] or 0.0),',
            "test_the_table_does_not_depend_on_the_order_of_training",
        ),
        (
            "a second result takes the first one's place",
            "ON CONFLICT(key) DO NOTHING",
            "ON CONFLICT(key) DO UPDATE SET metrics = excluded.metrics",
            "test_a_cell_is_stored_once",
        ),
    ),
    *mistakes(
        "src/workbench/studies/disk/store.py",
        "tests/workbench/studies/disk/test_store.py",
        (
            "a shorter curve ends in zeros",
            "len(found), int(lengths.max(initial=0))), np.nan)",
            "len(found), int(lengths.max(initial=0))), 0.0)",
            "test_curves_of_many_cells_are_as_wide_as_the_longest",
        ),
        (
            "cells that failed are not done",
            '"SELECT key FROM cell")}',
            "\"SELECT key FROM cell WHERE status = 'done'\")}",
            "test_a_failed_cell_is_a_result_with_its_reason",
        ),
        (
            "a damaged cell is taken for a whole one",
            "if sha256 not in (None, digest(",
            "if sha256 is None and sha256 not in (None, digest(",
            "test_a_cell_s_hash_is_of_all_that_was_measured",
        ),
    ),
    *mistakes(
        "src/workbench/studies/disk/checkpoints.py",
        "tests/workbench/studies/disk/test_checkpoints.py",
        (
            "a checkpoint's hash leaves out its numbers",
            "        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())\n",
            "",
            "test_a_damaged_one_is_refused",
        ),
        (
            "a checkpoint of other arithmetic is taken",
            '"arithmetic": arithmetic}',
            '"arithmetic": ""}',
            "test_other_arithmetic_is_refused",
        ),
        (
            "checkpoints are never due",
            ">= self.every",
            "> 1e9",
            "test_it_is_written_now_and_then",
        ),
    ),
    *mistakes(
        "src/workbench/studies/compare.py",
        "tests/workbench/studies/test_compare.py",
        (
            "a millionth is no difference",
            'return struct.pack("<d", a) == struct.pack("<d", b)',
            "return abs(a - b) <= 1e-6",
            "test_the_first_difference_is_named",
        ),
        (
            "two losses that are not numbers differ",
            'return struct.pack("<d", a) == struct.pack("<d", b)',
            "return a == b",
            "test_what_is_equal_to_the_bit_is_the_same",
        ),
        (
            "steps are counted from 0",
            "zip(one, two, strict=False), start=1)",
            "zip(one, two, strict=False), start=0)",
            "test_the_first_difference_is_named",
        ),
        (
            "a curve that is shorter is the same",
            "        if len(one) != len(two):",
            "        if len(one) > len(two) + 10**9:",
            "test_the_first_difference_is_named",
        ),
        (
            "a metric that is missing is the same as any",
            "same = old is new if old is None or new is None else",
            "same = True if old is None or new is None else",
            "test_the_first_difference_is_named",
        ),
        (
            "the status is not compared",
            "    if first.status != second.status:",
            "    if not first.status:",
            "test_the_first_difference_is_named",
        ),
    ),
    *mistakes(
        "src/workbench/studies/executors/processes.py",
        "tests/workbench/studies/test_executors.py",
        (
            "workers take all the free memory",
            "SPARE = 0.8",
            "SPARE = 1.0",
            "test_workers_get_four_fifths_of_the_free_memory",
        ),
        (
            "workers are counted by the machine's memory, not the free",
            "psutil.virtual_memory().available",
            "psutil.virtual_memory().total",
            "test_workers_get_four_fifths_of_the_free_memory",
        ),
        (
            "workers are counted by what this process has reserved",
            "memory_info().rss",
            "memory_info().vms",
            "test_workers_get_four_fifths_of_the_free_memory",
        ),
    ),
    *mistakes(
        "src/workbench/studies/sharing/archive.py",
        "tests/workbench/studies/sharing/test_archive.py",
        (
            "an archive's hashes are not compared",
            "if sha256_of(study / name) != digest:",
            "if not digest:",
            "test_a_changed_file_is_refused",
        ),
        (
            "an archive may unpack to any size",
            "most = min(most, SLACK + RATIO * archive.stat().st_size)",
            "most = most",
            "test_a_bomb_is_refused",
        ),
        (
            "a cell may bear any name",
            "if cell.key() != key:",
            "if not key:",
            "test_what_is_not_as_it_should_be_is_refused",
        ),
    ),
    *mistakes(
        "src/workbench/studies/settings.py",
        "tests/workbench/studies/test_identity.py",
        (
            "cells of several rates are one study",
            "if one.name not in (*AXES, *PLACES, *DERIVED))",
            'if one.name not in (*AXES, *PLACES, *DERIVED, "learning_rate"))',
            "test_another_value_is_refused_or_an_axis_or_decides_nothing[CellConfig.learning_rate]",
        ),
    ),
    *mistakes(
        "src/workbench/studies/growth.py",
        "tests/workbench/studies/test_growth.py",
        (
            "what was chosen is not written down before it is trained",
            '        described["grown"] = study.to_dict()["grown"]',
            "        pass",
            "test_a_study_that_was_killed_goes_on_as_one_that_never_was[recorded]",
        ),
        (
            "an end is written down again and again",
            "(last.rule, last.why) == (decision.rule, decision.why)",
            "False",
            "test_a_study_that_has_ended_trains_and_records_nothing_again",
        ),
        (
            "a stopped batch is taken for done",
            'if store.manifest.outcome != "finished":',
            "if False:",
            "test_a_study_whose_cells_fail_for_want_of_memory_asks_no_rule",
        ),
    ),
    *mistakes(
        "src/workbench/studies/identity.py",
        "tests/workbench/studies/test_growth.py",
        (
            "a plain run forgets what a study has grown by",
            "grown=study.grown or self.study.grown",
            "grown=study.grown",
            "test_a_plain_run_and_a_wider_grid_keep_what_has_grown",
        ),
    ),
    *mistakes(
        "src/workbench/studies/plan.py",
        "tests/workbench/studies/test_growth.py",
        (
            "growth cuts the stacks anew",
            "for batch in batches for stack in partition(batch,",
            "for batch in [cells] for stack in partition(batch,",
            "test_growth_leaves_the_stacks_before_it_as_they_were",
        ),
    ),
]
