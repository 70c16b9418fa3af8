"""Greedy decoding on SmolLM2-135M's GGUF, by the workbench and by llama.cpp: tokens a second.

    python benchmarks/decoding.py [FILE.json]

One prompt, and eight prompts at once, 64 new tokens each, one after the other in alternation. llama.cpp
multiplies the 4-bit weights themselves; the workbench multiplies copies that training needs anyway.
"""

import json
import statistics
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import xllamacpp

from workbench.models.generation import generate
from workbench.models.loaders import NAMES, load_base

NEW, ROUNDS, TOGETHER = 64, 3, 8
QUESTION = "Name a river in each of the following countries, and say where it ends: "
COUNTRIES = ("France", "Egypt", "Brazil", "India", "China", "Peru", "Mali", "Spain")


def llama_cpp(path):
    """Start llama.cpp with this machine's threads; returns a function that continues prompts at once."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = 512 * TOGETHER
    parameters.n_parallel = TOGETHER
    parameters.cpuparams.n_threads = torch.get_num_threads()
    server = xllamacpp.Server(parameters)

    def complete(tokens):
        body = {
            "prompt": tokens,
            "n_predict": NEW,
            "temperature": -1,
            "ignore_eos": True,
            "cache_prompt": False,
        }
        request = urllib.request.Request(
            server.listening_address + "/completion",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def continue_all(prompts):
        with ThreadPoolExecutor(len(prompts)) as pool:
            return list(pool.map(complete, prompts))

    return continue_all


def main():
    path = NAMES["smollm2-135m"]()
    base = load_base("smollm2-135m", "auto")
    prompts = [base.tokenizer.encode(QUESTION + country) for country in COUNTRIES[:TOGETHER]]
    contestants = {
        f"workbench, {base.decoder.precision}": lambda some: generate(
            base.decoder, [some], stops=(), limit=NEW
        ),
        "llama.cpp": llama_cpp(path),
    }
    table = {}
    for count in (1, TOGETHER):
        seconds = {name: [] for name in contestants}
        for _ in range(ROUNDS):
            for name, run in contestants.items():
                started = time.perf_counter()
                run(prompts[:count])
                seconds[name].append(time.perf_counter() - started)
        for name, each in seconds.items():
            rate = count * NEW / statistics.median(each)
            table[f"{name}, {count} at once"] = rate
            print(f"{name}, {count} at once: {rate:.0f} tokens/s", flush=True)
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(json.dumps({"new_tokens": NEW, "rates": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
