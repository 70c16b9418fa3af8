"""Writes docs/gpu.md from the committed records, or says that no machine with a GPU was at hand."""

from collections.abc import Callable, Iterable, Sequence

from gpucheck.limits import LIMITS, SECONDS
from gpucheck.record import ROOT, Record
from gpucheck.sections import SECTIONS, table

PAGE = ROOT / "docs" / "gpu.md"

INTRODUCTION = f"""# On a GPU

What only a GPU can show is tried by one command, which ends in under {SECONDS / 60:.0f} minutes:

```console
make gpu-check
```

It writes one JSON for the card it ran on, into `benchmarks/records/gpu/`, and this page from all of these. Its parts
run one after the other, each in a process of its own with a limit of time; one that fails takes no other along.
`.venv/bin/python benchmarks/gpu_check.py --only operators` runs one part alone and keeps the others' results.

"""

HOW = """
## How to run it

- **In a checkout** with a GPU: `make demo` sets up `.venv`; then `.venv/bin/pip install -e '.[gpu,bench,test]'`, and
  `make gpu-check`.
- **In an image** that has CUDA, torch, Triton, einops, jaxtyping, numpy, pytest, safetensors, transformers and PEFT, but
  no network: where there is one, run `make gpu-check-wheels`, which collects the few small packages that such an image
  lacks in `build/wheels`; copy the checkout with this folder there, and run `make gpu-check PYTHON=python3`. The
  packages are installed into `build/site`, and nothing of the image is changed. Nothing is downloaded: bases are made
  with random weights on the card. A copy without its history is told what it is a copy of: `WORKBENCH_COMMIT=...`.
- **Without a GPU**: `.venv/bin/python benchmarks/gpu_check.py --rehearse` runs the same code on the CPU, the Triton
  kernels in the interpreter, with tiny sizes. It shows that the check works; its times mean nothing, and this page is
  never written from it.

Times of an operator are those of the device alone: the host is kept ahead, caches are emptied before each call, and
the median of several counts. 1 GB is 10^9 bytes, a product of M rows with a weight of N rows and K columns counts
2 M N K operations.
"""

NONE = """
## No machine with a GPU was at hand

There is no record yet: nothing on this page was measured on a GPU. What was shown without one:

- The Triton kernels compute what their definitions say, in three number formats, with ragged edges: `tests/kernels`
  runs them in an interpreter, watches every read and write, and plants mistakes that have to be noticed.
- A whole training step on a made-up GPU, a device of its own on which those kernels run, gives the losses, gradients
  and weights of a CPU, and its reads by the host are counted: `tests/kernels/test_training_step.py`. So does a whole
  study: `tests/workbench/studies/test_on_device.py`.
- Every kernel compiles for the GPUs listed in [the kernels' page](../kernels/README.md), with the registers, spills
  and instructions that are written there; so does every launch of a step at the shapes of SmolLM2-135M, 1B and 8B:
  `tests/kernels/test_every_launch.py`.
- The check itself runs as a rehearsal: `tests/benchmarks`.
"""


def page(records: Sequence[Record]) -> str:
    """Return the text of the page.

    Args:
        records: What :func:`gpucheck.record.read_records` returns.

    Raises:
        ValueError: If one of them is a rehearsal.
    """
    if any(record["rehearsal"] for record in records):
        raise ValueError("a rehearsal is no measurement: the page is never written from one")
    text = INTRODUCTION + parts() + HOW
    if not records:
        return text + NONE
    return text + "".join(_card(record) for record in records)


def parts() -> str:
    """Return the table of the parts with their limits."""
    rows = [(f"`{name}`", SECTIONS[name].about, f"{seconds:.0f} s") for name, seconds in LIMITS.items()]
    return table(("part", "what it does", "limit"), rows)


def _card(record: Record) -> str:
    memory = f"{record['memory_bytes'] / 1e9:.0f} GB" if record["memory_bytes"] else "unknown"
    facts = (
        f"{record['date']}, commit {record['commit'] or 'unknown'}; memory {memory}, driver "
        f"{record['driver'] or 'unknown'}, CUDA or ROCm {record['cuda']}, torch {record['torch']}, Triton "
        f"{record['triton']}, Python {record['python']}. All parts together took {record['seconds']:.0f} s."
    )
    text = [f"\n## {record['card']}\n\n{facts}\n\n### What was wanted, and what came\n\n", _targets(record)]
    for name in LIMITS:
        part = record["parts"].get(name)
        text.append(f"\n### {SECTIONS[name].title}\n\n")
        text.append("Not run.\n" if part is None else _part(part, SECTIONS[name].write))
    return "".join(text)


def _targets(record: Record) -> str:
    words = {True: "reached", False: "missed", None: "not measured"}
    rows = [
        (
            row["name"],
            f"{'at least' if row['at_least'] else 'at most'} {row['wanted']:g} {row['unit']}".strip(),
            "" if row["measured"] is None else f"{row['measured']:.3g} {row['unit']}".strip(),
            words[row["reached"]],
        )
        for row in record["targets"]
    ]
    return table(("what", "wanted", "measured", ""), rows)


def _part(part: Record, write: Callable[[Record], Iterable[str]]) -> str:
    text = ""
    if part["status"] != "done":
        last = (part["error"] or "").splitlines()
        text = f'This part ended as "{part["status"]}" after {part["seconds"]:.0f} s: {last[-1] if last else ""}\n\n'
    if part["result"] is None:
        return text or "It has no result.\n"
    return text + "".join(write(part["result"])) + f"\n{part['seconds']:.0f} s, on {part['date']}.\n"
