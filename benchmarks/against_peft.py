"""One LoRA fine-tune of the same base, examples and steps, by the workbench and by PEFT: `make bench`.

    python benchmarks/against_peft.py [--data FILE] [--rounds 3] [--output FILE.json]

Every measurement is a process of its own; contestants alternate, round by round, and medians count. Both
sides get the same token ids, start from the same adapters and take the same optimizer steps, and the losses
are compared before the times: all contestants that see the same batches have to agree.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

BASE = "smollm2-135m"
BATCH, RANK = 8, 8
CONTESTANTS = {
    "ours float32": ("ours", {"precision": "float32"}),
    "ours bfloat16": ("ours", {"precision": "bfloat16"}),
    "ours int8": ("ours", {"precision": "int8"}),
    "PEFT float32": ("peft", {"dtype": "float32", "grouped": False}),
    "PEFT bfloat16": ("peft", {"dtype": "bfloat16", "grouped": False}),
    "PEFT bfloat16, length-grouped": ("peft", {"dtype": "bfloat16", "grouped": True}),
}
LOSS_TOLERANCE = {"float32": 2e-3, "bfloat16": 6e-2, "int8": 6e-2}
"""Largest distance of a step's loss, in nats, from our float32. PEFT's bfloat16 rounds every activation, ours
the base's products alone: after four steps they were 0.039 and 0.002 away."""


def examples(data, count):
    """Return the first records of a file as (token ids, prompt length); both sides get these."""
    from workbench.data.sources import load_dataset
    from workbench.data.templates import render
    from workbench.models.loaders import load_base

    dataset = load_dataset(data, on_empty="drop")
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
    start_alike(model, LoraStack([cell(steps)], read_config(read_container(path))).tensors(0))
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
    print(json.dumps({"loading": loading, "seconds": seconds, "losses": losses, "peak_bytes": peak}))


def check(runs, steps):
    """Refuse to compare times of contestants that did not compute the same."""
    exact = runs["ours float32"][0]["losses"]
    for name, results in runs.items():
        settings = CONTESTANTS[name][1]
        if settings.get("grouped"):
            continue  # other batches, by its nature
        allowed = LOSS_TOLERANCE[settings.get("precision") or settings["dtype"]]
        worst = max(abs(a - b) for result in results for a, b in zip(exact, result["losses"], strict=True))
        print(f"{name:32} largest distance from our float32 loss {worst:.4f} nats (allowed {allowed})")
        if worst > allowed:
            sys.exit(f"{name} trains something else: compare nothing")


def report(runs, labelled):
    """Print medians and ratios, and return them."""
    table = {}
    for name, results in runs.items():
        rate = statistics.median(labelled / sum(result["seconds"]) for result in results)
        table[name] = {
            "labelled_tokens_per_second": rate,
            "peak_bytes": statistics.median(result["peak_bytes"] for result in results),
            "loading_seconds": statistics.median(result["loading"] for result in results),
        }
    for name, row in table.items():
        print(
            f"{name:32} {row['labelled_tokens_per_second']:7.1f} labelled tokens/s   peak "
            f"{row['peak_bytes'] / 1e9:5.2f} GB   load {row['loading_seconds']:6.2f} s"
        )
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default="raters", help="raters, or a JSON file of instructions")
    parser.add_argument("--examples", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, json.load(sys.stdin), arguments.steps)
        return
    items = examples(arguments.data, arguments.examples)
    used = [i for row in batches(items, arguments.steps, grouped=False) for i in row]
    labelled = sum(len(items[i][0]) - items[i][1] for i in used)
    mean = statistics.mean(len(ids) for ids, _ in items)
    about = f"{len(items)} examples of {Path(arguments.data).stem} with {mean:.0f} tokens on average"
    print(f"{about}; {labelled} labels in all steps")
    runs = {name: [] for name in arguments.only}
    for number in range(arguments.rounds):
        for name in arguments.only:
            command = [sys.executable, __file__, "--measure", name, "--steps", str(arguments.steps)]
            done = subprocess.run(command, input=json.dumps(items), capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{name} failed:\n{done.stderr}")
            runs[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"round {number + 1}: {name}: {sum(runs[name][-1]['seconds']):.1f} s", flush=True)
    check(runs, arguments.steps)
    table = report(runs, labelled)
    if arguments.output:
        arguments.output.write_text(
            json.dumps({"about": about, "labels": labelled, "table": table, "runs": runs}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
