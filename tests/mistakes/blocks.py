"""Mistakes in blocks with their gradient written out, and in the same blocks composed of operators."""

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/models/whole_blocks.py",
        "tests/workbench/models/test_whole_blocks.py",
        (
            "rotations aren't turned back",
            "turn_heads(slope[:, :both], rotation[0], -rotation[1])",
            "turn_heads(slope[:, :both], rotation[0], rotation[1])",
            "test_all_that_a_family_may_have_gives_the_same",
        ),
        (
            "what each half adds isn't scaled on the way back",
            "(slope if scale == 1 else slope * scale)",
            "(slope if scale else slope * scale)",
            "test_all_that_a_family_may_have_gives_the_same",
        ),
        (
            "norms of heads are forgotten on the way back",
            "part.copy_(back_norm(part.reshape(-1, width), None).view(part.shape))",
            "back_norm(part.reshape(-1, width), None)",
            "test_all_that_a_family_may_have_gives_the_same",
        ),
        (
            "gains are taken back after the adapters",
            "dgains = [back_gain and back_gain(part) for back_gain, part in parts]",
            "dgains = [back_gain and back_gain(part.clone()) for back_gain, part in parts]",
            "test_every_kind_of_adapter_gets_the_same_gradient",
        ),
        (
            "gains write into the slope of the residual stream",
            "dy = dy.clone()  # it may be",
            "dy = dy.view(dy.shape)  # it may be",
            "test_every_kind_of_adapter_gets_the_same_gradient",
        ),
        (
            "a prefix gives nothing back to the queries",
            "own[:, : config.heads] += of_queries",
            "of_queries.numel()",
            "test_every_kind_of_adapter_gets_the_same_gradient",
        ),
        (
            "slopes go on below the lowest adapter",
            "wanted = [onward or any(adapted[:place]) for place in range(len(adapted))]",
            "wanted = [True for place in range(len(adapted))]",
            "test_nothing_is_done_below_the_lowest_adapter",
        ),
        (
            "the slope that autograd hands over is written into",
            "slope = slope.clone()  # autograd",
            "slope = slope.view(slope.shape)  # autograd",
            "test_what_goes_in_stays_as_it_was",
        ),
    ),
    *mistakes(
        "src/workbench/models/block_parts.py",
        "tests/workbench/models/test_whole_blocks.py",
        (
            "a norm's slope forgets its root mean square",
            ".mul_(inverse.pow(3))",
            ".mul_(inverse.pow(2))",
            "test_all_that_a_family_may_have_gives_the_same",
        ),
        (
            "the slope of an open gate is that of a sigmoid",
            "torch.addcmul(share, opened, share, value=-1).add_(opened)",
            "torch.addcmul(share, opened, share, value=-1)",
            "test_all_that_a_family_may_have_gives_the_same",
        ),
        (
            "a gain's slope is that of another cell",
            "cell = torch.repeat_interleave(segments.diff())",
            "cell = torch.repeat_interleave(segments.diff()).flip(0)",
            "test_every_kind_of_adapter_gets_the_same_gradient",
        ),
        (
            "whole blocks: the gate is SiLU for all",
            'functional.silu(gate) if activation == "silu"',
            "functional.silu(gate) if activation",
            "test_all_that_a_family_may_have_gives_the_same",
        ),
    ),
    *mistakes(
        "src/workbench/models/whole_blocks.py",
        "tests/workbench/training/test_loop.py",
        (
            "attention's graph keeps a second copy of queries, keys and values",
            "taken = _Start.apply(torch.zeros((), requires_grad=True), taken)",
            "taken.requires_grad_()",
            "test_the_memory_of_a_step_is_about_what_autograd_keeps",
        ),
    ),
    *mistakes(
        "kernels/qlora_kernels/take_rows.py",
        "tests/workbench/models/test_whole_blocks.py",
        (
            "slopes of one shared row overwrite each other",
            "wide.new_zeros(rows, *dy.shape[1:]).index_add_(0, index, wide)",
            "wide.new_zeros(rows, *dy.shape[1:]).index_copy_(0, index, wide)",
            "test_all_that_a_family_may_have_gives_the_same",
        ),
    ),
    # what a block composed of operators computes, by the blocks with their gradient written out
    *mistakes(
        "src/workbench/models/decoder.py",
        "tests/workbench/models/test_whole_blocks.py",
        *(
            (name, old, new, "test_all_that_a_family_may_have_gives_the_same")
            for name, old, new in (
                (
                    "a half of a block forgets what it adds to",
                    "hidden + more if scale == 1",
                    "more if scale == 1",
                ),
                (
                    "the residual isn't scaled",
                    "hidden + more if scale == 1 else hidden + scale * more",
                    "hidden + more",
                ),
                ("biases are forgotten", "if leaf in biases else part", "if leaf in () else part"),
                (
                    "a norm over all queries runs over each head",
                    'self.config.head_norms == "projection":\n            x = self.normalized(name, x)',
                    'self.config.head_norms == "none":\n            x = self.normalized(name, x)',
                ),
                (
                    "heads have no norm",
                    'self.normalized(name, x) if self.config.head_norms == "head" else x',
                    "x",
                ),
            )
        ),
    ),
    # the blocks with their gradient written out, by what others compute
    *mistakes(
        "src/workbench/models/whole_blocks.py",
        "tests/workbench/models/test_families.py",
        *(
            (f"whole blocks: {name}", old, new, "test_logits_are_those_of_transformers")
            for name, old, new in (
                (
                    "the residual isn't scaled",
                    "torch.add(hidden, more, alpha=self.decoder.config.residual_scale)",
                    "torch.add(hidden, more)",
                ),
                ("biases are forgotten", "if leaf in decoder.config.biases:", "if leaf in ():"),
                (
                    "a norm has another width",
                    "rows = part.clone().view(-1, len(weight))",
                    "rows = part.clone().view(len(heads), -1)",
                ),
            )
        ),
    ),
    *mistakes(
        "src/workbench/models/attention.py",
        "tests/workbench/models/test_whole_blocks.py",
        *(
            (name, old, new, "test_written_attention_is_the_other_one")
            for name, old, new in (
                (
                    "scores have the plain scale",
                    "visible, is_causal=visible is None, scale=self.scale,",
                    "visible, is_causal=visible is None,",
                ),
                (
                    "a window is forgotten for longer texts",
                    "attention.window < block.shape[1]",
                    "attention.window < 0",
                ),
            )
        ),
    ),
    *mistakes(
        "src/workbench/models/adapted.py",
        "tests/workbench/models/test_whole_blocks.py",
        (
            "a gain belongs to the next cell",
            "gain.repeat_interleave(rows, dim=0",
            "gain.roll(1, 0).repeat_interleave(rows, dim=0",
            "test_every_kind_of_adapter_gets_the_same_gradient",
        ),
        (
            "the gradient of a layer is its neighbour's",
            "before, above = before + rank, above + rows",
            "before, above = before, above + rows",
            "test_every_kind_of_adapter_gets_the_same_gradient",
        ),
    ),
    *mistakes(
        "src/workbench/models/rotary.py",
        "tests/workbench/models/test_whole_blocks.py",
        (
            "features that aren't turned are lost",
            "x[..., features:]",
            "0 * x[..., features:]",
            "test_all_that_a_family_may_have_gives_the_same",
        ),
    ),
    *mistakes(
        "src/workbench/models/experts.py",
        "tests/workbench/models/test_whole_blocks.py",
        (
            "the gate is SiLU for all",
            'if activation == "gelu":',
            "if False:",
            "test_all_that_a_family_may_have_gives_the_same",
        ),
    ),
    *mistakes(
        "src/workbench/models/block_parts.py",
        "tests/workbench/models/test_between.py",
        (
            "a rounded norm forgets its weight's slope",
            "scaled = dy * weight",
            "scaled = dy * torch.ones_like(weight)",
            "test_values_and_gradients_in_float64_are_the_definition_s",
        ),
    ),
]
