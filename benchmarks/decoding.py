"""Greedy decoding on SmolLM2-135M's GGUF, by the workbench and by llama.cpp: tokens a second.

    python benchmarks/decoding.py [--quick] [--rounds 5] [--threads N] [--output FILE.json]

One prompt, and eight prompts at once, 64 new tokens each, in rounds that alternate; medians count. llama.cpp
has a process of its own: its waiting threads would take half of the workbench's time. Beside the clock
stands the processor time of both, all threads together: where others use the machine, the clock mostly
measures them. Threads of both wait by spinning, which is processor time, too.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import torch
from processor import in_words, machine

from workbench.models.generation import generate
from workbench.models.loaders import NAMES, load_base

NEW, TOGETHER = 64, 8
QUESTION = "Name a river in each of the following countries, and say where it ends: "
COUNTRIES = ("France", "Egypt", "Brazil", "India", "China", "Peru", "Mali", "Spain")


def serve(path, threads, told):
    """Be llama.cpp: send the address, and go on until this process is ended."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # it writes a line for every request
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = 512 * TOGETHER
    parameters.n_parallel = TOGETHER
    parameters.cpuparams.n_threads = threads
    server = xllamacpp.Server(parameters)
    told.send(server.listening_address)
    threading.Event().wait()


def llama_cpp(path):
    """Start llama.cpp with as many threads; returns its process, and what continues prompts at once."""
    processes = multiprocessing.get_context("spawn")
    told, tell = processes.Pipe()
    process = processes.Process(target=serve, args=(str(path), torch.get_num_threads(), tell), daemon=True)
    process.start()
    address = told.recv()

    def complete(tokens):
        body = {
            "prompt": tokens,
            "n_predict": NEW,
            "temperature": -1,
            "ignore_eos": True,
            "cache_prompt": False,
        }
        request = urllib.request.Request(
            address + "/completion",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def continue_all(prompts):
        with ThreadPoolExecutor(len(prompts)) as pool:
            return list(pool.map(complete, prompts))

    return psutil.Process(process.pid), continue_all


def medians(measured, tokens):
    """Return tokens a second by the clock and by the processors' time, from pairs of seconds."""
    clock, cores = (statistics.median(column) for column in zip(*measured, strict=True))
    return {"tokens_per_second": tokens / clock, "tokens_per_processor_second": tokens / cores}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--threads", type=int, help="of both; one each is fair on a busy machine")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    rounds = 1 if arguments.quick else arguments.rounds
    here = machine()
    print(in_words(here), flush=True)
    path = NAMES["smollm2-135m"]()
    base = load_base("smollm2-135m", "auto")
    prompts = [base.tokenizer.encode(QUESTION + country) for country in COUNTRIES[:TOGETHER]]

    def workbench(some):
        return generate(base.decoder, [some], stops=(), limit=NEW)

    contestants = {
        f"workbench, {base.decoder.precision}": (psutil.Process(), workbench),
        "llama.cpp": llama_cpp(path),
    }
    rates = {}
    for count in (1, TOGETHER):
        measured = {name: [] for name in contestants}
        for number in range(rounds + 1):
            for name, (process, run) in contestants.items():
                started, used = time.perf_counter(), sum(process.cpu_times()[:2])
                run(prompts[:count])
                took = time.perf_counter() - started, sum(process.cpu_times()[:2]) - used
                if number:  # the first round pays for memory that the others find
                    measured[name].append(took)
        for name, each in measured.items():
            row = rates[f"{name}, {count} at once"] = medians(each, count * NEW)
            print(
                f"{name}, {count} at once: {row['tokens_per_second']:.1f} tokens/s, "
                f"{row['tokens_per_processor_second']:.1f} for a second of a core",
                flush=True,
            )
    if arguments.output:
        here["load at the end"] = machine()["load"]
        record = {"new_tokens": NEW, "rounds": rounds, "machine": here, "rates": rates}
        arguments.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
