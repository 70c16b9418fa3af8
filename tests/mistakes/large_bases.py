"""Mistakes in how a base is held in little memory, in what is said of that memory, and in what is advised."""

from mistakes_list import mistakes

IN_FILE = "tests/kernels/test_in_file.py"
HOLDING = "tests/workbench/models/test_holding.py"
FIT = "tests/workbench/studies/test_memory_fit.py"

MISTAKES = [
    *mistakes(
        "kernels/qlora_kernels/in_file.py",
        IN_FILE,
        (
            "rows in a file are taken in the file's order",
            "self.data[self.order[rows]] if len(self.order) else self.data[rows]",
            "self.data[rows]",
            "test_a_matrix_in_a_file_decodes_to_the_same_bits",
        ),
        (
            "a decoded matrix gets a buffer of its own each time",
            "held.numel() < numbers:",
            "held.numel() > 0:",
            "test_one_decoded_matrix_is_held_at_a_time",
        ),
    ),
    *mistakes(
        "kernels/qlora_kernels/head_products.py",
        IN_FILE,
        (
            "every part of a head in a file is its first",
            "self.weight.decode(self.dtype, part, room)",
            "self.weight.decode(self.dtype, slice(0, part.stop - part.start), room)",
            "test_a_head_in_a_file_gives_losses_and_slopes_part_by_part",
        ),
    ),
    *mistakes(
        "src/workbench/models/decoder.py",
        HOLDING,
        (
            "a packed base keeps what every block computed",
            "recomputed(self.block) if self.packed and",
            "recomputed(self.block) if False and",
            "test_nothing_decoded_is_kept_and_blocks_are_run_again",
        ),
    ),
    *mistakes(
        "src/workbench/models/gguf_reader.py",
        HOLDING,
        (
            "heads of a mapped matrix stay in pairs",
            "order = None if heads is None else",
            "order = None if heads else",
            "test_losses_and_gradients_are_those_of_the_decoded_base",
        ),
        (
            "packed matrices are read out of their file",
            "if mapped and len(tensor.shape) == 2",
            "if mapped and len(tensor.shape) == 3",
            "test_losses_and_gradients_are_those_of_the_decoded_base",
        ),
    ),
    *mistakes(
        "src/workbench/models/holding.py",
        FIT,
        (
            "a base is decoded whatever memory is free",
            'return "decoded" if fits else "packed"',
            'return "decoded"',
            "test_weights_that_do_not_fit_decoded_are_never_decoded",
        ),
    ),
    *mistakes(
        "src/workbench/training/processor_memory.py",
        FIT,
        (
            "decoded copies aren't counted",
            'self.stored + (self.copies if self.hold == "decoded" else 0)',
            "self.stored",
            "test_a_base_s_bytes_are_those_that_it_holds",
        ),
        (
            "the frozen states aren't counted",
            "states=4 * pool_tokens * config.width if first else 0",
            "states=0",
            "test_the_need_grows_with_what_it_is_made_of",
        ),
    ),
    *mistakes(
        "src/workbench/training/loop.py",
        FIT,
        (
            "a packed base is counted to keep what every block computed",
            'if hold == "decoded" else 4 * blocks * decoder.width + block',
            "if hold else 4 * blocks * decoder.width + block",
            "test_the_need_grows_with_what_it_is_made_of",
        ),
    ),
    *mistakes(
        "src/workbench/studies/memory_fit.py",
        FIT,
        (
            "fewer layers are advised by one too many",
            "first = config.layers - count",
            "first = config.layers - count + 1",
            "test_a_study_that_cannot_fit_is_refused_with_what_would_fit",
        ),
        (
            "holding it packed is never advised",
            "if not better_packed(room, cells, prepared):",
            "if better_packed(room, cells, prepared):",
            "test_holding_it_packed_is_advised_where_decoded_was_asked_for",
        ),
        (
            "fewer bits are advised that don't suffice",
            "fewer = replace(room.held, stored=packed)",
            "fewer = replace(room.held, stored=0)",
            "test_fewer_bits_are_not_advised_where_they_do_not_suffice",
        ),
    ),
    *mistakes(
        "src/workbench/memory.py",
        FIT,
        (
            "pages that a container can drop count as taken",
            ' + int(stat.get("inactive_file", 0))',
            "",
            "test_a_container_s_limit_counts",
        ),
    ),
    *mistakes(
        "src/workbench/studies/identity.py",
        FIT,
        (
            "a study may go on held in another way",
            'hold=self.study.hold if study.hold == "auto" else study.hold,',
            "hold=self.study.hold,",
            "test_a_study_goes_on_as_it_was_begun",
        ),
        (
            "a study chooses anew how its base is held",
            'hold=self.study.hold if study.hold == "auto" else study.hold,',
            "hold=study.hold,",
            "test_a_study_goes_on_as_it_was_begun",
        ),
    ),
    *mistakes(
        "src/workbench/studies/parts.py",
        FIT,
        (
            "bases of one study are held each in its own way",
            "if plan.study.hold != hold:",
            "if not hold:",
            "test_bases_of_one_study_are_held_alike",
        ),
    ),
    *mistakes(
        "src/workbench/studies/executors/shipping.py",
        FIT,
        (
            "workers hold the base decoded",
            '"hold": job.base.decoder.hold,',
            '"hold": "decoded",',
            "test_workers_hold_the_base_as_the_runner_does",
        ),
    ),
]
