"""One LoRA fine-tune of the same base, examples and steps, by the workbench and by PEFT: `make bench`.

    python benchmarks/against_peft.py [--quick] [--data FILE] [--rounds 3] [--minutes M] [--output FILE.json]

Every measurement is a process of its own; contestants alternate, round by round, and medians count. Both
sides get the same token ids, start from the same adapters and take the same optimizer steps. Beside its times
each contestant's row says whether it computes what PEFT computes in float32, where the tolerance is what
bfloat16 changes in PEFT itself, and which share of the products' bound it reaches. What disagrees, fails or
runs out of time is a row that says so.
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from itertools import takewhile
from pathlib import Path

from processor import in_words, machine
from roofline import least_flops, product_speeds

BASE = "smollm2-135m"
BATCH, RANK = 8, 8
EXACT, ROUNDED = "PEFT float32", "PEFT bfloat16"
CONTESTANTS = {
    "ours float32": ("ours", {"precision": "float32"}),
    EXACT: ("peft", {"dtype": "float32", "grouped": False}),
    "ours bfloat16": ("ours", {"precision": "bfloat16"}),
    "PEFT bfloat16, length-grouped": ("peft", {"dtype": "bfloat16", "grouped": True}),
    ROUNDED: ("peft", {"dtype": "bfloat16", "grouped": False}),
    "ours int8": ("ours", {"precision": "int8"}),
    "ours bfloat16-activations": ("ours", {"precision": "bfloat16-activations"}),
}
"""By name, the most telling first, in case the time runs out."""
FLOAT32_SHARE = 0.1
"""What float32 may move a loss by, over what bfloat16 moves PEFT's own by. Its numbers are 65,536 times
finer, so that this leaves room for other orders of sums, which training steps enlarge."""
QUICK = {"examples": 24, "steps": 3, "rounds": 1, "minutes": 7.0}


def examples(data, count):
    """Return the first records of a file as (token ids, prompt length); both sides get these."""
    from workbench.data.sources import load_dataset
    from workbench.data.templates import render
    from workbench.models.loaders import load_base

    # empty answers are dropped from files; a built-in source has none, and refuses to be asked
    dataset = load_dataset(data, **({} if data == "raters" else {"on_empty": "drop"}))
    tokenizer = load_base(BASE).tokenizer
    template = "chat" if data == "raters" else "alpaca"
    rendered = [render(template, record, tokenizer) for record in dataset.train[:count]]
    return [(list(example.token_ids), example.prompt_length) for example in rendered]


def cell(steps):
    from workbench.config import CellConfig

    return CellConfig(
        data="bench", base=BASE, size=1, rank=RANK, batch_size=BATCH, steps=steps, learning_rate=1e-3
    )


def batches(items, steps, grouped):
    """Return each step's examples: in the order of the file, or of their length."""
    order = sorted(range(len(items)), key=lambda i: len(items[i][0])) if grouped else list(range(len(items)))
    return [[order[(step * BATCH + i) % len(items)] for i in range(BATCH)] for step in range(steps)]


def ours(items, steps, precision):
    """Train with the workbench's own loop; returns (seconds to load, seconds and loss of each step)."""
    import torch

    from workbench.adapters.lora import LoraStack
    from workbench.data.batches import Pool
    from workbench.data.templates import Example
    from workbench.memory import keep_freed_memory
    from workbench.models.loaders import load_base
    from workbench.training.loop import freeze, step_gradient
    from workbench.training.optimizer import StackedAdamW

    keep_freed_memory()
    started = time.perf_counter()
    base = load_base(BASE, precision)
    loading = time.perf_counter() - started
    frozen = freeze(base.decoder, Pool([Example(tuple(ids), prompt) for ids, prompt in items]), 0)
    stack = LoraStack([cell(steps)], base.decoder.config)
    optimizer = StackedAdamW(stack.weights.detach(), stack.cells)
    seconds, losses = [], []
    for step, chosen in enumerate(batches(items, steps, grouped=False)):
        started = time.perf_counter()
        part = stack.select([0])
        loss, gradient = step_gradient(frozen, part, [chosen])
        optimizer.update(gradient, step, torch.tensor([0]), torch.tensor([True]))
        seconds.append(time.perf_counter() - started)
        losses.append(float(loss))
    return loading, seconds, losses


def start_alike(model, adapter):
    """Give a PEFT model the first weights that the workbench's own adapter has."""
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            layer = name.split(".layers.")[1].split(".")
            half = "lora_A" if "lora_A" in name else "lora_B"
            parameter.data.copy_(adapter[f"layers.{layer[0]}.{layer[2]}.{half}"])


def peft(items, steps, dtype, grouped):
    """Train the same with transformers and PEFT, as their documentation does it, with padding."""
    import torch
    from peft import LoraConfig, get_peft_model
    from torch.nn.utils.rnn import pad_sequence
    from transformers import AutoModelForCausalLM

    from workbench.adapters.lora import LoraStack
    from workbench.config import LINEARS
    from workbench.models.gguf_container import read_container
    from workbench.models.gguf_reader import read_config
    from workbench.models.loaders import NAMES
    from workbench.training.optimizer import learning_rate

    path = NAMES[BASE]()
    started = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=getattr(torch, dtype), local_files_only=True
    )
    loading = time.perf_counter() - started
    lora = LoraConfig(r=RANK, lora_alpha=16, target_modules=list(LINEARS), lora_dropout=0.0)
    model = get_peft_model(model, lora)
    start_alike(model, LoraStack([cell(steps)], read_config(read_container(path))[0]).tensors(0))
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1.0, weight_decay=0.0)
    seconds, losses = [], []
    for step, chosen in enumerate(batches(items, steps, grouped)):
        started = time.perf_counter()
        ids = [torch.tensor(items[i][0]) for i in chosen]
        labels = [torch.tensor([-100] * items[i][1] + items[i][0][items[i][1] :]) for i in chosen]
        batch = pad_sequence(ids, batch_first=True)
        mask = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
        wanted = pad_sequence(labels, batch_first=True, padding_value=-100)
        loss = model(input_ids=batch, attention_mask=mask, labels=wanted, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(cell(steps), step)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - started)
        losses.append(float(loss.detach()))
    return loading, seconds, losses


def measure(name, items, steps):
    """Run one contestant in this process and print what it took as JSON."""
    side, settings = CONTESTANTS[name]
    run = {"ours": ours, "peft": peft}[side]
    loading, seconds, losses = run(items, steps, **settings)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    took = {"loading": loading, "seconds": seconds, "losses": losses, "peak_bytes": peak}
    print(json.dumps({**took, "processor_seconds": time.process_time()}))


def precision_of(name):
    settings = CONTESTANTS[name][1]
    return settings.get("precision") or settings["dtype"]


def products_of(name):
    """Return the type of a contestant's products, as they are measured alone."""
    from workbench.models.between import products_in

    return products_in(precision_of(name))


def distance(runs, one, other):
    """Return the largest distance between two contestants' losses of a step, over all rounds, in nats."""
    apart = [
        abs(a - b)
        for mine in runs[one]
        for theirs in runs[other]
        for a, b in zip(mine["losses"], theirs["losses"], strict=True)
    ]
    return math.nan if any(math.isnan(value) for value in apart) else max(apart)


def agreements(runs):
    """Say for each contestant with runs how far its losses are from PEFT's float32, and whether that is far.

    The yardstick is what bfloat16 moves PEFT's own losses by in these very steps: bfloat16 and bytes may move
    ours as far, float32 a tenth of it. Without both of PEFT's runs nothing is judged. Length-grouped batches
    are others by nature, and the yardstick can't judge itself.

    Returns:
        {name: {"distance": nats or None, "allowed": nats or None, "agrees": True, False or None}}
    """
    ran = {name: each for name, each in runs.items() if each}
    found = {name: {"distance": None, "allowed": None, "agrees": None} for name in ran}
    exact = EXACT if EXACT in ran else "ours float32"
    if exact not in ran:
        return found
    yardstick = distance(ran, EXACT, ROUNDED) if EXACT in ran and ROUNDED in ran else None
    for name, row in found.items():
        if name == exact or CONTESTANTS[name][1].get("grouped"):
            continue
        row["distance"] = distance(ran, exact, name)
        if yardstick is not None and name != ROUNDED:
            row["allowed"] = yardstick * (FLOAT32_SHARE if precision_of(name) == "float32" else 1.0)
            row["agrees"] = row["distance"] <= row["allowed"]
    return found


def work(items, steps, grouped, config):
    """Return (labels, least operations) of all steps; a beginning that all share counts once a step."""
    places = zip(*(ids[:prompt] for ids, prompt in items), strict=False)
    shared = len(list(takewhile(lambda tokens: len(set(tokens)) == 1, places)))
    labels = flops = 0
    for row in batches(items, steps, grouped):
        marked = sum(len(items[i][0]) - items[i][1] for i in row)
        flops += least_flops(config, shared + sum(len(items[i][0]) - shared for i in row), marked)
        labels += marked
    return labels, flops


def table_of(runs, failures, speeds, works):
    """Return a row for each contestant: medians, agreement and share of the bound, or why there is none.

    Args:
        runs: Contestant -> what each of its processes printed.
        failures: Contestant -> what ended it.
        speeds: Precision -> GFLOP/s of products alone, measured between the runs.
        works: Contestant -> (labels, least operations) of a run.
    """
    table, judged = {}, agreements(runs)
    for name, results in runs.items():
        if not results:
            table[name] = {"failed": failures.get(name, "not run: the time was up")}
            continue
        labels, flops = works[name]
        seconds = statistics.median(sum(result["seconds"]) for result in results)
        least = flops / (speeds[products_of(name)] * 1e9)
        table[name] = {
            "labelled_tokens_per_second": labels / seconds,
            "seconds": seconds,
            "processor_seconds": statistics.median(result["processor_seconds"] for result in results),
            "least_seconds": least,
            "share_of_bound": least / seconds,
            "peak_bytes": statistics.median(result["peak_bytes"] for result in results),
            "loading_seconds": statistics.median(result["loading"] for result in results),
            "rounds": len(results),
            **judged[name],
            **({"failed": failures[name]} if name in failures else {}),
        }
    return table


def verdict(row):
    """Say whether a row's losses are those of PEFT's float32."""
    if row.get("distance") is None:
        return "other batches, or the reference"
    apart = f"{row['distance']:.4f} nats"
    if row["agrees"] is None:
        return f"{apart}, not judged"
    return f"{apart} of {row['allowed']:.4f}" + ("" if row["agrees"] else ": DISAGREES")


def lines_of(table):
    """Return the table as lines to print."""
    rates = {name: row["labelled_tokens_per_second"] for name, row in table.items() if "seconds" in row}
    slow = rates.get(EXACT)
    lines = [
        f"{'':30} {'labels/s':>8} {'x PEFT32':>8} {'of bound':>8} {'memory':>8} {'loading':>8}  "
        "losses against PEFT's float32"
    ]
    for name, row in table.items():
        if name not in rates:
            lines.append(f"{name:30} {row['failed']}")
            continue
        times = f"{rates[name] / slow:.1f}" if slow else ""
        lines.append(
            f"{name:30} {rates[name]:8.1f} {times:>8} {row['share_of_bound']:8.0%} "
            f"{row['peak_bytes'] / 1e9:5.2f} GB {row['loading_seconds']:6.1f} s  {verdict(row)}"
        )
    return lines


def run_all(names, items, steps, rounds, minutes):
    """Let contestants alternate; returns (runs, failures, speeds of products measured between them)."""
    started, failures, speeds = time.monotonic(), {}, [product_speeds(repeats=5)]
    runs = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            left = minutes * 60 - (time.monotonic() - started)
            if left <= 0 or name in failures:
                continue
            speeds.append(product_speeds(repeats=5))
            command = [sys.executable, __file__, "--measure", name, "--steps", str(steps)]
            limit = None if math.isinf(left) else left
            try:
                done = subprocess.run(
                    command, input=json.dumps(items), capture_output=True, text=True, timeout=limit
                )
            except subprocess.TimeoutExpired:
                if not runs[name]:
                    failures[name] = "stopped: the time was up"
                continue
            if done.returncode:
                failures[name] = f"failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}"
                print(f"round {number + 1}: {name} failed:\n{done.stderr}", file=sys.stderr, flush=True)
                continue
            runs[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"round {number + 1}: {name}: {sum(runs[name][-1]['seconds']):.1f} s", flush=True)
    medians = {name: statistics.median(each[name] for each in speeds) for name in speeds[0]}
    return runs, failures, medians


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="raters", help="raters, or a JSON file of instructions")
    parser.add_argument("--examples", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="start nothing after them, stop what runs"
    )
    parser.add_argument("--quick", action="store_true", help=f"a smaller run: {QUICK}")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    if "--quick" in sys.argv:
        parser.set_defaults(**QUICK)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, json.load(sys.stdin), arguments.steps)
        return
    from workbench.models.gguf_container import read_container
    from workbench.models.gguf_reader import read_config
    from workbench.models.loaders import NAMES

    here = machine()
    items, steps = examples(arguments.data, arguments.examples), arguments.steps
    config, _ = read_config(read_container(NAMES[BASE]()))
    works = {
        name: work(items, steps, CONTESTANTS[name][1].get("grouped", False), config)
        for name in arguments.only
    }
    labels = works[arguments.only[0]][0]
    mean = statistics.mean(len(ids) for ids, _ in items)
    about = f"{len(items)} examples of {Path(arguments.data).stem} with {mean:.0f} tokens on average"
    print(f"{in_words(here)}\n{about}; {labels} labels in all {steps} steps", flush=True)
    runs, failures, speeds = run_all(arguments.only, items, steps, arguments.rounds, arguments.minutes)
    table = table_of(runs, failures, speeds, works)
    print("\n".join(lines_of(table)))
    print("products alone: " + ", ".join(f"{name} {speed:.0f} GFLOP/s" for name, speed in speeds.items()))
    if arguments.output:
        record = {"about": about, "labels": labels, "machine": here, "speeds": speeds, "steps": steps}
        text = json.dumps({**record, "table": table, "runs": runs}, indent=1)
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
