"""The mistakes of ``bench/operators/``, planted one at a time: every one must be caught."""

import ast
import json
from pathlib import Path

import pytest
from bench.budgets import FILE
from bench.catalogue import CHECKS, MUTANTS
from bench.mutants import killed_by

import qlora_kernels

TWINS = sorted(Path(qlora_kernels.__file__).parent.glob("*_triton.py"))


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


def launched(path):
    """Names of the kernels that a file launches: ``kernel[grid](...)``."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    subscripts = [call.value for call in calls if isinstance(call, ast.Subscript)]
    return {value.id for value in subscripts if isinstance(value, ast.Name)}


@pytest.mark.parametrize("path", TWINS, ids=lambda path: path.stem)
def test_no_kernel_is_without_mutants_and_a_budget(path):
    assert f"qlora_kernels.{path.stem}" in {mutant.module for mutant in MUTANTS}, "plant mistakes in it"
    operators = json.loads(FILE.read_text(encoding="utf-8"))["operators"].values()
    assert launched(path), "a twin launches kernels"
    assert launched(path) <= {kernel for kernels in operators for kernel in kernels}, "give it an example"
