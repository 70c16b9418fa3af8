"""Mistakes in the kernel lab: what is drawn, what is judged, and where a stray address is found."""

from mistakes_list import mistakes

LAB = "src/workbench/lessons/kernel_lab/"
TESTS = "tests/kernels/test_lab.py"

MISTAKES = [
    *mistakes(
        f"{LAB}touched.py",
        TESTS,
        (
            "a lane that a mask switches off is drawn as touched",
            "return places(lambda a: a.active & inside(a) & (a.what == kind))",
            "return places(lambda a: inside(a) & (a.what == kind))",
            "test_a_row_a_program_and_what_the_mask_switches_off",
        ),
        (
            "what lies outside isn't marked",
            "return places(lambda a: a.active & ~inside(a))",
            "return places(lambda a: a.active & ~inside(a))[:0]",
            "test_what_lies_outside_is_marked_and_ends_it",
        ),
        (
            "a program's numbers along the axes are exchanged",
            "axes = (number % grid[0], number // grid[0] % grid[1],",
            "axes = (number // grid[1] % grid[0], number % grid[1],",
            "test_tiles_of_a_product",
        ),
        (
            "a rectangle goes on where its run ended",
            "if edge or one not in line]:",
            "if edge]:",
            "test_rectangles_hold_each_cell_once",
        ),
        (
            "an error of a learner's kernel ends the picture",
            "seen = watched(launch, stop=False)",
            "seen = watched(launch)",
            "test_what_lies_outside_is_marked_and_ends_it",
        ),
    ),
    *mistakes(
        f"{LAB}kernel_checks.py",
        TESTS,
        (
            "a kernel that stores nothing is wrong for another reason",
            "if not any(region.stored for launch in launches for region in launch.regions):",
            "if not launches:",
            "test_a_hole_is_nothing_filled_in[scale]",
        ),
        (
            "a result that is left empty isn't noticed",
            "if (empty := _left_empty(seen)) is not None:",
            "if (empty := _left_empty(seen)) is not None and False:",
            "test_each_mistake_gets_its_hint[quantize-nothing-is-stored-in-scales]",
        ),
        (
            "a total of 16 bits gets no hint",
            "{HALF_TOTAL if digits else ''}",
            "{''}",
            "test_each_mistake_gets_its_hint[product-keep-the-total-in-float32_0]",
        ),
        (
            "every result is correct",
            "if error <= FROBENIUS[torch.float32]:",
            "if error <= 2:",
            "test_a_hole_is_nothing_filled_in[lora]",
        ),
    ),
    *mistakes(
        "kernels/qlora_kernels/lab/interpreter.py",
        TESTS,
        (
            "a total of 16 bits is written where 32 are expected",
            "if a.dtype.scalar == tl.float32 != d.dtype.scalar:",
            "if False:",
            "test_each_mistake_gets_its_hint[product-keep-the-total-in-float32_1]",
        ),
        (
            "results of tensors that lie apart aren't copied back",
            "originals[name].copy_(tensor)",
            "pass",
            "test_a_solution_is_correct_and_its_text_that_of_the_package[scale]",
        ),
    ),
    *mistakes(
        "kernels/qlora_kernels/lab/trace.py",
        TESTS,
        (
            "tensors are drawn in another order than the kernel's arguments",
            "list(regions.values())",
            "list(regions.values())[::-1]",
            "test_a_row_a_program_and_what_the_mask_switches_off",
        ),
        (
            "an address outside belongs to the first tensor",
            "max(r.start - address, address - r.start - r.allowed.size + 1, 0)",
            "0 * r.start",
            "test_each_mistake_gets_its_hint[scale-factor-row]",
        ),
    ),
    *mistakes(
        f"{LAB}needs.py",
        "tests/workbench/advice/test_kernel_lab.py",
        (
            "a missing Triton ends in a traceback",
            "def _render_traceback_(self)",
            "def _render_no_traceback_(self)",
            "test_without_triton_the_first_cell_says_what_to_do_and_that_helps",
        ),
        (
            "who isn't on Linux is told to install what isn't there",
            'if not sys.platform.startswith("linux"):',
            "if False:",
            "test_another_system_is_told_that_there_is_none_for_it",
        ),
    ),
]
