"""Mistakes in experts and their router, and in what makes a sparse base of a dense one."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

from mistakes_list import mistakes

FAMILIES = "tests/workbench/models/test_families.py"
MODELS = "src/workbench/models"
TEST = "tests/workbench/models/test_experts.py"

MISTAKES = [
    *mistakes(
        f"{MODELS}/experts.py",
        TEST,
        ("gates aren't made to sum to 1", "top / (total.detach() if alone else total)", "top", "test_gates_sum_to_one_and_the_likeliest_are_chosen"),
        ("one expert a token teaches its router nothing", "total.detach() if alone", "total if alone", "test_one_expert_a_token_gives_its_router_the_gradient_of_switch"),
        ("tokens come back in another order", "Places.of(order.argsort(), len(order))", "Places.of(order, len(order))", "test_the_fast_way_is_the_einsum"),
        ("cells of an expert are those of all tokens", "network(expert, part, torch.searchsorted(own, cells))", "network(expert, part, cells.clamp(max=len(own)))", "test_cells_lie_one_after_the_other_within_an_expert"),
        ("the balance counts tokens that don't count", "counted = scores.new_ones(tokens) if counted is None else counted.to(scores)", "counted = scores.new_ones(tokens)", "test_the_balance_loss_is_that_of_transformers"),
        ("the balance is of the likeliest expert alone", "shares.topk(used).indices", "shares.topk(1).indices", "test_the_balance_loss_is_that_of_transformers"),
        ("the balance isn't multiplied by the experts", "return experts * einsum(often", "return einsum(often", "test_the_balance_loss_is_that_of_transformers"),
        ("every expert is active", "config.experts_used)", "config.experts)", "test_weights_grow_with_the_experts_and_those_of_a_token_do_not"),
    ),
    *mistakes(
        f"{MODELS}/families/mixtral.py",
        TEST,
        ("more experts are used than a folder has", "if used > experts:\n        raise values.wrong(\"num_experts_per_tok\"", "if False:\n        raise values.wrong(\"num_experts_per_tok\"", "test_a_folder_that_contradicts_itself_is_refused"),
        ("more experts are used than a GGUF has", "if used > experts:\n        raise values.wrong(\"expert_used_count\"", "if False:\n        raise values.wrong(\"expert_used_count\"", "test_a_gguf_that_contradicts_itself_is_refused"),
    ),
    *mistakes(
        f"{MODELS}/gguf_layout.py",
        TEST,
        ("experts may lie flat", "return len(names), *shapes[names[0]]", "return fused_shape(shapes, names)", "test_experts_that_lie_flat_are_refused"),
    ),
    *mistakes(
        "src/workbench/adapters/fits.py",
        TEST,
        ("an adapter of a dense base is put on experts", "if leaf not in config.linear_leaves:", "if False:", "test_an_adapter_of_the_dense_base_is_refused"),
    ),
    *mistakes(
        "src/workbench/adapters/lora.py",
        TEST,
        ("targets that aren't there are trained", "if missing := [leaf for leaf in cell.targets if leaf not in kept]:", "if missing := []:", "test_adapters_of_experts_are_refused_and_those_of_attention_are_not"),
    ),
    *mistakes(
        f"{MODELS}/experts.py",
        FAMILIES,
        ("a frozen router hands a gradient down", "alone = used == 1 and router.requires_grad", "alone = used == 1", "test_four_steps_lose_what_they_lose_in_peft"),
    ),
    *mistakes(
        f"{MODELS}/families/mixtral.py",
        FAMILIES,
        ("up and gate change places", '"up_proj": "block_sparse_moe.experts.{}.w3"', '"up_proj": "block_sparse_moe.experts.{}.w1"', "test_logits_are_those_of_transformers"),
    ),
]  # fmt: skip
