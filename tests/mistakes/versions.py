"""Mistakes in which Triton and which GPU the kernels take, and in what a study records of them."""

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "kernels/qlora_kernels/triton_version.py",
        "tests/kernels/test_dispatch.py",
        (
            "an older Triton is taken",
            "if OLDEST <= numbers < BEFORE:",
            "if numbers < BEFORE:",
            "test_a_triton_of_another_version_is_refused_by_name",
        ),
        (
            "3.10 is taken for 3.1",
            "(int(part) for part in",
            "(int(part[0]) for part in",
            "test_a_triton_of_another_version_is_refused_by_name",
        ),
        (
            "the range is not the declared one",
            "OLDEST, BEFORE = (3, 6), (3, 10)",
            "OLDEST, BEFORE = (3, 5), (3, 10)",
            "test_the_versions_that_are_taken_are_those_that_are_declared",
        ),
    ),
    *mistakes(
        "kernels/qlora_kernels/rows.py",
        "tests/kernels/test_dispatch.py",
        (
            "the Triton route asks for no version",
            "        require_triton()\n",
            "        pass\n",
            "test_a_triton_of_another_version_is_refused_by_name",
        ),
    ),
    *mistakes(
        "kernels/qlora_kernels/tiles.py",
        "tests/kernels/test_tiles.py",
        ("a T4 gets the tiles of an A100", "CAPABILITIES = (75, 80,", "CAPABILITIES = (80,"),
        ("a T4 is thought to multiply on its units", 'UNROLLED = ("sm_75",)', "UNROLLED = ()"),
        (
            "float16 is rounded as bfloat16",
            "return dtype == torch.bfloat16 and target_of",
            "return target_of",
        ),
    ),
    *mistakes(
        "src/workbench/studies/arithmetic.py",
        "tests/workbench/studies/test_plan.py",
        (
            "another Triton is the same arithmetic",
            '"triton": _triton_version()}',
            '"triton": "3"}',
            "test_the_version_of_triton_is_recorded_where_it_computes",
        ),
    ),
    *mistakes(
        "src/workbench/studies/provenance.py",
        "tests/workbench/studies/test_plan.py",
        (
            "the manifest keeps Triton's version to itself",
            '{"triton": triton} if (triton := plan.arithmetic.used.get("triton")) else {}',
            "{}",
            "test_the_version_of_triton_is_recorded_where_it_computes",
        ),
    ),
]
