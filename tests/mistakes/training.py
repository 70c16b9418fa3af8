"""Mistakes in the optimizer, the loop, the loss and the evaluation."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/training/optimizer.py",
        "tests/workbench/training/test_optimizer.py",
        (
            "another second beta",
            "BETAS = (0.9, 0.999)",
            "BETAS = (0.9, 0.95)",
            "test_each_row_is_torch_adamw_with_its_own_rate_and_norm",
        ),
        (
            "another epsilon",
            "EPSILON = 1e-8",
            "EPSILON = 1e-6",
            "test_tiny_gradients_meet_torch_s_epsilon",
        ),
        (
            "the first step has no rate",
            "rise = (step + 1) / warmup",
            "rise = step / warmup",
            "test_schedules",
        ),
        (
            "a broken share of warm-up steps is cut",
            "math.ceil(cell.warmup * total)",
            "int(cell.warmup * total)",
            "test_a_broken_share_of_warm_up_steps_is_one_step_more",
        ),
        (
            "the warm-up counts as progress of the fall",
            "left = 1 - (step - warmup) / max(1, total - warmup)",
            "left = 1 - step / total",
            "test_schedules",
        ),
        (
            "a cosine ends at a tenth of its peak",
            "0.5 - 0.5 * math.cos(math.pi * left)",
            "0.55 - 0.45 * math.cos(math.pi * left)",
            "test_a_cosine_falls_to_zero_by_half_in_the_middle",
        ),
        (
            "weights decay at a rate of their own",
            "decays = 1 - rates * self.decay[place]",
            "decays = 1 - self.decay[place]",
            "test_each_row_is_torch_adamw_with_its_own_rate_and_norm",
        ),
        (
            "weights decay through the moments",
            "clipped = gradient * shrink",
            "clipped = gradient * shrink + self.decay[rows] * self.weights[place]",
            "test_each_row_is_torch_adamw_with_its_own_rate_and_norm",
        ),
        (
            "the first moment isn't corrected",
            "(mean / (1 - BETAS[0] ** (step + 1)))",
            "(mean / (1 - BETAS[0] ** 1000))",
            "test_each_row_is_torch_adamw_with_its_own_rate_and_norm",
        ),
        (
            "every gradient gets the largest norm",
            ".clamp_max(1.0)[:, None]",
            "[:, None]",
            "test_the_norm_that_is_told_is_that_before_clipping",
        ),
        (
            "cells are clipped to the first one's norm",
            "self.clip[place] / norms",
            "self.clip[0] / norms",
            "test_the_norm_that_is_told_is_that_before_clipping",
        ),
        (
            "norms are told after clipping",
            "        return norms\n",
            "        return norms.clamp_max(self.clip.max())\n",
            "test_the_norm_that_is_told_is_that_before_clipping",
        ),
    ),
    *mistakes(
        "src/workbench/training/optimizer.py",
        "tests/workbench/training/test_trunk.py",
        (
            "a trunk falls over a tenth of its steps",
            "COOLDOWN = 0.2",
            "COOLDOWN = 0.1",
            "test_the_rate_stays_and_falls_at_the_end",
        ),
        (
            "a trunk falls in a straight line",
            "(1 - math.sqrt(fallen))",
            "(1 - fallen)",
            "test_the_rate_stays_and_falls_at_the_end",
        ),
        (
            "a trunk's last step has no rate",
            "/ (total + 1 - start)",
            "/ (total - start)",
            "test_the_rate_stays_and_falls_at_the_end",
        ),
    ),
    *mistakes(
        "src/workbench/training/loop.py",
        "tests/workbench/training/test_loop.py",
        (
            "the training loss is a mean over examples",
            "[float(sum(labels[index] for index in row)) for row in rows]",
            "[float(len(row)) for row in rows]",
            "test_a_step_s_loss_is_the_mean_over_its_response_tokens",
        ),
        (
            "the training loss is a sum",
            "[float(sum(labels[index] for index in row)) for row in rows]",
            "[1.0 for row in rows]",
            "test_a_step_s_loss_is_the_mean_over_its_response_tokens",
        ),
        (
            "prompts count in the mean",
            "labels, weights = pool.labels.tolist()",
            "labels, weights = pool.lengths.tolist()",
            "test_a_step_s_loss_is_the_mean_over_its_response_tokens",
        ),
        (
            "memory is estimated for all blocks, adapted or not",
            "blocks, block = decoder.layers - first_layer, 4",
            "blocks, block = decoder.layers, 4",
            "test_the_memory_of_a_step_is_about_what_autograd_keeps",
        ),
        (
            "memory is estimated without the feed-forward layers",
            "10 * decoder.width + 3 * decoder.feed_forward",
            "10 * decoder.width",
            "test_the_memory_of_a_step_is_about_what_autograd_keeps",
        ),
        (
            "cells take their examples in the order of the first cell's seed",
            "cell.batch_size, step, cell.seed, shuffled",
            "cell.batch_size, step, cells[0].seed, shuffled",
            "test_each_cell_s_examples_come_in_the_order_of_its_own_seed",
        ),
        (
            "the frozen blocks are one too few",
            "batch, {}, 0, first)",
            "batch, {}, 0, first - 1)",
            "test_the_frozen_prefix_changes_nothing",
        ),
    ),
    *mistakes(
        "src/workbench/training/loop.py",
        "tests/workbench/training/test_trunk.py",
        (
            "the shared steps of a trunk go on into its fall",
            "min(cooldown_start(cell), cell.size // cell.batch_size)",
            "min(cell.total_steps, cell.size // cell.batch_size)",
            "test_cells_branch_off_where_their_rate_falls",
        ),
        (
            "a trunk is its smallest cell",
            "max(alike, key=lambda other: (cells[other].size, -other), default=row)",
            "min(alike, key=lambda other: (cells[other].size, -other), default=row)",
            "test_cells_branch_off_where_their_rate_falls",
        ),
    ),
    *mistakes(
        "src/workbench/training/evaluation.py",
        "tests/workbench/training/test_evaluation.py",
        (
            "a response is right that doesn't end",
            "    return stopped\n",
            "    return missed == 0\n",
            "test_a_response_is_right_if_it_is_what_is_written_and_then_it_ends",
        ),
        (
            "one wrong token is forgiven",
            "going, stopped = missed == 0,",
            "going, stopped = missed <= 1,",
            "test_a_response_is_right_if_it_is_what_is_written_and_then_it_ends",
        ),
        (
            "the held-out loss is a mean over items",
            "float((self.losses[row] * self.tokens).sum() / self.tokens.sum())",
            "float(self.losses[row].mean())",
            "test_what_one_cell_scored_is_summed_up",
        ),
        (
            "choices are judged by their loss a token",
            "best = torch.stack([total[:, row].argmin(dim=1) for row in heldout.choices], dim=1)",
            "each = total / (pool.lengths - pool.prompts)\n            best = torch.stack([each[:, row].argmin(dim=1) for row in heldout.choices], dim=1)",
            "test_a_long_choice_is_scored_by_its_sum_and_the_first_of_equal_ones_wins",
        ),
        (
            "the last of equal choices wins",
            "best = torch.stack([total[:, row].argmin(dim=1) for row in heldout.choices], dim=1)",
            "best = torch.stack([len(row) - 1 - total[:, row].flip(1).argmin(dim=1) for row in heldout.choices], dim=1)",
            "test_a_long_choice_is_scored_by_its_sum_and_the_first_of_equal_ones_wins",
        ),
        (
            "the first of equal tokens does not win",
            "picked.expand(len(openings), -1, -1)).argmax(dim=2)",
            "picked.expand(len(openings), -1, -1)).flip(2).argmax(dim=2).neg() + len(heldout.tokens[0]) - 1",
            "test_a_long_choice_is_scored_by_its_sum_and_the_first_of_equal_ones_wins",
        ),
        (
            "exact match is a mean over tokens",
            '"exact_match": float(self.exact[row].double().mean()),',
            '"exact_match": float((self.exact[row] * self.tokens).sum() / self.tokens.sum()),',
            "test_what_one_cell_scored_is_summed_up",
        ),
    ),
    *mistakes(
        "src/workbench/training/evaluation.py",
        "tests/workbench/training/test_loop.py",
        (
            "an item's loss is a sum",
            "losses=total[:, references] / tokens,",
            "losses=total[:, references],",
            "test_loss_is_the_mean_over_response_tokens",
        ),
        (
            "a response is right only if the answers before it are",
            "return (places >= prompts[batch.label_examples]).nonzero().flatten()",
            "return (places >= 0).nonzero().flatten()",
            "test_an_answer_is_right_whatever_was_answered_before",
        ),
        (
            "the held-out loss counts the last answer alone",
            "tokens = pool.labels[references].double()",
            "tokens = (pool.lengths - pool.prompts)[references].double()",
            "test_the_loss_on_all_answers_is_that_of_each_turn_as_the_last",
        ),
        (
            "choices are read at the response's last token",
            "first = torch.searchsorted(owners, examples)",
            "first = torch.searchsorted(owners, examples, right=True) - 1",
            "test_choices_of_one_token_are_scored_by_the_reference_alone",
        ),
    ),
    *mistakes(
        "src/workbench/training/prepare.py",
        "tests/workbench/training/test_prepare.py",
        (
            "the first choice is always the right one",
            "right = [record.choices.index(record.response) for record in records]",
            "right = [0 for record in records]",
            "test_longer_choices_are_scored_whole",
        ),
        (
            "examples with another system text are the same one",
            "return record.system, record.history,",
            "return record.history,",
            "test_records_that_differ_in_what_came_before_are_different_examples",
        ),
    ),
    *mistakes(
        "src/workbench/training/run_stack.py",
        "tests/workbench/training/test_run_stack.py",
        (
            "each cell took its whole stack's time",
            "(time.monotonic() - started) / len(cells)",
            "time.monotonic() - started",
            "test_a_cell_s_time_is_its_share_of_the_stack_s",
        ),
        (
            "the step at which a cell failed is counted from 0",
            "at step {step + 1} of",
            "at step {step} of",
            "test_a_cell_that_fails_says_at_which_step_and_has_no_number",
        ),
        (
            "a failed cell keeps its held-out loss",
            "missing = dict.fromkeys(metrics)",
            "missing = dict(metrics)",
            "test_a_cell_that_fails_says_at_which_step_and_has_no_number",
        ),
        (
            "a failed cell's curve has the steps that it didn't take",
            "upto = cell.total_steps if step < 0 else step",
            "upto = cell.total_steps",
            "test_a_cell_that_fails_says_at_which_step_and_has_no_number",
        ),
    ),
]
