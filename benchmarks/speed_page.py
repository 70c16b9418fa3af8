"""Write docs/speed.md from the benchmarks' records: `python benchmarks/speed_page.py`.

The records are what the other scripts of this folder wrote into benchmarks/records/; a part whose record is
missing says so.
"""

import json
import math
import statistics
from pathlib import Path
from typing import NamedTuple

from against_peft import verdict
from processor import in_words
from trunk_page import table, trunk

from workbench.models.between import products_in

HERE = Path(__file__).parent
RECORDS = HERE / "records"
PAGE = HERE.parent / "docs" / "speed.md"

INTRODUCTION = """# How fast, and what bounds it

Measured by the scripts in `benchmarks/`, whose records this page is written from; `make bench` makes them anew.
One cell, stacks and decoding are medians of runs that alternated. The whole studies, the two ways of a trunk and
the precisions ran one after the other. Loading, growth, stacks, trunks and precisions were measured before the rest,
and on other machines: what counts of trunks and precisions are losses and rates, not seconds.
"""


def record(name):
    path = RECORDS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def machine(found):
    return (
        "## The machine\n\nProducts have the shapes of SmolLM2-135M with the tokens of one step.\n\n"
        + table(("what", "measured"), [(name, _measured(value)) for name, value in found.items()])
    )


def _measured(value):
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def that_ran(found):
    """Return the contestants of a record of one cell that didn't fail."""
    return {name: row for name, row in found["table"].items() if "labelled_tokens_per_second" in row}


def one_cell(found):
    ran = that_ran(found)
    rates = {name: row["labelled_tokens_per_second"] for name, row in ran.items()}
    judged = any("share_of_bound" in row for row in ran.values())
    rows = [
        (
            name,
            f"{rates[name]:.0f}",
            f"{rates[name] / rates['PEFT float32']:.1f}",
            f"{row['peak_bytes'] / 1e9:.2f} GB",
            f"{row['loading_seconds']:.1f} s",
            *((f"{row['share_of_bound']:.0%}", verdict(row)) if judged else ()),
        )
        for name, row in ran.items()
    ]
    head = ("contestant", "labelled tokens/s", "times PEFT float32", "peak memory", "loading")
    if judged:
        head += ("of the products' bound", "losses against PEFT's float32")
    rows += [
        (name, row["failed"], *[""] * (len(head) - 2))
        for name, row in found["table"].items()
        if name not in ran
    ]
    return (
        "## One cell, all layers, against transformers + PEFT\n\n"
        f"SmolLM2-135M, rank 8 on all linear layers of all blocks, batches of 8 of {found['about']}, "
        f"with {found['labels']} labels in all steps. Both sides start from the same adapters and get the same "
        "token ids; losses are compared before times. PEFT pads each batch to its longest example; "
        "length-grouped, batches hold examples of similar length.\n\n"
        + table(head, rows)
        + (f"\nMeasured on {in_words(found['machine'])}.\n" if "machine" in found else "")
        + loading(record("load_base"))
    )


def loading(found):
    if not found:
        return ""
    return (
        "\nMeasured earlier, on another machine, each in a fresh process after the imports: SmolLM2's GGUF takes "
        f"{found['Workbench']:.2f} s with its tokenizer here, and in transformers "
        f"{found['transformers, the model alone']:.1f} s without and "
        f"{found['transformers, model and tokenizer']:.1f} s with it.\n"
    )


def profile_step(found):
    speed = record("roofline") or {}
    rows, parts = [], {}
    for name, row in found.items():
        fast = speed.get(f"{products_in(name)} GFLOP/s")
        least = f"{row['least_flops'] / fast / 1e9:.2f} s" if fast else ""
        most = f"{row['labels'] * fast * 1e9 / row['least_flops']:.0f}" if fast else ""
        rows.append((name, f"{row['seconds']:.2f} s", least, f"{row['labels'] / row['seconds']:.0f}", most))
        for part, share in row["shares"].items():
            parts.setdefault(part, {})[name] = f"{share:.0%}"
    head = ("precision", "a step", "at least", "labelled tokens/s", "at most")
    shares = [(part, *(by.get(name, "0%") for name in found)) for part, by in parts.items()]
    flops = statistics.mean(row["least_flops"] for row in found.values())
    return (
        "## Where a step's time goes\n\n"
        f"A step has {flops / 1e9:.0f} GFLOP that nobody can leave out: the frozen base once forward and once "
        "back to its inputs, the head at the labels. At the speed that products alone reach on this machine, "
        "that is the least time of a step, and with it the most that any program could make here.\n\n"
        + table(head, rows)
        + "\nThe rest of the time, by PyTorch's profiler:\n\n"
        + table(("share of a step", *found), shares)
        + "\nWhat is not products with the base is many small passes over memory. A compiler would fuse them, and none "
        "may be needed. Fused in numba, which brings its own, norms, gates and rotations made a step 1.13 times as fast "
        "in bfloat16-activations, 1.05 in bfloat16 and 1.02 in float32 (2026-11-30, by hand): too little for a "
        "dependency that would change a study's arithmetic.\n"
    )


class Compared(NamedTuple):
    """What a record of one cell comes to."""

    nearest: str
    """Our rounded precision that comes nearest to the products' bound, and its share of it."""
    share: float
    share_float32: float
    ours: float
    """Labelled tokens/s in our fastest precision; below, in PEFT's padded float32 and in its fastest setting."""
    default: float
    best: float


def compared(found):
    """Hold our fastest precision to PEFT's padded float32 and to its fastest setting."""
    rows = that_ran(found)
    rate = {name: row["labelled_tokens_per_second"] for name, row in rows.items()}
    mine = {name: row for name, row in rows.items() if name.startswith("ours")}
    ours = max(rate[name] for name in mine)
    best = max(value for name, value in rate.items() if name.startswith("PEFT"))
    share = {name.removeprefix("ours "): row["share_of_bound"] for name, row in mine.items()}
    exact = share.pop("float32", math.nan)
    nearest = max(share, key=share.get)
    return Compared(nearest, share[nearest], exact, ours, rate["PEFT float32"], best)


def one_cell_elsewhere(found):
    columns = ("float32 GFLOP/s", "bfloat16 GFLOP/s", "ours, fastest", "PEFT's default", "PEFT's best")
    head = ("record", *columns, "of the bound, float32", "of the bound, best other")
    rows = []
    above = record("against_peft")
    for name, one in (({"above": above} if above else {}) | found).items():
        it = compared(one)
        cells = [f"{one['speeds'][key]:.0f}" for key in ("float32", "bfloat16")]
        cells += [f"{it.ours:.0f}", *(f"{rate:.0f} ({it.ours / rate:.1f})" for rate in (it.default, it.best))]
        rows.append((name, *cells, f"{it.share_float32:.0%}", f"{it.share:.0%} ({it.nearest})"))
    return (
        "## One cell, measured more than once\n\nLabelled tokens/s, and in brackets how many times as many ours are. Of "
        "one machine the hours differ, for PEFT by more than half: it passes over three times as much memory.\n\n"
        + table(head, rows)
    )


def targets(found):
    rows, needed = that_ran(found), ("ours bfloat16", "PEFT float32", "PEFT bfloat16")
    if not set(needed) <= set(rows):
        return "## What was wanted, and what came\n\nContestants are missing in the record.\n"
    it, (mine, theirs, like) = compared(found), (rows[name] for name in needed)
    lines = [
        (f"share of the products' bound, {it.nearest}", "75%", it.share),
        ("share of the products' bound, float32", "80%", it.share_float32),
        ("labelled tokens/s over PEFT's padded float32", "4.5", it.ours / it.default),
        ("labelled tokens/s over PEFT's best setting", "2.5", it.ours / it.best),
        ("peak memory: PEFT's float32 over our bfloat16", "3", theirs["peak_bytes"] / mine["peak_bytes"]),
        ("peak memory: PEFT's bfloat16 over our bfloat16", "3", like["peak_bytes"] / mine["peak_bytes"]),
    ]
    if loads := record("load_base"):
        own, alone = loads["Workbench"], loads["transformers, the model alone"]
        lines.append(("loading: transformers' time for the model alone over ours", "10", alone / own))
    if study := record("whole_study"):
        own = study["table"]["ours"]["seconds"]
        loops = [row["seconds"] / own for name, row in study["table"].items() if name != "ours"]
        lines.append(("`raters` at `coffee`: a loop of PEFT's default over ours", "12", max(loops)))
        lines.append(("`raters` at `coffee`: a loop of PEFT's best over ours", "7", min(loops)))
    if decoded := record("decoding"):
        for name, row in decoded["rates"].items():
            if name.startswith("workbench"):
                together = name.rpartition(", ")[2]
                other = decoded["rates"][f"llama.cpp, {together}"]
                speed = row["tokens_per_second"] / other["tokens_per_second"]
                lines.append((f"decoding, {together}: our tokens/s over llama.cpp's", "50%", speed))
    return (
        "## What was wanted, and what came\n\n"
        + table(("ratio", "wanted", "measured", ""), [_came(*line) for line in lines])
        + "\nThe sections below say what bounds each. The first four were set for a processor with AMX.\n"
    )


def _came(name, wanted, measured):
    """Return a row of the table of targets; a wanted share is a percentage."""
    least = float(wanted.removesuffix("%")) / (100 if wanted.endswith("%") else 1)
    written = f"{measured:.0%}" if wanted.endswith("%") else f"{measured:.1f}"
    return name, wanted, written, "reached" if measured >= least else f"missed: {measured / least:.0%}"


def stacking(found):
    seconds = found["seconds"]
    parts = [
        "## Cells in stacks\n\n"
        f"{found['cells']} cells of `verbs`, {found['steps']} steps each, trained and evaluated: stacked "
        f"{seconds['stacked']:.1f} s, one by one {seconds['one by one']:.1f} s, {found['ratio']:.1f} times as "
        f"long. Held-out losses agree within {found['apart']:.0e} nats.\n"
    ]
    rows = []
    for name, cost in found["costs"].items():
        start, token = cost["start_seconds"], cost["token_seconds"]
        for step in cost["steps"]:
            line = start + token * step["tokens"]
            rows.append(
                (
                    name,
                    str(step["cells"]),
                    f"{step['tokens']:.0f}",
                    f"{1000 * step['seconds']:.0f} ms",
                    f"{1000 * line:.0f} ms",
                    f"{1000 * step['seconds'] / step['cells']:.0f} ms",
                    f"{start / line:.0%}",
                )
            )
    head = ("study", "cells", "tokens", "a step", "by the model", "for each cell", "of it, starting")
    parts.append(
        "\nThe cost model behind the size of a stack: a step takes a time to start, and a time for each token. "
        + "; ".join(
            f"`{name}`: {1000 * cost['start_seconds']:.1f} ms and {1e6 * cost['token_seconds']:.0f} "
            "microseconds"
            for name, cost in found["costs"].items()
        )
        + ". Stacking saves the starting alone, as every token of every cell passes through the base either "
        "way; so the most that it can save is what starting is of a cell's own step, and beyond "
        "`STEP_TOKENS` in `studies/stacks.py` nothing is left to save.\n\n" + table(head, rows)
    )
    return "".join(parts)


def precision(found):
    rows = [
        (
            name,
            f"{row['mean_distance']:.4f}",
            f"{row['seed_deviation']:.4f}",
        )
        for name, row in found.items()
    ]
    head = ("precision", "moves a held-out loss by", "another seed moves it by")
    return (
        "## What a precision does to a study\n\n"
        "Six cells of `raters` (clean and one rater, 128 examples, three seeds) on SmolLM2-135M, the same "
        "in each precision; distances from float32 and deviations between seeds are means, in nats a token. "
        'A seed\'s noise is the yardstick; "auto" takes bfloat16 where it is faster than float32, as int8 is hardly '
        "faster than that and moves more.\n\n" + table(head, rows)
    )


def int8(found):
    rows = [
        (
            row["processor"],
            *(f"{row['products'][name]:.0f}" for name in ("bfloat16", "int8")),
            *(f"{row['step'][name]:.2f} s" for name in ("bfloat16", "int8")),
            f"{row['step']['int8'] / row['step']['bfloat16'] - 1:+.0%}",
        )
        for row in found
    ]
    head = ("processor", "GFLOP/s in bfloat16", "in int8", "a step in bfloat16", "in int8", "difference")
    return (
        "## Where int8 pays\n\n"
        "Products alone, and one step of a cell on all layers of SmolLM2-135M, on the processors that were at hand "
        "(kept by hand in `records/int8.json`). Around a product in bytes rows are rounded and sums scaled back, "
        'which takes most of what the product saves; and bytes move losses furthest (above). So "auto" takes int8 on '
        "none of them; `--precision int8` does.\n\n" + table(head, rows)
    )


def whole_study(found):
    ours = found["table"]["ours"]["seconds"]
    rows = [("workbench run raters --budget coffee", str(found["cells"]), f"{ours:.0f} s", "1.0", "")]
    for name, row in found["table"].items():
        if name != "ours":
            whole = row["seconds"]
            apart = [f"{abs(one['loss'] - one['ours']):.3f}" for one in row["runs"].values()]
            rows.append(
                (
                    f"PEFT {name}",
                    str(row["cells_run"]),
                    f"{whole:.0f} s",
                    f"{whole / ours:.1f}",
                    ", ".join(apart),
                )
            )
    loops = [row for name, row in found["table"].items() if name != "ours"]
    seeds = ", ".join(f"{one['seed_deviation']:.3f}" for one in loops[0]["runs"].values())
    exact, rounded = ([one["loss"] for one in row["runs"].values()] for row in loops)
    between = ", ".join(f"{abs(one - two):.3f}" for one, two in zip(exact, rounded, strict=True))
    head = (
        "contestant",
        "cells run",
        "time of the whole study",
        "times ours",
        "distance of each cell's loss",
    )
    return (
        "## A whole study\n\n"
        f"The {found['cells']} cells of `raters` at `coffee` on SmolLM2-135M: adapters on the topmost 6 of 30 "
        "blocks, 60 steps of 8 examples, 600 held-out texts. The loop of PEFT runs loads the base once and "
        "does the same cells one after the other, padded; where it ran some cells, its time is their median "
        "times their number. The last column is the distance of each cell's held-out loss from ours in bfloat16, "
        f"in nats; PEFT's two settings are {between} apart there, and seeds of the same quality and size "
        f"{seeds}.\n\n"
        + table(head, rows)
        + "".join(
            f"\nWhere the distance is {abs(one['loss'] - one['ours']):.3f} it is bfloat16's: trained alone in float32 "
            f"that cell comes to {one['ours_float32']:.5f} here and to {one['loss']:.5f} with PEFT.\n"
            for one in loops[0]["runs"].values()
            if "ours_float32" in one
        )
        + "\nThe workbench runs the 24 blocks below the adapters once for each distinct example, in its time. What "
        "is left is each cell's own: 6 blocks forward and back, and forward over the held-out texts.\n"
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
    rows, rates = [], found["rates"]
    for name, rate in rates.items():
        other = rates[f"llama.cpp, {name.rpartition(', ')[2]}"]
        keys = ("tokens_per_second", "tokens_per_processor_second")
        rows.append((name, *(f"{rate[key]:.1f} ({rate[key] / other[key]:.0%})" for key in keys)))
    here = found["machine"]
    return (
        "## Decoding\n\n"
        f"{found['new_tokens']} new tokens for each prompt, greedy, SmolLM2-135M's GGUF in 4 bits; medians of "
        f"{found['rounds']} rounds that alternated, in brackets the share of llama.cpp's. llama.cpp is made for this; the "
        "workbench decodes to show what an adapter says. Both multiply 4 bits a weight for one prompt, the "
        "workbench its copies in bfloat16 for more than four. "
        f"Measured on {in_words(here)}, at the end {here['load at the end']:.1f}: where the load is above the number "
        "of cores, the clock says how the system shares them out, and a core's seconds are the fairer measure.\n\n"
        + table(("contestant", "tokens/s", "tokens for a second of a core"), rows)
    )


PARTS = {
    "roofline": machine,
    "against_peft": one_cell,
    "against_peft_earlier": one_cell_elsewhere,
    "profile_step": profile_step,
    "whole_study": whole_study,
    "stacking": stacking,
    "trunk": trunk,
    "growth": growth,
    "precision": precision,
    "int8": int8,
    "decoding": decoding,
}


def main():
    parts = [INTRODUCTION]
    if found := record("against_peft"):
        parts.append(targets(found))
    for name, write in PARTS.items():
        found = record(name)
        parts.append(
            write(found) if found else f"## {name}\n\nNot measured yet: run `benchmarks/{name}.py`.\n"
        )
    PAGE.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
