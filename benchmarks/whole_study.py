"""The `raters` study at `coffee`, by the workbench and by a loop of PEFT runs over the same cells.

    python benchmarks/whole_study.py [--cells 3] [--output FILE.json]

The workbench runs the whole study as a user does, in a process of its own, from loading to the last table.
The loop loads the base once, then fine-tunes and evaluates one cell after another with transformers + PEFT:
the same token ids, first adapters, batches, steps, rates and held-out texts, padded. Because the loop takes
most of an hour, it runs some cells; the time for all is their median times their number, as the page says.
The cells' held-out losses are compared, beside what another seed does to a cell of the same quality and size.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONTESTANTS = {"float32": False, "bfloat16, length-grouped": True}
"""PEFT's settings: whether 16 bits, and batches of similar length in the evaluation."""


def study_plan():
    from workbench.studies.grid import STUDIES
    from workbench.studies.plan import plan

    return plan(STUDIES["raters"]("coffee"))


def ours(folder):
    """Run the study as the command line does, with nothing kept of earlier runs; returns its seconds."""
    from workbench.files import cache_folder

    fresh = folder.with_name("cache")
    fresh.mkdir()
    (fresh / "fetched").symlink_to(cache_folder() / "fetched")
    command = [
        sys.executable,
        "-m",
        "workbench",
        "run",
        "raters",
        "--budget",
        "coffee",
        "--out",
        str(folder),
    ]
    started = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "WORKBENCH_CACHE": str(fresh)})
    return time.perf_counter() - started


def chosen_cells(cells, count):
    """Return ``count`` cells spread over the study, whose sizes vary fastest."""
    return [cells[place * (len(cells) - 1) // max(1, count - 1)] for place in range(count)]


def peft_cells(contestant, count):
    """Fine-tune and evaluate some cells with PEFT in this process; prints JSON."""
    import torch
    from against_peft import start_alike
    from peft import LoraConfig, get_peft_model
    from torch.nn.utils.rnn import pad_sequence
    from transformers import AutoModelForCausalLM

    from workbench.adapters.lora import LoraStack
    from workbench.models.loaders import NAMES
    from workbench.training.loop import step_rows
    from workbench.training.optimizer import learning_rate

    grouped = CONTESTANTS[contestant]
    concrete = study_plan()
    pool, heldout = concrete.prepared.frozen.pool, concrete.prepared.heldout
    texts = [
        (pool.tokens[start : start + length], int(prompt))
        for start, length, prompt in zip(pool.starts, pool.lengths, pool.prompts, strict=True)
    ]
    path = NAMES["smollm2-135m"]()
    started = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(
        path.parent,
        gguf_file=path.name,
        dtype=torch.bfloat16 if grouped else torch.float32,
        local_files_only=True,
    )
    loading = time.perf_counter() - started
    first = concrete.cells[0]
    lora = LoraConfig(
        r=first.rank,
        lora_alpha=first.alpha,
        target_modules=list(first.targets),
        layers_to_transform=list(range(first.first_layer, concrete.base.decoder.config.layers)),
        lora_dropout=0.0,
    )
    model = get_peft_model(model, lora)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def batch(indices):
        ids = pad_sequence([texts[i][0] for i in indices], batch_first=True)
        mask = pad_sequence([torch.ones_like(texts[i][0]) for i in indices], batch_first=True)
        rows = [torch.cat([torch.full((p,), -100), t[p:]]) for t, p in (texts[i] for i in indices)]
        return ids, mask, pad_sequence(rows, batch_first=True, padding_value=-100)

    def train(cell):
        start_alike(model, LoraStack([cell], concrete.base.decoder.config).tensors(0))
        model.train()
        optimizer = torch.optim.AdamW(trained, lr=1.0, weight_decay=cell.weight_decay)
        for step in range(cell.total_steps):
            (indices,) = step_rows([cell], [concrete.prepared.draws[cell.key()]], step)
            ids, mask, labels = batch(indices)
            model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, cell.gradient_clip)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(cell, step)
            optimizer.step()
            optimizer.zero_grad()

    @torch.no_grad()
    def evaluate():
        model.eval()
        order = list(range(len(heldout.references)))
        if grouped:
            order.sort(key=lambda item: len(texts[heldout.references[item]][0]))
        total = count = right = 0.0
        for start in range(0, len(order), 8):
            items = order[start : start + 8]
            ids, mask, labels = batch([heldout.references[item] for item in items])
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits.float()
            losses = torch.nn.functional.cross_entropy(
                logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum"
            )
            total, count = total + float(losses), count + int((labels[:, 1:] != -100).sum())
            for row, item in enumerate(items):
                before = texts[heldout.references[item]][1] - 1
                scores = logits[row, before, heldout.tokens[item]]
                right += int(scores.argmax()) == heldout.right[item]
        return {"loss": total / count, "choice_accuracy": right / len(order)}

    results = {}
    for cell in chosen_cells(concrete.cells, count):
        started = time.perf_counter()
        train(cell)
        training = time.perf_counter() - started
        metrics = evaluate()
        whole = time.perf_counter() - started
        results[cell.key()] = {"training": training, "seconds": whole, **metrics}
        print(
            f"{cell.quality.label}, {cell.size}: {training:.0f} + {whole - training:.0f} s", file=sys.stderr
        )
    print(json.dumps({"loading": loading, "cells": results}))


def seed_deviations(cells, losses):
    """Return for each cell the standard deviation between the seeds of its quality and size."""
    groups = {}
    for key, cell in cells.items():
        groups.setdefault((cell.quality.label, cell.size), []).append(key)
    between = [(keys, statistics.stdev(losses[key] for key in keys)) for keys in groups.values()]
    return {key: deviation for keys, deviation in between for key in keys}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cells", type=int, default=3, help="cells that each PEFT loop runs")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--measure", choices=CONTESTANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        peft_cells(arguments.measure, arguments.cells)
        return
    from workbench.studies.disk.store import Store

    loops = {}
    with tempfile.TemporaryDirectory() as folder:
        seconds = ours(Path(folder) / "study")
        for name in CONTESTANTS:
            command = [sys.executable, __file__, "--measure", name, "--cells", str(arguments.cells)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            loops[name] = json.loads(done.stdout.splitlines()[-1])
        with Store.open(Path(folder) / "study") as store:
            cells = store.configurations()
            losses = {key: metrics["loss"] for key, _, metrics in store.measurements() if key in cells}
    deviations = seed_deviations(cells, losses)
    noise = statistics.mean(deviations.values())
    table = {"ours": {"seconds": seconds}}
    for name, loop in loops.items():
        runs = loop["cells"]
        for key, row in runs.items():
            row |= {"ours": losses[key], "seed_deviation": deviations[key]}
        apart = max(abs(row["loss"] - row["ours"]) for row in runs.values())
        whole = loop["loading"] + len(losses) * statistics.median(row["seconds"] for row in runs.values())
        table[name] = {"seconds": whole, "cells_run": len(runs), "largest_distance": apart, "runs": runs}
        print(
            f"PEFT {name}: {whole:.0f} s for {len(losses)} cells by {len(runs)} of them; ours {seconds:.0f} "
            f"s: {whole / seconds:.1f} times; held-out losses within {apart:.4f} nats (a seed moves them by "
            f"{noise:.4f})"
        )
    if arguments.output:
        record = {"cells": len(losses), "seed_deviation": noise, "table": table}
        arguments.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
