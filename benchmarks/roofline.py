"""What this machine can do: products in each precision, and memory; `python benchmarks/roofline.py [FILE]`.

The shapes are those of SmolLM2-135M's layers with the tokens of one step. With the operations that no step
can leave out, the products' speed gives the least time of a step: the bound that other records are held to.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import torch
from processor import machine

from qlora_kernels.products import PRECISIONS, prepare_weight, product
from workbench.config import LINEARS

SHAPES = [(576, 576), (1536, 576), (576, 1536)]
TOKENS = 768


def seconds(work, repeats=15):
    """Return the median time of a call, after two that pay for set-up."""
    times = []
    for number in range(repeats + 2):
        started = time.perf_counter()
        work()
        if number > 1:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def product_speeds(repeats=15):
    """Return the GFLOP/s of products, by precision."""
    flops, speeds = sum(2 * TOKENS * n * k for n, k in SHAPES), {}
    for name, dtype in PRECISIONS.items():
        inputs = [(torch.randn(TOKENS, k), prepare_weight(torch.randn(n, k), dtype)) for n, k in SHAPES]
        took = sum(seconds(lambda x=x, base=base: product(x, base), repeats) for x, base in inputs)
        speeds[name] = flops / took / 1e9
    return speeds


def least_flops(config, tokens, labels):
    """Return the operations of a training step that no method saves.

    The frozen base takes each token once forward and once back to its inputs, the head each label.
    """
    block = sum(n * k for n, k in map(config.linear_shape, LINEARS))
    return 4 * tokens * config.layers * block + 4 * labels * config.vocabulary * config.width


def main():
    table = {**machine(), **{f"{name} GFLOP/s": speed for name, speed in product_speeds().items()}}
    source = torch.randn(2**26)
    target = torch.empty_like(source)
    table["copy GB/s"] = 2 * source.nbytes / seconds(lambda: target.copy_(source)) / 1e9
    for name, value in table.items():
        print(f"{name:18} {value:.0f}" if name.endswith("/s") else f"{name:18} {value}")
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
