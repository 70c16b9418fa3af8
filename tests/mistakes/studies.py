"""Mistakes in grids, stacks, costs, predictions, the store, archives, comparison and progress."""

from mistakes_list import mistakes

GRID, STACKS = "src/workbench/studies/grid.py", "src/workbench/studies/stacks.py"
COSTS, BILL = "src/workbench/studies/costs.py", "src/workbench/studies/bill.py"
PREDICT, RUNNER = "src/workbench/studies/predict.py", "src/workbench/studies/runner.py"
ROWS, STORE = "src/workbench/studies/rows.py", "src/workbench/studies/store.py"
CHECKPOINTS, COMPARE = "src/workbench/studies/checkpoints.py", "src/workbench/studies/compare.py"
SHARING, PROCESSES = "src/workbench/studies/sharing.py", "src/workbench/studies/executors/processes.py"
MANIFEST, PROGRESS = "src/workbench/studies/manifest.py", "src/workbench/cli/progress.py"
IDENTITY = "src/workbench/studies/settings.py"

MISTAKES = [
    *mistakes(
        COSTS,
        "tests/workbench/studies/test_costs.py",
        (
            "operations count the steps that the trunk takes",
            "(plan.own_steps[cell.key()] if steps is None else steps)",
            "(cell.total_steps if steps is None else steps)",
        ),
        (
            "operations forget what the last block spares",
            "    frozen -= 2 * (tokens - labels) * _block(decoder, AFTER_ATTENTION)\n",
            "",
        ),
        (
            "the last block spares the adapters nothing",
            "return 2 * cell.rank * (whole - spared)",
            "return 2 * cell.rank * whole",
        ),
        (
            "the adapters' own gradients are free",
            "backward = forward + _adapter(decoder, cell, tokens, labels)",
            "backward = forward",
        ),
        (
            "the frozen weights have gradients",
            "backward = forward + _adapter(decoder, cell, tokens, labels)",
            "backward = 2 * forward",
        ),
        (
            "a multiplication and its addition count as one",
            "frozen = blocks * (2 * tokens",
            "frozen = blocks * (tokens",
        ),
        ("attention forgets the values", "return 4 * tokens * length", "return 2 * tokens * length"),
        ("attention has as many heads as keys", "length * decoder.heads *", "length * decoder.kv_heads *"),
        (
            "the head works on every token",
            "head = 2 * labels * decoder.vocabulary",
            "head = 2 * tokens * decoder.vocabulary",
        ),
        (
            "frozen blocks below the adapters count in every cell",
            "blocks = decoder.layers - cell.first_layer",
            "blocks = decoder.layers",
        ),
        (
            "what all cells share is counted for the adapted blocks",
            "return frozen.first * (2",
            "return (decoder.layers - frozen.first) * (2",
        ),
        (
            "the evaluation counts its choices for nothing",
            "items = sorted({*heldout.references, *(index for row in heldout.choices for index in row)})",
            "items = sorted({*heldout.references})",
        ),
        (
            "a meter that wrapped around has used nothing",
            'used if used >= 0 else used + _number(zone / "max_energy_range_uj")',
            "max(0, used)",
        ),
        (
            "the parts of a processor are metered beside it",
            'folder.glob("*-rapl:?")',
            'folder.glob("*-rapl:*")',
        ),
        (
            "a task goes to the worker that is free last",
            "free[free.index(min(free))] += length",
            "free[free.index(max(free))] += length",
        ),
        ("workers take no turns", "    return max(free)\n", "    return sum(free) / workers\n"),
    ),
    *mistakes(
        BILL,
        "tests/workbench/studies/test_costs.py",
        ("a price is for a minute", "seconds / 3600 * price_per_hour", "seconds / 60 * price_per_hour"),
        ("every cell used as many joules", "else joules_a_second * seconds", "else joules_a_second"),
        ("what cells share is not in the total", "flops + (shared or 0.0)", "flops"),
        (
            "a sum is told though a part is missing",
            "if known and len(known) == len(values) else None",
            "if known else None",
        ),
        ("the whole took what its cells took", "        seconds=wall,\n", "        seconds=trained,\n"),
        ("a run that was stopped has an estimate", 'if session.get("outcome") == "finished"]', "]"),
    ),
    *mistakes(
        PREDICT,
        "tests/workbench/studies/test_costs.py",
        (
            "a correction is turned around",
            'session["actual"]["seconds"] / session["prediction"]["raw_seconds"] for',
            'session["prediction"]["raw_seconds"] / session["actual"]["seconds"] for',
        ),
        (
            "one odd run spoils the correction",
            "correction = statistics.median(ratios)",
            "correction = statistics.fmean(ratios)",
        ),
        (
            "the error is that before the correction",
            'abs(session["prediction"]["seconds"] /',
            'abs(session["prediction"]["raw_seconds"] /',
        ),
        (
            "a prediction learns from the corrected one",
            'session["actual"]["seconds"] / session["prediction"]["raw_seconds"] for',
            'session["actual"]["seconds"] / session["prediction"]["seconds"] for',
        ),
        (
            "a prediction learns from other machines",
            "and all(session[part] == value for part, value in like.items())",
            "",
        ),
        ("a prediction learns from the oldest runs", '"")))[-20:]', '"")))[:20]'),
        ("the zero-shot line costs nothing", "loading + rates.item * items + makespan", "loading + makespan"),
        ("workers don't share the work", "makespan(seconds, workers)", "makespan(seconds, 1)"),
        ("workers start at once", "STARTING_SECONDS if workers > 1 else 0.0", "0.0"),
        ("loading takes no time", "raw = loading + rates", "raw = rates"),
        (
            "a cell is predicted to take its trunk's steps",
            "steps = plan.own_steps[cell.key()]",
            "steps = cell.total_steps",
        ),
        ("memory is told in kibibytes", "else peak * 1024", "else peak"),
    ),
    *mistakes(
        GRID,
        "tests/workbench/studies/test_grid.py",
        ("two seeds where noise needs three", "choose(budget, 3, 4, 5)", "choose(budget, 2, 4, 5)"),
        (
            "the largest size of a coffee is left out",
            "choose(budget, sizes[1:8:2],",
            "choose(budget, sizes[1:7:2],",
        ),
        (
            "sizes of an own file step by too much",
            "available // factor**rung",
            "available // factor ** (2 * rung)",
        ),
        (
            "an own study skips its clean cells",
            "return (Quality(), *(Quality(corruption=corruption, share=share) for share in shares))",
            "return tuple([",
        ),
        ("raters train longer", '"steps": 60},\n    )\n\n\nSTUDIES', '"steps": 90},\n    )\n\n\nSTUDIES'),
    ),
    *mistakes(
        STACKS,
        "tests/workbench/studies/test_stacks.py",
        (
            "what all examples begin with counts for each",
            "return pool.shared + float(own.double().mean()) * cell.batch_size",
            "return float((own + pool.shared).double().mean()) * cell.batch_size",
        ),
        ("a stack is twice as large as a step may be", "int(room // tokens)", "int(2 * room // tokens)"),
        (
            "the last stack is a small rest",
            "cuts = [units[len(units) * i // count : len(units) * (i + 1) // count] for i in range(count)]",
            "cuts = [units[together * i : together * (i + 1)] for i in range(count)]",
        ),
        (
            "short cells are stacked with long ones",
            "key=lambda unit: -max(cell.total_steps for cell in unit))",
            "key=lambda unit: 0)",
        ),
        (
            "cells count the steps of their trunk as their own",
            "cell.total_steps - begin for",
            "cell.total_steps for",
        ),
    ),
    *mistakes(
        ROWS,
        "tests/workbench/studies/test_store.py tests/workbench/studies/test_store_size.py",
        (
            "a cell's hash leaves out its curves' numbers",
            "[name, len(points)]).encode() + points)",
            "[name, len(points)]).encode())",
        ),
        (
            "a cell's hash leaves out its metrics",
            "[key, config, status, metrics, failure]",
            "[key, config, status, failure]",
        ),
        (
            "a cell's hash leaves out why it failed",
            "[key, config, status, metrics, failure]",
            "[key, config, status, metrics]",
        ),
        (
            "curves are kept in 4-byte numbers",
            'values = array("d", points)\n    if byteorder == "big":\n        values.byteswap()\n    return values.tobytes()',
            'values = array("d", array("f", points))\n    return values.tobytes()',
        ),
        (
            "the table says how many steps were asked for",
            '"steps": cell.total_steps,',
            '"steps": cell.steps,',
        ),
        ("the table says how many passes were asked for", '"epochs": cell.passes,', '"epochs": cell.epochs,'),
        ("the worst quality comes first", '-row["share"],', 'row["share"],'),
        (
            "a second result takes the first one's place",
            "ON CONFLICT(key) DO NOTHING",
            "ON CONFLICT(key) DO UPDATE SET metrics = excluded.metrics",
        ),
    ),
    *mistakes(
        STORE,
        "tests/workbench/studies/test_store.py tests/workbench/studies/test_store_size.py",
        (
            "a shorter curve ends in zeros",
            "len(found), int(lengths.max(initial=0))), np.nan)",
            "len(found), int(lengths.max(initial=0))), 0.0)",
        ),
        (
            "cells that failed are not done",
            '"SELECT key FROM cell")}',
            "\"SELECT key FROM cell WHERE status = 'done'\")}",
        ),
        (
            "a damaged cell is taken for a whole one",
            "if sha256 not in (None, digest(",
            "if sha256 is None and sha256 not in (None, digest(",
        ),
    ),
    *mistakes(
        CHECKPOINTS,
        "tests/workbench/studies/test_checkpoints.py",
        (
            "a checkpoint's hash leaves out its numbers",
            "        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())\n",
            "",
        ),
        ("a checkpoint of other arithmetic is taken", '"arithmetic": arithmetic}', '"arithmetic": ""}'),
        ("checkpoints are never due", ">= self.every", "> 1e9"),
    ),
    *mistakes(
        COMPARE,
        "tests/workbench/studies/test_replay.py",
        (
            "a millionth is no difference",
            'return struct.pack("<d", a) == struct.pack("<d", b)',
            "return abs(a - b) <= 1e-6",
        ),
        (
            "two losses that are not numbers differ",
            'return struct.pack("<d", a) == struct.pack("<d", b)',
            "return a == b",
        ),
        (
            "steps are counted from 0",
            "zip(one, two, strict=False), start=1)",
            "zip(one, two, strict=False), start=0)",
        ),
        (
            "a curve that is shorter is the same",
            "        if len(one) != len(two):",
            "        if len(one) > len(two) + 10**9:",
        ),
        (
            "a metric that is missing is the same as any",
            "same = old is new if old is None or new is None else",
            "same = True if old is None or new is None else",
        ),
        ("the status is not compared", "    if first.status != second.status:", "    if not first.status:"),
    ),
    *mistakes(
        RUNNER,
        "tests/workbench/studies/test_runner.py tests/workbench/studies/test_costs.py",
        (
            "the share counts stacks that were done before",
            "max(1, sum(self.steps[number] for number in self.missing))",
            "max(1, sum(self.steps))",
        ),
        (
            "cells of other stacks are forgotten among the done",
            "cells_done=len(self.wanted & self.done),\n            share",
            "cells_done=len(set(keys) & self.done),\n            share",
        ),
        (
            "a loss that is not a number counts as 0 in the mean",
            "sum(known) / len(known) if known else None",
            "sum(known) / len(losses) if known else None",
        ),
        (
            "a cell is charged for its trunk",
            'steps = max(0, len(result.curves["train_loss"]) - by_trunk)',
            'steps = len(result.curves["train_loss"])',
        ),
        (
            "the evaluation is not charged",
            "training_flops(self.plan, result.cell, steps) + evaluation_flops(self.plan, result.cell)",
            "training_flops(self.plan, result.cell, steps)",
        ),
        (
            "an adapter's bytes are its numbers",
            "sum(tensor.nbytes for tensor in",
            "sum(tensor.numel() for tensor in",
        ),
        ("a stack is tried once too often", "if task.attempt < ATTEMPTS]", "if task.attempt <= ATTEMPTS]"),
        (
            "an incomplete study is finished",
            '            return "incomplete"\n',
            '            return "finished"\n',
        ),
    ),
    *mistakes(
        PROCESSES,
        "tests/workbench/studies/test_executors.py",
        ("workers take all the free memory", "SPARE = 0.8", "SPARE = 1.0"),
        (
            "workers are counted by the machine's memory, not the free",
            "psutil.virtual_memory().available",
            "psutil.virtual_memory().total",
        ),
        ("workers are counted by what this process has reserved", "memory_info().rss", "memory_info().vms"),
    ),
    *mistakes(
        SHARING,
        "tests/workbench/studies/test_sharing.py",
        ("an archive's hashes are not compared", "if sha256_of(study / name) != digest:", "if not digest:"),
        (
            "an archive may unpack to any size",
            "most = min(most, SLACK + RATIO * archive.stat().st_size)",
            "most = most",
        ),
        ("a cell may bear any name", "if cell.key() != key:", "if not key:"),
    ),
    *mistakes(
        MANIFEST,
        "tests/workbench/studies/test_runner.py",
        (
            "a subset's hash forgets the answers",
            "[record.id, record.prompt, record.response, *before]",
            "[record.id, record.prompt, *before]",
        ),
        (
            "a subset's hash forgets its order",
            "    for record in records:\n        # only",
            "    for record in sorted(records, key=lambda one: one.id):\n        # only",
        ),
    ),
    *mistakes(
        PROGRESS,
        "tests/workbench/cli/test_cli.py",
        ("memory is told in other units", "peak_bytes / 2**30", "peak_bytes / 2**20"),
        ("a minute and a half is told in minutes", "if seconds < 90", "if seconds < 60"),
    ),
    *mistakes(
        IDENTITY,
        "tests/workbench/studies/test_identity.py",
        (
            "cells of several rates are one study",
            "if one.name not in (*AXES, *PLACES))",
            'if one.name not in (*AXES, *PLACES, "learning_rate"))',
        ),
        (
            "the adapted blocks are counted from below",
            'values["adapted_layers"] = layers - values.pop("first_layer")',
            'values["adapted_layers"] = values.pop("first_layer")',
        ),
    ),
]
