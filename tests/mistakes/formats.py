"""Mistakes in how the numbers of a base are read."""

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/models/gguf_parts.py",
        "tests/workbench/models/test_gguf_parts.py",
        (
            "the metadata of the last part",
            "GgufFile(paths[0], first.metadata, tensors)",
            "GgufFile(paths[0], part.metadata, tensors)",
            "test_any_part_gives_the_whole_base",
        ),
        (
            "the hash of the first part alone",
            "for path in self.paths:",
            "for path in self.paths[:1]:",
            "test_any_part_gives_the_whole_base",
        ),
        (
            "parts in any order",
            "if stated != (number, count):",
            "if stated[1] != count:",
            "test_parts_in_another_order",
        ),
        (
            "a tensor that is missing isn't missed",
            "if total != len(tensors):",
            "if total > 2 * len(tensors):",
            "test_a_total_that_is_not_there",
        ),
        (
            "what a later part says otherwise is passed over",
            'if not key.startswith("split.") and first.metadata.get(key) != value:',
            'if not key.startswith("split.") and first.metadata.get(key, value) is None:',
            "test_a_part_of_something_else_is_named",
        ),
    ),
    *mistakes(
        "src/workbench/models/folder_bitsandbytes.py",
        "tests/workbench/models/test_folder_quantized.py",
        (
            "a block of two rows is taken for one of each",
            "if columns % block or size is None",
            "if size is None",
            "test_blocks_across_rows_are_decoded_once_which_a_note_says",
        ),
        (
            "scales that are quantized themselves are said twice",
            "(outer is not None and size != block)",
            "False",
            "test_large_blocks_in_rows",
        ),
        (
            "any levels",
            "if not torch.equal(values, torch.tensor(levels)):",
            "if not len(values):",
            "test_a_broken_weight_is_named",
        ),
        (
            "8 bits are taken for 4",
            'if value.get("load_in_8bit") or value.get("_load_in_8bit") or not value.get("load_in_4bit"):',
            'if not value.get("load_in_4bit"):',
            "test_settings_that_are_not_read_are_named",
        ),
    ),
    *mistakes(
        "src/workbench/models/folder_gptq.py",
        "tests/workbench/models/test_folder_gptq.py",
        (
            "the zero isn't one more",
            "zeros = zeros + ONE_EACH",
            "zeros = zeros + 0",
            "test_conventions_by_hand",
        ),
        (
            "version 2 is read as version 1",
            'if "gptq_v2" not in (settings.get("checkpoint_format"), settings.get("format")):',
            "if True:",
            "test_a_million_weights_are_those_of_the_definition",
        ),
        (
            "AWQ's outputs in plain order",
            "AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)",
            "AWQ_ORDER = (0, 1, 2, 3, 4, 5, 6, 7)",
            "test_conventions_by_hand",
        ),
        (
            "AWQ's order taken the wrong way round",
            "codes = rearrange(nibbles_of(packed)[..., place]",
            "codes = rearrange(nibbles_of(packed)[..., list(AWQ_ORDER)]",
            "test_conventions_by_hand",
        ),
        (
            "the order of inputs is forgotten",
            "if torch.equal(order, torch.arange(columns) // size):",
            "if True:",
            "test_inputs_in_order_of_their_activations_are_decoded_once",
        ),
        (
            "a zero point of another group",
            "codes.float() - zeros.float()[:, group]",
            "codes.float() - zeros.float()[:, group * 0]",
            "test_groups_of_any_size",
        ),
        (
            "scales of large groups are laid down in turns",
            "scales=scales.repeat_interleave(size // block, dim=1)",
            "scales=scales.repeat(1, size // block)",
            "test_groups_of_any_size",
        ),
        (
            "a scale that is no number is read",
            "if not bool((scales.float().abs() <= LARGEST_SCALE).all()):",
            "if bool((scales.float().abs() > LARGEST_SCALE).all()):",
            "test_a_broken_weight_is_named",
        ),
    ),
    *mistakes(
        "src/workbench/models/folder_quantized.py",
        "tests/workbench/models/test_folder_gptq.py",
        (
            "any bias is left out",
            'if isinstance(bias, Path) and _is_zero(stored_tensor(bias, f"{module}.bias")):',
            "if isinstance(bias, Path):",
            "test_a_bias_that_is_not_zero_is_not_passed_over",
        ),
        (
            "what is decoded isn't said",
            "if not self.decoded:",
            "if self.decoded:",
            "test_a_note_says_what_was_decoded",
        ),
    ),
    *mistakes(
        "src/workbench/models/writers/folder.py",
        "tests/workbench/models/test_folder_quantized.py",
        (
            "plain numbers that say that they are quantized",
            '("_name_or_path", "dtype", "quantization_config")',
            '("_name_or_path", "dtype")',
            "test_a_folder_that_is_written_of_it_is_plain",
        ),
    ),
]
