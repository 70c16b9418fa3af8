"""The mistakes of ``bench/operators/``, planted one at a time: every one must be caught."""

from pathlib import Path

import pytest
from bench.catalogue import CHECKS, MUTANTS
from bench.mutants import killed_by

import qlora_kernels

TWINS = sorted(path.stem for path in Path(qlora_kernels.__file__).parent.glob("*_triton.py"))


@pytest.mark.parametrize("check", CHECKS)
def test_the_original_passes(check):
    CHECKS[check]()


@pytest.mark.parametrize("mutant", MUTANTS, ids=[f"{m.module.split('.')[1]}: {m.name}" for m in MUTANTS])
def test_is_killed(mutant, record_property):
    objection = killed_by(mutant)
    record_property("objection", objection)
    assert objection is not None, f"nobody noticed: {mutant.name} in {mutant.module}"


def test_there_are_enough():
    names = {(mutant.module, mutant.name) for mutant in MUTANTS}
    print(f"{len(names)} mutants planted")
    assert len(names) == len(MUTANTS) >= 20


@pytest.mark.parametrize("twin", TWINS)
def test_no_kernel_is_without_mutants(twin):
    assert f"qlora_kernels.{twin}" in {mutant.module for mutant in MUTANTS}, "plant mistakes in it"
