"""Mistakes in what a card's memory holds, in several cards, and in what is said of devices."""

from mistakes_list import mistakes

FIT = "tests/workbench/studies/test_card_fit.py"
CARDS = "tests/workbench/studies/test_cards.py"
FAILURES = "tests/workbench/studies/test_card_failures.py"
MADE_ON = "tests/workbench/studies/test_made_on.py"
MEMORY = "tests/kernels/test_card_memory.py"

MISTAKES = [
    *mistakes(
        "src/workbench/training/card_memory.py",
        MEMORY,
        (
            "the optimizer's new moments aren't counted",
            "STATE, TAKEN, CHANGED = 3, 4, 10",
            "STATE, TAKEN, CHANGED = 3, 4, 6",
            "test_a_step_takes_what_was_predicted",
        ),
        (
            "what a feed-forward leaves behind isn't counted",
            "+ 2 * keys + 3 * config.feed_forward",
            "+ 2 * keys",
            "test_a_step_takes_what_was_predicted",
        ),
        (
            "activations are counted in float32 everywhere",
            "    return size * ((config.layers",
            "    return 4 * ((config.layers",
            "test_a_step_takes_what_was_predicted",
        ),
    ),
    *mistakes(
        "src/workbench/training/card_memory.py",
        FIT,
        (
            "weights that two products share count twice",
            "storages[storage._cdata] = storage.nbytes()",
            "storages[len(storages)] = storage.nbytes()",
            "test_what_a_decoder_holds_is_counted_once",
        ),
        (
            "adapters take no room beside a step's tokens",
            "- self.logits - cells * self.cell_step) // self.token",
            "- self.logits) // self.token",
            "test_a_step_that_is_larger_than_the_card_goes_through_in_pieces",
        ),
    ),
    *mistakes(
        "src/workbench/devices.py",
        FIT,
        (
            "a megabyte more on a card cuts other stacks",
            ".total_memory >> 28 << 28",
            ".total_memory",
            "test_the_partition_is_a_function_of_the_card_s_kind",
        ),
    ),
    *mistakes(
        "src/workbench/studies/stacks.py",
        FIT,
        (
            "a stack's adapters aren't counted on a card",
            "need.peak(count * cells, count * tokens)",
            "need.peak(cells, count * tokens)",
            "test_the_adapters_of_all_cells_of_a_stack_count",
        ),
        (
            "a card takes as few tokens as a processor",
            "STEP_TOKENS_ON_GPU // tokens",
            "STEP_TOKENS // tokens",
            "test_a_card_takes_more_tokens_at_once_than_a_processor",
        ),
    ),
    *mistakes(
        "src/workbench/studies/card_fit.py",
        FIT,
        (
            "a layer too many is advised",
            'yield f"--adapted-layers {count}"',
            'yield f"--adapted-layers {count + 1}"',
            "test_a_study_that_cannot_fit_is_refused_with_what_would_fit",
        ),
        (
            "the shortest text counts, not the longest",
            "prepared.pool.lengths[places].max()",
            "prepared.pool.lengths[places].min()",
            "test_shorter_texts_are_advised_where_they_are_what_is_too_large",
        ),
    ),
    *mistakes(
        "src/workbench/studies/executors/processes.py",
        CARDS,
        (
            "a card is never given back",
            "            self.free_cards.append(worker.card)\n",
            "            pass\n",
            "test_a_worker_that_dies_gives_its_card_back",
        ),
        (
            "two workers get one card",
            "self.free_cards.popleft() if",
            "self.free_cards[0] if",
            "test_each_card_has_one_worker_at_a_time",
        ),
        (
            "a worker sees every card",
            "return {} if card is None else alone(card, os.environ)",
            "return {}",
            "test_each_card_has_one_worker_at_a_time",
        ),
    ),
    *mistakes(
        "src/workbench/devices.py",
        CARDS,
        (
            "a card's number forgets which cards the run itself sees",
            "{name: seen[card] if seen else str(card)}",
            "{name: str(card)}",
            "test_a_card_is_named_as_the_run_s_own_environment_names_it",
        ),
        (
            "cards of another kind work along",
            "if _kind_of_card(number) == own",
            "if own",
            "test_only_cards_of_one_kind_work_on_one_study",
        ),
    ),
    *mistakes(
        "src/workbench/studies/executors/shipping.py",
        CARDS,
        (
            "frozen states stay on the host",
            "None if states is None else states.to(decoder.device)",
            "states",
            "test_frozen_states_reach_the_worker_s_device",
        ),
        (
            "a run keeps its base on the worker's card",
            "    decoder.prepared = {}\n",
            "",
            "test_a_run_leaves_its_card_to_the_worker",
        ),
    ),
    *mistakes(
        "src/workbench/studies/executors/ray_cluster.py",
        CARDS,
        (
            "a task of Ray asks for no card",
            '"num_gpus": 1, "max_calls": 1} if self._cards',
            '"max_calls": 1} if self._cards',
            "test_a_task_of_ray_asks_for_a_card_only_where_it_trains_on_one",
        ),
    ),
    *mistakes(
        "src/workbench/devices.py",
        FAILURES,
        (
            "a full card counts as gone",
            "    if is_full(error):\n        return False\n",
            "",
            "test_what_an_error_says_of_a_card",
        ),
    ),
    *mistakes(
        "src/workbench/studies/runner.py",
        FAILURES,
        (
            "half of a stack that was cut is forgotten",
            "for part in cut_in_two(self.missing.pop(task.stack).cells):",
            "for part in cut_in_two(self.missing.pop(task.stack).cells)[:1]:",
            "test_a_full_card_gets_the_stack_in_halves_and_every_cell_its_result",
        ),
    ),
    *mistakes(
        "src/workbench/studies/card_errors.py",
        FAILURES,
        (
            "torch's pages are told with the sentence",
            '.strip().partition("\\n")[0]',
            ".strip()",
            "test_a_card_that_goes_ends_the_run_and_the_same_command_goes_on",
        ),
    ),
    *mistakes(
        "src/workbench/studies/made_on.py",
        MADE_ON,
        (
            "devices are mixed without a word",
            "if len(found) > 1:",
            "if len(found) > 2:",
            "test_going_on_elsewhere_is_told_before_training_kept_and_reported",
        ),
        (
            "cells that are yet to be made don't count",
            "found[device_name] += len(",
            "found[device_name] += 0 * len(",
            "test_going_on_elsewhere_is_told_before_training_kept_and_reported",
        ),
    ),
    *mistakes(
        "src/workbench/studies/runner.py",
        MADE_ON,
        (
            "a cell doesn't say on which device it was made",
            '        made["device"] = self.plan.device_name\n',
            "",
            "test_a_record_names_the_card",
        ),
        (
            "a run on a card learns its time from one on a processor",
            '            "card": self.plan.device.card,\n',
            "",
            "test_an_earlier_run_on_another_device_teaches_nothing_about_time",
        ),
    ),
]
