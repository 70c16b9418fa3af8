"""Mistakes in what the frozen base computes, and in what adapters add to it."""

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/models/between.py",
        "tests/workbench/models/test_between.py",
        (
            "scores are rounded before their softmax",
            "torch.bmm(_wide(queries), _wide(keys).mT)",
            "torch.bmm(queries, keys.mT)",
            "test_large_scores_keep_their_digits",
        ),
        (
            "the slopes of scores aren't scaled",
            "slopes.mul_(ctx.scale)",
            "slopes.mul_(1.0)",
            "test_values_and_gradients_in_float64_are_the_definition_s",
        ),
        (
            "shares that are computed again forget what a query sees",
            "_shares(queries, keys, ctx.scale, hidden)",
            "_shares(queries, keys, ctx.scale, hidden & False)",
            "test_values_and_gradients_in_float64_are_the_definition_s",
        ),
        (
            "the slope of up is that of the gate",
            "functional.silu(gate).mul_(dy)",
            "functional.silu(up).mul_(dy)",
            "test_values_and_gradients_in_float64_are_the_definition_s",
        ),
    ),
    *mistakes(
        "src/workbench/models/attention.py",
        "tests/workbench/models/test_between.py",
        (
            "written attention forgets its window",
            "return written_attention(q, k, v, self.scale, visible)",
            "return written_attention(q, k, v, self.scale, torch.ones_like(visible).tril())",
            "test_a_window_is_kept",
        ),
    ),
    *mistakes(
        "src/workbench/training/loop.py",
        "tests/workbench/models/test_between.py",
        (
            "rounded activations are counted in four bytes",
            "block = 2 * (12 * decoder.width",
            "block = 4 * (12 * decoder.width",
            "test_a_token_leaves_behind_about_what_is_counted",
        ),
    ),
    *mistakes(
        "src/workbench/models/adapted.py",
        "tests/workbench/models/test_decoder.py",
        (
            "the adapter of a layer is added to its neighbour",
            "(before, sum(ranks) - before - rank)",
            "(sum(ranks) - before - rank, before)",
            "test_an_adapter_is_a_change_of_its_weight",
        ),
    ),
    *mistakes(
        "kernels/qlora_kernels/rope.py",
        "tests/workbench/models/test_decoder.py",
        (
            "the rotation turns the wrong way",
            "torch.cat([first * cosine - second * sine, first * sine + second * cosine]",
            "torch.cat([first * cosine + second * sine, second * cosine - first * sine]",
            "test_a_pair_turns_from_its_first_axis_to_its_second",
        ),
    ),
    *mistakes(
        "src/workbench/models/decoder.py",
        "tests/workbench/models/test_decoder.py",
        (
            "the norms forget their epsilon",
            "self.weight(name), self.config.norm_epsilon",
            "self.weight(name), 1e-6",
            "test_a_norm_has_the_epsilon_of_its_base",
        ),
    ),
    *mistakes(
        "src/workbench/models/rotary.py",
        "tests/workbench/models/test_decoder.py",
        (
            "the base of the rotation is fixed",
            "features, config.rope_base, config.rope_scale,",
            "features, 10_000.0, config.rope_scale,",
            "test_positions_turn_as_base_and_scale_say",
        ),
        (
            "a longer context turns faster instead of slower",
            "features, config.rope_base, config.rope_scale,",
            "features, config.rope_base, 1 / config.rope_scale,",
            "test_positions_turn_as_base_and_scale_say",
        ),
    ),
    *mistakes(
        "src/workbench/models/generation.py",
        "tests/workbench/models/test_decoding.py",
        (
            "by the decoder's blocks a new token sees all that was written for longer prompts",
            "attention.visible(positions[:, None],",
            "attention.visible(0 * positions[:, None] + upto,",
            "test_a_step_has_the_bits_of_the_blocks",
        ),
    ),
    *mistakes(
        "src/workbench/models/decoding.py",
        "tests/workbench/models/test_decoding.py",
        (
            "layers with a window see as far as the first layer does",
            "if window not in masks:",
            "if not masks:",
            "test_a_step_has_the_bits_of_the_blocks",
        ),
        (
            "prompts of other lengths are kept where the longest one is",
            "if int(positions.min()) == upto - 1 else None",
            "if int(positions.max()) == upto - 1 else None",
            "test_a_step_has_the_bits_of_the_blocks",
        ),
        (
            "partners of turned features turn the wrong way",
            "torch.cat([-sine, sine,",
            "torch.cat([sine, -sine,",
            "test_a_step_has_the_bits_of_the_blocks",
        ),
        (
            "every prompt takes the gain of the next cell's",
            "filled.detach().repeat_interleave(per_cell, dim=0)",
            "filled.detach().repeat(per_cell, 1)",
            "test_adapters_of_cells_have_the_bits_of_the_blocks",
        ),
        (
            "few steps make copies, too",
            "if steps >= LONG_FROM and",
            "if",
            "test_ordered_copies_have_the_same_bits_and_are_made_for_long_generations_alone",
        ),
        (
            "copies of a block that give something else are taken",
            "if not blocks and not all(one.agrees(rows) for one in linears.values()):",
            "if not linears:",
            "test_copies_that_do_not_fit_or_give_something_else_are_left",
        ),
        (
            "ordered copies are held to no more than those in four bits",
            "if self.few_rows.exact:",
            "if not self.few_rows:",
            "test_copies_that_do_not_fit_or_give_something_else_are_left",
        ),
        (
            "many rows are multiplied in four bits, too",
            "if rows <= FOUR_BITS_UP_TO and not exact:",
            "if not exact:",
            "test_few_prompts_of_a_base_in_four_bits_are_multiplied_with_these",
        ),
    ),
    *mistakes(
        "kernels/qlora_kernels/few_rows.py",
        "tests/kernels/test_few_rows.py",
        (
            "the middle code stands for the smallest weight",
            "offsets = level[MIDDLE] * scales",
            "offsets = level[0] * scales",
        ),
        (
            "offsets of blocks are left out",
            "offsets = offsets + weight.offsets.float()",
            "offsets = offsets + 0 * weight.offsets.float()",
        ),
        (
            "a format with uneven levels is read as even",
            "return bool((steps == steps[0]).all())",
            "return bool((steps == steps[0]).any())",
        ),
        (
            "blocks of other sizes are read as the first's",
            "if len(sizes) > 1 or not",
            "if not",
        ),
    ),
    *mistakes(
        "src/workbench/models/generation.py",
        "tests/workbench/models/test_decoder.py",
        (
            "a generated token's position is one too small",
            "pool.lengths + count)",
            "pool.lengths + count - 1)",
            "test_generation_equals_running_everything_again",
        ),
        (
            "the end token is written",
            "open_.remove(place)\n            else:\n",
            "open_.remove(place)\n            if True:\n",
            "test_generation_stops_at_the_end_token",
        ),
    ),
    *mistakes(
        "src/workbench/models/folder_config.py",
        "tests/workbench/models/test_folder_settings.py",
        (
            "another epsilon where a folder names none",
            'values.positive("rms_norm_eps", 1e-6)',
            'values.positive("rms_norm_eps", 1e-5)',
            "test_what_a_folder_leaves_out_is_what_transformers_takes",
        ),
        (
            "a window does not shorten the context",
            "context=context if window is None else min(context, window),",
            "context=context,",
            "test_a_window_shortens_the_context_and_a_wide_one_does_not",
        ),
    ),
    *mistakes(
        "src/workbench/models/folder_rotary.py",
        "tests/workbench/models/test_folder_settings.py",
        (
            "another rotation where a folder names none",
            '"rope_theta", 10_000.0) if base is None',
            '"rope_theta", 500_000.0) if base is None',
            "test_what_a_folder_leaves_out_is_what_transformers_takes",
        ),
    ),
    *mistakes(
        "src/workbench/models/families/mistral.py",
        "tests/workbench/models/test_folder_settings.py",
        (
            "a Mistral has one key head for each head",
            '"num_key_value_heads": 8, ',
            "",
            "test_what_a_folder_leaves_out_is_what_transformers_takes",
        ),
    ),
    *mistakes(
        "src/workbench/models/gguf_config.py",
        "tests/workbench/models/test_gguf_settings.py",
        (
            "another rotation where a GGUF names none",
            '"rope.freq_base", 10_000.0',
            '"rope.freq_base", 500_000.0',
            "test_what_a_file_leaves_out_is_what_llama_cpp_takes",
        ),
        (
            "an older file's scale is ignored",
            "scale, magnitude = new or old or 1.0,",
            "scale, magnitude = new or 1.0,",
            "test_what_a_file_leaves_out_is_what_llama_cpp_takes",
        ),
    ),
    *mistakes(
        "src/workbench/adapters/lora.py",
        "tests/workbench/adapters/test_lora.py",
        (
            "A begins five times too wide",
            "bound = 1 / math.sqrt(inputs)",
            "bound = 5 / math.sqrt(inputs)",
            "test_first_weights_are_uniform_and_as_wide_as_the_inputs_ask",
        ),
        (
            "A is as wide as its rank asks, not its inputs",
            "bound = 1 / math.sqrt(inputs)",
            "bound = 1 / math.sqrt(cell.rank)",
            "test_first_weights_are_uniform_and_as_wide_as_the_inputs_ask",
        ),
        (
            "A begins on one side of zero",
            "uniform_(-bound, bound,",
            "uniform_(0, 2 * bound,",
            "test_first_weights_are_uniform_and_as_wide_as_the_inputs_ask",
        ),
        (
            "all layers begin with the same A",
            'f"adapter:{cell.seed}:{name}"',
            'f"adapter:{cell.seed}"',
            "test_every_layer_begins_with_numbers_of_its_own",
        ),
        (
            "all seeds begin with the same A",
            'f"adapter:{cell.seed}:{name}"',
            'f"adapter:{name}"',
            "test_first_weights_depend_on_the_seed_alone",
        ),
        (
            "the update is scaled by the root of the rank",
            "self.kind.scale(cell.alpha, cell.rank) for",
            "cell.alpha / cell.rank**0.5 for",
            "test_an_update_is_scaled_by_alpha_over_its_own_rank",
        ),
        (
            "the update is scaled by the stack's largest rank",
            "self.kind.scale(cell.alpha, cell.rank) for",
            "self.kind.scale(cell.alpha, self.rank) for",
            "test_an_update_is_scaled_by_alpha_over_its_own_rank",
        ),
        (
            "alpha is the whole scale",
            "[self.kind.scale(cell.alpha, cell.rank) for",
            "[cell.alpha for",
            "test_an_update_is_scaled_by_alpha_over_its_own_rank",
        ),
    ),
    *mistakes(
        "src/workbench/studies/disk/adapters.py",
        "tests/workbench/studies/disk/test_adapters.py",
        (
            "PEFT is told another scale",
            '"lora_alpha": times * cell.alpha,',
            '"lora_alpha": cell.alpha / cell.rank,',
            "test_the_configuration_is_what_peft_needs",
        ),
        (
            "PEFT is told to scale by the root of the rank",
            '"use_rslora": kind.scale is by_root_of_rank',
            '"use_rslora": True',
            "test_the_configuration_is_what_peft_needs",
        ),
    ),
]
