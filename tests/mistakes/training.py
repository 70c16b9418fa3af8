"""Mistakes in the optimizer, the loop, the loss and the evaluation."""

from mistakes_list import mistakes

OPTIMIZER, LOOP = "src/workbench/training/optimizer.py", "src/workbench/training/loop.py"
EVALUATION, STACK = "src/workbench/training/evaluation.py", "src/workbench/training/run_stack.py"
PREPARE = "src/workbench/training/prepare.py"

MISTAKES = [
    *mistakes(
        OPTIMIZER,
        "tests/workbench/training/test_optimizer.py tests/workbench/training/test_trunk.py::test_the_rate_stays_and_falls_at_the_end",
        ("another second beta", "BETAS = (0.9, 0.999)", "BETAS = (0.9, 0.95)"),
        ("another epsilon", "EPSILON = 1e-8", "EPSILON = 1e-6"),
        ("the first step has no rate", "rise = (step + 1) / warmup", "rise = step / warmup"),
        (
            "a broken share of warm-up steps is cut",
            "math.ceil(cell.warmup * total)",
            "int(cell.warmup * total)",
        ),
        (
            "the warm-up counts as progress of the fall",
            "left = 1 - (step - warmup) / max(1, total - warmup)",
            "left = 1 - step / total",
        ),
        (
            "a cosine ends at a tenth of its peak",
            "0.5 - 0.5 * math.cos(math.pi * left)",
            "0.55 - 0.45 * math.cos(math.pi * left)",
        ),
        ("a trunk falls over a tenth of its steps", "COOLDOWN = 0.2", "COOLDOWN = 0.1"),
        ("a trunk falls in a straight line", "(1 - math.sqrt(fallen))", "(1 - fallen)"),
        ("a trunk's last step has no rate", "/ (total + 1 - start)", "/ (total - start)"),
        (
            "weights decay at a rate of their own",
            "decays = 1 - rates * self.decay[rows]",
            "decays = 1 - self.decay[rows]",
        ),
        (
            "weights decay through the moments",
            "clipped = gradient * shrink",
            "clipped = gradient * shrink + self.decay[rows] * self.weights[place]",
        ),
        (
            "the first moment isn't corrected",
            "(mean / (1 - BETAS[0] ** (step + 1)))",
            "(mean / (1 - BETAS[0] ** 1000))",
        ),
        ("every gradient gets the largest norm", ".clamp_max(1.0)[:, None]", "[:, None]"),
        ("cells are clipped to the first one's norm", "self.clip[rows] / norms", "self.clip[0] / norms"),
        (
            "norms are told after clipping",
            "        return norms\n",
            "        return norms.clamp_max(self.clip.max())\n",
        ),
    ),
    *mistakes(
        LOOP,
        "tests/workbench/training/test_loop.py tests/workbench/training/test_trunk.py",
        (
            "the training loss is a mean over examples",
            "[sum(labels[index] for index in row) for row in rows]",
            "[len(row) for row in rows]",
        ),
        (
            "the training loss is a sum",
            "[sum(labels[index] for index in row) for row in rows]",
            "[1 for row in rows]",
        ),
        (
            "prompts count in the mean",
            "labels = (pool.lengths - pool.prompts).tolist()",
            "labels = pool.lengths.tolist()",
        ),
        (
            "memory is estimated for all blocks, adapted or not",
            "(decoder.layers - first_layer) * (10",
            "decoder.layers * (10",
        ),
        (
            "memory is estimated without the feed-forward layers",
            "(10 * decoder.width + 3 * decoder.feed_forward)",
            "(10 * decoder.width)",
        ),
        (
            "the shared steps of a trunk go on into its fall",
            "min(cooldown_start(cell), cell.size // cell.batch_size)",
            "min(cell.total_steps, cell.size // cell.batch_size)",
        ),
        (
            "a trunk is its smallest cell",
            "max(alike, key=lambda other: (cells[other].size, -other), default=row)",
            "min(alike, key=lambda other: (cells[other].size, -other), default=row)",
        ),
        (
            "cells take their examples in the order of the first cell's seed",
            "cell.batch_size, step, cell.seed, shuffled",
            "cell.batch_size, step, cells[0].seed, shuffled",
        ),
        (
            "the frozen blocks are one too few",
            "batch, {}, 0, first)",
            "batch, {}, 0, first - 1)",
        ),
    ),
    *mistakes(
        EVALUATION,
        "tests/workbench/training/test_loop.py",
        (
            "the held-out loss is a mean over items",
            "float((self.losses[row] * self.tokens).sum() / self.tokens.sum())",
            "float(self.losses[row].mean())",
        ),
        (
            "an item's loss is a sum",
            "losses=total[:, references] / tokens,",
            "losses=total[:, references],",
        ),
        (
            "choices are judged by their loss a token",
            "best = torch.stack([total[:, row].argmin(dim=1) for row in heldout.choices], dim=1)",
            "each = total / (pool.lengths - pool.prompts)\n            best = torch.stack([each[:, row].argmin(dim=1) for row in heldout.choices], dim=1)",
        ),
        (
            "the last of equal choices wins",
            "best = torch.stack([total[:, row].argmin(dim=1) for row in heldout.choices], dim=1)",
            "best = torch.stack([len(row) - 1 - total[:, row].flip(1).argmin(dim=1) for row in heldout.choices], dim=1)",
        ),
        (
            "the first of equal tokens does not win",
            "picked.expand(len(openings), -1, -1)).argmax(dim=2)",
            "picked.expand(len(openings), -1, -1)).flip(2).argmax(dim=2).neg() + len(heldout.tokens[0]) - 1",
        ),
        (
            "a response is right that doesn't end",
            "    return stopped\n",
            "    return missed == 0\n",
        ),
        (
            "one wrong token is forgiven",
            "going, stopped = missed == 0,",
            "going, stopped = missed <= 1,",
        ),
        (
            "exact match is a mean over tokens",
            '"exact_match": float(self.exact[row].double().mean()),',
            '"exact_match": float((self.exact[row] * self.tokens).sum() / self.tokens.sum()),',
        ),
        (
            "choices are read at the response's last token",
            "first = torch.searchsorted(batch.label_examples, examples)",
            "first = torch.searchsorted(batch.label_examples, examples, right=True) - 1",
        ),
    ),
    *mistakes(
        PREPARE,
        "tests/workbench/training/test_prepare.py",
        (
            "the first choice is always the right one",
            "right = [record.choices.index(record.response) for record in records]",
            "right = [0 for record in records]",
        ),
        (
            "examples with another system text are the same one",
            "key = (record.system, record.history,",
            "key = (record.history,",
        ),
    ),
    *mistakes(
        STACK,
        "tests/workbench/training/test_run_stack.py",
        (
            "each cell took its whole stack's time",
            "(time.monotonic() - started) / len(cells)",
            "time.monotonic() - started",
        ),
        ("the step at which a cell failed is counted from 0", "at step {step + 1} of", "at step {step} of"),
        (
            "a failed cell keeps its held-out loss",
            "missing = dict.fromkeys(evaluation.metrics(row))",
            "missing = evaluation.metrics(row)",
        ),
        (
            "a failed cell's curve has the steps that it didn't take",
            "upto = cell.total_steps if step < 0 else step",
            "upto = cell.total_steps",
        ),
    ),
]
