"""Write docs/speed.md from the benchmarks' records: `python benchmarks/speed_page.py`.

The records are what the other scripts of this folder wrote into benchmarks/records/; a part whose record is
missing says so.
"""

import json
from pathlib import Path

HERE = Path(__file__).parent
RECORDS = HERE / "records"
PAGE = HERE.parent / "docs" / "speed.md"

INTRODUCTION = """# How fast, and what bounds it

Measured by the scripts in `benchmarks/`, whose records this page is written from; `make bench` makes them anew.
A number is a median, and a ratio comes from runs that alternated on the same machine.
"""


def record(name):
    path = RECORDS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def machine(found):
    rows = [
        (name, f"{value:.0f}" if isinstance(value, float) else str(value)) for name, value in found.items()
    ]
    return (
        "## The machine\n\nProducts have the shapes of SmolLM2-135M with the tokens of one step.\n\n"
        + table(("what", "measured"), rows)
    )


def one_cell(found):
    rates = {name: row["labelled_tokens_per_second"] for name, row in found["table"].items()}
    rows = [
        (
            name,
            f"{rates[name]:.0f}",
            f"{rates[name] / rates['PEFT float32']:.1f}",
            f"{row['peak_bytes'] / 1e9:.2f} GB",
            f"{row['loading_seconds']:.1f} s",
        )
        for name, row in found["table"].items()
    ]
    head = ("contestant", "labelled tokens/s", "times PEFT float32", "peak memory", "loading")
    return (
        "## One cell, all layers, against transformers + PEFT\n\n"
        f"SmolLM2-135M, rank 8 on all linear layers of all blocks, batches of 8 of {found['about']}, "
        f"with {found['labels']} labels in all steps. Both sides start from the same adapters and get the same "
        "token ids; losses are compared before times. PEFT pads each batch to its longest example; "
        "length-grouped, batches hold examples of similar length.\n\n" + table(head, rows)
    )


def stacking(found):
    seconds = found["seconds"]
    return (
        "## Cells in stacks\n\n"
        f"{found['cells']} cells of `verbs`, {found['steps']} steps each, trained and evaluated: stacked "
        f"{seconds['stacked']:.1f} s, one by one {seconds['one by one']:.1f} s, {found['ratio']:.1f} times as "
        "long. "
        f"Held-out losses agree within {found['apart']:.0e} nats. A step of one such cell has about 270 "
        "tokens, "
        "enough to keep two cores busy with products: what stacking saves is the cost of starting operations.\n"
    )


def precision(found):
    rows = [
        (
            name,
            f"{row['train_and_evaluate_seconds']:.0f} s",
            f"{row['mean_distance']:.4f}",
            f"{row['seed_deviation']:.4f}",
        )
        for name, row in found.items()
    ]
    head = ("precision", "training and evaluation", "moves a held-out loss by", "another seed moves it by")
    return (
        "## What a precision does to a study\n\n"
        "Six cells of `raters` (clean and one rater, 128 examples, three seeds) on SmolLM2-135M, the same "
        "in each precision; distances from float32 and deviations between seeds are means, in nats a token.\n\n"
        + table(head, rows)
    )


def whole_study(found):
    ours = found["table"]["ours"]["seconds"]
    rows = [("workbench run raters --budget coffee", str(found["cells"]), f"{ours:.0f} s", "1.0", "")]
    for name, row in found["table"].items():
        if name != "ours":
            whole = row["seconds"]
            apart = f"{row['largest_distance']:.4f}"
            rows.append(
                (f"PEFT {name}", str(row["cells_run"]), f"{whole:.0f} s", f"{whole / ours:.1f}", apart)
            )
    head = ("contestant", "cells run", "time of the whole study", "times ours", "largest distance in loss")
    return (
        "## A whole study\n\n"
        f"The {found['cells']} cells of `raters` at `coffee` on SmolLM2-135M: adapters on the topmost 6 of 30 "
        "blocks, 60 steps of 8 examples, 600 held-out texts. The loop of PEFT runs loads the base once and "
        "does the same cells one after the other, padded; where it ran some cells, its time is their mean "
        "times their number. The last column is the largest distance of a cell's held-out loss from ours, in "
        f"nats; another seed moves it by {found['seed_deviation']:.4f}.\n\n" + table(head, rows)
    )


def growth(found):
    rows = [
        (name, str(count), f"{took:.1f} s", f"{1000 * took / int(count):.1f} ms")
        for name, counts in found.items()
        for count, took in counts.items()
    ]
    return (
        "## How the time grows\n\nWhole runs on the classroom base; one thing grows, the others stay.\n\n"
        + table(("what grows", "to", "time", "for each"), rows)
    )


def decoding(found):
    rows = [(name, f"{rate:.0f}") for name, rate in found["rates"].items()]
    return (
        "## Decoding\n\n"
        f"{found['new_tokens']} new tokens for each prompt, greedy, SmolLM2-135M's GGUF in 4 bits. llama.cpp is "
        "made for this; the workbench decodes to show what an adapter says, on the copies of the weights that "
        "training needs anyway.\n\n" + table(("contestant", "tokens/s"), rows)
    )


PARTS = {
    "roofline": machine,
    "against_peft": one_cell,
    "whole_study": whole_study,
    "stacking": stacking,
    "growth": growth,
    "precision": precision,
    "decoding": decoding,
}


def main():
    parts = [INTRODUCTION]
    for name, write in PARTS.items():
        found = record(name)
        parts.append(
            write(found) if found else f"## {name}\n\nNot measured yet: run `benchmarks/{name}.py`.\n"
        )
    PAGE.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
