"""Mistakes of `make gpu-check`: a number that is upside down, of another unit, or read too early."""

from mistakes_list import mistakes

ARITHMETIC = "tests/benchmarks/test_gpu_arithmetic.py"
PARTS = "tests/benchmarks/test_gpu_parts.py"
RUNNER = "tests/benchmarks/test_gpu_runner.py"
PAGE = "tests/benchmarks/test_gpu_page.py"
THROUGHPUT = "test_the_throughput_compares_what_is_the_same"
LABELS = "test_labels_are_those_of_all_cells_in_the_steps_that_are_timed"

MISTAKES = [
    *mistakes(
        "benchmarks/gpucheck/operator_rows.py",
        ARITHMETIC,
        (
            "a product is one operation a term",
            "return 2 * rows * outputs * inputs",
            "return rows * outputs * inputs",
        ),
        (
            "a share of the dense product upside down",
            "copy if few else dense / ms",
            "copy if few else ms / dense",
        ),
        ("few rows are judged by all bytes", "share = gbs(packed, ms)", "share = gbs(moved, ms)"),
        ("milliseconds taken for seconds", "return moved / (ms / 1e3) / 1e9", "return moved / ms / 1e9"),
        ("activations aren't moved", "packed + itemsize * rows * (inputs + outputs)", "packed"),
        ("the head is one product", "tflops(2 * product_flops", "tflops(product_flops"),
    ),
    *mistakes(
        "benchmarks/gpucheck/targets.py",
        ARITHMETIC,
        ("a gigabyte of 2^30 bytes", "GB = 1e9", "GB = 2.0**30"),
        ("the slower route counts", "return min(row[", "return max(row["),
        (
            "a shape is as good as its best product",
            "return min(shares, default",
            "return max(shares, default",
        ),
        (
            "at most is read as at least",
            "if self.at_least else measured <= self.wanted",
            "if self.at_least else measured >= self.wanted",
        ),
        ("any stack decides", 'if row["cells"] == cells and "ratio"', 'if "ratio"'),
        ("PEFT's memory is taken for ours", ' and row["who"].startswith("workbench")', ""),
        ("decoding counts as a product", 'if row["operator"] in PRODUCTS\n        and row', "if row"),
    ),
    *mistakes(
        "benchmarks/gpucheck/targets.py",
        RUNNER,
        ("tests that were all skipped have passed", ' if result["passed"] and result["whole"] else None', ""),
    ),
    *mistakes(
        "benchmarks/gpucheck/clock.py",
        ARITHMETIC,
        (
            "the stopwatch stops before the work is done",
            "        self.synchronize()\n        return self.now()",
            "        return self.now()",
        ),
        (
            "the stopwatch starts before earlier work is done",
            "        self.synchronize()\n        self.started",
            "        self.started",
        ),
        (
            "events are read before the device is done",
            "    place.synchronize()\n    return statistics.median(start",
            "    return statistics.median(start",
        ),
        ("operands come from the cache", "        _flushed(place.device).zero_()\n", ""),
        ("the host's time is measured", "        torch.cuda._sleep(AHEAD_CYCLES)\n", ""),
        ("compiling is measured", "    for _ in range(WARM):\n        call()\n    if not", "    if not"),
        ("a copy only reads", "return 2 * size / (ms / 1e3)", "return size / (ms / 1e3)"),
    ),
    *mistakes(
        "benchmarks/gpucheck/operators.py",
        PARTS,
        (
            "routes that disagree are timed",
            "    if not apart <= AGREE:",
            "    if apart > 2:",
            "test_routes_that_disagree_are_not_timed",
        ),
        (
            "dS and dB are one product",
            "            2 * product * wide,",
            "            product * wide,",
            "test_bytes_that_passes_have_to_move",
        ),
        (
            "SwiGLU reads one input",
            '"swiglu": (3 * count',
            '"swiglu": (2 * count',
            "test_bytes_that_passes_have_to_move",
        ),
    ),
    *mistakes(
        "benchmarks/gpucheck/bases.py",
        PARTS,
        (
            "random weights shrink with the width",
            "step = 1 / (math.sqrt(columns) *",
            "step = 1 / (columns *",
            "test_random_weights_are_as_large_as_trained_ones",
        ),
        (
            "random weights of q4_1 are all positive",
            "value = step if name",
            "value = 0 * step if name",
            "test_random_weights_are_as_large_as_trained_ones",
        ),
        (
            "the 8B shape has another feed-forward size",
            "4096, 14_336",
            "4096, 14_366",
            "test_the_shapes_are_those_of_the_models_that_they_are_named_for",
        ),
    ),
    *mistakes(
        "benchmarks/gpucheck/throughput.py",
        ARITHMETIC,
        ("a ratio upside down", "timed.rate / plain.rate", "plain.rate / timed.rate"),
        ("losses are compared where they are nearest", "return max(abs(a - b)", "return min(abs(a - b)"),
    ),
    *mistakes(
        "benchmarks/gpucheck/throughput.py",
        PARTS,
        ("PEFT starts from other adapters", "    start_alike(model, adapter)\n", "", THROUGHPUT),
        (
            "PEFT takes the batches of another step",
            "chosen([cell], len(examples), step)[0]",
            "chosen([cell], len(examples), step + 1)[0]",
            THROUGHPUT,
        ),
        ("PEFT has another base", "    copy_weights(decoder, model)\n", "", THROUGHPUT),
        (
            "losses that differ are no matter",
            '    if not result["largest_distance"] <= LOSS_TOLERANCE:',
            "    if False:",
            "test_a_throughput_of_other_training_is_refused",
        ),
    ),
    *mistakes(
        "benchmarks/gpucheck/training.py",
        PARTS,
        (
            "a stack's time is held against one cell's labels",
            "labels_in(cells, ex",
            "labels_in(cells[:1], ex",
            LABELS,
        ),
        (
            "labels of steps that aren't timed",
            "examples, range(WARM_STEPS, steps))",
            "examples, range(steps))",
            LABELS,
        ),
        (
            "PEFT's labels of steps that aren't timed",
            "for row in rows[WARM_STEPS:] for index",
            "for row in rows for index",
            THROUGHPUT,
        ),
        ("padding counts in PEFT's loss", "padding_value=-100", "padding_value=0", THROUGHPUT),
        (
            "prompts count in PEFT's loss",
            "(-100,) * one.prompt_length +",
            "one.token_ids[: one.prompt_length] +",
            THROUGHPUT,
        ),
    ),
    *mistakes(
        "benchmarks/gpucheck/training.py",
        ARITHMETIC,
        (
            "a rate is seconds a label",
            "return self.labels / self.seconds",
            "return self.seconds / self.labels",
        ),
        ("a loss that is no number is timed", "if not math.isfinite(loss):", "if False:"),
    ),
    *mistakes(
        "benchmarks/gpucheck/memory.py",
        PARTS,
        (
            "four times the tokens of a step",
            "place.pick(TOKENS, 32) // BATCH",
            "place.pick(TOKENS, 32)",
            "test_the_memory",
        ),
        (
            "a library that is missing ends the part",
            "except ImportError as missing:",
            "except SyntaxError as missing:",
            "test_a_contestant_that_cant_run_says_why",
        ),
    ),
    *mistakes(
        "benchmarks/gpucheck/waiting.py",
        PARTS,
        (
            "two steps are watched",
            "elif state.step == WATCHED + 1:",
            "elif state.step == WATCHED + 2:",
            "test_waits_are_counted_in_one_step",
        ),
        (
            "every warning is a wait",
            '        if "called a synchronizing" in str(one.message)\n',
            "",
            "test_waits_are_counted_in_one_step",
        ),
        (
            "the device goes on warning",
            'torch.cuda.set_sync_debug_mode("default")',
            "pass",
            "test_the_device_is_told_to_warn_and_told_to_stop",
        ),
    ),
    *mistakes(
        "benchmarks/gpucheck/study.py",
        ARITHMETIC,
        (
            "the spread is over qualities, too",
            "groups.setdefault((quality, size)",
            'groups.setdefault(("", size)',
        ),
        ("cells that one run lacks are left out", "    if slow.keys() != fast.keys():", "    if False:"),
    ),
    *mistakes(
        "benchmarks/gpucheck/hardware.py",
        PARTS,
        (
            "a test that ended badly has passed before",
            "> WORSE.index(before",
            "< WORSE.index(before",
            "test_a_test_counts_once_as_the_worst_that_came_of_it",
        ),
        (
            "tests that were ended early are whole",
            '"whole": status is not None',
            '"whole": True',
            "test_tests_that_take_too_long_are_ended_and_what_has_run_counts",
        ),
    ),
    *mistakes(
        "benchmarks/gpucheck/told.py",
        PARTS,
        (
            "a fixture that breaks is no error",
            '"errors" if report.failed and report.when != "call" else',
            '"skipped" if report.failed and report.when != "call" else',
            "test_tests_are_counted_with_the_names_of_what_failed",
        ),
    ),
    *mistakes(
        "benchmarks/gpucheck/runner.py",
        RUNNER,
        ("what a part started lives on", "os.killpg(child.pid", "os.kill(child.pid"),
        ("a part without a result is done", 'if status == "done" and not kept["whole"]:', "if False:"),
        ("a part's beginning is thrown away", 'limit, error, kept["result"])', "limit, error, None)"),
        ("a part that was killed is done", "if code < 0:", "if code < -99:"),
    ),
    *mistakes(
        "benchmarks/gpucheck/record.py",
        RUNNER,
        ("parts that didn't run again are lost", "together = {**kept, **parts}", "together = {**parts}"),
        (
            "parts that ran again stay as they were",
            "together = {**kept, **parts}",
            "together = {**parts, **kept}",
        ),
        (
            "records of two cards are mixed",
            'if old is not None and old["card"] != header["card"]:',
            "if False:",
        ),
        ("what isn't a number is written", "allow_nan=False", "allow_nan=True"),
        (
            "a record names folders of the machine",
            'return re.sub(r"(?<![\\w.:/])/(?:[\\w.+@-]+/)+", "", text)',
            "return text",
        ),
    ),
    *mistakes(
        "benchmarks/gpucheck/page.py",
        PAGE,
        ("a rehearsal is on the page", 'if any(record["rehearsal"] for record in records):', "if False:"),
        ("a part that failed is told as if it had not", 'if part["status"] != "done":', "if False:"),
        (
            "what wasn't measured is missed",
            'False: "missed", None: "not measured"',
            'False: "missed", None: "missed"',
        ),
    ),
    *mistakes(
        "benchmarks/gpucheck/sections.py",
        PAGE,
        (
            "a step has the time of all of them",
            "1000 * row['seconds'] / row['steps']",
            "1000 * row['seconds']",
        ),
        ("the page tells gigabytes of 2^30", "row['peak_bytes'] / GB", "row['peak_bytes'] / 2**30"),
    ),
    *mistakes(
        "benchmarks/gpu_check.py",
        PAGE,
        ("a rehearsal writes the page", "    if not rehearse and output is None:", "    if output is None:"),
        (
            "a record of another machine is written over",
            '    if old is not None and (old["card"], old["rehearsal"])',
            '    if False and (old["card"], old["rehearsal"])',
        ),
    ),
]
