"""Where a training step's time goes: `python benchmarks/profile_step.py [--data FILE] [--output FILE.json]`.

The step of `against_peft.py`: one cell, adapters on all layers of SmolLM2-135M, ragged real examples. Each
precision is run with a clock alone, and under PyTorch's profiler, which says what share of its time each kind
of work takes. What the profiler writes down takes pieces of the memory that a step frees, so that passes have
to ask the system for new pages, which take longer than the passes. So there is spare memory for it, and of
several profiles the one with the fewest new pages counts. The operations that nobody can leave out (the base
forward, and back to its inputs; the head at the labels, both ways) over the products' speed of `roofline.py`
give the least time of a step.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from against_peft import BASE, BATCH, RANK, batches, cell, examples
from roofline import least_flops

from workbench.adapters.lora import LoraStack
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.memory import keep_freed_memory
from workbench.models.loaders import load_base
from workbench.training.loop import freeze, step_gradient

STEPS, PROFILED, PROFILES = 5, 2, 3
SPARE_BYTES = 10**9
"""Freed before a profile; the heap keeps that much."""
PRECISIONS = ("float32", "bfloat16", "bfloat16-activations", "int8")
RANKS = (RANK, 2 * RANK, 3 * RANK)
"""Of an adapter, and of those of two and three layers with the same input, which are multiplied as one."""
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::_int_mm")


def kind(name, shapes):
    """Return which part of a step an operation belongs to."""
    if name.rstrip("_") in PRODUCTS and any(set(RANKS) & set(shape) for shape in shapes):
        return "products with adapters"
    if name.rstrip("_") in ("aten::mm", "aten::addmm", "aten::_int_mm"):
        return "products with the base and the head"
    if name == "aten::bmm" or "attention" in name.lower() or "softmax" in name:
        return "attention"
    return "everything else: norms, SwiGLU, rotations, sums, copies"


def profiled(frozen, stack, rows):
    """Return how many pages a step had to ask the system for, and the seconds of each kind of work."""
    spare = [torch.zeros(SPARE_BYTES // 100 // 4) for _ in range(100)]
    del spare
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    with torch.profiler.profile(record_shapes=True) as profile:
        for row in rows:
            step_gradient(frozen, stack, [row])
    pages = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // len(rows)
    shares = {}
    for event in profile.key_averages(group_by_input_shape=True):
        name = kind(event.key, event.input_shapes)
        shares[name] = shares.get(name, 0.0) + event.self_cpu_time_total
    return pages, shares


def measure(precision, items):
    keep_freed_memory()
    base = load_base(BASE, precision)
    pool = Pool([Example(tuple(ids), prompt) for ids, prompt in items])
    frozen = freeze(base.decoder, pool, 0)
    stack = LoraStack([cell(STEPS)], base.decoder.config)
    rows = batches(items, 1 + STEPS + PROFILED, grouped=False)
    seconds, flops, labelled = [], [], []
    for number, row in enumerate(rows[: 1 + STEPS]):
        started = time.perf_counter()
        step_gradient(frozen, stack, [row])
        if number:  # the first one pays for memory that the others find
            seconds.append(time.perf_counter() - started)
            labels = sum(len(items[i][0]) - items[i][1] for i in row)
            tokens = pool.shared + sum(len(items[i][0]) - pool.shared for i in row)
            flops.append(least_flops(base.decoder.config, tokens, labels))
            labelled.append(labels)
    profiles = [profiled(frozen, stack, rows[1 + STEPS :]) for _ in range(PROFILES)]
    pages, shares = min(profiles, key=lambda one: one[0])
    whole = sum(shares.values())
    return {
        "seconds": statistics.mean(seconds),
        "least_flops": statistics.mean(flops),
        "labels": statistics.mean(labelled),
        "new_pages": pages,
        "shares": {name: share / whole for name, share in sorted(shares.items(), key=lambda pair: -pair[1])},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="raters", help="raters, or a JSON file of instructions")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    items = examples(arguments.data, BATCH * (1 + STEPS + PROFILED))
    # a process for each: what one leaves in memory changes how fast the next one's is had
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as pool:
        table = {name: pool.submit(measure, name, items).result() for name in PRECISIONS}
    json.dump(table, sys.stdout, indent=1)
    if arguments.output:
        arguments.output.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
