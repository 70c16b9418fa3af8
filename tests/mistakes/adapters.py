"""Mistakes in what adapters amount to, in their files, and in their sums."""

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/adapters/adapter.py",
        "tests/workbench/adapters/test_adapter.py",
        (
            "rsLoRA is scaled as LoRA",
            "(math.sqrt(rank) if self.rslora else rank)",
            "rank",
            "test_the_scale_is_alpha_over_the_layers_own_rank_or_its_root",
        ),
        (
            "a layer's own alpha is forgotten",
            "return self.alphas.get(layer, self.alpha) / (",
            "return self.alpha / (",
            "test_the_scale_is_alpha_over_the_layers_own_rank_or_its_root",
        ),
        (
            "the adapter's rank scales every layer",
            "rank = self.layer_rank(layer)",
            "rank = self.rank",
            "test_the_scale_is_alpha_over_the_layers_own_rank_or_its_root",
        ),
        (
            "the decoder carries an adapter without its scale",
            "(self.scale(layer) * b)[None]",
            "b[None]",
            "test_the_decoder_carries_what_the_weights_would_be",
        ),
        (
            "DoRA's lengths are of columns",
            "whole.norm(dim=1)",
            "whole.norm(dim=0).mean()",
            "test_dora_gives_each_row_the_length_that_was_trained",
        ),
        (
            "DoRA's lengths are the base's",
            "magnitude.float() / whole.norm(dim=1)",
            "magnitude.float() / weight.norm(dim=1)",
            "test_dora_gives_each_row_the_length_that_was_trained",
        ),
    ),
    *mistakes(
        "src/workbench/adapters/fits.py",
        "tests/workbench/adapters/test_adapter.py",
        (
            "another base's hash is let through",
            "adapter.base_sha256 != base.sha256",
            "adapter.base_sha256 == base.name",
            "test_an_adapter_of_another_base_is_refused",
        ),
    ),
    *mistakes(
        "src/workbench/adapters/ranks.py",
        "tests/workbench/adapters/test_adapter.py",
        (
            "B isn't counted",
            "rank * (n + k) + n * dora",
            "rank * k + n * dora",
            "test_counts_that_papers_give_come_out_without_allocating",
        ),
        (
            "the effective rank is of squared shares",
            "values[values > 0] / values.sum()",
            "values[values > 0] ** 2 / (values**2).sum()",
            "test_ranks_by_hand",
        ),
    ),
    *mistakes(
        "src/workbench/adapters/formats/gguf_lora.py",
        "tests/workbench/adapters/test_gguf_lora.py",
        (
            "queries keep our row order in a GGUF",
            'place = {"q_proj": 0, "k_proj": 1}.get(',
            'place = {"k_proj": 1}.get(',
            "test_rows_of_queries_and_keys_are_in_pairs_and_ranks_are_not",
        ),
        (
            "keys are ordered by the heads of queries",
            "return heads[place]",
            "return heads[0]",
            "test_rows_of_queries_and_keys_are_in_pairs_and_ranks_are_not",
        ),
        (
            "ranks are reordered as rows are",
            'if half == "lora_A" or place is None:',
            "if place is None:",
            "test_rows_of_queries_and_keys_are_in_pairs_and_ranks_are_not",
        ),
        (
            "llama.cpp is told alpha over the rank",
            "alphas = {layer: adapter.scale(layer) * adapter.layer_rank(layer)",
            "alphas = {layer: adapter.scale(layer)",
            "test_alpha_over_rank_of_the_file_is_the_scale_of_every_layer",
        ),
        (
            "a layer's own scale is lost in a GGUF",
            "b = b if same else b * (alphas[layer] / alpha)",
            "b = b",
            "test_alpha_over_rank_of_the_file_is_the_scale_of_every_layer",
        ),
    ),
    *mistakes(
        "src/workbench/adapters/formats/peft.py",
        "tests/workbench/adapters/test_formats.py",
        (
            "rank patterns aren't written",
            '"rank_pattern": {name: rank for name, rank in ranks.items() if rank != adapter.rank},',
            '"rank_pattern": {},',
            "test_what_is_written_is_recognised_and_read_back_the_same",
        ),
        (
            "alpha patterns aren't written",
            '"alpha_pattern": alphas,',
            '"alpha_pattern": {},',
            "test_what_is_written_is_recognised_and_read_back_the_same",
        ),
        (
            "the hash of the base isn't recorded",
            "({BASE_HASH: adapter.base_sha256} if adapter.base_sha256 else {})",
            "{}",
            "test_another_bases_adapter_is_refused_where_a_base_is_given",
        ),
        (
            "a folder is written over",
            "if path.exists() and not (path.is_dir() and not any(path.iterdir())):",
            "if path.is_file():",
            "test_a_folder_that_is_there_is_never_written_into",
        ),
    ),
    *mistakes(
        "src/workbench/adapters/formats/tensor_file.py",
        "tests/workbench/adapters/test_formats.py",
        (
            "metadata are written as they come",
            "dict(sorted(facts.items()))",
            "dict(facts)",
            "test_the_same_adapter_gives_the_same_bytes",
        ),
        (
            "numbers that are none are let through",
            "if not tensor.isfinite().all():",
            "if tensor.isnan().all():",
            "test_numbers_that_are_none_are_refused",
        ),
        (
            "a turned matrix is written in the order of its memory",
            ".contiguous().reshape(-1)",
            ".as_strided((tensors[name].numel(),), (1,))",
            "test_our_file_is_the_librarys",
        ),
    ),
    *mistakes(
        "src/workbench/adapters/formats/peft_settings.py",
        "tests/workbench/studies/disk/test_load_adapter.py",
        (
            "what changes more than LoRA is read as LoRA",
            "taken = name not in REFUSED or value in (None, False, [], {})",
            "taken = True",
            "test_an_adapter_that_asks_for_more_is_refused",
        ),
        (
            "layers that the settings leave out are taken",
            "and _in_layers(path, config, module)",
            "",
            "test_an_adapter_that_asks_for_more_is_refused",
        ),
    ),
    *mistakes(
        "src/workbench/adapters/formats/image_lora.py",
        "tests/workbench/adapters/test_image_lora.py",
        (
            "kohya's alpha is the scale",
            "alphas={layer: value for layer, value in own.items() if value != alpha},",
            "alphas={layer: value * ranks[layer] for layer, value in own.items()},",
            "test_kohyas_scale_is_alpha_over_rank",
        ),
    ),
    *mistakes(
        "src/workbench/adapters/sums.py",
        "tests/workbench/adapters/test_sums.py",
        (
            "cat forgets the scales",
            "return torch.cat([scale * a for a, _, scale in parts])",
            "return torch.cat([a for a, _, scale in parts])",
            "test_cat_is_the_sum",
        ),
        (
            "linear's weights are squared",
            "math.sqrt(abs(scale))",
            "abs(scale)",
            "test_linear_has_cross_terms",
        ),
        (
            "a negative weight is added",
            "1.0 if scale >= 0 else -1.0",
            "1.0",
            "test_linear_has_cross_terms",
        ),
        (
            "ties averages over all adapters",
            "/ agree.sum(dim=0).clamp(min=1)",
            "/ len(numbers)",
            "test_ties_by_hand",
        ),
        (
            "dare doesn't enlarge what it keeps",
            "return numbers * kept / options.density",
            "return numbers * kept",
            "test_dare_keeps_a_share_and_enlarges_it",
        ),
        (
            "svd keeps the smallest values",
            "qb[:, :rank] * values[:rank]",
            "qb[:, :rank] * values[-rank:]",
            "test_svd_of_enough_rank_is_the_sum_and_else_the_nearest",
        ),
    ),
]
