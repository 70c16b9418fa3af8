"""How long a base takes to load, and how much memory: `python benchmarks/load_base.py [NAME OR PATH]`.

Each number comes from a fresh process, after the imports. Memory is the process's peak, of which the
imports alone take the first line. `--against-transformers [RECORD]` loads SmolLM2's GGUF (model and
tokenizer) with transformers, too, in turns, and prints medians of three rounds.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path


def peak_megabytes() -> float:
    """Return the peak resident memory of this process (Linux counts it in KiB, macOS in bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1e6 if sys.platform == "darwin" else 1e6 / 1024
    )


def measure(name: str) -> None:
    """Load one base and print what it took."""
    from workbench.models.loaders import load_base

    print(f"imports              {peak_megabytes():7.0f} MB")
    wall, processor = time.perf_counter(), time.process_time()
    base = load_base(name)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"load {wall:6.2f} s wall, {processor:6.2f} s of the processor, {peak_megabytes():7.0f} MB")
    print(base)


def measure_transformers(file: Path) -> None:
    """Load a GGUF with transformers and print the seconds that the model and its tokenizer took."""
    from transformers import AutoTokenizer, LlamaForCausalLM

    start = time.perf_counter()
    LlamaForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name)
    model = time.perf_counter() - start
    AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    print(f"load {model:6.2f} s the model, {time.perf_counter() - start:6.2f} s with its tokenizer")


def seconds(*command: str) -> list[float]:
    """Return the numbers of the line "load" that a fresh process prints."""
    run = subprocess.run(
        [sys.executable, __file__, *command], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    (line,) = (line for line in run.stdout.decode().splitlines() if line.startswith("load "))
    return [float(word) for word in line.split() if word.replace(".", "").isdigit()]


def against_transformers(record: str | None, rounds: int = 3) -> None:
    """Compare both ways to load SmolLM2's file, each as a median of ``rounds`` fresh processes."""
    from workbench.models.loaders import load_base

    file = load_base("smollm2-135m").path
    ours, model, both = [], [], []
    for _ in range(rounds):
        ours.append(seconds("--once", "smollm2-135m")[0])
        theirs = seconds("--transformers", str(file))
        model.append(theirs[0])
        both.append(theirs[1])
    found = {
        "Workbench": statistics.median(ours),
        "transformers, the model alone": statistics.median(model),
        "transformers, model and tokenizer": statistics.median(both),
    }
    for words, value in found.items():
        print(f"{words:<34} {value:6.2f} s, {value / found['Workbench']:.1f} times ours")
    if record:
        Path(record).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--once"]:
        measure(sys.argv[2])
    elif sys.argv[1:2] == ["--transformers"]:
        measure_transformers(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["--against-transformers"]:
        against_transformers(sys.argv[2] if len(sys.argv) > 2 else None)
    else:
        for name in sys.argv[1:] or ["classroom", "smollm2-135m"]:
            subprocess.run([sys.executable, __file__, "--once", name], check=True)
