"""Mistakes in experts and their router, and in what makes a sparse base of a dense one."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

from mistakes_list import mistakes

FAMILIES = "tests/workbench/models/test_families.py"
MODELS = "src/workbench/models"
TEST = "tests/workbench/models/test_experts.py"
UPCYCLING = "tests/workbench/models/test_upcycling.py"
TRAINING = "tests/workbench/ladder/test_sparse.py"
STUDY = "tests/workbench/studies/test_sparse_base.py"

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
    *mistakes(
        f"{MODELS}/upcycling.py",
        UPCYCLING,
        ("all routers begin with zeros", "ROUTER_SIZE * torch.randn(shape, generator=chance)", "torch.zeros(shape)", "test_a_router_is_small_random_and_its_seed_s"),
        ("the seed of routers isn't used", "manual_seed(seed)", "manual_seed(0)", "test_a_router_is_small_random_and_its_seed_s"),
        ("biases of a feed-forward network are lost", "if biased := sorted(config.biases & {*FEED_FORWARD}):", "if biased := []:", "test_what_can_not_be_made_is_refused"),
        ("a single expert is made", "if not 2 <= experts <= MOST_EXPERTS:", "if not 1 <= experts <= MOST_EXPERTS:", "test_what_can_not_be_made_is_refused"),
        ("more experts are used than made", "if not 1 <= used <= experts:", "if not 1 <= used:", "test_what_can_not_be_made_is_refused"),
    ),
    *mistakes(
        f"{MODELS}/writers/__init__.py",
        UPCYCLING,
        ("routers are rounded", "or name.endswith(ROUTER):", "or False:", "test_the_written_gguf_means_the_same_to_llama_cpp"),
    ),
    *mistakes(
        f"{MODELS}/writers/folder.py",
        UPCYCLING,
        ("a sparse folder says that it is dense", 'if taken.get("model_type") == config.family:', "if taken:", "test_the_written_folder_is_a_mixtral_to_transformers"),
    ),
    *mistakes(
        "src/workbench/exporting/sparse.py",
        UPCYCLING,
        ("a sparse base that says something else passes", "demand(found, FLOAT32,", "demand(found, found,", "test_a_sparse_base_that_says_something_else_is_refused"),
    ),
    *mistakes(
        "src/workbench/studies/costs.py",
        STUDY,
        ("several experts cost what one does", "rows *= decoder.experts_used", "rows *= 1", "test_operations_of_experts_are_those_that_torch_counts"),
        ("routers cost nothing", "scores = 2 * work.labels", "scores = 0 * work.labels", "test_operations_of_experts_are_those_that_torch_counts"),
    ),
    *mistakes(
        "src/workbench/ladder/sparse.py",
        TRAINING,
        ("operations are those of all experts", "6.0 * active_parameters(config, tied=base.decoder.tied) * tokens", "6.0 * base.parameters * tokens", "test_operations_are_those_of_the_dense_base_whatever_the_experts"),
        ("any tokenizer of as many tokens will do", "or base.tokenizer.encode(ALPHABET) != (", "or TOKENIZER.encode(ALPHABET) != (", "test_what_can_not_be_trained_is_refused"),
    ),
    *mistakes(
        "src/workbench/classroom/pretrain.py",
        TRAINING,
        ("the balance isn't learnt", "(loss + balance * uneven).backward()", "loss.backward()", "test_the_balance_keeps_experts_in_use"),
        ("what is begun with is changed", "weight.detach().clone().requires_grad_()", "weight.detach().requires_grad_()", "test_a_start_is_left_as_it_is"),
    ),
]  # fmt: skip
